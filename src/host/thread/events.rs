//! Subscriptions to entries.

use crate::base::structure::threads::thread::{self, ThreadId};
use crate::journal::{EventFilter, Gap, Seen};
use crate::message::event::Entry;
use core::fmt;
use core::time::Duration;
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Entries as they become durable: a blocking iterator that ends with the host. In a callback of the host it does not block
/// and ends when no entry is buffered.
pub struct Events {
    feed: Receiver<Seen>,
    /// The thread that must not wait for entries: the owner's.
    inside: ThreadId,
    missed: Arc<AtomicU64>,
}

impl Events {
    pub(super) fn new(filter: EventFilter, room: usize, inside: ThreadId) -> (Self, Tap) {
        let (send, feed) = bounded(room.max(1));
        let missed = Arc::new(AtomicU64::new(0));
        (Self { feed, inside, missed: Arc::clone(&missed) }, Tap { filter, send, gap: Gap::default(), missed })
    }

    /// The next entry, or the gap of entries that were left out because the buffer was full, if something arrives in
    /// time. A gap is reported with the entry that follows it.
    #[must_use]
    pub fn seen_within(&self, patience: Duration) -> Option<Seen> {
        let patience = if thread::current().id() == self.inside { Duration::ZERO } else { patience };
        self.feed.recv_timeout(patience).ok()
    }

    /// The number of entries that were left out because the buffer was full.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl Iterator for Events {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if thread::current().id() == self.inside {
            return core::iter::from_fn(|| self.feed.try_recv().ok()).find_map(Seen::entry);
        }
        self.feed.iter().find_map(Seen::entry)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("waiting", &self.feed.len()).field("missed", &self.missed()).finish()
    }
}

/// The owner's end of a subscription.
pub(super) struct Tap {
    filter: EventFilter,
    send: Sender<Seen>,
    gap: Gap,
    missed: Arc<AtomicU64>,
}

impl Tap {
    /// Sends an entry. Returns false when the subscription was dropped.
    pub(super) fn show(&mut self, entry: &Entry) -> bool {
        if !self.filter.passes(entry) {
            return true;
        }
        // A gap is reported before the entry that follows it.
        if let Some(gap) = self.gap.pending() {
            match self.send.try_send(gap) {
                Ok(()) => self.gap = Gap::default(),
                Err(TrySendError::Full(_)) => return self.miss(entry),
                Err(TrySendError::Disconnected(_)) => return false,
            }
        }
        match self.send.try_send(Seen::Event(entry.clone())) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => self.miss(entry),
            Err(TrySendError::Disconnected(_)) => false,
        }
    }

    fn miss(&mut self, entry: &Entry) -> bool {
        self.gap.widen(entry.seq);
        self.missed.fetch_add(1, Ordering::Relaxed);
        true
    }
}
