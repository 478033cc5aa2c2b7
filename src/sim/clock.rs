//! The clock of the simulated host, and a model of the time that an engine must compute from its readings. The model shares
//! no code with the engine.

use crate::base::time::Time;
use crate::message::event::{ControlEvent, Entry, Event};
use crate::scheduler::ClockLimits;
use core::time::Duration;

/// A clock that deviates from the true time.
#[derive(Debug, Default)]
pub(super) struct HostClock {
    /// How far it is ahead, in nanoseconds.
    ahead: i64,
    /// How much further it is ahead until this true time.
    astray: Option<(Duration, Time)>,
}

impl HostClock {
    /// Its reading at this true time.
    pub(super) fn reading(&self, now: Time) -> Time {
        let reading = Time::from_nanos(now.as_nanos().saturating_add_signed(self.ahead));
        self.astray.filter(|(_, until)| now < *until).map_or(reading, |(further, _)| reading + further)
    }

    /// Moves the clock ahead or back at this true time. A clock that is moved back beyond its start begins again at zero,
    /// and advances from there: with a clock that stands still, a host would call its engine once a nanosecond.
    pub(super) fn turn(&mut self, now: Time, by: i64) {
        let least = i64::try_from(now.as_nanos()).map_or(i64::MIN, i64::wrapping_neg);
        self.ahead = self.ahead.saturating_add(by).max(least);
    }

    /// Makes the clock wrong by this duration until a true time.
    pub(super) const fn stray(&mut self, by: Duration, until: Time) {
        self.astray = Some((by, until));
    }

    /// Ends the faults of the clock: it continues from this time, or from the true one if that is later.
    pub(super) fn steady(&mut self, now: Time, from: Time) {
        self.astray = None;
        self.ahead = i64::try_from(from.since(now).as_nanos()).unwrap_or(i64::MAX);
    }
}

/// The time of the engine, in nanoseconds.
#[derive(Debug, Clone)]
pub(super) struct TimeModel {
    limits: ClockLimits,
    now: i128,
    clock: Followed,
}

#[derive(Debug, Clone)]
enum Followed {
    /// Whatever the next reading is.
    Anything,
    Readings,
    /// The readings have jumped.
    Not {
        first: i128,
        last: i128,
        count: u32,
    },
}

impl TimeModel {
    /// The time after a restart from these entries.
    pub(super) fn restarted(limits: ClockLimits, journal: &[Entry]) -> Self {
        let is_clock = |entry: &&Entry| {
            matches!(
                entry.event,
                Event::Control(
                    ControlEvent::ClockJumped { .. }
                        | ControlEvent::ClockConfirmed { .. }
                        | ControlEvent::ClockReturned
                )
            )
        };
        let open = journal.iter().rev().find(is_clock);
        let open = open.is_some_and(|entry| matches!(entry.event, Event::Control(ControlEvent::ClockJumped { .. })));
        let now = journal.last().map_or(0, |entry| entry.at.as_nanos().into());
        Self { limits, now, clock: if open { Followed::Readings } else { Followed::Anything } }
    }

    pub(super) fn now(&self) -> Time {
        Time::from_nanos(u64::try_from(self.now).unwrap_or(u64::MAX))
    }

    /// Whether a wakeup is due at this reading.
    pub(super) fn is_due(&self, wakeup: Time, reading: Time) -> bool {
        match self.clock {
            Followed::Not { .. } => wakeup <= reading,
            Followed::Anything | Followed::Readings => wakeup <= reading.max(self.now()),
        }
    }

    /// The time of a call with this reading.
    pub(super) fn read(&mut self, reading: Time) -> Time {
        let reading = i128::from(reading.as_nanos());
        let most = self.limits.max_step.map_or(i128::MAX, nanos);
        let near = |to: i128| (reading - to).abs() <= most;
        self.clock = match self.clock {
            Followed::Anything => {
                self.now = self.now.max(reading);
                Followed::Readings
            }
            _ if near(self.now) => {
                self.now = self.now.max(reading);
                Followed::Readings
            }
            Followed::Not { first, last, count } if near(last) => {
                self.now += (reading - last).max(0);
                let last = last.max(reading);
                let lasts = self.limits.confirmed_after.is_some_and(|span| last - first >= nanos(span));
                if lasts && count >= 2 && last > self.now {
                    self.now = last;
                    Followed::Readings
                } else {
                    Followed::Not { first, last, count: count.saturating_add(1) }
                }
            }
            Followed::Readings | Followed::Not { .. } => Followed::Not { first: reading, last: reading, count: 1 },
        };
        self.now()
    }
}

fn nanos(span: Duration) -> i128 {
    i128::try_from(span.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Time {
        Time::ZERO + Duration::from_secs(secs)
    }

    #[test]
    fn a_clock_that_is_moved_back_beyond_its_start_begins_again_at_zero_and_advances() {
        let mut clock = HostClock::default();
        clock.turn(secs(5), -10_000_000_000);
        assert_eq!(clock.reading(secs(5)), Time::ZERO);
        assert_eq!(clock.reading(secs(7)), secs(2));
        clock.stray(Duration::from_secs(100), secs(20));
        assert_eq!(clock.reading(secs(8)), secs(103));
        assert_eq!(clock.reading(secs(9)), secs(104));
        clock.turn(secs(9), i64::MIN);
        assert_eq!(clock.reading(secs(30)), secs(21));
    }
}
