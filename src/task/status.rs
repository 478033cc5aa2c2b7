//! The status of a task.

use super::outcome::TaskOutcome;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The status of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskStatus {
    /// It waits for tasks that it depends on.
    Blocked,
    /// It waits for the end of a back-off.
    Backoff,
    /// It waits for an agent.
    Queued,
    /// An agent holds it.
    Running,
    /// An agent holds it and was notified to cancel it.
    Cancelling,
    /// It succeeded.
    Succeeded,
    /// It failed, and is not tried again.
    Failed,
    /// Its attempts are used up.
    DeadLettered,
    /// It was cancelled.
    Cancelled,
    /// It exceeded a time limit.
    Expired,
}

impl TaskStatus {
    /// Whether the task has ended.
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
