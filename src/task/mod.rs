//! What a task is, as data: a piece of work that one agent at a time attempts.
//!
//! ```
//! use counterpoint::{Needs, Payload, Policy, Retry, TaskId, TaskSpec, Tier, Time};
//! use std::time::Duration;
//!
//! let patient = Policy::default()
//!     .with_retry(Retry::exponential(5, Duration::from_millis(200), Duration::from_secs(20)))
//!     .with_attempt_timeout(Duration::from_secs(60));
//! let task = TaskSpec::new(TaskId::from_key("doc-9/summary"), "summarise")
//!     .with_payload(Payload::of(&"doc-9")?)
//!     .with_tier(Tier::High)
//!     .with_needs(Needs::skill("summarise").and_skill("french", 2).and_label("region", "eu"))
//!     .with_deadline(Time::from_secs(3_600))
//!     .with_policy(patient);
//! assert_eq!(task.policy.retry().attempts, 5);
//! # Ok::<(), counterpoint::PayloadError>(())
//! ```

mod affinity;
pub(crate) mod agent;
mod failure;
mod needs;
mod outcome;
mod policy;
mod status;
pub(crate) mod trace;
mod usage;

pub use affinity::Affinity;
pub use agent::{AgentSpec, AgentStatus, Guard, Scope};
pub use failure::{Failure, FailureKind, SideEffects};
pub use needs::Needs;
pub use outcome::{Bound, TaskOutcome};
pub use policy::{Exhausted, InDoubt, Jitter, Kinds, Patience, Policy, Retry};
pub use status::TaskStatus;
pub use trace::{BadTrace, TraceContext, Traced};
pub use usage::{Spending, Usage};

pub use crate::base::id::{AttemptNumber, NodeIx};

use crate::base::id::{RunId, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A task as it is submitted. Nothing in it changes afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskSpec {
    /// Chosen by the host, so that a repeated submit is recognised.
    pub id: TaskId,
    /// What sort of work it is: what an agent dispatches on, what metrics are kept by.
    pub kind: Name,
    /// For whom it is done: shares and quotas are kept by tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Name>,
    /// What the agent is given.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub payload: Payload,
    /// Which agents can do it.
    pub needs: Needs,
    /// With whom and where it belongs, and with whom not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Box<Affinity>>,
    /// How urgent it is.
    #[serde(default)]
    pub tier: Tier,
    /// Whether an attempt may be called back for the sake of a task of the first tier: it is given back, and the task is
    /// given out again.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub preemptible: bool,
    /// Until when its result is worth having: no attempt begins after it. A task that waits at that moment, for its first
    /// attempt or another, expires; an attempt that is under way goes on, and its success counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// How long the host expects an attempt to take, if it can tell: what a [`Discipline`](crate::scheduler::Discipline) may go by,
    /// and what an [`Estimator`](crate::routing::Estimator) may start from. It binds nobody.
    #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Duration>,
    /// What happens when attempts fail or take too long.
    #[serde(default, skip_serializing_if = "Policy::is_default")]
    pub policy: Policy,
    /// Tasks that must succeed first. If one of them ends otherwise, this one is cancelled.
    #[serde(default, skip_serializing_if = "<[TaskId]>::is_empty")]
    pub after: Box<[TaskId]>,
    /// What is put aside for it of the budgets that its run is under. Set by the engine, as is its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Box<Spending>>,
    /// The step of a run that this task performs. Set by the engine; a host that sets it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The trace that it belongs to: carried to whoever performs it. A step has that of its run.
    #[serde(default, skip_serializing_if = "Traced::is_none")]
    pub trace: Traced,
}

impl TaskSpec {
    /// A task of this kind, normal in urgency, for any agent whose skills include one of the kind's name.
    #[must_use]
    pub fn new(id: TaskId, kind: impl Into<Name>) -> Self {
        let kind = kind.into();
        let needs = Needs::skill(kind.clone());
        Self::needing(id, kind, needs)
    }

    /// A task of this kind, normal in urgency, for any agent that meets these needs. Many tasks may share one `Needs`.
    #[must_use]
    pub fn needing(id: TaskId, kind: impl Into<Name>, needs: Needs) -> Self {
        let kind = kind.into();
        Self {
            id,
            kind,
            tenant: None,
            payload: Payload::NULL,
            needs,
            affinity: None,
            tier: Tier::Normal,
            preemptible: false,
            deadline: None,
            estimate: None,
            policy: Policy::default(),
            after: Box::default(),
            reserved: None,
            owner: None,
            trace: Traced::NOT,
        }
    }

    /// Makes it a part of this trace.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        self.trace = trace.into();
        self
    }

    /// Says for whom it is done.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Name>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Gives the agent this.
    #[must_use]
    pub fn with_payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// Asks for these skills and labels in place of a skill of the kind's name.
    #[must_use]
    pub fn with_needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    /// Says with whom and where it belongs.
    #[must_use]
    pub fn with_affinity(mut self, affinity: Affinity) -> Self {
        self.affinity = Some(Box::new(affinity));
        self
    }

    /// Sets the urgency.
    #[must_use]
    pub const fn with_tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// Lets its attempts be called back for the sake of tasks of the first tier.
    #[must_use]
    pub const fn with_preemptible(mut self) -> Self {
        self.preemptible = true;
        self
    }

    /// Sets the deadline: no attempt begins after it, and a task that waits then expires. One that is under way goes on; what
    /// stops it is a timeout of its [`Policy`].
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Time) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Says how long an attempt is expected to take.
    #[must_use]
    pub const fn with_estimate(mut self, span: Duration) -> Self {
        self.estimate = Some(span);
        self
    }

    /// Sets retries and timeouts.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Waits for these tasks to succeed.
    #[must_use]
    pub fn with_after(mut self, tasks: impl IntoIterator<Item = TaskId>) -> Self {
        self.after = tasks.into_iter().collect();
        self
    }
}

/// How urgent a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "four tiers are a promise: hosts match on them")]
pub enum Tier {
    /// P0: somebody is waiting for it right now.
    Critical,
    /// P1.
    High,
    /// P2, the default.
    #[default]
    Normal,
    /// P3: whenever there is room.
    Low,
}

impl Tier {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// 0 for the most urgent to 3.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// How long a task of this tier should wait at the most, unless the host says otherwise: 100 ms, 1 s, 10 s, 60 s.
    #[must_use]
    pub const fn latency_target(self) -> Duration {
        match self {
            Self::Critical => Duration::from_millis(100),
            Self::High => Duration::from_secs(1),
            Self::Normal => Duration::from_secs(10),
            Self::Low => Duration::from_secs(60),
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        })
    }
}

/// The instance of a node of a run that a task or a child run works for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Owner {
    /// The run.
    pub run: RunId,
    /// The node.
    pub node: NodeIx,
    /// The index of the instance: of an item of a map, of a round of a repeat; 0 otherwise.
    pub item: u32,
    /// Whether the instance is performed, undone or queried.
    #[serde(default, skip_serializing_if = "Phase::is_do")]
    pub phase: Phase,
}

impl Owner {
    pub(crate) const fn new(run: RunId, node: NodeIx, item: u32, phase: Phase) -> Self {
        Self { run, node, item, phase }
    }
}

/// Whether a step is being done or undone, or asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Forward.
    #[default]
    Do,
    /// Compensation.
    Undo,
    /// Finding out whether it has happened.
    Query,
}

impl Phase {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    const fn is_do(&self) -> bool {
        matches!(self, Self::Do)
    }
}
