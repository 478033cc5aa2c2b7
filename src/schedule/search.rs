//! A search with a bound on its work.

use core::cell::Cell;

/// The steps that a search may still take: months, stretches of excluded time, changes of the offset of a zone.
#[derive(Debug)]
pub(crate) struct Steps {
    left: Cell<u32>,
    most: u32,
}

impl Steps {
    pub(crate) const fn new(most: u32) -> Self {
        Self { left: Cell::new(most), most }
    }

    /// Takes a step. False if none is left.
    pub(super) fn take(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }

    pub(super) const fn left(&self) -> u32 {
        self.left.get()
    }

    /// Takes this many steps, or those that are left.
    pub(super) fn charge(&self, steps: usize) {
        self.left.set(self.left.get().saturating_sub(u32::try_from(steps).unwrap_or(u32::MAX)));
    }

    pub(crate) const fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    pub(crate) fn taken(&self) -> usize {
        (self.most - self.left.get()) as usize
    }
}

/// The result of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found<T> {
    /// The first time.
    At(T),
    /// There is no such time.
    Nothing,
    /// No step is left, and there is none before this time.
    Cut(T),
}

impl<T> Found<T> {
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Found<U> {
        match self {
            Self::At(at) => Found::At(f(at)),
            Self::Cut(at) => Found::Cut(f(at)),
            Self::Nothing => Found::Nothing,
        }
    }
}

impl<T: Ord + Copy> Found<T> {
    /// The earlier of two results. What is found after the point at which another search was cut may not be the first.
    pub(super) fn or_earlier(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, found) | (found, Self::Nothing) => found,
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
            (Self::Cut(a), Self::Cut(b)) => Self::Cut(a.min(b)),
            (Self::At(at), Self::Cut(cut)) | (Self::Cut(cut), Self::At(at)) if at < cut => Self::At(at),
            (Self::At(_), Self::Cut(cut)) | (Self::Cut(cut), Self::At(_)) => Self::Cut(cut),
        }
    }
}
