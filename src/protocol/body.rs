//! The content of messages.

use super::card::{AgentCard, Submission};
use super::message::MessageId;
use super::negotiation::Act;
use super::wire;
use crate::base::id::{AttemptId, Incarnation, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::task::{Failure, IdempotencyKey, Progress, TaskOutcome, TaskStatus, Tier, Usage};
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// One attempt of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BatchedAttempt {
    /// The attempt. The agent includes it in every message about it.
    #[serde(with = "wire::attempt")]
    pub attempt: AttemptId,
    /// The kind of work.
    pub kind: Name,
    /// The input.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub payload: Payload,
    /// The tier.
    #[serde(default)]
    pub tier: Tier,
    /// The time after which the result is of no use.
    #[serde(with = "wire::option", default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// The time at which the host stops waiting for the answer.
    #[serde(with = "wire::option", default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// The key by which systems outside recognise that the work was requested before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<IdempotencyKey>,
    /// The longest time between two heartbeats of the attempt.
    #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout: Option<Duration>,
    /// The last details that an attempt at the task reported; null if there are none.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub details: Payload,
}

/// The content of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Body {
    /// Client to host: submits a task.
    Submit {
        /// The task.
        task: Box<Submission>,
    },
    /// Client to host: cancels a task.
    Withdraw {
        /// The task.
        #[serde(with = "wire")]
        task: TaskId,
        /// The reason.
        reason: Name,
    },
    /// Client to host: requests the state of a task.
    Query {
        /// The task.
        #[serde(with = "wire")]
        task: TaskId,
    },
    /// Host to client: the state of a task, as an answer or as a notification.
    Status {
        /// The task.
        #[serde(with = "wire")]
        task: TaskId,
        /// The state.
        state: TaskStatus,
        /// The number of attempts that have begun.
        attempts: u32,
        /// The outcome, once the task has ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outcome: Option<TaskOutcome>,
    },
    /// Agent to host: registers an agent. Answered by [`Registered`](Self::Registered) or [`Rejected`](Self::Rejected).
    Register {
        /// The agent.
        agent: Box<AgentCard>,
    },
    /// Host to agent: the agent is registered.
    Registered {
        /// The incarnation, which the agent includes in all later messages.
        #[serde(with = "wire::incarnation")]
        by: Incarnation,
        /// The interval of heartbeats: the agent sends a message at least this often.
        #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
        heartbeat: Option<Duration>,
    },
    /// Agent to host: replaces the description of the agent.
    Update {
        /// The agent.
        #[serde(with = "wire::incarnation")]
        by: Incarnation,
        /// The new description.
        agent: Box<AgentCard>,
    },
    /// Agent to host: a heartbeat.
    Heartbeat {
        /// The agent.
        #[serde(with = "wire::incarnation")]
        by: Incarnation,
    },
    /// Agent to host: a heartbeat of an attempt, with details that the next attempt at the task gets.
    AttemptHeartbeat {
        /// The agent.
        #[serde(with = "wire::incarnation")]
        by: Incarnation,
        /// The attempt.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
        /// The details, which replace earlier ones of the task; null for none.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        details: Payload,
    },
    /// Host to agent: assigns an attempt. A repeated message is the same attempt.
    Assign {
        /// The attempt, which the agent includes in every message about it.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
        /// The agent.
        #[serde(with = "wire::incarnation")]
        to: Incarnation,
        /// The kind of work.
        kind: Name,
        /// The input.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        payload: Payload,
        /// The tier.
        #[serde(default)]
        tier: Tier,
        /// The time after which the result is of no use.
        #[serde(with = "wire::option", default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Time>,
        /// The time at which the host stops waiting for the answer.
        #[serde(with = "wire::option", default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
        /// The key by which systems outside recognise that the work was requested before: the same for all attempts at the
        /// task. None if the journal of the host is not identified.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<IdempotencyKey>,
        /// The longest time between two heartbeats of the attempt.
        #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
        heartbeat_timeout: Option<Duration>,
        /// The last details that an attempt at the task reported; null if there are none.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        details: Payload,
    },
    /// Host to agent: assigns attempts that belong together. Each is answered separately; a repeated message is the
    /// same attempts.
    AssignBatch {
        /// The agent.
        #[serde(with = "wire::incarnation")]
        to: Incarnation,
        /// The attempts.
        attempts: Vec<BatchedAttempt>,
    },
    /// Host to agent: requests an attempt back, unless it is done.
    Yield {
        /// The agent.
        #[serde(with = "wire::incarnation")]
        from: Incarnation,
        /// The attempt.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
        /// The time at which the host stops waiting for the answer.
        #[serde(with = "wire")]
        until: Time,
    },
    /// Agent to host: gives an attempt back, on request or because the agent leaves. The attempt has no side effects.
    GiveBack {
        /// The agent.
        #[serde(with = "wire::incarnation")]
        by: Incarnation,
        /// The attempt.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
    },
    /// Polling agent to host: requests further attempts.
    Poll {
        /// The agent.
        #[serde(with = "wire::incarnation")]
        by: Incarnation,
        /// The number of attempts; 0 withdraws the request.
        most: u32,
    },
    /// Agent to host: an attempt has begun.
    Accept {
        /// The agent.
        #[serde(with = "wire::incarnation")]
        by: Incarnation,
        /// The attempt.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
    },
    /// Agent to host: refuses an attempt, which has no side effects.
    Refuse {
        /// The agent.
        #[serde(with = "wire::incarnation")]
        by: Incarnation,
        /// The attempt.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
        /// The reason.
        why: RefusalReason,
        /// A message for people.
        #[serde(default, skip_serializing_if = "str::is_empty")]
        message: Box<str>,
        /// The minimum delay before another assignment.
        #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<Duration>,
    },
    /// Agent to host: the progress of an attempt, which is also a heartbeat of it.
    Progress {
        /// The agent.
        #[serde(with = "wire::incarnation")]
        by: Incarnation,
        /// The attempt.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
        /// The progress.
        progress: Progress,
    },
    /// Agent to host: a part of the output of an attempt, which is also a heartbeat of it.
    Emit {
        /// The agent.
        #[serde(with = "wire::incarnation")]
        by: Incarnation,
        /// The attempt.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
        /// The part.
        chunk: Payload,
    },
    /// Agent to host: the end of an attempt.
    Result {
        /// The agent.
        #[serde(with = "wire::incarnation")]
        by: Incarnation,
        /// The attempt.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
        /// The result.
        verdict: Verdict,
    },
    /// Host to agent: cancels an attempt. An agent that still holds it answers with a result as usual.
    Cancel {
        /// The agent that holds or held the attempt.
        #[serde(with = "wire::incarnation")]
        from: Incarnation,
        /// The attempt.
        #[serde(with = "wire::attempt")]
        attempt: AttemptId,
    },
    /// Host to the operator of the fleet: advice on the number of agents.
    Scale {
        /// The present number.
        agents: u32,
        /// The advised number.
        advised: u32,
    },
    /// Host to sender: the request was rejected and changed nothing.
    Rejected {
        /// The code of the rule, as in the core.
        code: Name,
        /// A message for people.
        reason: Box<str>,
        /// The delay after which a retry may succeed, if it is known.
        #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<Duration>,
    },
    /// In both directions: a step of a negotiation on who performs work.
    Negotiate {
        /// The negotiation: the id of the call for proposals that began it.
        about: MessageId,
        /// The step.
        act: Act,
    },
}

/// The reason why an agent refuses an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefusalReason {
    /// The agent has too much work.
    Busy,
    /// The agent cannot do this kind of work, at least at present.
    Unable,
    /// The agent is about to leave.
    Leaving,
}

/// The result of an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Verdict {
    /// It succeeded.
    Succeeded {
        /// The output.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        output: Payload,
        /// The usage of the attempt.
        #[serde(default, skip_serializing_if = "Usage::is_nothing")]
        usage: Usage,
    },
    /// It failed; the kind of the failure determines whether it is retried.
    Failed {
        /// The failure.
        failure: Failure,
        /// The usage of the attempt.
        #[serde(default, skip_serializing_if = "Usage::is_nothing")]
        usage: Usage,
    },
}

macro_rules! kinds {
    ($($kind:ident $name:literal),* $(,)?) => {
        /// The kinds of messages.
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
            /// All kinds.
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
            /// The kind of the message.
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
    Update "update", Heartbeat "heartbeat", AttemptHeartbeat "attempt_heartbeat", Assign "assign", Accept "accept",
    Refuse "refuse", Progress "progress", Emit "emit",
    AssignBatch "assign_batch", Yield "yield", GiveBack "give_back", Poll "poll", Result "result", Cancel "cancel",
    Scale "scale", Rejected "rejected", Negotiate "negotiate",
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
