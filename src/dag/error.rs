//! The errors of building a graph and of driving a run over it.

use std::fmt;

use super::NodeIx;

/// The number of nodes of a cycle in its message; a generated graph can have a cycle of a million nodes.
const SHOWN: usize = 12;

/// The reason why a graph is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// More nodes than [`Limits`](super::Limits) allow.
    #[error("more than {limit} nodes")]
    TooManyNodes {
        /// The limit.
        limit: u32,
    },
    /// More edges than [`Limits`](super::Limits) allow.
    #[error("more than {limit} edges")]
    TooManyEdges {
        /// The limit.
        limit: u32,
    },
    /// An edge, or a set of nodes, refers to a node that the graph does not have.
    #[error("unknown node {node}")]
    UnknownNode {
        /// The given name or handle.
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
        /// The name of the first node.
        from: String,
        /// The name of the second node.
        to: String,
    },
    /// An edge connects a node with itself.
    #[error("node {node} depends on itself")]
    SelfEdge {
        /// The name of the node.
        node: String,
    },
    /// The edges form a cycle.
    #[error("the graph has a cycle: {0}")]
    Cycle(CyclePath),
}

/// A cycle: each node has an edge to the next, and the last one to the first.
///
/// It starts at the node of the cycle that was declared first, and is a shortest cycle through that node.
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

/// The reason why a report about a node was rejected. Nothing changed: a batch is accepted as a whole or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The graph has no such node.
    #[error("unknown node {0}")]
    UnknownNode(NodeIx),
    /// The node is not running, so it cannot end.
    #[error("node {0} is not running")]
    NotRunning(NodeIx),
    /// The node has already ended, or occurs twice in the batch.
    #[error("node {0} has already ended")]
    AlreadyEnded(NodeIx),
}
