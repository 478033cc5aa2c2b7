//! Outcomes of tasks.

use super::codes;
use super::failure::{Failure, SideEffects};
use crate::base::name::Name;
use crate::base::payload::Payload;
use core::fmt;
use serde::{Deserialize, Serialize};

/// How a task ended. A task ends at most once; it waits for as long as no agent can perform it, unless a time limit ends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskOutcome {
    /// It succeeded with this output.
    Succeeded(Payload),
    /// It failed, and is not tried again.
    Failed(Failure),
    /// Its attempts are used up; an operator may replay it.
    DeadLettered(Failure),
    /// It was cancelled.
    Cancelled {
        /// The reason.
        reason: Name,
        /// Its side effects.
        #[serde(default)]
        side_effects: SideEffects,
    },
    /// It exceeded a time limit.
    Expired(Bound),
}

impl TaskOutcome {
    pub(crate) const fn is_dead_letter(&self) -> bool {
        matches!(self, Self::DeadLettered(_))
    }
}

impl fmt::Display for TaskOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded(_) => f.write_str("succeeded"),
            Self::Failed(failure) => write!(f, "failed ({failure})"),
            Self::DeadLettered(failure) => write!(f, "dead-lettered ({failure})"),
            Self::Cancelled { reason, .. } => write!(f, "cancelled ({reason})"),
            Self::Expired(bound) => write!(f, "expired ({bound})"),
        }
    }
}

/// A time limit of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Bound {
    /// The deadline, which passed while the task waited.
    Deadline,
    /// The queue timeout.
    Queue,
    /// The total timeout.
    Total,
    /// The time for which no agent could perform the task, see
    /// [`UnroutableLimits::fail_after`](crate::scheduler::UnroutableLimits::fail_after).
    Unroutable,
}

impl Bound {
    /// The code of the failure of a node whose task expired.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Deadline => codes::DEADLINE,
            Self::Queue => codes::QUEUE_TIMEOUT,
            Self::Total => codes::TOTAL_TIMEOUT,
            Self::Unroutable => codes::UNROUTABLE,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "deadline",
            Self::Queue => "queue timeout",
            Self::Total => "total timeout",
            Self::Unroutable => "no agent could perform it",
        })
    }
}
