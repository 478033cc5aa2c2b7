//! Migration of a run to another definition: the target, the effect on each node, and the obstacles.

use super::NodeStatus;
use crate::base::id::RunId;
use crate::base::name::Name;
use crate::definition::{Definition, DefinitionId};
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The definition that a run is to migrate to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MigrationTarget {
    /// Another version of its workflow. Not for a child run.
    Version(u32),
    /// A definition used by this run alone, of the same name. Nodes that have not started may be changed, added or removed.
    Own(Arc<Definition>),
    /// For a child run: the definition that the node of the parent run has now, after the parent run has migrated.
    Parent,
}

/// A request to migrate a run to another definition.
///
/// A node becomes the node of the same name, unless the mapping gives another one.
///
/// ```
/// use counterpoint::message::Migration;
///
/// let move_on = Migration::to_version(2).with_renamed("charge", "charge card").without("send letter");
/// assert_eq!(move_on.nodes.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Migration {
    /// The target.
    pub to: MigrationTarget,
    /// For nodes of the old definition, the node of the new one that each becomes, or `None` to drop it. A node that is not
    /// mentioned becomes the one of its name, if there is one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<Name, Option<Name>>,
}

impl Migration {
    /// Migrates to this target, with all nodes by name.
    #[must_use]
    pub const fn to(to: MigrationTarget) -> Self {
        Self { to, nodes: BTreeMap::new() }
    }

    /// Migrates to another version of the workflow.
    #[must_use]
    pub const fn to_version(version: u32) -> Self {
        Self::to(MigrationTarget::Version(version))
    }

    /// Migrates to a definition used by this run alone.
    #[must_use]
    pub fn to_own(definition: impl Into<Arc<Definition>>) -> Self {
        Self::to(MigrationTarget::Own(definition.into()))
    }

    /// Maps a node to another name.
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

/// The effects of a migration, computed without performing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MigrationReport {
    /// The run.
    pub run: RunId,
    /// The current definition.
    pub from: DefinitionId,
    /// The new definition.
    pub to: DefinitionId,
    /// The nodes that keep their state, in the order of the old definition.
    pub carried: Vec<Carried>,
    /// The nodes without a counterpart in the new definition: their outputs are dropped.
    pub dropped: Vec<Name>,
    /// The nodes of the new definition without a counterpart in the old one, in the order of the definition. A node whose
    /// links are all decided starts at once.
    pub added: Vec<Name>,
    /// What prevents the migration. Empty if the run can migrate.
    pub obstacles: Vec<Obstacle>,
}

impl MigrationReport {
    pub(crate) fn new(run: RunId, from: DefinitionId, to: DefinitionId) -> Self {
        let (carried, dropped, added, obstacles) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { run, from, to, carried, dropped, added, obstacles }
    }
}

/// A node that keeps its state under another definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Carried {
    /// Its name in the old definition.
    pub from: Name,
    /// Its name in the new one.
    pub to: Name,
    /// Its status.
    pub status: NodeStatus,
}

impl Carried {
    pub(crate) const fn new(from: Name, to: Name, status: NodeStatus) -> Self {
        Self { from, to, status }
    }
}

/// What prevents the migration of a run. Nodes have their names in the old definition, except for those that only the new
/// one has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Obstacle {
    /// The mapping names a node that the old or the new definition does not have.
    UnknownNode {
        /// The name.
        node: Name,
    },
    /// The run is rolling back to a save-point. It can migrate when it goes forward again.
    RollingBack,
    /// Two nodes map to one.
    Merged {
        /// The node of the new definition.
        node: Name,
    },
    /// The node is under way or has a pending command of an operator, and has no counterpart.
    Removed {
        /// The node.
        node: Name,
    },
    /// The node is under way, and the node of its name is now in a nested workflow of the new definition.
    ScopeChanged {
        /// The node.
        node: Name,
        /// The node of the new definition that contains the nested workflow.
        within: Name,
    },
    /// The node has begun or ended, and its counterpart has an action of another kind, or with another list, condition or
    /// limit.
    ActionChanged {
        /// The node.
        node: Name,
    },
    /// The node is under way, and its counterpart has other handlers: timers or subscriptions would be lost.
    HandlersChanged {
        /// The node.
        node: Name,
    },
    /// The node has or may have side effects that can be compensated now and could not be after the migration.
    CompensationLost {
        /// The node.
        node: Name,
    },
    /// The node has child runs that would have no parent.
    ChildRunsLost {
        /// The node.
        node: Name,
    },
    /// The node has begun, and it or its counterpart is a pivot, but not both.
    PivotMoved {
        /// The node.
        node: Name,
    },
    /// The node starts once per round, rounds have begun, and its links or its join differ.
    JoinChanged {
        /// The node.
        node: Name,
    },
    /// The run keeps signals of this name that no node would take.
    SignalsLost {
        /// The signal.
        signal: Name,
        /// How many are kept.
        kept: u32,
    },
    /// The node has started or was skipped, which under the new definition could not have happened yet.
    OrderViolated {
        /// The node.
        node: Name,
        /// A node that would have to come first and has not ended, or has ended otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Name>,
    },
    /// The node has not ended, and would be cancelled at once.
    Cancelled {
        /// The node.
        node: Name,
    },
    /// The node has failed, and nothing in the new definition handles the failure.
    FailureUnhandled {
        /// The node.
        node: Name,
    },
    /// The variable has accepted updates that the new definition does not accept.
    UpdatesLost {
        /// The variable.
        variable: Name,
    },
    /// The node has written to a variable that exists in both definitions, and its write would be lost.
    WriteLost {
        /// The node.
        node: Name,
        /// The variable.
        variable: Name,
    },
    /// Two nodes are under way that exclude each other under the new definition.
    Exclusion {
        /// The first node.
        node: Name,
        /// The second node.
        other: Name,
    },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownNode { node } => write!(f, "there is no node {node}"),
            Self::Merged { node } => write!(f, "two nodes map to {node}"),
            Self::Removed { node } => write!(f, "{node} is under way and has no counterpart"),
            Self::ScopeChanged { node, within } => {
                write!(f, "{node} is under way and has moved into the nested workflow of {within}")
            }
            Self::ActionChanged { node } => write!(f, "the action of {node} differs"),
            Self::HandlersChanged { node } => write!(f, "{node} is under way and its handlers differ"),
            Self::CompensationLost { node } => write!(f, "{node} could no longer be compensated"),
            Self::ChildRunsLost { node } => write!(f, "the child runs of {node} would have no parent"),
            Self::RollingBack => f.write_str("the run is rolling back to a save-point"),
            Self::PivotMoved { node } => write!(f, "{node} has begun and is a pivot in only one of the definitions"),
            Self::JoinChanged { node } => {
                write!(f, "the links or the join of {node} differ, and rounds of it have begun")
            }
            Self::SignalsLost { signal, kept } => {
                write!(f, "no node would take the {kept} signals {signal} that the run keeps")
            }
            Self::OrderViolated { node, after: Some(after) } => write!(f, "{node} would have to come after {after}"),
            Self::OrderViolated { node, after: None } => write!(f, "{node} could not have its present state yet"),
            Self::Cancelled { node } => write!(f, "{node} would be cancelled"),
            Self::FailureUnhandled { node } => write!(f, "nothing would handle the failure of {node}"),
            Self::WriteLost { node, variable } => {
                write!(f, "the write of {node} to the variable {variable} would be lost")
            }
            Self::UpdatesLost { variable } => {
                write!(f, "the variable {variable} would not accept the updates that it has")
            }
            Self::Exclusion { node, other } => write!(f, "{node} and {other} are under way and exclude each other"),
        }
    }
}
