//! Reset of a run to an earlier point.

use crate::base::name::Name;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The point from which a run is to go forward again.
///
/// ```
/// use counterpoint::{RunCommand, RunId};
/// use counterpoint::message::ResetPoint;
///
/// // The output of `fetch` stays; everything after it is compensated and executed again.
/// let command = RunCommand::Reset {
///     run: RunId::new(7),
///     to: ResetPoint::after(["fetch"]),
///     undo: true,
///     reason: "the parser was wrong".into(),
/// };
/// # let _ = command;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResetPoint {
    /// The beginning: all nodes are executed again.
    Start,
    /// The ends of these nodes, which have succeeded and stay: all nodes causally after any of them are executed again. If
    /// one of them is after another, the earlier one counts.
    After(Vec<Name>),
    /// The beginnings of these nodes: they are executed again, and so are all nodes causally after any of them.
    Before(Vec<Name>),
}

impl ResetPoint {
    /// The ends of these nodes.
    #[must_use]
    pub fn after<N: Into<Name>>(nodes: impl IntoIterator<Item = N>) -> Self {
        Self::After(nodes.into_iter().map(Into::into).collect())
    }

    /// The beginnings of these nodes.
    #[must_use]
    pub fn before<N: Into<Name>>(nodes: impl IntoIterator<Item = N>) -> Self {
        Self::Before(nodes.into_iter().map(Into::into).collect())
    }
}

/// What prevents the reset of a run to a point.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResetObstacle {
    /// Nothing has begun after that point.
    Nothing,
    /// The run is already rolling back to a save-point, or is being reset.
    RollingBack,
    /// The node would keep its state, and has not succeeded.
    NotSucceeded {
        /// The node.
        node: Name,
    },
    /// A pivot lies after that point, and has succeeded or is under way: in this node or in a child run of it.
    Pivot {
        /// The node.
        node: Name,
    },
    /// The node would keep its state, and is compensated.
    Compensated {
        /// The node.
        node: Name,
    },
    /// The node would keep its state, and its failure is not handled by anything.
    Failed {
        /// The node.
        node: Name,
    },
    /// The node would keep its state, and was cancelled or is being cancelled.
    Cancelled {
        /// The node.
        node: Name,
    },
    /// The node starts once per value that arrives, and the values from before that point would not arrive again.
    Stream {
        /// The node.
        node: Name,
    },
}

impl fmt::Display for ResetObstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing has begun after that point"),
            Self::RollingBack => f.write_str("the run is already rolling back or being reset"),
            Self::NotSucceeded { node } => write!(f, "{node} would keep its state, but has not succeeded"),
            Self::Pivot { node } => write!(f, "the pivot in {node} has succeeded or is under way"),
            Self::Compensated { node } => write!(f, "{node} would keep its state, but is compensated"),
            Self::Failed { node } => write!(f, "{node} would keep its state, but its failure is not handled"),
            Self::Cancelled { node } => write!(f, "{node} would keep its state, but is cancelled"),
            Self::Stream { node } => {
                write!(f, "the values that {node} received before that point would not arrive again")
            }
        }
    }
}
