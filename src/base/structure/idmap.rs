//! A hash index without iteration, so that its random order cannot affect a decision.

use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash, Hasher};
use hashbrown::{DefaultHashBuilder, HashMap};

/// Maps ids to indexes. The hash is seeded at random, against deliberate collisions; the order is not observable.
#[derive(Debug, Clone)]
pub(crate) struct IdMap<K, V, S = DefaultHashBuilder>(HashMap<K, V, S>);

/// The same for numeric ids: groups of sixteen consecutive ids are stored near each other, so that access in the order
/// of ids is cache-friendly. The position of a group is random.
pub(crate) type NearMap<K, V> = IdMap<K, V, NearBuilder>;

impl<K, V, S: Default> Default for IdMap<K, V, S> {
    fn default() -> Self {
        Self(HashMap::with_hasher(S::default()))
    }
}

impl<K: Hash + Eq, V, S: BuildHasher> IdMap<K, V, S> {
    #[inline]
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }

    #[inline]
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.0.insert(key, value)
    }

    #[inline]
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

/// Builds [`Near`] hashers.
#[derive(Debug, Clone, Default)]
pub(crate) struct NearBuilder(DefaultHashBuilder);

impl BuildHasher for NearBuilder {
    type Hasher = Near;

    #[inline]
    fn build_hasher(&self) -> Near {
        Near { builder: self.0.clone(), hash: 0 }
    }
}

/// Hashes a number without its low digit, and keeps that digit as the low bits, which select the position in the map.
#[derive(Debug)]
pub(crate) struct Near {
    builder: DefaultHashBuilder,
    hash: u64,
}

const DIGIT: u32 = 4;

impl Hasher for Near {
    #[inline]
    fn write_u64(&mut self, number: u64) {
        let low = (1 << DIGIT) - 1;
        self.hash = (self.builder.hash_one(number >> DIGIT) & !low) | (number & low);
    }

    fn write(&mut self, bytes: &[u8]) {
        self.hash = self.builder.hash_one((self.hash, bytes));
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn agrees_with_a_sorted_map(steps in prop::collection::vec((0_u64..200, any::<Option<u8>>(), any::<bool>()), 0..300)) {
            let mut map: NearMap<u64, u8> = NearMap::default();
            let mut model = BTreeMap::new();
            for (key, value, spread) in steps {
                let key = if spread { key.wrapping_mul(0x9e37_79b9_7f4a_7c15) } else { key };
                let (got, should) = match value {
                    Some(value) => (map.insert(key, value), model.insert(key, value)),
                    None => (map.remove(&key), model.remove(&key)),
                };
                prop_assert_eq!(got, should);
                prop_assert_eq!(map.len(), model.len());
            }
            for (key, value) in model {
                prop_assert_eq!(map.get(&key), Some(&value));
            }
        }
    }

    #[test]
    fn neighbours_are_near_and_seeds_differ() {
        let (one, other) = (NearBuilder::default(), NearBuilder::default());
        let home = one.hash_one(160_u64);
        assert!((0..16).all(|step| one.hash_one(160_u64 + step) == home + step));
        assert!((0..64_u64).any(|block| one.hash_one(block * 16) != other.hash_one(block * 16)));
    }
}
