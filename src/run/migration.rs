//! Moving a run to another definition: where to, what that means for each node, and what stands in the way.

use super::NodeStatus;
use crate::definition::{Definition, DefinitionId};
use crate::id::RunId;
use crate::name::Name;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a run is to move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MigrationTarget {
    /// To another version of its workflow. Not for a run within a run.
    Version(u32),
    /// To a definition of its own, of the same name: for changes to this one run. Nodes that have not started may be other
    /// ones, come, or go.
    Own(Arc<Definition>),
    /// For a run within a run: to what the run around it says of the step now, once that has moved itself.
    Around,
}

/// A move of a run to another definition, as it is asked for.
///
/// Nodes keep their names, unless something else is said of them.
///
/// ```
/// use counterpoint::Migration;
///
/// let move_on = Migration::to_version(2).with_renamed("charge", "charge card").without("send letter");
/// assert_eq!(move_on.nodes.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Migration {
    /// Where to.
    pub to: MigrationTarget,
    /// Which node of the old definition becomes which of the new, or none; one that is not mentioned becomes the one of its
    /// name, if there is one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<Name, Option<Name>>,
}

impl Migration {
    /// To somewhere, all nodes by name.
    #[must_use]
    pub const fn to(to: MigrationTarget) -> Self {
        Self { to, nodes: BTreeMap::new() }
    }

    /// To another version of the workflow.
    #[must_use]
    pub const fn to_version(version: u32) -> Self {
        Self::to(MigrationTarget::Version(version))
    }

    /// To a definition of its own.
    #[must_use]
    pub fn to_own(definition: impl Into<Arc<Definition>>) -> Self {
        Self::to(MigrationTarget::Own(definition.into()))
    }

    /// Makes one node another.
    #[must_use]
    pub fn with_renamed(mut self, old: impl Into<Name>, new: impl Into<Name>) -> Self {
        self.nodes.insert(old.into(), Some(new.into()));
        self
    }

    /// Drops a node of the old definition.
    #[must_use]
    pub fn without(mut self, old: impl Into<Name>) -> Self {
        self.nodes.insert(old.into(), None);
        self
    }
}

/// What a move of a run to another definition means, found out without doing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MigrationReport {
    /// The run.
    pub run: RunId,
    /// What it follows now.
    pub from: DefinitionId,
    /// What it would follow.
    pub to: DefinitionId,
    /// The nodes that go on as they stand, in the order of the old definition.
    pub carried: Vec<Carried>,
    /// The nodes that have no image: what they gave is forgotten.
    pub dropped: Vec<Name>,
    /// The nodes that are new, in the order of the new definition. One whose links are all decided starts at once.
    pub added: Vec<Name>,
    /// What stands in the way. The run can move if nothing does.
    pub obstacles: Vec<Obstacle>,
}

impl MigrationReport {
    pub(crate) fn new(run: RunId, from: DefinitionId, to: DefinitionId) -> Self {
        let (carried, dropped, added, obstacles) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { run, from, to, carried, dropped, added, obstacles }
    }
}

/// A node that goes on under another definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Carried {
    /// Its name in the old definition.
    pub from: Name,
    /// Its name in the new one.
    pub to: Name,
    /// Where it stands.
    pub status: NodeStatus,
}

impl Carried {
    pub(crate) const fn new(from: Name, to: Name, status: NodeStatus) -> Self {
        Self { from, to, status }
    }
}

/// What stands in the way of moving a run to another definition. Nodes are named as in the old definition, but for those
/// that only the new one has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Obstacle {
    /// The mapping names a node that the old definition, or the new one, does not have.
    UnknownNode {
        /// The name.
        node: Name,
    },
    /// The run is on its way back to a save-point: it can be moved when it goes forward again.
    GoingBack,
    /// Two nodes would become one.
    TwoIntoOne {
        /// The node of the new definition.
        node: Name,
    },
    /// The node is under way, or is to end as an operator has said, and has no image.
    Lost {
        /// The node.
        node: Name,
    },
    /// The node is under way, and its name has moved into a workflow within the new definition.
    OtherScope {
        /// The node.
        node: Name,
        /// The node of the new definition in which it is now.
        within: Name,
    },
    /// The node has begun or ended, and its image is of another kind, or waits for, repeats or goes over something else.
    OtherMeaning {
        /// The node.
        node: Name,
    },
    /// The node is under way, and its image has other handlers: timers or subscriptions would be lost.
    OtherHandlers {
        /// The node.
        node: Name,
    },
    /// What the node did, or may do, could be undone, and could not be any more.
    CompensationLost {
        /// The node.
        node: Name,
    },
    /// The node has runs within it, which nobody would own any more.
    RunsWithinLost {
        /// The node.
        node: Name,
    },
    /// The node has begun, and the point of no return is there in one definition and not in the other.
    PivotMoved {
        /// The node.
        node: Name,
    },
    /// The node starts once for each round, some have come, and what they come by has changed.
    JoinChanged {
        /// The node.
        node: Name,
    },
    /// The run keeps signals of this name, and nothing would ever take them.
    SignalsLost {
        /// The signal.
        signal: Name,
        /// How many are kept.
        kept: u32,
    },
    /// The node has started or was skipped, which by the new definition could not have happened yet, or not at all.
    OutOfTurn {
        /// The node.
        node: Name,
        /// A node that would have had to come first, and has not, or has ended otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Name>,
    },
    /// The node has not ended, and would be withdrawn at once.
    Withdrawn {
        /// The node.
        node: Name,
    },
    /// The node has failed, which was taken care of, and would not be any more.
    FailureUnhandled {
        /// The node.
        node: Name,
    },
    /// A variable has got updates that it would not take any more.
    UpdatesLost {
        /// The variable.
        variable: Name,
    },
    /// The node has written to a variable that is still there, and what it wrote would not be seen any more.
    WriteLost {
        /// The node.
        node: Name,
        /// The variable.
        variable: Name,
    },
    /// Two nodes are under way that must not be at the same time.
    Exclusion {
        /// One.
        node: Name,
        /// The other.
        other: Name,
    },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownNode { node } => write!(f, "there is no node {node}"),
            Self::TwoIntoOne { node } => write!(f, "two nodes would become {node}"),
            Self::Lost { node } => write!(f, "{node} is under way and would be lost"),
            Self::OtherScope { node, within } => write!(f, "{node} is under way and has moved into {within}"),
            Self::OtherMeaning { node } => write!(f, "{node} would mean something else"),
            Self::OtherHandlers { node } => write!(f, "{node} is under way and has other handlers"),
            Self::CompensationLost { node } => write!(f, "{node} could not be undone any more"),
            Self::RunsWithinLost { node } => write!(f, "the runs within {node} would be lost"),
            Self::GoingBack => f.write_str("it goes back to a save-point"),
            Self::PivotMoved { node } => write!(f, "{node} has begun, and the point of no return has moved"),
            Self::JoinChanged { node } => write!(f, "the links of {node} have changed, and rounds of it are open"),
            Self::SignalsLost { signal, kept } => write!(f, "nothing would take the {kept} signals {signal}"),
            Self::OutOfTurn { node, after: Some(after) } => write!(f, "{node} would come after {after}"),
            Self::OutOfTurn { node, after: None } => write!(f, "{node} could not stand where it does"),
            Self::Withdrawn { node } => write!(f, "{node} would be withdrawn"),
            Self::FailureUnhandled { node } => write!(f, "nothing would take care of the failure of {node}"),
            Self::WriteLost { node, variable } => write!(f, "what {node} wrote to variable {variable} would be lost"),
            Self::UpdatesLost { variable } => write!(f, "variable {variable} would not take the updates that it got"),
            Self::Exclusion { node, other } => write!(f, "{node} and {other} are under way and exclude each other"),
        }
    }
}
