//! The nodes whose next move may have changed.

use crate::base::id::NodeIx;

const WORD: usize = 64;

/// A set of nodes, one bit each: it changes several times in each step of a run. The first nodes need no allocation.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    few: u64,
    more: Box<[u64]>,
}

impl Dirty {
    /// No node of so many.
    pub(super) fn none(nodes: usize) -> Self {
        Self { few: 0, more: (1..nodes.div_ceil(WORD)).map(|_| 0).collect() }
    }

    /// The word and the bit of a node; none if there is no such node.
    fn place(&mut self, ix: NodeIx) -> Option<(&mut u64, u64)> {
        let word = match ix.index() / WORD {
            0 => &mut self.few,
            word => self.more.get_mut(word - 1)?,
        };
        Some((word, 1 << (ix.index() % WORD)))
    }

    pub(super) fn insert(&mut self, ix: NodeIx) {
        if let Some((word, bit)) = self.place(ix) {
            *word |= bit;
        }
    }

    pub(super) fn extend<'n>(&mut self, nodes: impl IntoIterator<Item = &'n NodeIx>) {
        nodes.into_iter().for_each(|ix| self.insert(*ix));
    }

    pub(crate) fn first(&self) -> Option<NodeIx> {
        let (word, bits) = match self.few {
            0 => (1..).zip(&self.more).find(|(_, bits)| **bits != 0).map(|(word, bits)| (word, *bits))?,
            few => (0, few),
        };
        u32::try_from(word * WORD + bits.trailing_zeros() as usize).ok().map(NodeIx::new)
    }

    /// The node is not dirty any more.
    pub(crate) fn settle(&mut self, ix: NodeIx) {
        if let Some((word, bit)) = self.place(ix) {
            *word &= !bit;
        }
    }

    pub(crate) fn settle_all(&mut self) {
        self.few = 0;
        self.more.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(changes in prop::collection::vec((0_u32..300, any::<bool>()), 0..200), nodes in 1_usize..300) {
            let (mut dirty, mut model) = (Dirty::none(nodes), BTreeSet::new());
            for (ix, insert) in changes.into_iter().filter(|(ix, _)| (*ix as usize) < nodes) {
                if insert {
                    dirty.insert(NodeIx::new(ix));
                    model.insert(ix);
                } else {
                    dirty.settle(NodeIx::new(ix));
                    model.remove(&ix);
                }
                prop_assert_eq!(dirty.first(), model.first().copied().map(NodeIx::new));
            }
            dirty.settle_all();
            prop_assert_eq!(dirty.first(), None);
        }
    }
}
