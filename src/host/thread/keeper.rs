//! The journal of an owner: takes it over, and appends to it, with patience.

use crate::base::id::Seq;
use crate::base::structure::contain;
use crate::host::durable::{Handover, Patience};
#[cfg(feature = "durable")]
use crate::host::durable::{may_pass, missing};
use crate::journal::{AppendError, Epoch, Journal, JournalError, Takeover};
use crate::message::event::Entry;
use core::time::Duration;

/// A journal, with the epoch of its writer.
#[cfg_attr(not(feature = "durable"), allow(dead_code, reason = "durable hosts have patience"))]
pub(super) struct Keeper {
    journal: Box<dyn Journal>,
    epoch: Epoch,
    patience: Patience,
    handover: Handover,
}

impl Keeper {
    /// Takes the journal over. Waits while another host holds it.
    pub(super) fn open(mut journal: Box<dyn Journal>, patience: Patience) -> Result<(Self, Takeover), JournalError> {
        let mut waits = patience;
        loop {
            match journal.take_over() {
                Ok(taken) => {
                    let (epoch, handover) = (taken.epoch, Handover::default());
                    return Ok((Self { journal, epoch, patience, handover }, taken));
                }
                Err(error) if error.broken().is_some() => return Err(error),
                Err(error) => sleep(waits.pause().ok_or(error)?),
            }
        }
    }

    #[cfg(feature = "cluster")]
    pub(super) const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Announces from now on when it takes the journal over again.
    pub(super) fn announce_to(&mut self, handover: Handover) {
        self.handover = handover;
    }

    pub(super) fn journal(&mut self) -> &mut dyn Journal {
        &mut *self.journal
    }

    #[cfg(not(feature = "durable"))]
    pub(super) fn append(&mut self, durable: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        self.append_once(durable, entries)
    }

    /// Appends entries. After a failure, takes the journal over again and appends what is missing, until the patience is over.
    #[cfg(feature = "durable")]
    pub(super) fn append(&mut self, durable: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        let mut result = self.append_once(durable, entries);
        let mut waits = self.patience;
        while let Err(error) = &result {
            let Some(pause) = waits.pause().filter(|_| may_pass(error)) else { return result };
            sleep(pause);
            self.handover.announce();
            let taken = match contain(|| self.journal.reclaim(self.epoch)).unwrap_or(Err(AppendError::Unknown)) {
                Ok(Some(taken)) => taken,
                Ok(None) => return result,
                Err(AppendError::Fenced) => return Err(AppendError::Fenced),
                Err(_) => continue,
            };
            self.epoch = taken.epoch;
            self.handover.complete(taken.epoch, self.journal.archive());
            let (after, rest) = missing(entries, durable, &taken)?;
            result = if rest.is_empty() { Ok(()) } else { self.append_once(after, rest) };
        }
        result
    }

    fn append_once(&mut self, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        // After a panic of the journal it is unknown whether it has stored the entries.
        let appended = contain(|| self.journal.append(self.epoch, after, entries));
        appended.unwrap_or(Err(AppendError::Unknown))
    }

    pub(super) fn keep_snapshot(&mut self, at: Seq, snapshot: &[u8]) -> Result<(), AppendError> {
        let kept = contain(|| self.journal.keep_snapshot(self.epoch, at, snapshot));
        kept.unwrap_or(Err(AppendError::Unknown))
    }
}

#[expect(clippy::disallowed_methods, reason = "a durable host waits for its journal")]
fn sleep(pause: Duration) {
    std::thread::sleep(pause);
}
