//! What building a graph or driving it can refuse.

use std::fmt;

use super::NodeIx;

/// How many nodes of a cycle its message prints; a generated graph can have a cycle of a million.
const SHOWN: usize = 12;

/// Why a graph was not built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// More nodes than [`Limits`](super::Limits) allow.
    #[error("more than {limit} nodes")]
    TooManyNodes {
        /// The bound that was passed.
        limit: u32,
    },
    /// More edges than [`Limits`](super::Limits) allow.
    #[error("more than {limit} edges")]
    TooManyEdges {
        /// The bound that was passed.
        limit: u32,
    },
    /// An edge, or a set of nodes, names a node that the graph does not have.
    #[error("unknown node {node}")]
    UnknownNode {
        /// The name or the handle that was given.
        node: String,
    },
    /// Two nodes have the same name.
    #[error("two nodes have the name {name}")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// The same edge was declared twice.
    #[error("the edge {from} -> {to} is declared twice")]
    DuplicateEdge {
        /// The name of the node before.
        from: String,
        /// The name of the node after.
        to: String,
    },
    /// A node was made to wait for itself.
    #[error("node {node} depends on itself")]
    SelfEdge {
        /// The name of the node.
        node: String,
    },
    /// The edges close a circle.
    #[error("the graph has a cycle: {0}")]
    Cycle(CyclePath),
}

/// A cycle, node by node: each has an edge to the next, and the last one to the first.
///
/// It starts at the node of the cycle that was declared first, and no shorter cycle goes through that node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CyclePath {
    nodes: Vec<NodeIx>,
    names: Vec<String>,
}

impl CyclePath {
    pub(super) fn new(nodes: Vec<NodeIx>, names: Vec<String>) -> Self {
        Self { nodes, names }
    }

    /// The nodes of the cycle, each once.
    #[must_use]
    pub fn nodes(&self) -> &[NodeIx] {
        &self.nodes
    }

    /// Their names, in the same order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl fmt::Display for CyclePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in self.names.iter().take(SHOWN) {
            write!(f, "{name} -> ")?;
        }
        if let Some(hidden) = self.names.len().checked_sub(SHOWN).filter(|&n| n > 0) {
            write!(f, "({hidden} more) -> ")?;
        }
        write!(f, "{}", self.names.first().map_or("", String::as_str))
    }
}

/// Why a report about a node was refused. Nothing changed: of a batch with one wrong report, none is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The graph has no such node.
    #[error("unknown node {0}")]
    UnknownNode(NodeIx),
    /// The node has not been handed out, so it cannot have ended.
    #[error("node {0} was not handed out")]
    NotHandedOut(NodeIx),
    /// The node has already ended, or stands twice in the batch.
    #[error("node {0} has already ended")]
    AlreadyEnded(NodeIx),
}
