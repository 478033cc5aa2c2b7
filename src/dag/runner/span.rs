//! Spans of ready nodes, and the cell from which the owner takes single nodes while others steal halves.

use crate::base::structure::threads::atomic::{AtomicU64, Ordering::SeqCst};

/// Consecutive indexes into the graph's array of successors whose nodes are ready, as one word: `from` in the low half,
/// `to` in the high half.
///
/// Ten thousand successors of one node that become ready together are one span, so queueing them costs the same as
/// queueing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: u32,
    pub(super) to: u32,
}

impl Span {
    pub(super) const EMPTY: Self = Self { from: 0, to: 0 };

    pub(super) fn is_empty(self) -> bool {
        self.from >= self.to
    }

    #[inline]
    fn pack(self) -> u64 {
        u64::from(self.from) | u64::from(self.to) << 32
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "each half is 32 bits")]
    fn unpack(word: u64) -> Self {
        Self { from: word as u32, to: (word >> 32) as u32 }
    }
}

/// The span that a worker is processing.
///
/// Only the owner advances `from`, by an addition; others only shorten `to`, by a compare-exchange of the whole word,
/// which fails if the owner has advanced meanwhile. All operations are sequentially consistent; see `Idle::any`.
#[derive(Debug)]
pub(super) struct Cell(AtomicU64);

impl Cell {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Replaces the span; returns the rest of the old one. Called by the owner.
    pub(super) fn replace(&self, span: Span) -> Span {
        Span::unpack(self.0.swap(span.pack(), SeqCst))
    }

    /// Takes the first index. Called by the owner.
    #[inline]
    pub(super) fn take(&self) -> Option<u32> {
        if Span::unpack(self.0.load(SeqCst)).is_empty() {
            return None;
        }
        // Others may have emptied the cell since. Then `from` ends one beyond `to`, which counts as empty, and the
        // check above keeps it from advancing further.
        let span = Span::unpack(self.0.fetch_add(1, SeqCst));
        (!span.is_empty()).then_some(span.from)
    }

    /// Takes the second half, at least one index. Called by others.
    pub(super) fn split(&self) -> Option<Span> {
        let mut word = self.0.load(SeqCst);
        loop {
            let span = Span::unpack(word);
            if span.is_empty() {
                return None;
            }
            let middle = span.from + (span.to - span.from) / 2;
            match self.0.compare_exchange_weak(word, Span { to: middle, ..span }.pack(), SeqCst, SeqCst) {
                Ok(_) => {
                    return Some(Span { from: middle, to: span.to });
                }
                Err(now) => word = now,
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        Span::unpack(self.0.load(SeqCst)).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_and_thief_share_without_a_double() {
        let cell = Cell::new();
        assert!(cell.is_empty() && cell.take().is_none() && cell.split().is_none());
        assert_eq!(cell.replace(Span { from: 3, to: 8 }), Span::EMPTY);
        assert_eq!(cell.take(), Some(3));
        assert_eq!(cell.split(), Some(Span { from: 6, to: 8 }));
        assert_eq!(cell.split(), Some(Span { from: 5, to: 6 }));
        assert_eq!(cell.take(), Some(4));
        assert_eq!(cell.take(), None);
        assert!(cell.is_empty());
    }

    #[test]
    fn a_word_holds_the_widest_span() {
        let widest = Span { from: u32::MAX - 2, to: u32::MAX - 1 };
        assert_eq!(Span::unpack(widest.pack()), widest);
    }
}
