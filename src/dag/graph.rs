//! The validated graph with its names and payloads.

use std::{fmt, sync::Arc};

use super::{Builder, NodeIx, Topology, builder::find_name};

/// A validated acyclic graph: a [`Topology`] with a name and a payload for each node. Built once, run any number of
/// times.
///
/// It is immutable, and the topology is shared, so a run keeps it alive without a borrow.
///
/// ```
/// use counterpoint::dag::Dag;
///
/// let mut graph = Dag::builder();
/// let sow = graph.node("sow", 3_u64);
/// let reap = graph.node("reap", 5);
/// graph.edge(sow, reap);
/// let field = graph.build()?;
///
/// assert_eq!(field.find("reap"), Some(reap));
/// assert_eq!(field.name(sow), Some("sow"));
/// assert_eq!(field.get(reap), Some(&5));
/// let plan = field.critical_path(|_, &days| days);
/// assert_eq!(plan.length(), 8);
/// # Ok::<(), counterpoint::dag::BuildError>(())
/// ```
#[derive(Clone)]
pub struct Dag<N> {
    topology: Arc<Topology>,
    payloads: Vec<N>,
    names: Vec<Box<str>>,
    /// Sorted by name.
    by_name: Vec<NodeIx>,
}

impl<N> Dag<N> {
    /// Starts a declaration.
    #[must_use]
    pub fn builder() -> Builder<N> {
        Builder::new()
    }

    pub(super) fn new(topology: Arc<Topology>, payloads: Vec<N>, names: Vec<Box<str>>, by_name: Vec<NodeIx>) -> Self {
        Self { topology, payloads, names, by_name }
    }

    /// The edges of the graph.
    #[must_use]
    pub fn topology(&self) -> &Arc<Topology> {
        &self.topology
    }

    /// The number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.payloads.len()
    }

    /// Whether there are no nodes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.payloads.is_empty()
    }

    /// The payload of a node.
    #[must_use]
    pub fn get(&self, node: NodeIx) -> Option<&N> {
        self.payloads.get(node.index())
    }

    /// The payloads, in the order of declaration.
    #[must_use]
    pub fn payloads(&self) -> &[N] {
        &self.payloads
    }

    /// The name of a node.
    #[must_use]
    pub fn name(&self, node: NodeIx) -> Option<&str> {
        self.names.get(node.index()).map(|name| &**name)
    }

    /// The node with this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<NodeIx> {
        find_name(&self.names, &self.by_name, name)
    }

    /// The handle, name and payload of every node, in the order of declaration.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (NodeIx, &str, &N)> {
        let named = self.names.iter().zip(&self.payloads);
        self.topology.nodes().zip(named).map(|(node, (name, payload))| (node, &**name, payload))
    }

    /// The same graph with other payloads.
    pub fn map<M>(&self, mut payload: impl FnMut(NodeIx, &N) -> M) -> Dag<M> {
        let payloads = self.topology.nodes().zip(&self.payloads).map(|(node, old)| payload(node, old)).collect();
        Dag::new(Arc::clone(&self.topology), payloads, self.names.clone(), self.by_name.clone())
    }

    /// The longest path through the graph when each node takes the weight of its payload; see
    /// [`Topology::critical_path`].
    #[must_use]
    pub fn critical_path(&self, mut weight: impl FnMut(NodeIx, &N) -> u64) -> super::CriticalPath {
        self.topology.critical_path(|node| self.get(node).map_or(0, |payload| weight(node, payload)))
    }
}

impl<N> fmt::Debug for Dag<N> {
    /// A summary; payloads need not be printable.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dag").field("topology", &self.topology).finish_non_exhaustive()
    }
}
