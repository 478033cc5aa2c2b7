//! Sets of small numbers as bits.

/// A set of small numbers that grows as needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
}

const WORD: usize = 64;

impl Bits {
    pub(crate) fn set(&mut self, index: usize) {
        let word = index / WORD;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        if let Some(bits) = self.words.get_mut(word) {
            *bits |= 1 << (index % WORD);
        }
    }

    pub(crate) fn clear(&mut self, index: usize) {
        if let Some(bits) = self.words.get_mut(index / WORD) {
            *bits &= !(1 << (index % WORD));
        }
    }

    pub(crate) fn put(&mut self, index: usize, on: bool) {
        if on { self.set(index) } else { self.clear(index) }
    }

    pub(crate) fn contains(&self, index: usize) -> bool {
        self.words.get(index / WORD).is_some_and(|bits| bits & (1 << (index % WORD)) != 0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(at, &bits)| ones(at, bits))
    }

    /// What is in both sets, in ascending order, without building the intersection.
    pub(crate) fn common<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + Clone + use<'a> {
        self.words.iter().zip(&other.words).enumerate().flat_map(|(at, (&a, &b))| ones(at, a & b))
    }

    /// The first number from `from` on that is in both sets.
    pub(crate) fn next_common(&self, other: &Self, from: usize) -> Option<usize> {
        let first = from / WORD;
        let mask = u64::MAX << (from % WORD);
        self.words.iter().zip(&other.words).enumerate().skip(first).find_map(|(at, (a, b))| {
            let bits = a & b & if at == first { mask } else { u64::MAX };
            (bits != 0).then(|| at * WORD + bits.trailing_zeros() as usize)
        })
    }

    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    pub(crate) fn count_common(&self, other: &Self) -> usize {
        self.words.iter().zip(&other.words).map(|(a, b)| (a & b).count_ones() as usize).sum()
    }
}

/// The positions of the set bits of the word at `at`.
fn ones(at: usize, bits: u64) -> impl Iterator<Item = usize> + Clone {
    let mut left = bits;
    core::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        let bit = left.trailing_zeros() as usize;
        left &= left - 1;
        Some(at * WORD + bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!((a.next_common(&b, 65), a.next_common(&b, 201)), (Some(200), None));
        a.clear(64);
        a.clear(200);
        assert!(!a.meets(&b));
        assert!(a.contains(65) && !a.contains(66));
    }
}
