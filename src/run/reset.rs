//! Setting a run back.

use crate::name::Name;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A point of a run from which it is to go forward anew.
///
/// ```
/// use counterpoint::{ResetPoint, RunCommand, RunId};
///
/// // What `fetch` gave is good; all that came of it is to be undone and done anew.
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
    /// The beginning: every node is done anew.
    Start,
    /// The ends of these nodes, which have succeeded and stay: all that comes after one of them is done anew. Of two of which
    /// one comes after the other the earlier counts.
    After(Vec<Name>),
    /// The beginnings of these nodes: they are done anew, and all that comes after one of them.
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

/// Why a run cannot be set back to a point.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResetObstacle {
    /// Nothing has begun after that point.
    Nothing,
    /// The run is on its way back already, to a save-point or because it was set back otherwise.
    GoingBack,
    /// The node is to stay as it is, and has not succeeded.
    NotDone {
        /// The node.
        node: Name,
    },
    /// A point of no return comes after that point, and has been passed or is under way: in this node, or in a run within it.
    Pivot {
        /// The node.
        node: Name,
    },
    /// The node is to stay as it is, and has been undone.
    Undone {
        /// The node.
        node: Name,
    },
    /// The node is to stay as it is, and has failed with nothing that takes care of it.
    Failed {
        /// The node.
        node: Name,
    },
    /// The node is to stay as it is, and was or is being withdrawn.
    Withdrawn {
        /// The node.
        node: Name,
    },
    /// The node starts once for each that comes, and what came from before that point would not come again.
    Stream {
        /// The node.
        node: Name,
    },
}

impl fmt::Display for ResetObstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing has begun after that point"),
            Self::GoingBack => f.write_str("it is on its way back already"),
            Self::NotDone { node } => write!(f, "{node} has not succeeded"),
            Self::Pivot { node } => write!(f, "the point of no return in {node} is passed, or under way"),
            Self::Undone { node } => write!(f, "{node} is undone, and would have to stay"),
            Self::Failed { node } => write!(f, "nothing takes care of the failure of {node}, which would stay"),
            Self::Withdrawn { node } => write!(f, "{node} is withdrawn, and would have to stay"),
            Self::Stream { node } => write!(f, "what came to {node} from before would not come again"),
        }
    }
}
