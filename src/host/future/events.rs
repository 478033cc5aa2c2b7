//! Streams of facts.

use crate::journal::EventFilter;
use crate::message::event::Entry;
use async_channel::{Receiver, Sender, TrySendError, bounded};
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_util::Stream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Facts as they become durable: a stream that ends with the host.
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

    /// The next fact; none when the host has ended. The stream, for those who have no combinators at hand.
    pub async fn next(&mut self) -> Option<Entry> {
        self.feed.recv().await.ok()
    }

    /// How many facts were left out because there was no room.
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
    /// False when nobody listens any more.
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
