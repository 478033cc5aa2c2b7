//! Where a task stands, in one word.

use super::outcome::TaskOutcome;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskStatus {
    /// It waits for other tasks.
    Blocked,
    /// It waits for its next attempt.
    Backoff,
    /// It waits for an agent.
    Queued,
    /// An agent holds it.
    Running,
    /// An agent holds it and was asked to stop.
    Cancelling,
    /// It succeeded.
    Succeeded,
    /// It failed for good.
    Failed,
    /// Its attempts are used up.
    DeadLettered,
    /// It was withdrawn.
    Cancelled,
    /// Its time ran out.
    Expired,
}

impl TaskStatus {
    /// Whether nothing more will happen to it.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::DeadLettered | Self::Cancelled | Self::Expired)
    }
}

impl From<&TaskOutcome> for TaskStatus {
    fn from(outcome: &TaskOutcome) -> Self {
        match outcome {
            TaskOutcome::Succeeded(_) => Self::Succeeded,
            TaskOutcome::Failed(_) => Self::Failed,
            TaskOutcome::DeadLettered(_) => Self::DeadLettered,
            TaskOutcome::Cancelled { .. } => Self::Cancelled,
            TaskOutcome::Expired(_) => Self::Expired,
        }
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blocked => "blocked",
            Self::Backoff => "backing off",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Cancelling => "being cancelled",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::DeadLettered => "dead-lettered",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        })
    }
}
