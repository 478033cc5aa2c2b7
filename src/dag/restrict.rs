//! A part of a graph that keeps the order of the whole.

use std::sync::Arc;

use super::{BuildError, NodeIx, Topology, csr::Marks};

/// Some nodes of a graph, with handles of their own, in the order that the whole graph gives them.
///
/// Two kept nodes are ordered here exactly if a path joined them in the whole, even when every node between them was left
/// out. Together with [`Topology::reversed`] this is what undoing needs: the nodes that happened, last effects first.
///
/// ```
/// use counterpoint::dag::Builder;
///
/// let mut graph = Builder::new();
/// let [reserve, notify, charge] = ["reserve", "notify", "charge"].map(|name| graph.node(name, ()));
/// graph.edge(reserve, notify).edge(notify, charge);
/// let order = graph.build()?;
///
/// let happened = order.topology().restricted_to(&[charge, reserve])?;
/// let undo = happened.topology().reversed();
/// let steps: Vec<_> = undo.order().iter().filter_map(|&node| happened.original(node)).collect();
/// assert_eq!(steps, [charge, reserve]);
/// assert_eq!(undo.edge_count(), 1); // through the node that was left out
/// # Ok::<(), counterpoint::dag::BuildError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restriction {
    topology: Arc<Topology>,
    /// Ascending, so that going back is a bisection.
    kept: Vec<NodeIx>,
}

impl Restriction {
    /// The kept nodes, numbered anew from zero.
    #[must_use]
    pub fn topology(&self) -> &Arc<Topology> {
        &self.topology
    }

    /// The kept nodes as the whole graph knows them; a place in this list is the handle in the part.
    #[must_use]
    pub fn kept(&self) -> &[NodeIx] {
        &self.kept
    }

    /// What the whole graph calls a node of the part.
    #[must_use]
    pub fn original(&self, node: NodeIx) -> Option<NodeIx> {
        self.kept.get(node.index()).copied()
    }

    /// What the part calls a node of the whole, if it was kept.
    #[must_use]
    pub fn local(&self, original: NodeIx) -> Option<NodeIx> {
        let place = self.kept.binary_search(&original).ok()?;
        u32::try_from(place).ok().map(NodeIx::new)
    }
}

impl Topology {
    /// The sub-graph of `nodes` (in any order, doubles ignored) with every ordering that the whole graph implies among
    /// them.
    ///
    /// Handles in the part follow the order of declaration in the whole.
    ///
    /// # Errors
    ///
    /// [`BuildError::UnknownNode`] for a node that the graph does not have. [`BuildError::TooManyEdges`] when the nodes
    /// left out joined so many pairs that the part would pass the [`Limits`](super::Limits) of the whole: a hub between
    /// thousands and thousands stands for millions of orderings.
    pub fn restricted_to(&self, nodes: &[NodeIx]) -> Result<Restriction, BuildError> {
        let mut keep = Marks::new(self.len());
        for &node in nodes {
            if !self.contains(node) {
                return Err(BuildError::UnknownNode {
                    node: node.to_string(),
                });
            }
            keep.insert(node);
        }
        let kept: Vec<NodeIx> = self.nodes().filter(|&node| keep.contains(node)).collect();
        let edges = Contraction::new(self, &keep).edges()?;
        let local = |node: NodeIx| {
            kept.binary_search(&node)
                .ok()
                .and_then(|place| u32::try_from(place).ok())
        };
        let renumbered = |&(from, to): &(NodeIx, NodeIx)| {
            Some((NodeIx::new(local(from)?), NodeIx::new(local(to)?)))
        };
        let edges: Vec<_> = edges.iter().filter_map(renumbered).collect();
        let count = u32::try_from(kept.len()).unwrap_or(u32::MAX);
        // A path among kept nodes is a path of the whole, so a cycle is impossible; if it happened it is a bug of ours,
        // and an empty part would hide it.
        let topology = Topology::new(count, &edges, self.limits());
        let topology = topology
            .map_err(|_| BuildError::Cycle(super::CyclePath::new(Vec::new(), Vec::new())))?;
        Ok(Restriction {
            topology: Arc::new(topology),
            kept,
        })
    }
}

/// Walks the whole in order and remembers, for each node left out, the kept nodes that it stands for.
struct Contraction<'a> {
    graph: &'a Topology,
    keep: &'a Marks,
    /// For each node left out, where its list in `lists` begins and ends.
    spans: Vec<(usize, usize)>,
    lists: Vec<NodeIx>,
    edges: Vec<(NodeIx, NodeIx)>,
}

impl<'a> Contraction<'a> {
    fn new(graph: &'a Topology, keep: &'a Marks) -> Self {
        Self {
            graph,
            keep,
            spans: vec![(0, 0); graph.len()],
            lists: Vec::new(),
            edges: Vec::new(),
        }
    }

    fn edges(mut self) -> Result<Vec<(NodeIx, NodeIx)>, BuildError> {
        let limit = self.graph.limits().edges;
        let mut nearest = Vec::new();
        for &node in self.graph.order() {
            self.nearest_kept(node, &mut nearest);
            if self.keep.contains(node) {
                self.edges
                    .extend(nearest.drain(..).map(|before| (before, node)));
            } else {
                let from = self.lists.len();
                self.lists.append(&mut nearest);
                if let Some(span) = self.spans.get_mut(node.index()) {
                    *span = (from, self.lists.len());
                }
            }
            if self.edges.len().max(self.lists.len()) > limit as usize {
                return Err(BuildError::TooManyEdges { limit });
            }
        }
        Ok(self.edges)
    }

    /// The kept nodes from which an edge, or a path through nodes left out, leads to `node`; each once.
    fn nearest_kept(&self, node: NodeIx, found: &mut Vec<NodeIx>) {
        found.clear();
        for &before in self.graph.predecessors(node) {
            if self.keep.contains(before) {
                found.push(before);
            } else {
                let (from, to) = self.spans.get(before.index()).copied().unwrap_or_default();
                found.extend_from_slice(self.lists.get(from..to).unwrap_or_default());
            }
        }
        found.sort_unstable();
        found.dedup();
    }
}
