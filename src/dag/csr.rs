//! Adjacency in two flat arrays, and a set of nodes as bits.

use super::NodeIx;

/// The neighbours of every node in one direction.
///
/// `offsets` has one entry more than there are nodes plus one: after the lists of the nodes, `targets` holds one more list,
/// the nodes where a walk in this direction *starts* (those with no neighbour in the other direction). So "what is ready
/// at the beginning" is a list like any other, and a place in `targets` names any node that can become ready.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Csr {
    offsets: Vec<u32>,
    targets: Vec<NodeIx>,
}

impl Csr {
    /// Groups `pairs` by their first node; a list keeps the order of `pairs`. The caller has checked that every node is
    /// less than `nodes` and that nodes and pairs together number less than `u32::MAX`.
    pub(super) fn new(nodes: u32, pairs: impl Iterator<Item = (NodeIx, NodeIx)> + Clone) -> Self {
        let count = nodes as usize;
        let mut offsets = vec![0_u32; count + 2];
        let mut entered = Marks::new(count);
        let mut edges = 0_usize;
        for (from, to) in pairs.clone() {
            // Counted two places further on, so that the prefix sums below are the *starts*, shifted by one, and filling
            // moves each start to its end, which is the next one's start: no second array of cursors.
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
        let starts = (0..nodes)
            .map(NodeIx::new)
            .filter(|&node| !entered.contains(node));
        targets.extend(starts);
        // The last offset closes the list of starts. It fits: see above.
        if let Some(last) = offsets.last_mut() {
            *last = u32::try_from(targets.len()).unwrap_or(u32::MAX);
        }
        Self { offsets, targets }
    }

    /// The places of a node's neighbours in [`targets`](Self::targets); empty for a node that is not there.
    #[inline]
    pub(super) fn span(&self, node: NodeIx) -> (u32, u32) {
        // The entry past the last node belongs to the list of starts and must not answer for a node.
        match self.offsets.get(node.index()..).unwrap_or_default() {
            [from, to, _, ..] => (*from, *to),
            _ => (0, 0),
        }
    }

    /// The places of the nodes where a walk starts.
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

    /// The nodes where a walk starts.
    pub(super) fn starts(&self) -> &[NodeIx] {
        self.slice(self.starts_span())
    }

    /// The node at a place.
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
        self.targets
            .get(from as usize..to as usize)
            .unwrap_or_default()
    }
}

/// A set of nodes, one bit each.
#[derive(Clone, Debug)]
pub(super) struct Marks(Vec<u64>);

impl Marks {
    pub(super) fn new(nodes: usize) -> Self {
        Self(vec![0; nodes.div_ceil(64)])
    }

    /// Adds a node; true if it was not there. A node beyond the set's size is never there and never added.
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
        self.0
            .get(node.index() / 64)
            .is_some_and(|word| word & (1 << (node.index() % 64)) != 0)
    }

    pub(super) fn clear(&mut self) {
        self.0.fill(0);
    }
}
