//! Numbering: every fact gets the next number and a time that never goes back.

use crate::base::error::RestoreError;
use crate::base::id::Seq;
use crate::base::time::Time;
use crate::message::effect::Outbox;
use crate::message::event::{Entry, Event};

/// The end of the journal as the core knows it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Log {
    last: Seq,
    /// When that was.
    at: Time,
    /// The latest time that any call has brought. No part of the state: time passes without being written down.
    horizon: Time,
}

impl Log {
    pub(crate) const fn last(&self) -> Seq {
        self.last
    }

    /// Time never goes back.
    pub(crate) fn clamp(&mut self, now: Time) -> Time {
        self.horizon = self.horizon.max(now);
        self.horizon
    }

    /// Takes note of an entry that is replayed.
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

    /// The latest time that is known.
    pub(crate) const fn now(&self) -> Time {
        self.horizon
    }

    /// When the last fact became one.
    pub(crate) const fn at(&self) -> Time {
        self.at
    }
}

/// One call: the moment, the journal's end, and where facts and effects go.
pub(crate) struct Tx<'a> {
    pub(crate) now: Time,
    log: &'a mut Log,
    pub(crate) out: &'a mut Outbox,
}

impl<'a> Tx<'a> {
    pub(crate) const fn new(now: Time, log: &'a mut Log, out: &'a mut Outbox) -> Self {
        Self { now, log, out }
    }

    /// The entry that the next fact will be.
    pub(crate) fn entry(&self, event: Event) -> Entry {
        Entry { seq: self.log.last.next(), at: self.now, event }
    }

    /// Records a fact that has been applied.
    pub(crate) fn record(&mut self, entry: Entry) {
        self.log.last = entry.seq;
        self.log.at = entry.at;
        self.out.record(entry);
    }

    /// By which draws are told apart: the number of the fact that will hold the result.
    pub(crate) const fn next_seq(&self) -> Seq {
        self.log.last.next()
    }
}
