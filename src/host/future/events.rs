//! Subscriptions as streams of entries.

use crate::journal::EventFilter;
use crate::message::event::Entry;
use async_channel::{Receiver, Sender, TrySendError, bounded};
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_util::Stream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A stream of entries as they become durable. It ends with the host.
pub struct Events {
    feed: Pin<Box<Receiver<Entry>>>,
    missed: Arc<AtomicU64>,
}

impl Events {
    pub(super) fn new(filter: EventFilter, room: usize) -> (Self, Feed) {
        let (send, feed) = bounded(room.max(1));
        let missed = Arc::new(AtomicU64::new(0));
        (Self { feed: Box::pin(feed), missed: Arc::clone(&missed) }, Feed { filter, send, missed })
    }

    /// The next entry; `None` when the host has ended. The same as the stream, without stream combinators.
    pub async fn next(&mut self) -> Option<Entry> {
        self.feed.recv().await.ok()
    }

    /// The number of entries that were left out because the buffer was full.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl Stream for Events {
    type Item = Entry;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Entry>> {
        self.feed.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("waiting", &self.feed.len()).field("missed", &self.missed()).finish()
    }
}

/// The driver's end of a subscription.
pub(super) struct Feed {
    filter: EventFilter,
    send: Sender<Entry>,
    missed: Arc<AtomicU64>,
}

impl Feed {
    /// Sends an entry. Returns false when the subscription was dropped.
    pub(super) fn show(&mut self, entry: &Entry) -> bool {
        if !self.filter.passes(entry) {
            return !self.send.is_closed();
        }
        match self.send.try_send(entry.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}
