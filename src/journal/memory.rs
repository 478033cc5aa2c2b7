//! A journal in memory.

use super::{AppendError, Archive, Epoch, Journal, JournalError, Takeover};
use crate::event::Entry;
use crate::id::Seq;
use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A journal in memory, for tests, examples and hosts that need not survive. Clones are the same journal, so that what one
/// host has written another can take over.
#[derive(Clone, Default)]
pub struct MemoryJournal(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    epoch: Epoch,
    /// Up to where the snapshot reaches, and the snapshot.
    snapshot: Option<(Seq, Vec<u8>)>,
    entries: Vec<Entry>,
}

impl MemoryJournal {
    /// A journal that holds these facts already.
    #[must_use]
    pub fn with_entries(entries: Vec<Entry>) -> Self {
        Self(Arc::new(Mutex::new(Kept { entries, ..Kept::default() })))
    }

    /// The facts that it holds.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.kept().entries.clone()
    }

    /// How many facts it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept().entries.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing below can panic half-way, so a poisoned lock still guards whole data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
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
        let mut kept = self.kept();
        kept.epoch = kept.epoch.next();
        let snapshot = kept.snapshot.as_ref().map(|(_, bytes)| bytes.clone());
        Ok(Takeover::new(kept.epoch, snapshot, kept.entries.clone()))
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        let mut kept = self.kept();
        kept.admit(epoch)?;
        let tail = kept.tail();
        let follows = entries.iter().try_fold(after, |last, entry| (entry.seq == last.next()).then_some(entry.seq));
        if after != tail || follows.is_none() {
            return Err(AppendError::Conflict { tail });
        }
        kept.entries.extend_from_slice(entries);
        Ok(())
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
        let mut kept = self.kept();
        kept.admit(epoch)?;
        if at > kept.tail() {
            return Err(AppendError::Conflict { tail: kept.tail() });
        }
        if kept.snapshot.as_ref().is_some_and(|(earlier, _)| *earlier > at) {
            return Err(AppendError::Refused("a later snapshot is kept".into()));
        }
        let after = kept.entries.partition_point(|entry| entry.seq <= at);
        let rest = kept.entries.split_off(after);
        let old = core::mem::replace(&mut kept.entries, rest);
        let before = kept.snapshot.replace((at, snapshot));
        // What is dropped may be large: whoever appends does not wait for that.
        drop(kept);
        drop((old, before));
        Ok(())
    }
}

impl fmt::Debug for MemoryJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryJournal({} facts)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AgentEvent, Event};
    use crate::id::{AgentId, Incarnation};
    use crate::time::Time;

    fn fact(seq: u64) -> Entry {
        let event = Event::Agent(AgentEvent::Lost { by: Incarnation::new(AgentId::new(1), 1) });
        Entry { seq: Seq::new(seq), at: Time::ZERO, event }
    }

    #[test]
    fn refuses_gaps_forks_and_old_writers() {
        let mut journal = MemoryJournal::default();
        let epoch = journal.take_over().unwrap().epoch;
        assert_eq!(journal.append(epoch, Seq::ZERO, &[fact(1), fact(2)]), Ok(()));
        let tail = Seq::new(2);
        assert_eq!(journal.append(epoch, Seq::new(1), &[fact(2)]), Err(AppendError::Conflict { tail }));
        assert_eq!(journal.append(epoch, tail, &[fact(4)]), Err(AppendError::Conflict { tail }));
        let second = journal.take_over().unwrap();
        assert_eq!(second.tail.len(), 2);
        assert_eq!(journal.append(epoch, tail, &[fact(3)]), Err(AppendError::Fenced));
        assert_eq!(journal.append(second.epoch, tail, &[fact(3)]), Ok(()));
    }

    #[test]
    fn a_snapshot_takes_the_place_of_facts() {
        let mut journal = MemoryJournal::default();
        let epoch = journal.take_over().unwrap().epoch;
        journal.append(epoch, Seq::ZERO, &[fact(1), fact(2), fact(3)]).unwrap();
        Journal::keep_snapshot(&mut journal, epoch, Seq::new(2), b"state").unwrap();
        let next = journal.take_over().unwrap();
        assert_eq!((next.snapshot.as_deref(), next.tail), (Some(&b"state"[..]), vec![fact(3)]));
        Journal::keep_snapshot(&mut journal, next.epoch, Seq::new(3), b"later").unwrap();
        let earlier = Journal::keep_snapshot(&mut journal, next.epoch, Seq::new(2), b"state");
        assert!(matches!(earlier, Err(AppendError::Refused(_))));
        assert_eq!(journal.append(next.epoch, Seq::new(3), &[fact(4)]), Ok(()));
    }
}
