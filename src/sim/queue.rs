//! The scheduled steps in order of time; those of one instant in the order of their insertion.

use crate::base::time::Time;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Queue<T> {
    line: BTreeMap<(Time, u64), T>,
    serial: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { line: BTreeMap::new(), serial: 0 }
    }
}

impl<T> Queue<T> {
    pub(super) fn push(&mut self, at: Time, what: T) {
        self.serial = self.serial.wrapping_add(1);
        self.line.insert((at, self.serial), what);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<(Time, T)> {
        self.line.pop_first().map(|((at, _), what)| (at, what))
    }
}
