//! Sequence numbers and times of entries: numbers have no gap, times do not decrease.

use crate::base::clock::{ClockChange, ClockLimits, EngineTime};
use crate::base::error::RestoreError;
use crate::base::id::Seq;
use crate::base::meter::Meter;
use crate::base::time::Time;
use crate::message::effect::{Effect, Outbox};
use crate::message::event::{Entry, Event};

/// The end of the journal: number and time of the last entry.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Log {
    last: Seq,
    /// The time of the last entry.
    at: Time,
    /// The time of the current call.
    time: EngineTime,
}

impl Log {
    pub(crate) const fn last(&self) -> Seq {
        self.last
    }

    /// Takes the reading of the host's clock with which a call begins. `is_open` states whether the clock has jumped and
    /// the jump has not ended.
    pub(crate) fn read(&mut self, reading: Time, limits: &ClockLimits, is_open: bool) -> Option<ClockChange> {
        self.time.read(reading, limits, is_open)
    }

    /// Advances to an entry that is replayed.
    pub(crate) fn follow(&mut self, entry: &Entry) -> Result<(), RestoreError> {
        if entry.seq != self.last.next() {
            return Err(RestoreError::Gap { expected: self.last.next(), found: entry.seq });
        }
        if entry.at < self.time.now() {
            return Err(RestoreError::TimeWentBack { seq: entry.seq });
        }
        self.last = entry.seq;
        self.at = entry.at;
        self.time = EngineTime::restored(entry.at);
        Ok(())
    }

    pub(crate) const fn continue_after(last: Seq, at: Time) -> Self {
        Self { last, at, time: EngineTime::restored(at) }
    }

    /// The time of the current call: the latest of any call or entry.
    pub(crate) const fn now(&self) -> Time {
        self.time.now()
    }

    /// The reading of the host's clock at which the next call is due, with a timer that is due at this time.
    pub(crate) fn wakeup(&self, timer: Option<Time>, limits: &ClockLimits) -> Option<Time> {
        self.time.wakeup(timer, limits)
    }

    /// The time of the last entry.
    pub(crate) const fn at(&self) -> Time {
        self.at
    }
}

/// The context of one call: its time, its work so far, the end of the journal, and the outbox for entries and effects.
pub(crate) struct Tx<'a> {
    pub(crate) now: Time,
    pub(crate) meter: Meter,
    log: &'a mut Log,
    pub(crate) out: &'a mut Outbox,
    /// The change of the clock with which the call begins, until its event is recorded.
    clock: Option<ClockChange>,
}

impl<'a> Tx<'a> {
    /// The context of a call that leaves work to the next one after `most` units.
    pub(crate) const fn new(most: u32, log: &'a mut Log, out: &'a mut Outbox, clock: Option<ClockChange>) -> Self {
        Self { now: log.now(), meter: Meter::new(most), log, out, clock }
    }

    /// The change of the clock with which the call begins, once.
    pub(crate) const fn take_clock_change(&mut self) -> Option<ClockChange> {
        self.clock.take()
    }

    /// Advances the time of the call to the readings after a jump of the clock, if there is one to about this time.
    pub(crate) fn confirm_clock(&mut self, time: Time, limits: &ClockLimits) -> Option<ClockChange> {
        let change = self.log.time.confirm_about(time, limits);
        self.now = self.log.now();
        change
    }

    /// The entry for the next event.
    pub(crate) fn entry(&self, event: Event) -> Entry {
        Entry { seq: self.log.last.next(), at: self.now, event }
    }

    /// Records an event that is about to be applied. Returns its entry, and the effects to which those of the event are
    /// added.
    #[inline]
    pub(crate) fn push(&mut self, event: Event) -> (&Entry, &mut Vec<Effect>) {
        let entry = self.entry(event);
        self.log.last = entry.seq;
        self.log.at = entry.at;
        self.out.push(entry)
    }

    /// The number of the next entry. It selects the random stream for draws of which that entry records the result.
    pub(crate) const fn next_seq(&self) -> Seq {
        self.log.last.next()
    }
}
