//! Sequence numbers and times of entries: numbers have no gap, times do not decrease.

use crate::base::error::RestoreError;
use crate::base::id::Seq;
use crate::base::meter::Meter;
use crate::base::time::Time;
use crate::message::effect::Outbox;
use crate::message::event::{Entry, Event};

/// The end of the journal: number and time of the last entry.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Log {
    last: Seq,
    /// The time of the last entry.
    at: Time,
    /// The latest time of any call. Not part of the state: no event records that time has passed.
    horizon: Time,
}

impl Log {
    pub(crate) const fn last(&self) -> Seq {
        self.last
    }

    /// Advances the time to `now`, and returns the result: an earlier time than the last one counts as the last one.
    pub(crate) fn clamp(&mut self, now: Time) -> Time {
        self.horizon = self.horizon.max(now);
        self.horizon
    }

    /// Advances to an entry that is replayed.
    pub(crate) fn follow(&mut self, entry: &Entry) -> Result<(), RestoreError> {
        if entry.seq != self.last.next() {
            return Err(RestoreError::Gap { expected: self.last.next(), found: entry.seq });
        }
        if entry.at < self.horizon {
            return Err(RestoreError::TimeWentBack { seq: entry.seq });
        }
        self.last = entry.seq;
        self.at = entry.at;
        self.horizon = entry.at;
        Ok(())
    }

    pub(crate) const fn continue_after(last: Seq, at: Time) -> Self {
        Self { last, at, horizon: at }
    }

    /// The time of the current call: the latest of any call or entry.
    pub(crate) const fn now(&self) -> Time {
        self.horizon
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
}

impl<'a> Tx<'a> {
    /// The context of a call that leaves work to the next one after `most` units.
    pub(crate) const fn new(now: Time, most: u32, log: &'a mut Log, out: &'a mut Outbox) -> Self {
        Self { now, meter: Meter::new(most), log, out }
    }

    /// The entry for the next event.
    pub(crate) fn entry(&self, event: Event) -> Entry {
        Entry { seq: self.log.last.next(), at: self.now, event }
    }

    /// Records an entry that has been applied.
    pub(crate) fn record(&mut self, entry: Entry) {
        self.log.last = entry.seq;
        self.log.at = entry.at;
        self.out.record(entry);
    }

    /// The number of the next entry. It selects the random stream for draws of which that entry records the result.
    pub(crate) const fn next_seq(&self) -> Seq {
        self.log.last.next()
    }
}
