//! Nodes of a run: how they ended, where they stand, what an operator makes of them.

use crate::name::Name;
use crate::payload::Payload;
use crate::task::Failure;
use core::fmt;
use serde::{Deserialize, Serialize};

/// How a node ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeOutcome {
    /// It did what it should.
    Succeeded,
    /// It did not. `maybe` tells that some attempt's outcome is unknown: the effect may have happened.
    Failed {
        /// Why.
        failure: Failure,
        /// Whether it may have happened all the same.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        maybe: bool,
        /// The bound that it reached, if that is why. What it had done until then is its output.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<LimitReached>,
    },
    /// The run went another way. Not a failure.
    Skipped,
    /// It was withdrawn. `maybe` as for a failure; a cancelled node whose work was done all the same keeps its output, and
    /// is undone like a finished one.
    Cancelled {
        /// Whether it may have happened all the same.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        maybe: bool,
    },
}

/// Which guard of a node said no.
///
/// ```
/// use counterpoint::Refusal;
///
/// assert_eq!(Refusal::Postcondition.to_string(), "its postcondition does not hold");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// What must hold before it starts.
    Precondition,
    /// What must hold of its output before anything sees that.
    Postcondition,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Precondition => "its precondition does not hold",
            Self::Postcondition => "its postcondition does not hold",
        })
    }
}

/// A bound that a node reached before it had done what it should.
///
/// ```
/// use counterpoint::LimitReached;
///
/// assert_eq!(LimitReached::Rounds { most: 5 }.to_string(), "after 5 rounds it is not done");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LimitReached {
    /// A repeat has done so many rounds.
    Rounds {
        /// How many.
        most: u32,
    },
    /// A token has entered so many states.
    Steps {
        /// How many.
        most: u32,
    },
    /// A node has got so much to do.
    Items {
        /// How much.
        most: u32,
    },
    /// Runs within runs are so deep.
    Depth {
        /// How deep.
        most: u32,
    },
    /// Work was handed on so often, one after the other.
    Delegated {
        /// How often.
        most: u32,
    },
    /// Work was split into so many parts.
    FanOut {
        /// How many.
        most: u32,
    },
    /// There are so many parts of a work in all.
    Pieces {
        /// How many.
        most: u32,
    },
    /// The same would be asked again of those who have it in hand already, as there is nobody else.
    Repeated,
    /// A budget is used up: the node's own, its run's, or that of a run around.
    Budget {
        /// What there is not enough of.
        measure: Measure,
    },
}

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Measure {
    /// Attempts at tasks.
    Attempts,
    /// Time on the clock.
    Time,
    /// Cost, in millionths of whatever the host counts in.
    Cost,
    /// Tokens of language models.
    Tokens,
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rounds { most } => write!(f, "after {most} rounds it is not done"),
            Self::Steps { most } => write!(f, "after {most} states it is in none that is final"),
            Self::Items { most } => write!(f, "there is more to do than {most} items"),
            Self::Depth { most } => write!(f, "runs within runs are {most} deep"),
            Self::Delegated { most } => write!(f, "it was handed on {most} times, as often as allowed"),
            Self::FanOut { most } => write!(f, "it would be split into more than {most} parts"),
            Self::Pieces { most } => write!(f, "there would be more than {most} parts in all"),
            Self::Repeated => f.write_str("the same would be asked again of who has it in hand"),
            Self::Budget { measure } => write!(f, "its budget of {measure} is used up"),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attempts => "attempts",
            Self::Time => "time",
            Self::Cost => "cost",
            Self::Tokens => "tokens",
        })
    }
}

impl fmt::Display for NodeOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded => f.write_str("succeeded"),
            Self::Failed { failure, .. } => write!(f, "failed ({failure})"),
            Self::Skipped => f.write_str("skipped"),
            Self::Cancelled { .. } => f.write_str("cancelled"),
        }
    }
}

/// Where a node of a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeStatus {
    /// It has not begun.
    #[default]
    Waiting,
    /// It is under way.
    Running,
    /// It did what it should.
    Succeeded,
    /// It did not.
    Failed,
    /// The run went another way.
    Skipped,
    /// It was withdrawn.
    Cancelled,
    /// What it did is being undone, or will be.
    Undoing,
    /// What it did is undone.
    Undone,
    /// It could not be undone: an operator must say what becomes of it.
    UndoFailed,
    /// What it did stays: an operator gave its compensation up.
    Abandoned,
}

impl NodeStatus {
    /// Whether it has ended going forward.
    #[must_use]
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

impl From<&NodeOutcome> for NodeStatus {
    fn from(outcome: &NodeOutcome) -> Self {
        match outcome {
            NodeOutcome::Succeeded => Self::Succeeded,
            NodeOutcome::Failed { .. } => Self::Failed,
            NodeOutcome::Skipped => Self::Skipped,
            NodeOutcome::Cancelled { .. } => Self::Cancelled,
        }
    }
}

impl fmt::Display for NodeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Undoing => "being undone",
            Self::Undone => "undone",
            Self::UndoFailed => "could not be undone",
            Self::Abandoned => "left as it is",
        })
    }
}

/// What an operator makes of a node that has not ended.
///
/// ```
/// use counterpoint::{NodeRemedy, Payload, RunCommand, RunId};
///
/// let by_hand = NodeRemedy::Complete { output: Payload::of(&"sent by post")?, reason: "the printer is broken".into() };
/// let command = RunCommand::Operate { run: RunId::new(7), node: "send".into(), remedy: by_hand };
/// # Ok::<(), counterpoint::PayloadError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeRemedy {
    /// It counts as done: what is under way is withdrawn, and the run goes on as if it had succeeded. (WCP 27)
    Complete {
        /// What it gives; what is done of it so far, if null.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        output: Payload,
        /// On what grounds.
        reason: Name,
    },
    /// It counts as failed: what is under way is withdrawn, and the run goes on as if it had failed.
    Fail {
        /// On what grounds.
        reason: Name,
    },
    /// The run goes around it, if it has not begun; if it has, it is withdrawn.
    Skip {
        /// On what grounds.
        reason: Name,
    },
}

impl NodeRemedy {
    /// On what grounds.
    #[must_use]
    pub const fn reason(&self) -> &Name {
        match self {
            Self::Complete { reason, .. } | Self::Fail { reason } | Self::Skip { reason } => reason,
        }
    }
}
