//! The adapter to petgraph: its algorithms run over this crate's arrays, and none of its types is used outside of this
//! file.

use std::{collections::VecDeque, iter::Copied, ops::Range, slice};

use petgraph::{
    Direction, algo,
    visit::{GraphBase, GraphRef, IntoNeighbors, IntoNeighborsDirected, IntoNodeIdentifiers, VisitMap, Visitable},
};

use super::{
    NodeIx,
    csr::{Csr, Marks},
};

/// A graph in the form of petgraph's traits.
#[derive(Clone, Copy)]
pub(super) struct Wiring<'a> {
    pub(super) nodes: u32,
    pub(super) successors: &'a Csr,
    pub(super) predecessors: &'a Csr,
}

impl Wiring<'_> {
    /// Every node after all its predecessors, or a cycle if there is no such order.
    pub(super) fn order(self) -> Result<Vec<NodeIx>, Vec<NodeIx>> {
        algo::toposort(self, None).map_err(|_| self.cycle())
    }

    /// The shortest cycle through the first declared node that is on a cycle.
    ///
    /// Uses Kosaraju's algorithm for strongly connected components: petgraph's version of Tarjan's is recursive, and a
    /// cycle can be as long as the graph.
    fn cycle(self) -> Vec<NodeIx> {
        let components = algo::kosaraju_scc(self);
        let knot = components.into_iter().filter(|component| component.len() > 1);
        let Some(knot) = knot.min_by_key(|component| component.iter().min().copied()) else {
            return Vec::new();
        };
        let Some(&home) = knot.iter().min() else {
            return Vec::new();
        };
        let mut inside = Marks::new(self.nodes as usize);
        for &node in &knot {
            inside.insert(node);
        }
        self.way_back(home, inside)
    }

    /// A breadth-first search from `home` until an edge leads back to it, within the nodes of `unseen`.
    fn way_back(self, home: NodeIx, mut unseen: Marks) -> Vec<NodeIx> {
        let mut came_from = vec![home; self.nodes as usize];
        let mut queue = VecDeque::from([home]);
        unseen.remove(home);
        while let Some(node) = queue.pop_front() {
            for &next in self.successors.of(node) {
                if next == home {
                    return walk_back(home, node, &came_from);
                }
                if unseen.remove(next) {
                    if let Some(slot) = came_from.get_mut(next.index()) {
                        *slot = node;
                    }
                    queue.push_back(next);
                }
            }
        }
        Vec::new()
    }
}

fn walk_back(home: NodeIx, last: NodeIx, came_from: &[NodeIx]) -> Vec<NodeIx> {
    let mut path = vec![last];
    let mut at = last;
    while at != home {
        at = came_from.get(at.index()).copied().unwrap_or(home);
        path.push(at);
    }
    path.reverse();
    path
}

impl GraphBase for Wiring<'_> {
    type NodeId = NodeIx;
    type EdgeId = ();
}

impl GraphRef for Wiring<'_> {}

impl<'a> IntoNeighbors for Wiring<'a> {
    type Neighbors = Copied<slice::Iter<'a, NodeIx>>;

    fn neighbors(self, node: NodeIx) -> Self::Neighbors {
        self.successors.of(node).iter().copied()
    }
}

impl<'a> IntoNeighborsDirected for Wiring<'a> {
    type NeighborsDirected = Copied<slice::Iter<'a, NodeIx>>;

    fn neighbors_directed(self, node: NodeIx, direction: Direction) -> Self::NeighborsDirected {
        match direction {
            Direction::Outgoing => self.successors.of(node).iter().copied(),
            Direction::Incoming => self.predecessors.of(node).iter().copied(),
        }
    }
}

impl IntoNodeIdentifiers for Wiring<'_> {
    type NodeIdentifiers = std::iter::Map<Range<u32>, fn(u32) -> NodeIx>;

    fn node_identifiers(self) -> Self::NodeIdentifiers {
        (0..self.nodes).map(NodeIx::new)
    }
}

impl Visitable for Wiring<'_> {
    type Map = Marks;

    fn visit_map(&self) -> Marks {
        Marks::new(self.nodes as usize)
    }

    fn reset_map(&self, map: &mut Marks) {
        map.clear();
    }
}

impl VisitMap<NodeIx> for Marks {
    fn visit(&mut self, node: NodeIx) -> bool {
        self.insert(node)
    }

    fn is_visited(&self, node: &NodeIx) -> bool {
        self.contains(*node)
    }

    fn unvisit(&mut self, node: NodeIx) -> bool {
        self.remove(node)
    }
}
