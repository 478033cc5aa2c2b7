//! A sliding window of counts, in ten steps.

use crate::base::time::{Time, nanos_of};
use core::time::Duration;
use serde::{Deserialize, Serialize};

pub(super) const STEPS: u64 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) calls: u32,
    pub(super) failures: u32,
    pub(super) slow: u32,
}

impl Tally {
    pub(super) fn one(failed: bool, slow: bool) -> Self {
        Self { calls: 1, failures: u32::from(failed), slow: u32::from(slow) }
    }

    /// Whether it contains no failure and no slow call.
    pub(super) const fn is_good(self) -> bool {
        self.failures == 0 && self.slow == 0
    }

    fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failures = self.failures.saturating_add(other.failures);
        self.slow = self.slow.saturating_add(other.slow);
    }

    fn take(&mut self, other: Self) {
        self.calls = self.calls.saturating_sub(other.calls);
        self.failures = self.failures.saturating_sub(other.failures);
        self.slow = self.slow.saturating_sub(other.slow);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Window {
    steps: [Tally; 10],
    total: Tally,
    at: u8,
    /// The end of the current step.
    edge: Time,
}

impl Window {
    /// Adds a call and returns the counts of the window.
    #[inline]
    pub(super) fn add(&mut self, one: Tally, now: Time, span: Duration) -> Tally {
        if now >= self.edge {
            self.roll(now, (nanos_of(span) / STEPS).max(1));
        }
        if let Some(step) = self.steps.get_mut(usize::from(self.at)) {
            step.add(one);
            self.total.add(one);
        }
        self.total
    }

    #[cold]
    fn roll(&mut self, now: Time, width: u64) {
        let passed = nanos_of(now - self.edge) / width + 1;
        if passed >= STEPS {
            *self = Self { edge: self.edge, ..Self::default() };
        } else {
            for _ in 0..passed {
                self.at = if u64::from(self.at) + 1 < STEPS { self.at + 1 } else { 0 };
                if let Some(step) = self.steps.get_mut(usize::from(self.at)) {
                    self.total.take(core::mem::take(step));
                }
            }
        }
        self.edge = self.edge + Duration::from_nanos(passed.saturating_mul(width));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_falls_out() {
        let mut window = Window::default();
        let span = Duration::from_secs(10);
        for second in 0..100 {
            let total = window.add(Tally::one(second % 2 == 0, false), Time::from_secs(second), span);
            assert_eq!(total.calls, u32::try_from(second + 1).unwrap().min(10));
        }
        assert_eq!(window.add(Tally::one(true, true), Time::from_secs(1_000), span), Tally::one(true, true));
        assert_eq!(window.add(Tally::one(true, true), Time::MAX, span).calls, 1);
        // At the end of the range of time every call is a step of its own.
        assert!((0..100).all(|_| window.add(Tally::one(true, true), Time::MAX, span).calls <= 10));
    }
}
