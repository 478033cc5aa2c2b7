//! The clock of a host.

#![expect(clippy::disallowed_types, reason = "hosts read the clock")]

use crate::base::time::Time;
use core::time::Duration;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970: the wall clock when the host started, advanced by a monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
    epoch: Time,
}

impl Clock {
    /// A clock that starts at the wall-clock time or at `earliest`, the time of the journal's last entry, whichever is
    /// later.
    pub(super) fn starting(earliest: Time) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { start: Instant::now(), epoch: (Time::ZERO + since).max(earliest) }
    }

    pub(super) fn now(&self) -> Time {
        self.epoch + self.start.elapsed()
    }
}
