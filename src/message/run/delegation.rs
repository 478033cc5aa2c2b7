//! Delegated work in events: accepted and dropped sub-tasks, the end of parts and of rounds.

use super::LimitReached;
use crate::base::id::AgentId;
use crate::definition::Subtask;
use crate::task::Failure;
use serde::{Deserialize, Serialize};

/// A sub-task that was accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DelegatedPart {
    /// The sub-task as the agent requested it.
    pub task: Subtask,
    /// The agents that must not get it, because they have or had the same work on the path from part 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<AgentId>,
}

impl DelegatedPart {
    pub(crate) const fn new(task: Subtask, excluded: Vec<AgentId>) -> Self {
        Self { task, excluded }
    }
}

/// A sub-task that was dropped because it exceeded a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DroppedSubtask {
    /// The index of the sub-task in the answer, from 0.
    pub index: u32,
    /// The limit.
    pub limit: LimitReached,
}

impl DroppedSubtask {
    pub(crate) const fn new(index: u32, limit: LimitReached) -> Self {
        Self { index, limit }
    }
}

/// Why a part has no further rounds.
///
/// ```
/// assert_eq!(counterpoint::message::LastRound::Converged.to_string(), "the rounds have converged");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LastRound {
    /// The results are within the tolerance of the rounds before.
    Converged,
    /// The results repeat in a cycle.
    Cycle {
        /// The length of the cycle in rounds.
        length: u32,
    },
    /// The largest number of rounds is reached.
    Limit,
}

impl core::fmt::Display for LastRound {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Converged => f.write_str("the rounds have converged"),
            Self::Cycle { length } => write!(f, "the results repeat every {length} rounds"),
            Self::Limit => f.write_str("the largest number of rounds is reached"),
        }
    }
}

/// How a part of delegated work ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PartOutcome {
    /// It has a result.
    Done,
    /// It failed.
    Failed {
        /// Why.
        failure: Box<Failure>,
    },
    /// It reached a limit, and the excess was dropped.
    Limit {
        /// The limit.
        limit: LimitReached,
    },
    /// It was cancelled, or did not begin, because the part that it was split from had failed.
    Cancelled,
}

impl core::fmt::Display for PartOutcome {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Failed { failure } => write!(f, "failed ({failure})"),
            Self::Limit { limit } => write!(f, "failed: {limit}"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}
