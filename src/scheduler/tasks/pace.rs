//! The rate at which tasks end.

use crate::base::time::{Time, moving_average};
use core::time::Duration;

/// The average time between two ends of tasks. A rejected submit returns it as the time after which to retry.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    last: Option<Time>,
    gap: Duration,
}

impl Pace {
    /// Updates a moving average over about eight ends, in whole nanoseconds.
    pub(super) fn note(&mut self, at: Time) {
        if let Some(last) = self.last {
            self.gap = moving_average(self.gap, at.since(last));
        }
        self.last = Some(at);
    }

    pub(super) fn gap(&self) -> Option<Duration> {
        (!self.gap.is_zero()).then_some(self.gap)
    }
}
