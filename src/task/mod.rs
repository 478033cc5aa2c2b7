//! Tasks as data: units of work that one agent at a time attempts.
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
mod code;
pub mod codes;
pub(crate) mod failure;
mod failures;
mod identity;
mod lack;
pub(crate) mod needs;
pub(crate) mod outcome;
pub(crate) mod policy;
#[cfg(feature = "reports")]
mod progress;
mod rating;
pub(crate) mod status;
pub(crate) mod trace;
mod usage;

pub use affinity::{Affinity, Preference, PreferredTerm};
pub use agent::{AgentStatus, Guard, Scope};
pub use code::Code;
pub(crate) use failure::{Failure, FailureKind};
pub use failure::{Place, SideEffects};
pub use failures::{CodePattern, Failures};
pub use identity::{BadIdentity, IdempotencyKey, Identity, JournalId};
pub(crate) use identity::{Origin, Subject, work_of_call, work_of_step};
pub use lack::Lack;
pub(crate) use needs::Needs;
pub use outcome::Bound;
pub(crate) use outcome::TaskOutcome;
pub use policy::{Exhausted, InDoubt, Jitter, RetryRule};
pub(crate) use policy::{Policy, Retry};
#[cfg(feature = "reports")]
pub use progress::{Progress, ProgressError};
pub use rating::{Rating, RatingError};
pub(crate) use status::TaskStatus;
pub use trace::{BadTrace, TraceContext, Traced};
pub use usage::{Spending, Usage};

pub use crate::base::id::{AttemptNumber, NodeIx};

use crate::base::canonical::canonical;
use crate::base::id::{RunId, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A task as it is submitted. It is immutable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskSpec {
    /// The id, chosen by the host so that a repeated submit is recognised.
    pub id: TaskId,
    /// The type of work: agents dispatch on it, and metrics are kept by it.
    pub kind: Name,
    /// The tenant: shares and quotas are kept by tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Name>,
    /// The input for the agent.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub payload: Payload,
    /// What the task requires of an agent.
    pub needs: Needs,
    /// The agents to prefer, and the agents to avoid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Box<Affinity>>,
    /// Its urgency.
    #[serde(default)]
    pub tier: Tier,
    /// Whether its attempts may be preempted for tasks of the first tier: the agent gives the attempt back, and the
    /// task is assigned again.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub preemptible: bool,
    /// The time after which no attempt begins; one may begin at that time. A task that still waits then, for its first
    /// attempt or another, expires; an attempt under way continues, and its success counts. Under the
    /// [disciplines](crate::scheduler::Discipline) of virtual deadlines it is also the task's position in the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// The expected length of an attempt, if the host has an estimate: input for a
    /// [`Discipline`](crate::scheduler::Discipline) and the initial value of an
    /// [`Estimator`](crate::routing::Estimator). It is not enforced.
    #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Duration>,
    /// Retries and timeouts.
    #[serde(default, skip_serializing_if = "Policy::is_default")]
    pub policy: Policy,
    /// Tasks that must succeed first. If one of them ends otherwise, this task is cancelled.
    #[serde(default, skip_serializing_if = "<[TaskId]>::is_empty")]
    pub after: Box<[TaskId]>,
    /// The reservation for this task in the budgets of its run. Set by the engine, like the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Box<Spending>>,
    /// The step of a run that this task performs. Set by the engine; a task of a host with an owner is rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The key of the host, or the work for which the engine created the task.
    #[serde(default, skip_serializing_if = "Origin::is_id")]
    pub(crate) origin: Origin,
    /// The trace that it belongs to, passed on to the agent. A step has the trace of its run.
    #[serde(default, skip_serializing_if = "Traced::is_none")]
    pub trace: Traced,
}

impl TaskSpec {
    /// A task under a key of the host, such as an order number: its id is [derived from the key](TaskId::from_key), and the key
    /// is kept beside the id. A task with another key that happens to have the same id is rejected with
    /// [`Conflict::TaskKey`](crate::message::rejected::Conflict::TaskKey).
    ///
    /// ```
    /// use counterpoint::{TaskId, TaskSpec};
    ///
    /// let task = TaskSpec::keyed("order-17/charge", "charge");
    /// assert_eq!(task.id, TaskId::from_key("order-17/charge"));
    /// assert_eq!(task.key().expect("the key is kept"), "order-17/charge");
    /// ```
    #[must_use]
    pub fn keyed(key: impl Into<Name>, kind: impl Into<Name>) -> Self {
        let key = key.into();
        Self::new(TaskId::from_key(&key), kind).with_key(key)
    }

    /// A task of this kind and of normal urgency, for agents with a skill that is named after the kind.
    #[must_use]
    pub fn new(id: TaskId, kind: impl Into<Name>) -> Self {
        let kind = kind.into();
        let needs = Needs::skill(kind.clone());
        Self::needing(id, kind, needs)
    }

    /// A task of this kind and of normal urgency, for agents that meet these needs. Many tasks may share one `Needs`.
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
            origin: Origin::Id,
            trace: Traced::NOT,
        }
    }

    /// Sets the key that the host derived the id from. The key is a part of the task's content: a task with the same id and
    /// another key is not a repeat of this one.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Name>) -> Self {
        self.origin = Origin::Key(key.into());
        self
    }

    /// The key that the host derived the id from, if it gave one.
    #[must_use]
    pub const fn key(&self) -> Option<&Name> {
        self.origin.key()
    }

    /// Sets the trace.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        self.trace = trace.into();
        self
    }

    /// Sets the tenant.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Name>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Sets the input.
    #[must_use]
    pub fn with_payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// Requires these skills and labels in place of the skill that is named after the kind.
    #[must_use]
    pub fn with_needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    /// Sets the affinity.
    #[must_use]
    pub fn with_affinity(mut self, affinity: Affinity) -> Self {
        self.affinity = Some(Box::new(affinity));
        self
    }

    /// Sets the tier.
    #[must_use]
    pub const fn with_tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// Allows preemption for tasks of the first tier.
    #[must_use]
    pub const fn with_preemptible(mut self) -> Self {
        self.preemptible = true;
        self
    }

    /// Sets the deadline: no attempt begins after it, and a task that waits then expires. A timeout of the [`Policy`]
    /// also stops an attempt under way.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Time) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the expected length of an attempt.
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

    /// Sets the tasks that must succeed first.
    #[must_use]
    pub fn with_after(mut self, tasks: impl IntoIterator<Item = TaskId>) -> Self {
        self.after = tasks.into_iter().collect();
        self
    }
}

canonical!(TaskSpec { estimate, policy } beside {
    id, kind, tenant, payload, needs, affinity, tier, preemptible, deadline, after, reserved, owner, origin,
    trace,
});

/// The urgency of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "four tiers are a promise: hosts match on them")]
pub enum Tier {
    /// P0: a caller waits for the result.
    Critical,
    /// P1.
    High,
    /// P2, the default.
    #[default]
    Normal,
    /// P3: in the background.
    Low,
}

impl Tier {
    /// All tiers, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// The index of the tier: 0 for the most urgent, 3 for the least.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The target for the longest wait of a task of this tier, unless configured: 100 ms, 1 s, 10 s, 60 s.
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
    /// The index of the instance: of the item of a map, or of the round of a repeat; 0 otherwise.
    pub item: u32,
    /// Whether the instance is performed, compensated or queried.
    #[serde(default, skip_serializing_if = "Phase::is_do")]
    pub phase: Phase,
}

impl Owner {
    pub(crate) const fn new(run: RunId, node: NodeIx, item: u32, phase: Phase) -> Self {
        Self { run, node, item, phase }
    }
}

/// Whether a step is performed, compensated or queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// The step itself.
    #[default]
    Do,
    /// Its compensation.
    Undo,
    /// A query whether the step has had its side effects.
    Query,
}

impl Phase {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    const fn is_do(&self) -> bool {
        matches!(self, Self::Do)
    }
}
