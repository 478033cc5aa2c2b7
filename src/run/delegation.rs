//! What becomes of work that is handed on in parts, as facts tell it.

use super::LimitReached;
use crate::definition::Subtask;
use crate::id::AgentId;
use crate::task::Failure;
use serde::{Deserialize, Serialize};

/// A sub-task that was taken on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Handed {
    /// As it was asked for.
    pub task: Subtask,
    /// The agents that have the same in hand further up, or had: none of them gets it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not: Vec<AgentId>,
}

impl Handed {
    pub(crate) const fn new(task: Subtask, not: Vec<AgentId>) -> Self {
        Self { task, not }
    }
}

/// A sub-task that was left out because it went beyond a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Dropped {
    /// Its place in the answer.
    pub place: u32,
    /// The bound.
    pub limit: LimitReached,
}

impl Dropped {
    pub(crate) const fn new(place: u32, limit: LimitReached) -> Self {
        Self { place, limit }
    }
}

/// Why nobody asks for more parts of a part.
///
/// ```
/// assert_eq!(counterpoint::LastRound::Converged.to_string(), "rounds bring the same");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LastRound {
    /// Results are near those of the rounds before.
    Converged,
    /// The same results come again every so many rounds.
    Cycle {
        /// How many.
        length: u32,
    },
    /// There were as many rounds as allowed.
    Most,
}

impl core::fmt::Display for LastRound {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Converged => f.write_str("rounds bring the same"),
            Self::Cycle { length } => write!(f, "the same comes again every {length} rounds"),
            Self::Most => f.write_str("there were as many rounds as allowed"),
        }
    }
}

/// How a part ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PartEnd {
    /// With a result.
    Done,
    /// Without.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// It met a bound, and what went beyond it was left out.
    Limit {
        /// The bound.
        limit: LimitReached,
    },
    /// It was withdrawn, or not even begun, because what it was part of had failed.
    Withdrawn,
}

impl core::fmt::Display for PartEnd {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Failed { failure } => write!(f, "failed ({failure})"),
            Self::Limit { limit } => write!(f, "failed: {limit}"),
            Self::Withdrawn => f.write_str("withdrawn"),
        }
    }
}
