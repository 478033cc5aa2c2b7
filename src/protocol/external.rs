//! The task states of other protocols, and what ours are called there.

use crate::task::{TaskOutcome, TaskStatus};
use serde::{Deserialize, Serialize};

/// The state of a task in A2A. Written as version 1.0 has it; the names of version 0.3 are read, too.
///
/// | ours | A2A | back |
/// |---|---|---|
/// | blocked | submitted | queued |
/// | queued | submitted | queued |
/// | backing off | working | running |
/// | running | working | running |
/// | being cancelled | working | running |
/// | succeeded | completed | succeeded |
/// | failed | failed | failed |
/// | dead-lettered | failed | failed |
/// | expired | failed | failed |
/// | cancelled | canceled | cancelled |
/// | (a submit that was refused) | rejected | none |
/// | none | input required, auth required, unspecified | none |
///
/// A task that was tried and waits to be tried again has been begun, so it is working there. One that is being cancelled is
/// working until its agent answers: a cancellation is a request. An expired one has failed: nobody withdrew it.
///
/// ```
/// use counterpoint::TaskStatus;
/// use counterpoint::protocol::A2aState;
///
/// let state = A2aState::from(TaskStatus::DeadLettered);
/// assert_eq!(serde_json::to_string(&state)?, "\"TASK_STATE_FAILED\"");
/// assert_eq!(state.status(), Some(TaskStatus::Failed));
/// assert_eq!(serde_json::from_str::<A2aState>("\"input-required\"")?.status(), None);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum A2aState {
    /// Nothing was said.
    #[serde(rename = "TASK_STATE_UNSPECIFIED", alias = "unknown")]
    Unspecified,
    /// Taken on.
    #[serde(rename = "TASK_STATE_SUBMITTED", alias = "submitted")]
    Submitted,
    /// Under way.
    #[serde(rename = "TASK_STATE_WORKING", alias = "working")]
    Working,
    /// Done. Terminal.
    #[serde(rename = "TASK_STATE_COMPLETED", alias = "completed")]
    Completed,
    /// Not done. Terminal.
    #[serde(rename = "TASK_STATE_FAILED", alias = "failed")]
    Failed,
    /// Withdrawn. Terminal.
    #[serde(rename = "TASK_STATE_CANCELED", alias = "canceled")]
    Canceled,
    /// Waits for its client to say more.
    #[serde(rename = "TASK_STATE_INPUT_REQUIRED", alias = "input-required")]
    InputRequired,
    /// Not taken on. Terminal.
    #[serde(rename = "TASK_STATE_REJECTED", alias = "rejected")]
    Rejected,
    /// Waits for its client to authenticate.
    #[serde(rename = "TASK_STATE_AUTH_REQUIRED", alias = "auth-required")]
    AuthRequired,
}

impl A2aState {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Unspecified,
        Self::Submitted,
        Self::Working,
        Self::Completed,
        Self::Failed,
        Self::Canceled,
        Self::InputRequired,
        Self::Rejected,
        Self::AuthRequired,
    ];

    /// Whether nothing more will happen to the task: messages to it and cancellations of it are refused there.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled | Self::Rejected)
    }

    /// The status of ours that says the same; none where there is none.
    #[must_use]
    pub const fn status(self) -> Option<TaskStatus> {
        match self {
            Self::Submitted => Some(TaskStatus::Queued),
            Self::Working => Some(TaskStatus::Running),
            Self::Completed => Some(TaskStatus::Succeeded),
            Self::Failed => Some(TaskStatus::Failed),
            Self::Canceled => Some(TaskStatus::Cancelled),
            Self::Unspecified | Self::InputRequired | Self::Rejected | Self::AuthRequired => None,
        }
    }
}

impl From<TaskStatus> for A2aState {
    fn from(status: TaskStatus) -> Self {
        match status {
            TaskStatus::Blocked | TaskStatus::Queued => Self::Submitted,
            TaskStatus::Backoff | TaskStatus::Running | TaskStatus::Cancelling => Self::Working,
            TaskStatus::Succeeded => Self::Completed,
            TaskStatus::Failed | TaskStatus::DeadLettered | TaskStatus::Expired => Self::Failed,
            TaskStatus::Cancelled => Self::Canceled,
        }
    }
}

impl From<&TaskOutcome> for A2aState {
    fn from(outcome: &TaskOutcome) -> Self {
        TaskStatus::from(outcome).into()
    }
}

/// The state of a task in MCP.
///
/// | ours | MCP | back |
/// |---|---|---|
/// | blocked, queued, backing off, running, being cancelled | working | running |
/// | succeeded | completed | succeeded |
/// | failed, dead-lettered, expired | failed | failed |
/// | cancelled | cancelled | cancelled |
/// | none | input required | none |
///
/// There is no state for a task that waits for somebody to begin, nor for one that was refused: MCP answers a refusal with
/// an error in place of a task.
/// In the extension for tasks that came after version 2025-11-25 (SEP-2663), work that was done and failed is *completed* with a
/// result that says so, and *failed* is left for errors of the protocol.
///
/// ```
/// use counterpoint::TaskStatus;
/// use counterpoint::protocol::McpState;
///
/// assert_eq!(serde_json::to_string(&McpState::from(TaskStatus::Queued))?, "\"working\"");
/// assert_eq!(McpState::Working.status(), Some(TaskStatus::Running));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum McpState {
    /// Under way, or about to be.
    Working,
    /// Waits for its client to say more.
    InputRequired,
    /// Done. Terminal.
    Completed,
    /// Not done. Terminal.
    Failed,
    /// Withdrawn. Terminal.
    Cancelled,
}

impl McpState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Working, Self::InputRequired, Self::Completed, Self::Failed, Self::Cancelled];

    /// Whether nothing more will happen to the task.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The status of ours that says the same; none where there is none.
    #[must_use]
    pub const fn status(self) -> Option<TaskStatus> {
        match self {
            Self::Working => Some(TaskStatus::Running),
            Self::Completed => Some(TaskStatus::Succeeded),
            Self::Failed => Some(TaskStatus::Failed),
            Self::Cancelled => Some(TaskStatus::Cancelled),
            Self::InputRequired => None,
        }
    }
}

impl From<TaskStatus> for McpState {
    fn from(status: TaskStatus) -> Self {
        match status {
            TaskStatus::Blocked
            | TaskStatus::Queued
            | TaskStatus::Backoff
            | TaskStatus::Running
            | TaskStatus::Cancelling => Self::Working,
            TaskStatus::Succeeded => Self::Completed,
            TaskStatus::Failed | TaskStatus::DeadLettered | TaskStatus::Expired => Self::Failed,
            TaskStatus::Cancelled => Self::Cancelled,
        }
    }
}

impl From<&TaskOutcome> for McpState {
    fn from(outcome: &TaskOutcome) -> Self {
        TaskStatus::from(outcome).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [TaskStatus; 10] = [
        TaskStatus::Blocked,
        TaskStatus::Backoff,
        TaskStatus::Queued,
        TaskStatus::Running,
        TaskStatus::Cancelling,
        TaskStatus::Succeeded,
        TaskStatus::Failed,
        TaskStatus::DeadLettered,
        TaskStatus::Cancelled,
        TaskStatus::Expired,
    ];

    /// Their way and back is theirs again wherever they have a status of ours; ours and back says the same to them.
    #[test]
    fn round_trips_on_what_is_shared() {
        for state in A2aState::ALL {
            assert!(state.status().is_none_or(|status| A2aState::from(status) == state), "{state:?}");
        }
        for state in McpState::ALL {
            assert!(state.status().is_none_or(|status| McpState::from(status) == state), "{state:?}");
        }
        for status in OURS {
            let (a2a, mcp) = (A2aState::from(status), McpState::from(status));
            assert_eq!(a2a.status().map(A2aState::from), Some(a2a));
            assert_eq!(mcp.status().map(McpState::from), Some(mcp));
            assert_eq!(status.is_terminal(), a2a.is_terminal());
            assert_eq!(status.is_terminal(), mcp.is_terminal());
        }
        for status in [TaskStatus::Queued, TaskStatus::Running, TaskStatus::Succeeded, TaskStatus::Failed] {
            assert_eq!(A2aState::from(status).status(), Some(status));
        }
    }

    #[test]
    fn both_spellings_are_read() {
        for (new, old) in [("TASK_STATE_AUTH_REQUIRED", "auth-required"), ("TASK_STATE_CANCELED", "canceled")] {
            let read = |text: &str| serde_json::from_value::<A2aState>(text.into()).unwrap();
            assert_eq!(read(new), read(old));
        }
    }
}
