//! The cycles of a flow: its strongly connected components, in topological order.

use super::graph::Graph;
use super::tokens::Step;
use std::collections::{BTreeMap, BTreeSet};

/// The steps of a part: its nodes, with those of each cycle together. `edges` are the flows that are followed. The search
/// goes deep first, so that the nodes of a branch follow each other. It is Tarjan's algorithm with a stack of its own.
pub(super) fn steps(graph: &Graph, nodes: &BTreeSet<usize>, edges: &BTreeSet<usize>) -> Vec<Step> {
    let mut search = Search::of(graph, nodes, edges);
    for &node in nodes {
        if !search.met.contains_key(&node) {
            search.from(node);
        }
    }
    search.found.reverse();
    search.found
}

struct Search<'g> {
    graph: &'g Graph,
    nodes: &'g BTreeSet<usize>,
    edges: &'g BTreeSet<usize>,
    /// The order in which nodes were met, and the earliest node that each leads back to.
    met: BTreeMap<usize, (usize, usize)>,
    open: Vec<usize>,
    is_open: BTreeSet<usize>,
    found: Vec<Step>,
}

impl<'g> Search<'g> {
    fn of(graph: &'g Graph, nodes: &'g BTreeSet<usize>, edges: &'g BTreeSet<usize>) -> Self {
        Self {
            graph,
            nodes,
            edges,
            met: BTreeMap::new(),
            open: Vec::new(),
            is_open: BTreeSet::new(),
            found: Vec::new(),
        }
    }

    /// The nodes to which flows lead from a node.
    fn next(&self, node: usize) -> Vec<usize> {
        let followed = self.graph.out(node).filter(|edge| self.edges.contains(edge));
        let to = followed.filter_map(|edge| Some(self.graph.edges.get(edge)?.to));
        to.filter(|to| self.nodes.contains(to)).collect()
    }

    fn enter(&mut self, node: usize) -> (usize, Vec<usize>) {
        let order = self.met.len();
        self.met.insert(node, (order, order));
        self.open.push(node);
        self.is_open.insert(node);
        (node, self.next(node))
    }

    fn lower(&mut self, node: usize, to: usize) {
        if let Some((_, low)) = self.met.get_mut(&node) {
            *low = to.min(*low);
        }
    }

    fn from(&mut self, root: usize) {
        let mut stack = vec![self.enter(root)];
        while let Some((node, rest)) = stack.last_mut() {
            let node = *node;
            match rest.pop() {
                Some(to) => match self.met.get(&to).copied() {
                    None => {
                        let entered = self.enter(to);
                        stack.push(entered);
                    }
                    Some((order, _)) if self.is_open.contains(&to) => self.lower(node, order),
                    Some(_) => {}
                },
                None => {
                    stack.pop();
                    self.leave(node);
                    let low = self.met.get(&node).map_or(0, |(_, low)| *low);
                    if let Some((outer, _)) = stack.last() {
                        self.lower(*outer, low);
                    }
                }
            }
        }
    }

    /// Closes the component that begins with a node.
    fn leave(&mut self, node: usize) {
        if self.met.get(&node).is_none_or(|(order, low)| order != low) {
            return;
        }
        let at = self.open.iter().rposition(|open| *open == node).unwrap_or(0);
        let mut nodes = self.open.split_off(at);
        for node in &nodes {
            self.is_open.remove(node);
        }
        nodes.sort_unstable();
        let is_cycle = nodes.len() > 1 || self.next(node).contains(&node);
        self.found.push(Step { nodes, is_cycle });
    }
}
