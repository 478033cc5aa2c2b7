//! The journal of the simulated host. It outlives the host, and injects faults on request.

use crate::base::id::Seq;
use crate::journal::{AppendError, Epoch, Journal, JournalError, Takeover};
use crate::message::event::Entry;

/// The result of the next append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fate {
    /// The entries are stored.
    #[default]
    Kept,
    /// This number of entries is stored, then the writer crashes.
    Torn(usize),
    /// The append is rejected, and nothing is stored.
    Refused,
    /// The result is unknown; nothing is stored.
    Lost,
    /// The result is unknown; everything is stored.
    KeptUnsaid,
}

#[derive(Debug, Default)]
pub(super) struct Disk {
    epoch: Epoch,
    /// All entries ever stored: a real journal may drop those that a snapshot covers.
    history: Vec<Entry>,
    snapshot: Option<(Seq, Vec<u8>)>,
    pub(super) fate: Fate,
    /// Whether stored entries are read from their bytes.
    through_bytes: bool,
}

impl Disk {
    pub(super) fn history(&self) -> &[Entry] {
        &self.history
    }

    pub(super) fn into_history(self) -> Vec<Entry> {
        self.history
    }

    pub(super) fn begin_with(&mut self, entries: Vec<Entry>) {
        self.history = entries;
    }

    pub(super) const fn through_bytes(&mut self, through: bool) {
        self.through_bytes = through;
    }

    /// The entries as a host reads them.
    fn stored(&self, entries: &[Entry]) -> Result<Vec<Entry>, AppendError> {
        if !self.through_bytes {
            return Ok(entries.to_vec());
        }
        let refused = |error: serde_json::Error| AppendError::Refused(error.to_string().into());
        let read: Vec<Entry> =
            serde_json::from_slice(&serde_json::to_vec(entries).map_err(refused)?).map_err(refused)?;
        match read.iter().zip(entries).find(|(read, written)| read != written) {
            Some((read, written)) => Err(AppendError::Refused(format!("{written:?} is read as {read:?}").into())),
            None => Ok(read),
        }
    }

    fn tail(&self) -> Seq {
        self.history.last().map_or(Seq::ZERO, |entry| entry.seq)
    }
}

impl Journal for Disk {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        self.epoch = self.epoch.next();
        let at = self.snapshot.as_ref().map_or(Seq::ZERO, |(at, _)| *at);
        let tail = self.history.iter().skip_while(|entry| entry.seq <= at).cloned().collect();
        Ok(Takeover::new(self.epoch, self.snapshot.as_ref().map(|(_, bytes)| bytes.clone()), tail))
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        if epoch != self.epoch {
            return Err(AppendError::Fenced);
        }
        let tail = self.tail();
        let follows = entries.iter().try_fold(after, |last, entry| (entry.seq == last.next()).then_some(entry.seq));
        if after != tail || follows.is_none() {
            return Err(AppendError::Conflict { tail });
        }
        let kept = match self.fate {
            Fate::Kept | Fate::KeptUnsaid => entries.len(),
            Fate::Torn(kept) => kept.min(entries.len()),
            Fate::Refused | Fate::Lost => 0,
        };
        let stored = self.stored(entries.get(..kept).unwrap_or_default())?;
        self.history.extend(stored);
        match core::mem::take(&mut self.fate) {
            Fate::Kept => Ok(()),
            Fate::Refused => Err(AppendError::Refused("no space left".into())),
            Fate::Torn(_) | Fate::Lost | Fate::KeptUnsaid => Err(AppendError::Unknown),
        }
    }

    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: &[u8]) -> Result<(), AppendError> {
        if epoch != self.epoch {
            return Err(AppendError::Fenced);
        }
        if at > self.tail() {
            return Err(AppendError::Conflict { tail: self.tail() });
        }
        self.snapshot = Some((at, snapshot.to_vec()));
        Ok(())
    }
}
