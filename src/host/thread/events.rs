//! Subscriptions to facts.

use crate::event::{Entry, Event};
use core::fmt;
use core::time::Duration;
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

type Test = dyn Fn(&Entry) -> bool + Send;

/// Which facts a subscriber wants.
///
/// ```
/// use counterpoint::host::thread::EventFilter;
/// use counterpoint::{Event, TaskEvent};
///
/// let failures = EventFilter::new(|entry| matches!(entry.event, Event::Task(TaskEvent::AttemptFailed { .. })));
/// ```
pub struct EventFilter(Option<Box<Test>>);

impl EventFilter {
    /// Every fact.
    #[must_use]
    pub const fn all() -> Self {
        Self(None)
    }

    /// Those for which the test holds.
    pub fn new(test: impl Fn(&Entry) -> bool + Send + 'static) -> Self {
        Self(Some(Box::new(test)))
    }

    /// Those about agents.
    #[must_use]
    pub fn agents() -> Self {
        Self::new(|entry| matches!(entry.event, Event::Agent(_)))
    }

    /// Those about tasks.
    #[must_use]
    pub fn tasks() -> Self {
        Self::new(|entry| matches!(entry.event, Event::Task(_)))
    }

    /// Those about workflows and runs.
    #[must_use]
    pub fn runs() -> Self {
        Self::new(|entry| matches!(entry.event, Event::Run(_)))
    }

    fn passes(&self, entry: &Entry) -> bool {
        self.0.as_ref().is_none_or(|test| test(entry))
    }
}

impl fmt::Debug for EventFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "EventFilter(..)" } else { "EventFilter(all)" })
    }
}

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
