//! A journal in memory.

use super::{AppendError, Archive, Epoch, Journal, JournalError, Takeover};
use crate::base::id::Seq;
use crate::message::event::Entry;
use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A journal in memory, for tests, examples and hosts that need no durability. Clones share the data, so that one host can take
/// over from another.
#[derive(Clone, Default)]
pub struct MemoryJournal(Arc<Mutex<MemoryState>>);

#[derive(Default)]
struct MemoryState {
    epoch: Epoch,
    /// The last entry of the snapshot, and the snapshot.
    snapshot: Option<(Seq, Vec<u8>)>,
    entries: Vec<Entry>,
}

impl MemoryJournal {
    /// A journal that contains these entries.
    #[must_use]
    pub fn with_entries(entries: Vec<Entry>) -> Self {
        Self(Arc::new(Mutex::new(MemoryState { entries, ..MemoryState::default() })))
    }

    /// The entries after the last snapshot.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.state().entries.clone()
    }

    /// The number of entries after the last snapshot.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().entries.len()
    }

    /// Whether there are no entries after the last snapshot.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn state(&self) -> MutexGuard<'_, MemoryState> {
        // No code below panics while it holds the lock, so a poisoned lock guards consistent data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryState {
    fn tail(&self) -> Seq {
        let snapshot = self.snapshot.as_ref().map_or(Seq::ZERO, |(at, _)| *at);
        self.entries.last().map_or(snapshot, |entry| entry.seq)
    }

    fn admit(&self, epoch: Epoch) -> Result<(), AppendError> {
        if epoch == self.epoch { Ok(()) } else { Err(AppendError::Fenced) }
    }
}

impl Journal for MemoryJournal {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        let mut state = self.state();
        state.epoch = state.epoch.next();
        let snapshot = state.snapshot.as_ref().map(|(_, bytes)| bytes.clone());
        Ok(Takeover::new(state.epoch, snapshot, state.entries.clone()))
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        let mut state = self.state();
        state.admit(epoch)?;
        let tail = state.tail();
        let follows = entries.iter().try_fold(after, |last, entry| (entry.seq == last.next()).then_some(entry.seq));
        if after != tail || follows.is_none() {
            return Err(AppendError::Conflict { tail });
        }
        state.entries.extend_from_slice(entries);
        Ok(())
    }

    #[cfg(feature = "durable")]
    fn reclaim(&mut self, epoch: Epoch) -> Result<Option<Takeover>, AppendError> {
        self.state().admit(epoch)?;
        self.take_over().map(Some).map_err(|error| AppendError::Refused(error.to_string().into()))
    }

    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: &[u8]) -> Result<(), AppendError> {
        Archive::keep_snapshot(self, epoch, at, snapshot.to_vec())
    }

    fn archive(&mut self) -> Option<Box<dyn Archive>> {
        Some(Box::new(self.clone()))
    }
}

impl Archive for MemoryJournal {
    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: Vec<u8>) -> Result<(), AppendError> {
        let mut state = self.state();
        state.admit(epoch)?;
        if at > state.tail() {
            return Err(AppendError::Conflict { tail: state.tail() });
        }
        if state.snapshot.as_ref().is_some_and(|(earlier, _)| *earlier > at) {
            return Err(AppendError::Refused("a later snapshot is stored".into()));
        }
        let after = state.entries.partition_point(|entry| entry.seq <= at);
        let rest = state.entries.split_off(after);
        let old = core::mem::replace(&mut state.entries, rest);
        let before = state.snapshot.replace((at, snapshot));
        // The dropped data can be large, so the lock is released before.
        drop(state);
        drop((old, before));
        Ok(())
    }
}

impl fmt::Debug for MemoryJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryJournal({} entries)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{AgentId, Incarnation};
    use crate::base::time::Time;
    use crate::message::event::AgentEvent;

    fn entry(seq: u64) -> Entry {
        let event = AgentEvent::Lost.of(Incarnation::new(AgentId::new(1), 1));
        Entry { seq: Seq::new(seq), at: Time::ZERO, event }
    }

    #[test]
    fn gaps_forks_and_old_writers_are_rejected() {
        let mut journal = MemoryJournal::default();
        let epoch = journal.take_over().unwrap().epoch;
        assert_eq!(journal.append(epoch, Seq::ZERO, &[entry(1), entry(2)]), Ok(()));
        let tail = Seq::new(2);
        assert_eq!(journal.append(epoch, Seq::new(1), &[entry(2)]), Err(AppendError::Conflict { tail }));
        assert_eq!(journal.append(epoch, tail, &[entry(4)]), Err(AppendError::Conflict { tail }));
        let second = journal.take_over().unwrap();
        assert_eq!(second.tail.len(), 2);
        assert_eq!(journal.append(epoch, tail, &[entry(3)]), Err(AppendError::Fenced));
        assert_eq!(journal.append(second.epoch, tail, &[entry(3)]), Ok(()));
    }

    #[test]
    fn a_snapshot_replaces_entries() {
        let mut journal = MemoryJournal::default();
        let epoch = journal.take_over().unwrap().epoch;
        journal.append(epoch, Seq::ZERO, &[entry(1), entry(2), entry(3)]).unwrap();
        Journal::keep_snapshot(&mut journal, epoch, Seq::new(2), b"state").unwrap();
        let next = journal.take_over().unwrap();
        assert_eq!((next.snapshot.as_deref(), next.tail), (Some(&b"state"[..]), vec![entry(3)]));
        Journal::keep_snapshot(&mut journal, next.epoch, Seq::new(3), b"later").unwrap();
        let earlier = Journal::keep_snapshot(&mut journal, next.epoch, Seq::new(2), b"state");
        assert!(matches!(earlier, Err(AppendError::Refused(_))));
        assert_eq!(journal.append(next.epoch, Seq::new(3), &[entry(4)]), Ok(()));
    }
}
