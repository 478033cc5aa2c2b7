//! The time of an engine, computed from the readings of its host's clock.

use crate::base::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The readings of its host's clock that an engine follows.
///
/// A reading that is at most [`max_step`](Self::max_step) from the engine's time is followed; an earlier one counts as
/// the engine's time. A reading further away, in either direction, is a **jump of the clock**. It becomes the time of no
/// event. The engine records [`ClockJumped`](crate::message::ControlEvent::ClockJumped) and advances its own time by
/// the differences between the readings from then on, so time limits and leases last as long as they should. The jump
/// ends in one of three ways:
///
/// - A reading is again within `max_step` of the engine's time: the clock was corrected.
/// - An operator confirms the new time ([`ControlCommand::ConfirmClock`](crate::ControlCommand::ConfirmClock)).
/// - Three or more readings agree with the first one for [`confirmed_after`](Self::confirmed_after).
///
/// The engine never goes back in time, so only a jump ahead can be confirmed. The end of a jump is like a restart: all
/// leases are renewed, and all other timers up to the new time fire.
///
/// The first reading of a new engine, and the first one after a restore, is followed however late it is: a host that was
/// down for days needs no operator. The exception is a restore while a jump is unconfirmed: the jump continues.
///
/// A program that advances an engine by more than `max_step` on purpose (a simulation, a test) calls it at each
/// [`next_wakeup`](crate::Engine::next_wakeup) on the way, which is never more than half of `max_step` ahead, or sets
/// `max_step` to `None`.
///
/// ```
/// use counterpoint::message::ControlEvent;
/// use counterpoint::{Command, Config, Engine, Event, Outbox, Time};
///
/// let mut engine = Engine::new(Config::default());
/// let mut outbox = Outbox::default();
/// let today = Time::from_secs(1_800_000_000);
/// engine.handle(today, Command::Tick, &mut outbox)?;
///
/// let in_ten_years = Time::from_secs(2_115_000_000);
/// engine.handle(in_ten_years, Command::Tick, &mut outbox)?;
/// let [jumped] = outbox.entries() else { unreachable!() };
/// assert_eq!(jumped.event, Event::Control(ControlEvent::ClockJumped { from: today, to: in_ten_years }));
/// assert_eq!(jumped.at, today);
/// # Ok::<(), counterpoint::Rejected>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ClockLimits {
    /// The largest difference between the engine's time and a reading that it follows; at least a second. `None`:
    /// every reading is followed.
    #[serde(with = "crate::base::time::span::option")]
    pub max_step: Option<Duration>,
    /// For how long readings must agree with a jump ahead to confirm it. `None`: only an operator confirms one.
    #[serde(with = "crate::base::time::span::option")]
    pub confirmed_after: Option<Duration>,
}

impl Default for ClockLimits {
    /// A day, and ten minutes.
    fn default() -> Self {
        let (day, minutes) = (Duration::from_secs(86_400), Duration::from_secs(600));
        Self { max_step: Some(day), confirmed_after: Some(minutes) }
    }
}

/// The least step that counts as a jump, in nanoseconds.
const LEAST_STEP: u64 = 1_000_000_000;

/// The number of readings that confirm a jump.
const WITNESSES: u32 = 3;

impl ClockLimits {
    fn step(&self) -> Option<Duration> {
        self.max_step.map(|step| step.max(Duration::from_nanos(LEAST_STEP)))
    }
}

/// A change of the relation between the engine's time and its host's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockChange {
    /// A reading is too far from the engine's time.
    Jumped { from: Time, to: Time },
    /// The readings are again close to the engine's time.
    Returned,
    /// The engine's time has advanced to the readings after a jump.
    Confirmed { from: Time, to: Time },
}

/// The time of an engine. Not part of its state: no event records that time has passed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EngineTime {
    now: Time,
    /// The last reading.
    reading: Time,
    /// Whether there was a reading since the engine was created or restored.
    has_readings: bool,
    jump: Option<Jump>,
}

/// A clock that has jumped.
#[derive(Debug, Clone, Copy)]
struct Jump {
    /// The engine's time at the first reading after the jump.
    from: Time,
    /// That reading.
    to: Time,
    /// The latest reading.
    latest: Time,
    readings: u32,
}

impl EngineTime {
    /// The time of the last entry, before any reading.
    pub(crate) const fn restored(at: Time) -> Self {
        Self { now: at, reading: at, has_readings: false, jump: None }
    }

    pub(crate) const fn now(&self) -> Time {
        self.now
    }

    /// Takes a reading. `is_open` states whether the events of the engine have a jump that has not ended.
    pub(crate) fn read(&mut self, reading: Time, limits: &ClockLimits, is_open: bool) -> Option<ClockChange> {
        let ahead = reading.as_nanos().checked_sub(self.now.as_nanos());
        if self.jump.is_none() && !is_open && ahead.is_some_and(|ahead| ahead <= LEAST_STEP) {
            (self.now, self.reading, self.has_readings) = (reading, reading, true);
            return None;
        }
        self.read_other(reading, limits, is_open)
    }

    /// Takes a reading that is not within the least step after the last one.
    fn read_other(&mut self, reading: Time, limits: &ClockLimits, is_open: bool) -> Option<ClockChange> {
        let is_first = !core::mem::replace(&mut self.has_readings, true);
        self.reading = reading;
        let step = limits.step().filter(|_| is_open || !is_first);
        if step.is_none_or(|step| distance(self.now, reading) <= step) {
            self.now = self.now.max(reading);
            self.jump = None;
            return is_open.then_some(ClockChange::Returned);
        }
        match &mut self.jump {
            Some(jump) if step.is_some_and(|step| distance(jump.latest, reading) <= step) => {
                self.now = self.now + reading.since(jump.latest);
                jump.latest = jump.latest.max(reading);
                jump.readings = jump.readings.saturating_add(1);
                let to = jump.latest;
                if jump.is_confirmed(limits) { self.confirm(to) } else { None }
            }
            Some(_) | None => {
                let from = self.now;
                self.jump = Some(Jump { from, to: reading, latest: reading, readings: 1 });
                Some(ClockChange::Jumped { from, to: reading })
            }
        }
    }

    /// Advances to the readings after a jump, if there is one to about this time and it is not back in time.
    pub(crate) fn confirm_about(&mut self, time: Time, limits: &ClockLimits) -> Option<ClockChange> {
        let Jump { latest, .. } = self.jump?;
        let agrees = limits.step().is_none_or(|step| distance(latest, time) <= step);
        if agrees && latest > self.now { self.confirm(latest) } else { None }
    }

    fn confirm(&mut self, to: Time) -> Option<ClockChange> {
        let from = core::mem::replace(&mut self.now, to);
        self.jump = None;
        Some(ClockChange::Confirmed { from, to })
    }

    /// The reading at which the host must call again, with a timer of the engine that is due at this time. A timer that is
    /// due already has the last reading, which a clock that went back cannot be behind.
    pub(crate) fn wakeup(&self, timer: Option<Time>, limits: &ClockLimits) -> Option<Time> {
        let rest = limits.step().map_or(Time::MAX, |step| self.now + step / 2);
        let timer = timer.and_then(|at| match &self.jump {
            _ if at <= self.now => Some(self.reading),
            Some(jump) => jump.reading_at(at.min(rest)),
            None => Some(at.min(rest)),
        });
        let witness = self.jump.as_ref().and_then(|jump| jump.next_witness(limits));
        timer.into_iter().chain(witness).min()
    }
}

impl Jump {
    fn is_confirmed(&self, limits: &ClockLimits) -> bool {
        let lasts = limits.confirmed_after.is_some_and(|span| self.latest.since(self.to) >= span);
        lasts && self.readings >= WITNESSES && self.to > self.from
    }

    /// The reading at a time of the engine; none if no reading is that late.
    fn reading_at(&self, at: Time) -> Option<Time> {
        let reading = match self.to > self.from {
            true => at + self.to.since(self.from),
            false => Time::ZERO + at.since(Time::ZERO + self.from.since(self.to)),
        };
        (reading < Time::MAX).then_some(reading)
    }

    /// The next reading that can confirm the jump.
    fn next_witness(&self, limits: &ClockLimits) -> Option<Time> {
        let span = limits.confirmed_after.filter(|_| self.to > self.from)?;
        let until = self.to + if self.readings + 1 < WITNESSES { span / 2 } else { span };
        (until < Time::MAX).then(|| until.max(self.latest))
    }
}

fn distance(one: Time, other: Time) -> Duration {
    one.since(other).max(other.since(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn secs(seconds: u64) -> Time {
        Time::from_secs(seconds)
    }

    fn started(at: u64) -> EngineTime {
        let mut time = EngineTime::default();
        assert_eq!(time.read(secs(at), &ClockLimits::default(), false), None);
        assert_eq!(time.now(), secs(at));
        time
    }

    #[test]
    fn a_reading_at_the_bound_is_followed() {
        let (limits, mut time) = (ClockLimits::default(), started(5));
        assert_eq!(time.read(secs(5 + DAY), &limits, false), None);
        assert_eq!(time.now(), secs(5 + DAY));
        let beyond = secs(5 + 2 * DAY) + Duration::from_nanos(1);
        assert_eq!(time.read(beyond, &limits, false), Some(ClockChange::Jumped { from: secs(5 + DAY), to: beyond }));
        assert_eq!(time.now(), secs(5 + DAY));
    }

    #[test]
    fn wakeups_are_readings() {
        let (limits, mut time) = (ClockLimits { confirmed_after: None, ..ClockLimits::default() }, started(100));
        assert_eq!(time.wakeup(None, &limits), None);
        assert_eq!(time.wakeup(Some(secs(130)), &limits), Some(secs(130)));
        assert_eq!(time.wakeup(Some(secs(9 * DAY)), &limits), Some(secs(100 + DAY / 2)));
        time.read(secs(100 * DAY), &limits, false);
        assert_eq!(time.wakeup(Some(secs(130)), &limits), Some(secs(100 * DAY + 30)));
        let ahead = secs(200 * DAY);
        assert_eq!(started(200 * DAY).now(), ahead);
        let mut back = started(200 * DAY);
        back.read(secs(50), &limits, false);
        assert_eq!(back.wakeup(Some(ahead + Duration::from_secs(30)), &limits), Some(secs(80)));
        assert_eq!(back.wakeup(Some(Time::ZERO), &limits), Some(secs(50)));
    }

    #[test]
    fn a_clock_that_stands_at_the_end_of_time_has_no_wakeup() {
        let (limits, mut time) = (ClockLimits::default(), started(100));
        time.read(Time::MAX, &limits, false);
        assert_eq!(time.wakeup(Some(secs(130)), &limits), None);
        assert_eq!(time.read(Time::MAX, &limits, true), None);
        assert_eq!(time.now(), secs(100));
    }

    #[test]
    fn a_caller_of_each_wakeup_confirms_a_jump() {
        let (limits, mut time) = (ClockLimits::default(), started(0));
        let mut reading = secs(1_000 * DAY);
        assert!(time.read(reading, &limits, false).is_some());
        let mut calls = 0;
        while let Some(next) = time.wakeup(None, &limits) {
            reading = next;
            time.read(reading, &limits, true);
            calls += 1;
        }
        assert_eq!((calls, time.now()), (2, secs(1_000 * DAY + 600)));
    }
}
