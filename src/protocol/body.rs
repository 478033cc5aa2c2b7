//! What is in the envelope.

use super::card::{AgentCard, Submission};
use super::message::MessageId;
use super::negotiation::Act;
use super::wire;
use crate::base::id::{AttemptId, Incarnation, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::task::{Failure, TaskOutcome, TaskStatus, Tier, Usage};
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// One attempt of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Piece {
    /// The attempt: everything that the agent says about it carries it.
    #[serde(with = "wire::attempt")]
    pub attempt: AttemptId,
    /// What sort of work it is.
    pub kind: Name,
    /// What is to be worked on.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub payload: Payload,
    /// How urgent it is.
    #[serde(default)]
    pub tier: Tier,
    /// Until when the result is worth having.
    #[serde(with = "wire::option", default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// When the host stops waiting for the answer.
    #[serde(with = "wire::option", default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Body {
    /// To the host: please have this task done.
    Submit {
        /// The task.
        task: Box<Submission>,
    },
    /// To the host: a task is no longer wanted.
    Withdraw {
        /// Which.
        #[serde(with = "wire")]
        task: TaskId,
        /// On what grounds.
        reason: Name,
    },
    /// To the host: where does a task stand?
    Query {
        /// Which.
        #[serde(with = "wire")]
        task: TaskId,
    },
    /// From the host: where a task stands, asked or not.
    Status {
        /// Which.
        #[serde(with = "wire")]
        task: TaskId,
        /// Where it stands.
        state: TaskStatus,
        /// How many attempts have begun.
        attempts: u32,
        /// How it ended, once it has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outcome: Option<TaskOutcome>,
    },
    /// From an agent: here I am. Answered by [`Registered`](Self::Registered) or [`Rejected`](Self::Rejected).
    Register {
        /// What it is.
        agent: Box<AgentCard>,
    },
    /// To an agent: welcome.
    Registered {
        /// The life that has begun; everything that the agent says from now on carries it.
        #[serde(with = "wire::life")]
        by: Incarnation,
        /// Please say something at least this often.
        #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
        heartbeat: Option<Duration>,
    },
    /// From an agent: I have changed.
    Update {
        /// Who says so.
        #[serde(with = "wire::life")]
        by: Incarnation,
        /// What it is now.
        agent: Box<AgentCard>,
    },
    /// From an agent: I am alive.
    Heartbeat {
        /// Who says so.
        #[serde(with = "wire::life")]
        by: Incarnation,
    },
    /// To an agent: please do this. Sent again, it is the same attempt.
    Assign {
        /// The attempt, to be named in everything said about it. The task's id within is the key by which a repeated effect
        /// is recognised.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
        /// To whom.
        #[serde(with = "wire::life")]
        to: Incarnation,
        /// What sort of work it is.
        kind: Name,
        /// What there is to work with.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        payload: Payload,
        /// How urgent it is.
        #[serde(default)]
        tier: Tier,
        /// Until when the result is worth having.
        #[serde(with = "wire::option", default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Time>,
        /// When the host stops waiting for the answer.
        #[serde(with = "wire::option", default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// To an agent: please do these together. Each is answered on its own; sent again, they are the same attempts.
    AssignBatch {
        /// Whose they are.
        #[serde(with = "wire::life")]
        to: Incarnation,
        /// The attempts.
        attempts: Vec<Piece>,
    },
    /// To an agent: please give an attempt back, unless it is done.
    Yield {
        /// Whose it is.
        #[serde(with = "wire::life")]
        from: Incarnation,
        /// Which.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
        /// When the host stops waiting for the answer.
        #[serde(with = "wire")]
        until: Time,
    },
    /// From an agent: an attempt is given back, as was asked or because the agent leaves. Nothing has happened of it.
    GiveBack {
        /// Who says so.
        #[serde(with = "wire::life")]
        by: Incarnation,
        /// Which.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
    },
    /// From an agent that asks for work: I am ready for so many attempts more.
    Poll {
        /// Who says so.
        #[serde(with = "wire::life")]
        by: Incarnation,
        /// How many; 0 takes the request back.
        most: u32,
    },
    /// From an agent: I have begun.
    Accept {
        /// Who says so.
        #[serde(with = "wire::life")]
        by: Incarnation,
        /// With what.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
    },
    /// From an agent: I shall not do it, and nothing has happened.
    Refuse {
        /// Who says so.
        #[serde(with = "wire::life")]
        by: Incarnation,
        /// What is refused.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
        /// Why.
        why: Unwilling,
        /// For people.
        #[serde(default, skip_serializing_if = "str::is_empty")]
        message: Box<str>,
        /// Please do not ask again sooner.
        #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<Duration>,
    },
    /// From an agent: this far I have come.
    Progress {
        /// Who says so.
        #[serde(with = "wire::life")]
        by: Incarnation,
        /// With what.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
        /// So much is done, in units of the agent's own.
        done: u64,
        /// Of so much, if that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<u64>,
        /// For people.
        #[serde(default, skip_serializing_if = "str::is_empty")]
        message: Box<str>,
    },
    /// From an agent: it is over.
    Result {
        /// Who says so.
        #[serde(with = "wire::life")]
        by: Incarnation,
        /// What is over.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
        /// What came of it.
        verdict: Verdict,
    },
    /// To an agent: an attempt is no longer wanted. If it is still the agent's, it answers with a result as ever.
    Cancel {
        /// Whose it is or was.
        #[serde(with = "wire::life")]
        from: Incarnation,
        /// Which.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
    },
    /// To whoever starts and stops agents: so many there should be.
    Scale {
        /// How many there were.
        agents: u32,
        /// How many there should be.
        advised: u32,
    },
    /// From the host: what was asked for is refused, and nothing of it happened.
    Rejected {
        /// Which rule, by the name that the core has for it.
        code: Name,
        /// For people.
        reason: Box<str>,
        /// When asking again may help, if that can be told.
        #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<Duration>,
    },
    /// Either way: a step of a negotiation about who shall do something.
    Negotiate {
        /// Which negotiation: the id of the call for proposals that began it.
        about: MessageId,
        /// The step.
        act: Act,
    },
}

/// Why an agent refuses an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unwilling {
    /// It has too much to do.
    Busy,
    /// It cannot do this sort of thing, at least not now.
    Unable,
    /// It is about to leave.
    Leaving,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Verdict {
    /// It succeeded.
    Succeeded {
        /// What it gave.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        output: Payload,
        /// What the attempt used up.
        #[serde(default, skip_serializing_if = "Usage::is_nothing")]
        usage: Usage,
    },
    /// It failed; the failure's kind says what that means for the next attempt.
    Failed {
        /// Why.
        failure: Failure,
        /// What the attempt used up.
        #[serde(default, skip_serializing_if = "Usage::is_nothing")]
        usage: Usage,
    },
}

macro_rules! kinds {
    ($($kind:ident $name:literal),* $(,)?) => {
        /// What sorts of messages there are.
        ///
        /// ```
        /// use counterpoint::protocol::{Kind, schema};
        ///
        /// for kind in Kind::ALL {
        ///     assert_eq!(schema(*kind)["title"], kind.name());
        /// }
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Kind {
            $(#[doc = concat!("See [`Body::", stringify!($kind), "`].")] $kind,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The name of the only field of such a body.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }

        impl Body {
            /// What sort of message this is.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind { .. } => Kind::$kind,)*
                }
            }
        }
    };
}

kinds! {
    Submit "submit", Withdraw "withdraw", Query "query", Status "status", Register "register", Registered "registered",
    Update "update", Heartbeat "heartbeat", Assign "assign", Accept "accept", Refuse "refuse", Progress "progress",
    AssignBatch "assign_batch", Yield "yield", GiveBack "give_back", Poll "poll", Result "result", Cancel "cancel",
    Scale "scale", Rejected "rejected", Negotiate "negotiate",
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
