//! How a task ends.

use super::failure::{Failure, SideEffects};
use crate::base::name::Name;
use crate::base::payload::Payload;
use core::fmt;
use serde::{Deserialize, Serialize};

/// How a task ended. Every accepted task ends in exactly one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskOutcome {
    /// It succeeded, with this output.
    Succeeded(Payload),
    /// It failed for good.
    Failed(Failure),
    /// Its attempts are used up; an operator may replay it.
    DeadLettered(Failure),
    /// It was withdrawn.
    Cancelled {
        /// On what grounds.
        reason: Name,
        /// Whether it had an effect all the same.
        #[serde(default)]
        side_effects: SideEffects,
    },
    /// Its time ran out.
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

/// Which bound of time a task ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Bound {
    /// Its deadline, while it waited.
    Deadline,
    /// Its queue timeout.
    Queue,
    /// Its total timeout.
    Total,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "deadline",
            Self::Queue => "queue timeout",
            Self::Total => "total timeout",
        })
    }
}
