//! Reset of a run to an earlier point.

use crate::base::name::Name;
use crate::definition::Occurrence;
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
    /// The beginning of a call of a durable function that has not succeeded: the calls that the function requested before this one
    /// are kept with their results, all others are performed again, and so are all nodes causally after the function.
    ///
    /// Calls under way are cancelled, those before the point, too, and are performed again when the function requests them.
    Call(CallPoint),
}

/// A call of a durable function in a run.
///
/// ```
/// use counterpoint::definition::Occurrence;
/// use counterpoint::message::{CallPoint, ResetPoint};
///
/// let third = CallPoint { node: "order".into(), key: "pack".into(), occurrence: Occurrence::Number(2) };
/// assert_eq!(third.to_string(), "order: pack #2");
/// let _ = ResetPoint::Call(third);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "the identity of a call")]
pub struct CallPoint {
    /// The node of the function. A function that is a workflow of its own has a node of its name.
    pub node: Name,
    /// The key of the call.
    pub key: Name,
    /// Which of the calls with this key it is.
    #[serde(default, skip_serializing_if = "Occurrence::is_first")]
    pub occurrence: Occurrence,
}

impl fmt::Display for CallPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.node, self.key, self.occurrence)
    }
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
    /// The function has not requested the call, or the call was rolled back or is to be retried.
    NotRequested {
        /// The call.
        call: CallPoint,
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
            Self::NotRequested { call } => write!(f, "there is no call {call}"),
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
