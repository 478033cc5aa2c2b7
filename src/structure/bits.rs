//! Sets of small numbers as bits.

/// A set of small numbers that grows as needed. A bit for each word that holds any is kept beside the words, so that
/// searching sparse sets skips what is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
    /// Which words are not zero.
    tops: Vec<u64>,
}

const WORD: usize = 64;

impl Bits {
    pub(crate) fn set(&mut self, index: usize) {
        let word = index / WORD;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
            self.tops.resize(word / WORD + 1, 0);
        }
        if let Some(bits) = self.words.get_mut(word) {
            *bits |= 1 << (index % WORD);
        }
        if let Some(top) = self.tops.get_mut(word / WORD) {
            *top |= 1 << (word % WORD);
        }
    }

    pub(crate) fn clear(&mut self, index: usize) {
        let word = index / WORD;
        if let Some(bits) = self.words.get_mut(word) {
            *bits &= !(1 << (index % WORD));
            if *bits == 0
                && let Some(top) = self.tops.get_mut(word / WORD)
            {
                *top &= !(1 << (word % WORD));
            }
        }
    }

    pub(crate) fn put(&mut self, index: usize, on: bool) {
        if on { self.set(index) } else { self.clear(index) }
    }

    /// Empties it and keeps its memory.
    pub(crate) fn clear_all(&mut self) {
        self.words.clear();
        self.tops.clear();
    }

    /// Makes it what `from` holds and `but` does not.
    pub(crate) fn set_difference(&mut self, from: &Self, but: &Self) {
        self.clear_all();
        self.tops.resize(from.tops.len(), 0);
        for (at, &word) in from.words.iter().enumerate() {
            let left = word & !but.word(at);
            self.words.push(left);
            if left != 0
                && let Some(top) = self.tops.get_mut(at / WORD)
            {
                *top |= 1 << (at % WORD);
            }
        }
    }

    pub(crate) fn contains(&self, index: usize) -> bool {
        self.words.get(index / WORD).is_some_and(|bits| bits & (1 << (index % WORD)) != 0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tops.iter().all(|&top| top == 0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        Common::new([self])
    }

    /// What is in both sets, in ascending order, without building the intersection.
    pub(crate) fn common<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + Clone + use<'a> {
        Common::new([self, other])
    }

    pub(crate) fn meets(&self, other: &Self) -> bool {
        next_in([self, other], 0).is_some()
    }

    pub(crate) fn count_common(&self, other: &Self) -> usize {
        self.words.iter().zip(&other.words).map(|(a, b)| (a & b).count_ones() as usize).sum()
    }

    /// The number in both sets that has `rank` others before it.
    pub(crate) fn nth_common(&self, other: &Self, rank: usize) -> Option<usize> {
        let mut left = rank;
        for (at, (a, b)) in self.words.iter().zip(&other.words).enumerate() {
            let mut bits = a & b;
            let here = bits.count_ones() as usize;
            if left < here {
                for _ in 0..left {
                    bits &= bits - 1;
                }
                return Some(at * WORD + bits.trailing_zeros() as usize);
            }
            left -= here;
        }
        None
    }

    fn word(&self, at: usize) -> u64 {
        self.words.get(at).copied().unwrap_or(0)
    }

    fn top(&self, at: usize) -> u64 {
        self.tops.get(at).copied().unwrap_or(0)
    }
}

/// The first number from `from` on that is in all of the sets.
#[inline]
pub(crate) fn next_in<const K: usize>(sets: [&Bits; K], from: usize) -> Option<usize> {
    let mut at = from / WORD;
    let mut bits = word_of(sets, at) & (u64::MAX << (from % WORD));
    while bits == 0 {
        at = next_word(sets, at + 1)?;
        bits = word_of(sets, at);
    }
    Some(at * WORD + bits.trailing_zeros() as usize)
}

#[inline]
fn word_of<const K: usize>(sets: [&Bits; K], at: usize) -> u64 {
    sets.iter().fold(u64::MAX, |bits, set| bits & set.word(at))
}

/// The first word from `from` on that may not be zero in the intersection.
#[inline]
fn next_word<const K: usize>(sets: [&Bits; K], from: usize) -> Option<usize> {
    let tops = sets.iter().map(|set| set.tops.len()).min().unwrap_or(0);
    let mut mask = u64::MAX << (from % WORD);
    for at in from / WORD..tops {
        let bits = mask & sets.iter().fold(u64::MAX, |bits, set| bits & set.top(at));
        if bits != 0 {
            return Some(at * WORD + bits.trailing_zeros() as usize);
        }
        mask = u64::MAX;
    }
    None
}

/// What is in all of the sets, in ascending order.
#[derive(Clone)]
struct Common<'a, const K: usize> {
    sets: [&'a Bits; K],
    at: usize,
    bits: u64,
}

impl<'a, const K: usize> Common<'a, K> {
    fn new(sets: [&'a Bits; K]) -> Self {
        Self { sets, at: 0, bits: word_of(sets, 0) }
    }
}

impl<const K: usize> Iterator for Common<'_, K> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.bits == 0 {
            self.at = next_word(self.sets, self.at + 1)?;
            self.bits = word_of(self.sets, self.at);
        }
        let bit = self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(self.at * WORD + bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn common_is_the_intersection_in_order() {
        let (mut a, mut b) = (Bits::default(), Bits::default());
        for index in [3, 64, 65, 200] {
            a.set(index);
        }
        for index in [1, 64, 200, 500] {
            b.set(index);
        }
        assert_eq!(a.common(&b).collect::<Vec<_>>(), [64, 200]);
        assert_eq!(a.count_common(&b), 2);
        assert_eq!((next_in([&a, &b], 65), next_in([&a, &b], 201)), (Some(200), None));
        a.clear(64);
        a.clear(200);
        assert!(!a.meets(&b));
        assert!(a.contains(65) && !a.contains(66));
    }

    fn bits(set: &BTreeSet<usize>) -> Bits {
        let mut bits = Bits::default();
        set.iter().for_each(|&index| bits.set(index));
        bits
    }

    proptest! {
        #[test]
        fn they_are_sets(
            a in prop::collection::btree_set(0_usize..9_000, 0..60),
            b in prop::collection::btree_set(0_usize..9_000, 0..60),
            both in prop::collection::btree_set(0_usize..9_000, 0..60),
            gone in prop::collection::vec(0_usize..60, 0..20),
            from in 0_usize..9_100,
        ) {
            let (mut a, b): (BTreeSet<_>, BTreeSet<_>) = (&a | &both, &b | &both);
            let (mut left, right) = (bits(&a), bits(&b));
            for index in gone {
                if let Some(index) = both.iter().nth(index) {
                    a.remove(index);
                    left.clear(*index);
                }
            }
            let common: Vec<usize> = a.intersection(&b).copied().collect();
            prop_assert_eq!(left.common(&right).collect::<Vec<_>>(), common.clone());
            prop_assert_eq!(left.iter().collect::<Vec<_>>(), a.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(left.is_empty(), a.is_empty());
            prop_assert_eq!(next_in([&left, &right], from), common.iter().copied().find(|&index| index >= from));
            prop_assert_eq!(left.count_common(&right), common.len());
            for (rank, index) in common.iter().enumerate() {
                prop_assert_eq!(left.nth_common(&right, rank), Some(*index));
            }
            prop_assert_eq!(left.nth_common(&right, common.len()), None);
            let mut rest = bits(&both);
            rest.set_difference(&left, &right);
            prop_assert_eq!(rest.iter().collect::<Vec<_>>(), a.difference(&b).copied().collect::<Vec<_>>());
        }
    }
}
