//! Nodes of a run: their outcomes, their status, and what operators can do with them.

use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::task::{Code, Failure, codes};
use core::fmt;
use serde::{Deserialize, Serialize};

/// How a node ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeOutcome {
    /// Its work is done.
    Succeeded,
    /// Its work failed. If `outcome_unknown` is set, the outcome of an attempt is unknown, and the node may have had side effects.
    Failed {
        /// Why.
        failure: Box<Failure>,
        /// Whether side effects are possible.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        outcome_unknown: bool,
        /// The limit that was reached, if that is the reason. The node's output is then what it had produced until then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<LimitReached>,
    },
    /// The run took another branch. Not a failure.
    Skipped,
    /// It did not run because a node before it failed, or did not run for that reason either. The failure itself is that of
    /// the node where it occurred.
    UpstreamFailed,
    /// It was cancelled. If its work was completed nevertheless, the node keeps the output and is compensated like a node
    /// that succeeded.
    Cancelled {
        /// Whether side effects are possible.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        outcome_unknown: bool,
    },
}

/// The condition of a node that did not hold.
///
/// ```
/// use counterpoint::message::Refusal;
///
/// assert_eq!(Refusal::Postcondition.to_string(), "its postcondition does not hold");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// The condition under which the node may start.
    Precondition,
    /// The condition that its output must meet.
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

/// The limit that a node reached before its work was done.
///
/// ```
/// use counterpoint::message::LimitReached;
///
/// assert_eq!(LimitReached::Rounds { max: 5 }.to_string(), "not done after 5 rounds");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LimitReached {
    /// The largest number of rounds of a repeat.
    Rounds {
        /// The limit.
        max: u32,
    },
    /// The largest number of states that a token enters.
    Steps {
        /// The limit.
        max: u32,
    },
    /// The largest number of items of a map or of values of a stream.
    Items {
        /// The limit.
        max: u32,
    },
    /// The largest depth of runs nested in each other.
    Depth {
        /// The limit.
        max: u32,
    },
    /// The largest number of runs within one run that has no parent run.
    Runs {
        /// The limit.
        max: u32,
    },
    /// The largest number of units of work for the evaluations of one decision, see
    /// [`RunLimits::evaluation_units`](crate::scheduler::RunLimits::evaluation_units).
    Evaluation {
        /// The limit.
        max: u32,
    },
    /// The largest depth of delegation.
    DelegationDepth {
        /// The limit.
        max: u32,
    },
    /// The largest number of parts that a part may be split into.
    FanOut {
        /// The limit.
        max: u32,
    },
    /// The largest number of parts in total.
    Parts {
        /// The limit.
        max: u32,
    },
    /// The same work would go to an agent that already has it on the path from part 0, and no other agent can do it.
    RepeatedWork,
    /// A budget is used up: that of the node, of its run, or of a parent run.
    Budget {
        /// The measure of which too little is left.
        measure: Measure,
    },
}

impl LimitReached {
    /// The permanent failure of a node that reached the limit.
    pub(crate) fn failure(&self) -> Failure {
        Failure::permanent(self.to_string()).with_code(self.code())
    }

    /// The code of that failure, see [`codes`].
    fn code(&self) -> Code {
        let (prefix, name) = match self {
            Self::Rounds { .. } => (codes::LIMIT, "rounds"),
            Self::Steps { .. } => (codes::LIMIT, "steps"),
            Self::Items { .. } => (codes::LIMIT, "items"),
            Self::Depth { .. } => (codes::LIMIT, "depth"),
            Self::Runs { .. } => (codes::LIMIT, "runs"),
            Self::Evaluation { .. } => (codes::LIMIT, "evaluation"),
            Self::DelegationDepth { .. } => (codes::LIMIT, "delegation_depth"),
            Self::FanOut { .. } => (codes::LIMIT, "fan_out"),
            Self::Parts { .. } => (codes::LIMIT, "parts"),
            Self::RepeatedWork => (codes::LIMIT, "repeated_work"),
            Self::Budget { measure: Measure::Attempts } => (codes::BUDGET, "attempts"),
            Self::Budget { measure: Measure::Time } => (codes::BUDGET, "time"),
            Self::Budget { measure: Measure::Cost } => (codes::BUDGET, "cost"),
            Self::Budget { measure: Measure::Tokens } => (codes::BUDGET, "tokens"),
        };
        format!("{prefix}{name}").into()
    }
}

/// A measure of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Measure {
    /// Attempts at tasks.
    Attempts,
    /// Time since the start.
    Time,
    /// Cost, in millionths of the host's currency unit.
    Cost,
    /// Tokens of language models, input and output together.
    Tokens,
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rounds { max } => write!(f, "not done after {max} rounds"),
            Self::Steps { max } => write!(f, "in no final state after {max} steps"),
            Self::Items { max } => write!(f, "more than {max} items"),
            Self::Depth { max } => write!(f, "runs are nested {max} deep"),
            Self::Runs { max } => write!(f, "more than {max} runs within one run"),
            Self::Evaluation { max } => write!(f, "its expressions and conditions take more than {max} units of work"),
            Self::DelegationDepth { max } => write!(f, "the work is already delegated {max} levels deep"),
            Self::FanOut { max } => write!(f, "the work would be split into more than {max} parts"),
            Self::Parts { max } => write!(f, "there would be more than {max} parts in total"),
            Self::RepeatedWork => f.write_str("the same work would go to an agent that has it already"),
            Self::Budget { measure } => write!(f, "the budget of {measure} is used up"),
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
            Self::UpstreamFailed => f.write_str("upstream failed"),
            Self::Cancelled { .. } => f.write_str("cancelled"),
        }
    }
}

/// The status of a node of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeStatus {
    /// It has not begun.
    #[default]
    Waiting,
    /// It is under way.
    Running,
    /// Its work is done.
    Succeeded,
    /// Its work failed.
    Failed,
    /// The run took another branch.
    Skipped,
    /// It did not run because of a failure before it.
    UpstreamFailed,
    /// It was cancelled.
    Cancelled,
    /// It is being compensated, or will be.
    Compensating,
    /// It is compensated.
    Compensated,
    /// Its compensation failed: an operator must decide.
    CompensationFailed,
    /// An operator abandoned its compensation: its side effects remain.
    Abandoned,
}

impl NodeStatus {
    /// Whether the forward part of the node has ended.
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
            NodeOutcome::UpstreamFailed => Self::UpstreamFailed,
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
            Self::UpstreamFailed => "upstream failed",
            Self::Cancelled => "cancelled",
            Self::Compensating => "compensating",
            Self::Compensated => "compensated",
            Self::CompensationFailed => "compensation failed",
            Self::Abandoned => "compensation abandoned",
        })
    }
}

/// What an operator does with a node that has not ended.
///
/// ```
/// use counterpoint::{Payload, RunCommand, RunId};
/// use counterpoint::message::NodeRemedy;
///
/// let by_hand = NodeRemedy::Complete { output: Payload::of(&"sent by post")?, reason: "the printer is broken".into() };
/// let command = RunCommand::Operate { run: RunId::new(7), node: "send".into(), remedy: by_hand };
/// # Ok::<(), counterpoint::PayloadError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeRemedy {
    /// Completes the node: its work under way is cancelled, and the run goes on as if the node had succeeded. (WCP 27)
    Complete {
        /// The output of the node; if null, what the node has produced so far.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        output: Payload,
        /// The reason.
        reason: Name,
    },
    /// Fails the node: its work under way is cancelled, and the run goes on as if the node had failed.
    Fail {
        /// The reason.
        reason: Name,
    },
    /// Skips the node if it has not begun, and cancels it if it has. A skipped node is no failure: the run may succeed
    /// although the node's work was never done. Such runs are marked:
    /// [`RunView::skipped_by_operator`](crate::engine::RunView::skipped_by_operator) lists the nodes, as do the progress and the
    /// report of the run. Complete or fail the node where that matters to its successors.
    Skip {
        /// The reason.
        reason: Name,
    },
}

impl NodeRemedy {
    /// The reason given.
    #[must_use]
    pub const fn reason(&self) -> &Name {
        match self {
            Self::Complete { reason, .. } | Self::Fail { reason } | Self::Skip { reason } => reason,
        }
    }
}
