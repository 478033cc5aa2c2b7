//! Figures by name, up to a bound.

use std::collections::BTreeMap;

/// Figures of the first members, each for itself, and of all others together.
#[derive(Debug, Clone)]
pub(super) struct Members<K, V> {
    pub(super) named: BTreeMap<K, V>,
    pub(super) others: V,
    bound: usize,
}

impl<K: Ord + Clone, V: Default> Members<K, V> {
    pub(super) fn new(bound: usize) -> Self {
        Self { named: BTreeMap::new(), others: V::default(), bound }
    }

    pub(super) const fn set_bound(&mut self, bound: usize) {
        self.bound = bound;
    }

    /// The figures of a member, or those of the others if there is no room for another member.
    pub(super) fn of(&mut self, key: &K) -> &mut V {
        if self.named.contains_key(key) || self.named.len() < self.bound {
            self.named.entry(key.clone()).or_default()
        } else {
            &mut self.others
        }
    }
}
