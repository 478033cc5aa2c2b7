//! A hash index that cannot be iterated, so that its random order can never reach a decision.

use core::borrow::Borrow;
use core::hash::Hash;
use hashbrown::HashMap;

/// From an id to where it stands. The hash is seeded at random against chosen collisions; nothing can observe the order.
#[derive(Debug, Clone)]
pub(crate) struct IdMap<K, V>(HashMap<K, V>);

impl<K, V> Default for IdMap<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq, V> IdMap<K, V> {
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.0.insert(key, value)
    }

    pub(crate) fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.0.remove(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
