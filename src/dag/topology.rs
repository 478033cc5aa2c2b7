//! The edges of a validated graph: neighbours, order, levels, reachability.

use std::{fmt, sync::Arc};

use super::{
    NodeIx,
    csr::{Csr, Marks},
    wiring::Wiring,
};

/// The nodes and edges of a graph, without names and payloads. Immutable.
///
/// It is only made by validation, so it has no cycle, no duplicate edges and no edges to unknown nodes.
/// [`Readiness`](super::Readiness) and the runner share it through an [`Arc`].
///
/// A handle that is not part of this graph has no neighbours, no ancestors and no descendants.
///
/// ```
/// use counterpoint::dag::Builder;
///
/// let mut graph = Builder::new();
/// let (fetch, parse, store) = (graph.node("fetch", ()), graph.node("parse", ()), graph.node("store", ()));
/// graph.edge(fetch, parse).edge(parse, store);
/// let graph = graph.build()?;
/// let topology = graph.topology();
///
/// assert_eq!(topology.order(), [fetch, parse, store]);
/// assert_eq!(topology.level(store), Some(2));
/// assert_eq!(topology.ancestors(&[store]), [fetch, parse]);
/// assert!(topology.reaches(fetch, store));
/// # Ok::<(), counterpoint::dag::BuildError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Topology {
    successors: Csr,
    predecessors: Csr,
    /// The number of predecessors of each node: a run starts with a copy of this.
    indegrees: Vec<u32>,
    levels: Vec<u32>,
    /// By level, and within a level in the order of declaration.
    order: Vec<NodeIx>,
    /// The start of each level in `order`, and the end.
    level_starts: Vec<u32>,
}

impl Topology {
    /// Validates only the order: the caller has checked that nodes are in range and edges are distinct and connect
    /// different nodes.
    ///
    /// The error is a cycle.
    pub(super) fn new(nodes: u32, edges: &[(NodeIx, NodeIx)]) -> Result<Self, Vec<NodeIx>> {
        let successors = Csr::new(nodes, edges.iter().copied());
        let predecessors = Csr::new(nodes, edges.iter().map(|&(from, to)| (to, from)));
        let order = Wiring { nodes, successors: &successors, predecessors: &predecessors }.order()?;
        Ok(Self::ordered(successors, predecessors, &order))
    }

    fn ordered(successors: Csr, predecessors: Csr, order: &[NodeIx]) -> Self {
        let levels = longest_levels(order, &predecessors);
        let (order, level_starts) = by_level(&levels);
        let indegrees = (0_u32..).map(NodeIx::new).take(levels.len());
        let indegrees = indegrees.map(|node| width(predecessors.span(node))).collect();
        Self { successors, predecessors, indegrees, levels, order, level_starts }
    }

    /// The number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.levels.len()
    }

    /// Whether there are no nodes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// The number of edges.
    pub(crate) fn edge_count(&self) -> usize {
        self.successors.edges()
    }

    /// Whether the handle belongs to this graph.
    #[must_use]
    pub fn contains(&self, node: NodeIx) -> bool {
        node.index() < self.len()
    }

    /// All nodes, in the order of declaration.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = NodeIx> + Clone + use<> {
        (0..u32::try_from(self.len()).unwrap_or(u32::MAX)).map(NodeIx::new)
    }

    /// The nodes that depend on `node`, in the order in which their edges were declared.
    #[inline]
    #[must_use]
    pub fn successors(&self, node: NodeIx) -> &[NodeIx] {
        self.successors.of(node)
    }

    /// The nodes that `node` depends on, in the order in which the edges were declared.
    #[inline]
    #[must_use]
    pub fn predecessors(&self, node: NodeIx) -> &[NodeIx] {
        self.predecessors.of(node)
    }

    /// The nodes without dependencies, in the order of declaration.
    #[must_use]
    pub fn roots(&self) -> &[NodeIx] {
        self.successors.starts()
    }

    /// The nodes without dependants, in the order of declaration.
    #[must_use]
    pub fn leaves(&self) -> &[NodeIx] {
        self.predecessors.starts()
    }

    /// A topological order: level by level, and within a level in the order of declaration.
    #[must_use]
    pub fn order(&self) -> &[NodeIx] {
        &self.order
    }

    /// The number of edges on the longest path from a root to `node`.
    #[must_use]
    pub fn level(&self, node: NodeIx) -> Option<u32> {
        self.levels.get(node.index()).copied()
    }

    /// The nodes of each level. No two nodes of a level depend on each other.
    ///
    /// Levels are for display. A run does not wait for a level to end; see [`Readiness`](super::Readiness).
    pub fn levels(&self) -> impl ExactSizeIterator<Item = &[NodeIx]> + Clone {
        self.level_starts.windows(2).map(|pair| match pair {
            [from, to] => self.order.get(*from as usize..*to as usize).unwrap_or_default(),
            _ => &[],
        })
    }

    /// All direct and indirect dependencies of `nodes`, in topological order, without `nodes` themselves unless one is
    /// an ancestor of another.
    #[must_use]
    pub fn ancestors(&self, nodes: &[NodeIx]) -> Vec<NodeIx> {
        self.closure(nodes, &self.predecessors)
    }

    /// All direct and indirect dependants of `nodes`, in topological order, without `nodes` themselves unless one is a
    /// descendant of another.
    #[must_use]
    pub fn descendants(&self, nodes: &[NodeIx]) -> Vec<NodeIx> {
        self.closure(nodes, &self.successors)
    }

    /// Whether a path of at least one edge leads from `from` to `to`.
    #[must_use]
    pub fn reaches(&self, from: NodeIx, to: NodeIx) -> bool {
        let Some(level) = self.level(to) else {
            return false;
        };
        let mut seen = Marks::new(self.len());
        let mut open = vec![from];
        while let Some(node) = open.pop() {
            for &next in self.successors(node) {
                if next == to {
                    return true;
                }
                // Levels increase along a path, so no node at the level of `to` or above leads to it.
                if self.level(next).is_some_and(|l| l < level) && seen.insert(next) {
                    open.push(next);
                }
            }
        }
        false
    }

    /// The same nodes with every edge reversed: dependants become dependencies.
    #[must_use]
    pub fn reversed(&self) -> Arc<Self> {
        let mut order = self.order.clone();
        order.reverse();
        Arc::new(Self::ordered(self.predecessors.clone(), self.successors.clone(), &order))
    }

    pub(super) fn indegrees(&self) -> &[u32] {
        &self.indegrees
    }

    #[cfg(feature = "threads")]
    #[inline]
    pub(super) fn outgoing(&self) -> &Csr {
        &self.successors
    }

    fn closure(&self, nodes: &[NodeIx], next: &Csr) -> Vec<NodeIx> {
        let mut seen = Marks::new(self.len());
        let mut open = nodes.to_vec();
        let mut found = Vec::new();
        while let Some(node) = open.pop() {
            for &other in next.of(node) {
                if seen.insert(other) {
                    open.push(other);
                    found.push(other);
                }
            }
        }
        found.sort_unstable_by_key(|&node| (self.level(node), node));
        found
    }
}

impl fmt::Debug for Topology {
    /// A summary, because a graph of a million nodes would fill a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topology")
            .field("nodes", &self.len())
            .field("edges", &self.edge_count())
            .field("levels", &self.levels().len())
            .finish_non_exhaustive()
    }
}

fn width((from, to): (u32, u32)) -> u32 {
    to - from
}

/// The length of the longest path to each node, for nodes in any topological order.
fn longest_levels(order: &[NodeIx], predecessors: &Csr) -> Vec<u32> {
    let mut levels = vec![0_u32; order.len()];
    for &node in order {
        let before = predecessors.of(node).iter().filter_map(|p| levels.get(p.index()));
        let level = before.max().map_or(0, |deepest| deepest + 1);
        if let Some(slot) = levels.get_mut(node.index()) {
            *slot = level;
        }
    }
    levels
}

/// The nodes sorted by level and then by declaration, by counting sort, and the start of each level.
fn by_level(levels: &[u32]) -> (Vec<NodeIx>, Vec<u32>) {
    let count = levels.iter().max().map_or(0, |&deepest| deepest as usize + 1);
    let mut starts = vec![0_u32; count + 1];
    for &level in levels {
        if let Some(slot) = starts.get_mut(level as usize + 1) {
            *slot += 1;
        }
    }
    let mut sum = 0;
    for slot in &mut starts {
        sum += *slot;
        *slot = sum;
    }
    let mut cursors = starts.clone();
    let mut order = vec![NodeIx::new(0); levels.len()];
    for (index, &level) in (0_u32..).zip(levels) {
        if let Some(cursor) = cursors.get_mut(level as usize) {
            if let Some(slot) = order.get_mut(*cursor as usize) {
                *slot = NodeIx::new(index);
            }
            *cursor += 1;
        }
    }
    (order, starts)
}
