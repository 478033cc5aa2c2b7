//! The links of a definition as a graph: its topological order, or a cycle, and reachability.

use crate::base::name::Name;
use crate::dag::{BuildError, Builder, Limits, NodeIx, Topology};
use crate::definition::{Definition, Node};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The graph of a definition, with the nodes by index. Links from unknown nodes and from a node to itself are left out;
/// of several nodes with one name the first is used.
///
/// Returns a cycle as the error.
pub(crate) fn topology(definition: &Definition) -> Result<Arc<Topology>, Vec<usize>> {
    let mut indexes = BTreeMap::new();
    for (index, node) in definition.nodes.iter().enumerate() {
        indexes.entry(&node.name).or_insert(index);
    }
    let indexes = &indexes;
    let nodes = definition.nodes.iter().enumerate();
    let edges = nodes.flat_map(|(to, node)| sources(node).filter_map(move |source| Some((*indexes.get(source)?, to))));
    order(definition.nodes.len(), edges)
}

/// The nodes that must end before a node starts.
fn sources(node: &Node) -> impl Iterator<Item = &Name> {
    let milestone = node.milestone.as_ref().map(|milestone| &milestone.after);
    node.after.iter().map(|link| &link.node).chain(milestone)
}

/// The graph of `nodes` nodes with these edges, each from an earlier to a later node by index. Edges with an index out
/// of range and from a node to itself are left out; duplicate edges count once.
///
/// Returns a cycle as the error.
fn order(nodes: usize, edges: impl Iterator<Item = (usize, usize)>) -> Result<Arc<Topology>, Vec<usize>> {
    let handle = |index: usize| u32::try_from(index).ok().map(NodeIx::new).filter(|_| index < nodes);
    let mut edges: Vec<(NodeIx, NodeIx)> =
        edges.filter(|(from, to)| from != to).filter_map(|(from, to)| Some((handle(from)?, handle(to)?))).collect();
    edges.sort_unstable();
    edges.dedup();
    let limits = Limits::default().nodes(u32::MAX).edges(u32::MAX);
    let mut graph = Builder::with_limits(limits);
    for index in 0..nodes {
        graph.node(index.to_string(), ());
    }
    for (from, to) in edges {
        graph.edge(from, to);
    }
    match graph.build() {
        Ok(graph) => Ok(Arc::clone(graph.topology())),
        Err(BuildError::Cycle(path)) => Err(path.nodes().iter().map(|node| node.index()).collect()),
        // Only more nodes or edges than a graph can have remain as a cause; such a definition does not fit into memory.
        Err(_) => Err(Vec::new()),
    }
}

/// The indexes of those pairs (earlier, later) without a path from earlier to later.
///
/// Reachability from 64 nodes at a time is propagated along the topological order, one bit each, so that memory is
/// linear in the number of nodes.
pub(super) fn not_before(graph: &Topology, pairs: &[(usize, usize)]) -> Vec<usize> {
    let mut by_earlier: Vec<usize> = (0..pairs.len()).collect();
    let pair = |index: &usize| pairs.get(*index).copied().unwrap_or_default();
    by_earlier.sort_unstable_by_key(|index| pair(index));
    let mut wrong = Vec::new();
    let mut rest = by_earlier.as_slice();
    while !rest.is_empty() {
        let (bits, taken) = assign_bits(graph.len(), rest.iter().map(|index| pair(index).0));
        let (now, later) = rest.split_at(taken.min(rest.len()));
        let reached = carry(graph, &bits);
        wrong.extend(now.iter().filter(|&index| {
            let (from, to) = pair(index);
            let bit = bits.get(from).copied().unwrap_or(0);
            reached.get(to).copied().unwrap_or(0) & bit == 0
        }));
        rest = later;
    }
    wrong.sort_unstable();
    wrong
}

/// Assigns a bit to each of the first 64 distinct nodes of a sorted list; returns also how many entries of the list
/// that covers.
fn assign_bits(nodes: usize, sorted: impl Iterator<Item = usize>) -> (Vec<u64>, usize) {
    let mut bits = vec![0_u64; nodes];
    let (mut next, mut last, mut taken) = (1_u64, None, 0);
    for node in sorted {
        if last != Some(node) {
            if next == 0 {
                break;
            }
            if let Some(slot) = bits.get_mut(node) {
                *slot = next;
            }
            next <<= 1;
            last = Some(node);
        }
        taken += 1;
    }
    (bits, taken)
}

/// For each node, the bits of all its predecessors.
fn carry(graph: &Topology, bits: &[u64]) -> Vec<u64> {
    let mut reached = vec![0_u64; graph.len()];
    for &node in graph.order() {
        let before = graph.predecessors(node).iter().map(|before| {
            let of = |words: &[u64]| words.get(before.index()).copied().unwrap_or(0);
            of(&reached) | of(bits)
        });
        let all = before.fold(0, |all, word| all | word);
        if let Some(slot) = reached.get_mut(node.index()) {
            *slot = all;
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_finds_cycles() {
        let graph = order(4, [(0, 1), (0, 1), (1, 2), (2, 2), (9, 1)].into_iter()).unwrap();
        assert_eq!(graph.edge_count(), 2);
        assert_eq!(order(3, [(0, 1), (1, 2), (2, 1)].into_iter()).unwrap_err(), [1, 2]);
    }

    #[test]
    fn ancestors_beyond_one_word() {
        let count = 300;
        let graph = order(count, (1..count).map(|index| (index - 1, index))).unwrap();
        let forward: Vec<(usize, usize)> = (0..count - 1).map(|index| (index, count - 1)).collect();
        assert!(not_before(&graph, &forward).is_empty());
        let backward: Vec<(usize, usize)> = (1..count).map(|index| (index, index - 1)).collect();
        assert_eq!(not_before(&graph, &backward).len(), backward.len());
        assert_eq!(not_before(&graph, &[(0, 5), (5, 0), (5, 5), (3, 4)]), [1, 2]);
    }
}
