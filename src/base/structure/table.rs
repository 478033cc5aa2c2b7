//! A map with a bounded number of rows.

use std::collections::BTreeMap;

/// A bounded map: beyond the bound, the row that was inserted or touched longest ago is evicted.
#[derive(Debug, Clone)]
pub(crate) struct Table<K, V> {
    rows: BTreeMap<K, (u64, V)>,
    ages: BTreeMap<u64, K>,
    clock: u64,
    bound: usize,
}

#[cfg_attr(not(feature = "observe"), expect(dead_code, reason = "projections use the rest"))]
impl<K: Ord + Clone, V> Table<K, V> {
    /// An empty map; a bound of 0 counts as 1.
    pub(crate) fn new(bound: usize) -> Self {
        Self { rows: BTreeMap::new(), ages: BTreeMap::new(), clock: 0, bound: bound.max(1) }
    }

    /// Changes the bound; returns the evicted rows.
    pub(crate) fn set_bound(&mut self, bound: usize) -> Vec<(K, V)> {
        self.bound = bound.max(1);
        core::iter::from_fn(|| self.pop_beyond()).collect()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.rows.get_mut(key).map(|(_, value)| value)
    }

    /// Inserts or replaces a row; returns the evicted row, if any.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<(K, V)> {
        self.remove(&key);
        self.clock = self.clock.saturating_add(1);
        self.ages.insert(self.clock, key.clone());
        self.rows.insert(key, (self.clock, value));
        self.pop_beyond()
    }

    /// The row with this key, which becomes the most recent one.
    pub(crate) fn touch(&mut self, key: &K) -> Option<&mut V> {
        let (age, value) = self.rows.get_mut(key)?;
        self.clock = self.clock.saturating_add(1);
        if let Some(key) = self.ages.remove(age) {
            self.ages.insert(self.clock, key);
        }
        *age = self.clock;
        Some(value)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (age, value) = self.rows.remove(key)?;
        self.ages.remove(&age);
        Some(value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().map(|(key, (_, value))| (key, value))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.rows.iter_mut().map(|(key, (_, value))| (key, value))
    }

    fn pop_beyond(&mut self) -> Option<(K, V)> {
        if self.rows.len() <= self.bound {
            return None;
        }
        let (_, key) = self.ages.pop_first()?;
        let (_, value) = self.rows.remove(&key)?;
        Some((key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_leaves() {
        let mut table = Table::new(2);
        assert_eq!(table.insert(1, 'a'), None);
        assert_eq!(table.insert(2, 'b'), None);
        assert_eq!(table.touch(&1), Some(&mut 'a'));
        assert_eq!(table.insert(3, 'c'), Some((2, 'b')));
        assert_eq!(table.insert(3, 'd'), None);
        assert_eq!(table.iter().collect::<Vec<_>>(), [(&1, &'a'), (&3, &'d')]);
        assert_eq!(table.set_bound(0), [(1, 'a')]);
        assert_eq!(table.get(&3), Some(&'d'));
    }
}
