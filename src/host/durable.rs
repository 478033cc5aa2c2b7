//! Durable hosts: how often they take snapshots, and how long they wait for a journal that is held by another host or fails for a
//! while. Nothing here waits; each host does so in its own way.

use crate::base::id::Seq;
use crate::journal::{AppendError, Archive, Epoch, Takeover};
use crate::message::event::Entry;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The first pause before a journal is tried again. Each pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How a durable host keeps its state: see [`ThreadHost::durable`](super::thread::ThreadHost::durable) and
/// [`FutureHost::durable`](super::future::FutureHost::durable).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Durable {
    /// `None` without snapshots.
    every: Option<usize>,
    patience: Duration,
}

impl Default for Durable {
    fn default() -> Self {
        Self::new()
    }
}

impl Durable {
    /// A snapshot after every 10,000 events, and a patience of 5 seconds.
    #[must_use]
    pub const fn new() -> Self {
        Self { every: Some(10_000), patience: Duration::from_secs(5) }
    }

    /// Sets the number of events after which a snapshot is taken; 0 counts as 1. A restart reads one snapshot, at most that many
    /// events, and those that were appended while the last snapshot was written.
    #[must_use]
    pub const fn snapshot_every(mut self, events: usize) -> Self {
        self.every = Some(if events == 0 { 1 } else { events });
        self
    }

    /// Takes no snapshots: a restart reads every event, the journal keeps them, and the host needs no second copy of the state.
    #[must_use]
    pub const fn without_snapshots(mut self) -> Self {
        self.every = None;
        self
    }

    /// Sets how long the host waits for its journal: when it is opened while another host holds it or it cannot be reached, and
    /// when an append fails. With zero, the first error is final.
    ///
    /// After an append that failed, the host takes the journal over again ([`Journal::reclaim`](crate::journal::Journal::reclaim)),
    /// finds out which entries are stored, and appends the others. Its agents continue, and callers wait meanwhile. The host ends
    /// with [`HostError::Append`](super::HostError::Append) when the patience is over, and at once when another writer has taken
    /// over.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(super) const fn every(self) -> Option<usize> {
        self.every
    }
}

/// How long a host waits for its journal, in growing steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    left: Duration,
    next: Duration,
}

impl Patience {
    /// Without any, for a host that is not durable.
    pub(super) const NONE: Self = Self { left: Duration::ZERO, next: FIRST_PAUSE };

    pub(super) const fn of(durable: Durable) -> Self {
        Self { left: durable.patience, ..Self::NONE }
    }

    /// The next pause; none if the patience is over.
    pub(super) fn pause(&mut self) -> Option<Duration> {
        let pause = self.next.min(self.left);
        self.left = self.left.saturating_sub(pause);
        self.next = self.next.saturating_mul(2).min(LONGEST_PAUSE);
        (!pause.is_zero()).then_some(pause)
    }
}

/// Whether an append can succeed after the journal was taken over again.
pub(super) const fn may_pass(error: &AppendError) -> bool {
    matches!(error, AppendError::Unknown | AppendError::Refused(_))
}

/// The entries of an append that a journal does not contain after it was taken over again, and the number of the entry before them.
/// `durable` is the number of the last entry before the append.
///
/// # Errors
///
/// When the journal contains other entries: those of another writer.
pub(super) fn missing<'e>(
    entries: &'e [Entry],
    durable: Seq,
    taken: &Takeover,
) -> Result<(Seq, &'e [Entry]), AppendError> {
    let is_new = |entry: &&Entry| entry.seq > durable;
    if let Some(last) = taken.tail.last().filter(|last| last.seq < durable) {
        return Err(AppendError::Conflict { tail: last.seq });
    }
    let stored = taken.tail.iter().filter(is_new).count();
    let Some((same, rest)) = entries.split_at_checked(stored) else { return Err(AppendError::Fenced) };
    if !same.iter().eq(taken.tail.iter().filter(is_new)) {
        return Err(AppendError::Fenced);
    }
    Ok((same.last().map_or(durable, |entry| entry.seq), rest))
}

/// Announces to the writer of snapshots that the host takes the journal over again. Clones share the notice.
#[derive(Clone, Default)]
pub(super) struct Handover(Arc<Mutex<Notice>>);

#[derive(Default)]
enum Notice {
    #[default]
    Nothing,
    /// The journal is about to be taken over.
    Announced,
    /// It was taken over with this epoch, and this archive.
    Done(Epoch, Option<Box<dyn Archive>>),
}

impl Handover {
    fn notice(&self) -> MutexGuard<'_, Notice> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn announce(&self) {
        *self.notice() = Notice::Announced;
    }

    pub(super) fn complete(&self, epoch: Epoch, archive: Option<Box<dyn Archive>>) {
        *self.notice() = Notice::Done(epoch, archive);
    }

    /// Whether the host itself has replaced the epoch of the writer.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(*self.notice(), Notice::Nothing)
    }

    /// The new epoch and the new archive, once.
    pub(super) fn take(&self) -> Option<(Epoch, Option<Box<dyn Archive>>)> {
        let mut notice = self.notice();
        match core::mem::take(&mut *notice) {
            Notice::Done(epoch, archive) => Some((epoch, archive)),
            other @ (Notice::Nothing | Notice::Announced) => {
                *notice = other;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{AgentId, Incarnation};
    use crate::base::time::Time;
    use crate::message::event::AgentEvent;

    fn entry(seq: u64, agent: u64) -> Entry {
        let event = AgentEvent::Lost.of(Incarnation::new(AgentId::new(agent), 1));
        Entry { seq: Seq::new(seq), at: Time::ZERO, event }
    }

    #[test]
    fn only_what_is_missing_is_appended_again() {
        let entries = [entry(3, 1), entry(4, 1), entry(5, 1)];
        let durable = Seq::new(2);
        let tail = |tail: &[Entry]| Takeover::new(Epoch::new(9), None, tail.to_vec());
        let rest = |taken: &Takeover| missing(&entries, durable, taken).map(|(after, rest)| (after.get(), rest.len()));
        assert_eq!(rest(&tail(&[entry(1, 1), entry(2, 1)])), Ok((2, 3)));
        assert_eq!(rest(&tail(&[])), Ok((2, 3)), "a snapshot covers what is durable");
        assert_eq!(rest(&tail(&[entry(2, 1), entry(3, 1)])), Ok((3, 2)));
        assert_eq!(rest(&tail(&entries)), Ok((5, 0)));
        assert_eq!(rest(&tail(&[entry(2, 1), entry(3, 2)])), Err(AppendError::Fenced), "another writer has appended");
        let more = [&entries[..], &[entry(6, 1)]].concat();
        assert_eq!(rest(&tail(&more)), Err(AppendError::Fenced));
        assert_eq!(
            rest(&tail(&[entry(1, 1)])),
            Err(AppendError::Conflict { tail: Seq::new(1) }),
            "durable entries are lost"
        );
    }

    #[test]
    fn patience_ends() {
        let mut patience = Patience::of(Durable::new().patience(Duration::from_millis(100)));
        let pauses: Vec<Duration> = core::iter::from_fn(|| patience.pause()).collect();
        assert_eq!(pauses, [10, 20, 40, 30].map(Duration::from_millis));
        assert_eq!(Patience::NONE.clone().pause(), None);
        let mut long = Patience::of(Durable::new().patience(Duration::from_secs(60)));
        assert!((0..20).all(|_| long.pause().is_some_and(|pause| pause <= LONGEST_PAUSE)));
    }
}
