//! Adjacency in two flat arrays, and a set of nodes as bits.

use super::NodeIx;

/// The neighbours of every node in one direction.
///
/// `offsets` has one entry for each node and two more: after the lists of the nodes, `targets` contains one more list,
/// the nodes where a traversal in this direction *starts* (those without neighbours in the other direction). The
/// initially ready nodes are thus a list like any other, and an index into `targets` identifies any node that can
/// become ready.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Csr {
    offsets: Vec<u32>,
    targets: Vec<NodeIx>,
}

impl Csr {
    /// Groups `pairs` by their first node; a list keeps the order of `pairs`. The caller has checked that every node is
    /// less than `nodes`, and that the numbers of nodes and pairs together are less than `u32::MAX`.
    pub(super) fn new(nodes: u32, pairs: impl Iterator<Item = (NodeIx, NodeIx)> + Clone) -> Self {
        let count = nodes as usize;
        let mut offsets = vec![0_u32; count + 2];
        let mut entered = Marks::new(count);
        let mut edges = 0_usize;
        for (from, to) in pairs.clone() {
            // Counted with an offset of two, so that the prefix sums below are the *starts*, shifted by one. Filling
            // then moves each start to its end, which is the start of the next list, without a second array of cursors.
            if let Some(slot) = offsets.get_mut(from.index() + 2) {
                *slot += 1;
            }
            entered.insert(to);
            edges += 1;
        }
        let mut sum = 0;
        for slot in &mut offsets {
            sum += *slot;
            *slot = sum;
        }
        let mut targets = vec![NodeIx::new(0); edges];
        for (from, to) in pairs {
            if let Some(cursor) = offsets.get_mut(from.index() + 1) {
                if let Some(slot) = targets.get_mut(*cursor as usize) {
                    *slot = to;
                }
                *cursor += 1;
            }
        }
        let starts = (0..nodes).map(NodeIx::new).filter(|&node| !entered.contains(node));
        targets.extend(starts);
        // The last offset ends the list of starts. It fits: see above.
        if let Some(last) = offsets.last_mut() {
            *last = u32::try_from(targets.len()).unwrap_or(u32::MAX);
        }
        Self { offsets, targets }
    }

    /// The indexes of a node's neighbours in [`targets`](Self::targets); empty for an unknown node.
    #[inline]
    pub(super) fn span(&self, node: NodeIx) -> (u32, u32) {
        // The entry after the last node belongs to the list of starts and must not be returned for a node.
        match self.offsets.get(node.index()..).unwrap_or_default() {
            [from, to, _, ..] => (*from, *to),
            _ => (0, 0),
        }
    }

    /// The indexes of the nodes where a traversal starts.
    pub(super) fn starts_span(&self) -> (u32, u32) {
        match self.offsets.as_slice() {
            [.., from, to] => (*from, *to),
            _ => (0, 0),
        }
    }

    /// The neighbours of a node.
    #[inline]
    pub(super) fn of(&self, node: NodeIx) -> &[NodeIx] {
        self.slice(self.span(node))
    }

    /// The nodes where a traversal starts.
    pub(super) fn starts(&self) -> &[NodeIx] {
        self.slice(self.starts_span())
    }

    /// The node at an index.
    #[cfg(feature = "threads")]
    #[inline]
    pub(super) fn at(&self, place: u32) -> Option<NodeIx> {
        self.targets.get(place as usize).copied()
    }

    /// The number of edges.
    pub(super) fn edges(&self) -> usize {
        self.starts_span().0 as usize
    }

    #[inline]
    fn slice(&self, (from, to): (u32, u32)) -> &[NodeIx] {
        self.targets.get(from as usize..to as usize).unwrap_or_default()
    }
}

/// A set of nodes, one bit each.
#[derive(Clone, Debug)]
pub(super) struct Marks(Vec<u64>);

impl Marks {
    pub(super) fn new(nodes: usize) -> Self {
        Self(vec![0; nodes.div_ceil(64)])
    }

    /// Adds a node; returns true if it was new. A node beyond the size of the set is never added.
    pub(super) fn insert(&mut self, node: NodeIx) -> bool {
        let Some(word) = self.0.get_mut(node.index() / 64) else {
            return false;
        };
        let bit = 1 << (node.index() % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    pub(super) fn remove(&mut self, node: NodeIx) -> bool {
        let Some(word) = self.0.get_mut(node.index() / 64) else {
            return false;
        };
        let bit = 1 << (node.index() % 64);
        let was = *word & bit != 0;
        *word &= !bit;
        was
    }

    pub(super) fn contains(&self, node: NodeIx) -> bool {
        self.0.get(node.index() / 64).is_some_and(|word| word & (1 << (node.index() % 64)) != 0)
    }

    pub(super) fn clear(&mut self) {
        self.0.fill(0);
    }
}
