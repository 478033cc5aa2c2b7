//! The nodes of a run, in a form that costs little for a run with few nodes.

use super::state::NodeState;
use crate::base::id::NodeIx;

/// The states of nodes, in the order of their indexes. A tree would have room for eleven in its first leaf.
#[derive(Debug, Clone, Default)]
pub(super) struct Nodes(Vec<(NodeIx, Box<NodeState>)>);

impl Nodes {
    fn place(&self, ix: NodeIx) -> Result<usize, usize> {
        self.0.binary_search_by_key(&ix, |(known, _)| *known)
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, ix: NodeIx) -> Option<&NodeState> {
        self.0.get(self.place(ix).ok()?).map(|(_, state)| &**state)
    }

    /// The state of a node, which is added if it is not there.
    pub(super) fn get_or_add(&mut self, ix: NodeIx) -> Option<&mut NodeState> {
        let place = self.place(ix).unwrap_or_else(|place| {
            self.0.insert(place, (ix, Box::default()));
            place
        });
        self.0.get_mut(place).map(|(_, state)| &mut **state)
    }

    pub(super) fn remove(&mut self, ix: NodeIx) -> Option<Box<NodeState>> {
        let place = self.place(ix).ok()?;
        Some(self.0.remove(place).1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeIx, &NodeState)> {
        self.0.iter().map(|(ix, state)| (*ix, &**state))
    }
}

impl FromIterator<(NodeIx, Box<NodeState>)> for Nodes {
    fn from_iter<I: IntoIterator<Item = (NodeIx, Box<NodeState>)>>(nodes: I) -> Self {
        let mut all: Vec<_> = nodes.into_iter().collect();
        all.sort_by_key(|(ix, _)| *ix);
        all.dedup_by_key(|(ix, _)| *ix);
        Self(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_in_the_order_of_their_indexes() {
        let mut nodes = Nodes::default();
        for index in [5, 1, 3, 1] {
            nodes.get_or_add(NodeIx::new(index)).unwrap().over += 1;
        }
        let counts = |nodes: &Nodes| nodes.iter().map(|(ix, node)| (ix.get(), node.over)).collect::<Vec<_>>();
        assert_eq!(counts(&nodes), [(1, 2), (3, 1), (5, 1)]);
        assert!(nodes.remove(NodeIx::new(3)).is_some() && nodes.remove(NodeIx::new(3)).is_none());
        assert_eq!((nodes.len(), nodes.get(NodeIx::new(3)).is_none()), (2, true));
        let moved: Nodes = [5, 1]
            .map(NodeIx::new)
            .map(|ix| (NodeIx::new(10 - ix.get()), nodes.remove(ix).unwrap()))
            .into_iter()
            .collect();
        assert_eq!(counts(&moved), [(5, 1), (9, 2)]);
    }
}
