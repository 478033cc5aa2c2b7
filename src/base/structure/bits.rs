//! Sets of small numbers as bits.

/// A growable set of small numbers. A second bit set marks the words that are not zero, so that searches in sparse sets
/// skip empty words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bits {
    /// The words, in whole blocks.
    words: Vec<u64>,
    /// Which words are not zero.
    tops: Vec<u64>,
}

const WORD: usize = 64;

/// Words that are intersected in one step, to use wide registers.
const BLOCK: usize = 8;

impl Bits {
    #[inline]
    pub(crate) fn set(&mut self, index: usize) {
        let word = index / WORD;
        if word >= self.words.len() {
            self.words.resize((word + 1).next_multiple_of(BLOCK), 0);
            self.tops.resize(word / WORD + 1, 0);
        }
        if let Some(bits) = self.words.get_mut(word) {
            *bits |= 1 << (index % WORD);
        }
        if let Some(top) = self.tops.get_mut(word / WORD) {
            *top |= 1 << (word % WORD);
        }
    }

    #[inline]
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

    #[inline]
    pub(crate) fn put(&mut self, index: usize, on: bool) {
        if on { self.set(index) } else { self.clear(index) }
    }

    /// Removes all numbers and retains the memory.
    pub(crate) fn clear_all(&mut self) {
        self.words.clear();
        self.tops.clear();
    }

    #[inline]
    pub(crate) fn contains(&self, index: usize) -> bool {
        self.words.get(index / WORD).is_some_and(|bits| bits & (1 << (index % WORD)) != 0)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.tops.iter().all(|&top| top == 0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        Common::new([self])
    }

    /// The numbers in both sets, in ascending order, without building the intersection.
    pub(crate) fn common<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + Clone + use<'a> {
        Common::new([self, other])
    }

    #[inline]
    pub(crate) fn meets(&self, other: &Self) -> bool {
        if let ([top], [other_top]) = (&*self.tops, &*other.tops) {
            return self.meets_within(other, top & other_top);
        }
        next_in([self, other], 0).is_some()
    }

    /// Whether the sets meet in one of these words.
    #[inline]
    fn meets_within(&self, other: &Self, mut words: u64) -> bool {
        while words != 0 {
            let at = words.trailing_zeros() as usize;
            if self.word(at) & other.word(at) != 0 {
                return true;
            }
            words &= words - 1;
        }
        false
    }

    /// Calls `visit` for the numbers in both sets, in ascending order.
    #[inline]
    pub(crate) fn each_common(&self, other: &Self, mut visit: impl FnMut(usize)) {
        for (at, (top, other_top)) in self.tops.iter().zip(&other.tops).enumerate() {
            let mut words = top & other_top;
            while words != 0 {
                let word = at * WORD + words.trailing_zeros() as usize;
                words &= words - 1;
                let mut bits = self.word(word) & other.word(word);
                while bits != 0 {
                    visit(word * WORD + bits.trailing_zeros() as usize);
                    bits &= bits - 1;
                }
            }
        }
    }

    pub(crate) fn count_common(&self, other: &Self) -> usize {
        self.words.iter().zip(&other.words).map(|(a, b)| (a & b).count_ones() as usize).sum()
    }

    /// The number in both sets with `rank` smaller common numbers.
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

    #[inline]
    fn word(&self, at: usize) -> u64 {
        self.words.get(at).copied().unwrap_or(0)
    }

    #[inline]
    fn top(&self, at: usize) -> u64 {
        self.tops.get(at).copied().unwrap_or(0)
    }
}

/// The first number from `from` on that is in all of the sets.
#[inline]
pub(crate) fn next_in<const K: usize>(sets: [&Bits; K], from: usize) -> Option<usize> {
    let word = from / WORD;
    let bits = word_of(sets, word) & (u64::MAX << (from % WORD));
    let (at, bits) = if bits == 0 { next_word(sets, word + 1, usize::MAX)? } else { (word, bits) };
    Some(at * WORD + bits.trailing_zeros() as usize)
}

/// The first number from `from` on that is in all of the sets; after the end the search continues at the beginning.
#[inline]
pub(crate) fn next_around<const K: usize>(sets: [&Bits; K], from: usize) -> Option<usize> {
    let found = next_in(sets, from);
    if found.is_some() || from == 0 {
        return found;
    }
    // Only numbers before `from` remain; some of them may be in the same word.
    let (at, bits) = next_word(sets, 0, from / WORD + 1)?;
    Some(at * WORD + bits.trailing_zeros() as usize)
}

#[inline]
fn word_of<const K: usize>(sets: [&Bits; K], at: usize) -> u64 {
    sets.iter().fold(u64::MAX, |bits, set| bits & set.word(at))
}

/// The first word from `from` on and before `end` that is not zero in the intersection, and its value.
///
/// The summary bits mark only words that may intersect. In dense sets almost all words are marked and few intersect, so
/// words after the first are intersected in blocks and not one by one.
#[inline]
fn next_word<const K: usize>(sets: [&Bits; K], from: usize, end: usize) -> Option<(usize, u64)> {
    let tops = sets.iter().map(|set| set.tops.len()).min().unwrap_or(0).min(end.div_ceil(WORD));
    let mut mask = u64::MAX << (from % WORD);
    for at in from / WORD..tops {
        let mut left = mask & sets.iter().fold(u64::MAX, |bits, set| bits & set.top(at));
        while left != 0 {
            let word = at * WORD + left.trailing_zeros() as usize;
            if word >= end {
                return None;
            }
            let bits = word_of(sets, word);
            if bits != 0 {
                return Some((word, bits));
            }
            left &= left - 1;
            // The rest of the block, if two or more of its words are marked: intersected in one step.
            let beyond = beyond_block(word);
            let rest = left & !beyond;
            if rest & rest.wrapping_sub(1) != 0 {
                if let Some(found) = in_block(sets, word / BLOCK, word % BLOCK + 1) {
                    return Some(found);
                }
                left &= beyond;
            }
        }
        mask = u64::MAX;
    }
    None
}

/// The summary bits beyond the block of this word.
#[inline]
const fn beyond_block(word: usize) -> u64 {
    let end = (word % WORD / BLOCK + 1) * BLOCK;
    if end < WORD { u64::MAX << end } else { 0 }
}

/// The first word of a block, after `skip` words, that is not zero in the intersection.
#[inline]
fn in_block<const K: usize>(sets: [&Bits; K], block: usize, skip: usize) -> Option<(usize, u64)> {
    let mut meet = [u64::MAX; BLOCK];
    for set in sets {
        let words = set.words.as_chunks::<BLOCK>().0.get(block)?;
        meet.iter_mut().zip(words).for_each(|(bits, word)| *bits &= word);
    }
    if meet.iter().fold(0, |any, bits| any | bits) == 0 {
        return None;
    }
    let (at, bits) = meet.into_iter().enumerate().skip(skip).find(|(_, bits)| *bits != 0)?;
    Some((block * BLOCK + at, bits))
}

/// The numbers in all of the sets, in ascending order.
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
        if self.bits == 0 {
            (self.at, self.bits) = next_word(self.sets, self.at + 1, usize::MAX)?;
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
        /// Dense sets with few common numbers: the search goes by blocks.
        #[test]
        fn crowded_sets_are_searched_whole(
            odd in prop::collection::btree_set(0_usize..5_000, 0..40),
            length in 0_usize..10_000,
            from in 0_usize..10_100,
        ) {
            let evens = bits(&(0..length).map(|half| half & !1).collect());
            let odds = bits(&(0..length).map(|half| half | 1).chain(odd.iter().map(|half| 2 * half)).collect());
            let common: Vec<usize> = odd.iter().map(|half| 2 * half).filter(|both| *both < length).collect();
            prop_assert_eq!(evens.common(&odds).collect::<Vec<_>>(), common.clone());
            let next = common.iter().find(|&&index| index >= from);
            prop_assert_eq!(next_in([&evens, &odds], from), next.copied());
            prop_assert_eq!(next_around([&evens, &odds], from), next.or_else(|| common.first()).copied());
        }

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
            prop_assert_eq!(left.meets(&right), !common.is_empty());
            let mut visited = Vec::new();
            left.each_common(&right, |index| visited.push(index));
            prop_assert_eq!(&visited, &common);
            prop_assert_eq!(next_in([&left, &right], from), common.iter().copied().find(|&index| index >= from));
            let around = common.iter().find(|&&index| index >= from).or_else(|| common.first());
            prop_assert_eq!(next_around([&left, &right], from), around.copied());
            prop_assert_eq!(left.count_common(&right), common.len());
            for (rank, index) in common.iter().enumerate() {
                prop_assert_eq!(left.nth_common(&right, rank), Some(*index));
            }
            prop_assert_eq!(left.nth_common(&right, common.len()), None);
        }
    }
}
