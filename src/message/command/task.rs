//! Commands about tasks.

use crate::base::id::TaskId;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::task::{FailureKind, Rating, TaskSpec, Tier};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Commands about tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskCommand {
    /// Submits a task. The same task again changes nothing; another task under a known id is rejected.
    Submit(Arc<TaskSpec>),
    /// Submits tasks, all or none. Known tasks with the same content count as accepted; a task may depend on an earlier
    /// one of the list.
    SubmitAll(Vec<Arc<TaskSpec>>),
    /// Cancels a task.
    Cancel {
        /// The task.
        task: TaskId,
        /// The reason.
        reason: Name,
    },
    /// Changes the tier of waiting tasks: of all of them or of none. Among tasks of their new tier they keep the order
    /// of their arrival. Rejected if one of them has begun.
    Prioritise {
        /// The tasks.
        tasks: Vec<TaskId>,
        /// Their new tier.
        tier: Tier,
        /// The reason.
        reason: Name,
    },
    /// Submits a dead letter again, as a new task.
    Replay {
        /// The dead letter.
        dead: TaskId,
        /// The id of the new task.
        fresh: TaskId,
    },
    /// Submits the dead letters again that match a filter, as new tasks, all or none; the oldest
    /// [`Limits::bulk`](crate::Limits::bulk), if there are more. The answer is [`Accepted::Count`](super::Accepted::Count).
    ReplayAll {
        /// The filter.
        filter: DeadFilter,
        /// The id of the first new task; the others get the following ids, in the order of [`dead_letters`].
        ///
        /// [`dead_letters`]: crate::scheduler::Reader::dead_letters
        first: TaskId,
        /// The tier of the new tasks; without one, each keeps the tier of its dead letter.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tier: Option<Tier>,
    },
    /// Discards the dead letters that match a filter; the oldest [`Limits::bulk`](crate::Limits::bulk), if there are more. The
    /// answer is [`Accepted::Count`](super::Accepted::Count).
    DiscardAll {
        /// The filter.
        filter: DeadFilter,
        /// The reason.
        reason: Name,
    },
    /// Discards a dead letter.
    Discard {
        /// The dead letter.
        dead: TaskId,
        /// The reason.
        reason: Name,
    },
    /// Rates the result of a task that has ended and that an agent has performed: a grade of a user, a test that the result
    /// passed, a reward. Strategies that learn take it into account for the agent and the kind. A task has one rating; the same
    /// again changes nothing, and another one is rejected.
    Rate {
        /// The task.
        task: TaskId,
        /// The rating.
        rating: Rating,
    },
}

/// A filter of dead letters: those that meet every condition that is set.
///
/// ```
/// use counterpoint::FailureKind;
/// use counterpoint::message::DeadFilter;
///
/// let refused = DeadFilter::default().with_kind("charge").with_failure(FailureKind::Overloaded).with_most(100);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DeadFilter {
    /// The kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Name>,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Name>,
    /// The kind of the last failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureKind>,
    /// Dead since this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Dead before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Time>,
    /// The largest number of dead letters, the oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<u32>,
}

impl DeadFilter {
    /// Sets the kind.
    #[must_use]
    pub fn with_kind(mut self, kind: impl Into<Name>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Sets the tenant.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Name>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Sets the kind of the last failure.
    #[must_use]
    pub const fn with_failure(mut self, kind: FailureKind) -> Self {
        self.failure = Some(kind);
        self
    }

    /// Sets the time since which they are dead at the earliest.
    #[must_use]
    pub const fn with_since(mut self, at: Time) -> Self {
        self.since = Some(at);
        self
    }

    /// Sets the time before which they were dead.
    #[must_use]
    pub const fn with_before(mut self, at: Time) -> Self {
        self.before = Some(at);
        self
    }

    /// Bounds the number of dead letters.
    #[must_use]
    pub const fn with_most(mut self, most: u32) -> Self {
        self.most = Some(most);
        self
    }
}
