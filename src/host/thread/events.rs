//! Subscriptions to facts.

use crate::event::Entry;
use crate::host::EventFilter;
use core::fmt;
use core::time::Duration;
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Facts as they become durable: an iterator that waits for the next and ends with the host.
pub struct Events {
    feed: Receiver<Entry>,
    missed: Arc<AtomicU64>,
}

impl Events {
    pub(super) fn new(filter: EventFilter, room: usize) -> (Self, Feed) {
        let (send, feed) = bounded(room.max(1));
        let missed = Arc::new(AtomicU64::new(0));
        (Self { feed, missed: Arc::clone(&missed) }, Feed { filter, send, missed })
    }

    /// The next fact, if one comes in time.
    #[must_use]
    pub fn next_within(&self, patience: Duration) -> Option<Entry> {
        self.feed.recv_timeout(patience).ok()
    }

    /// How many facts were left out because there was no room.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl Iterator for Events {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        self.feed.recv().ok()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("waiting", &self.feed.len()).field("missed", &self.missed()).finish()
    }
}

/// The owner's end of a subscription.
pub(super) struct Feed {
    filter: EventFilter,
    send: Sender<Entry>,
    missed: Arc<AtomicU64>,
}

impl Feed {
    /// False when nobody listens any more.
    pub(super) fn show(&self, entry: &Entry) -> bool {
        if !self.filter.passes(entry) {
            return true;
        }
        match self.send.try_send(entry.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }
}
