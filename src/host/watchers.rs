//! Closures of the user that are called with every entry.

use crate::base::structure::contain;
use crate::message::event::Entry;
use crate::scheduler::{Callback, Quarantined};

/// Called with every durable entry, until it returns false or panics.
pub(super) type Watcher = Box<dyn FnMut(&Entry) -> bool + Send>;

/// The subscriptions, each with its number.
#[derive(Default)]
pub(super) struct Watchers {
    added: u64,
    all: Vec<(u64, Watcher)>,
    quarantined: Vec<Quarantined>,
}

impl Watchers {
    pub(super) const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The watchers that have panicked.
    pub(super) const fn quarantined(&self) -> &[Quarantined] {
        self.quarantined.as_slice()
    }

    pub(super) fn add(&mut self, watcher: Watcher) {
        self.added = self.added.saturating_add(1);
        self.all.push((self.added, watcher));
    }

    /// Calls every watcher with an entry, and removes those that have ended or panicked.
    pub(super) fn show(&mut self, entry: &Entry) {
        let mut at = 0;
        while let Some((number, watcher)) = self.all.get_mut(at) {
            let shown = contain(|| watcher(entry));
            if shown == Ok(true) {
                at += 1;
                continue;
            }
            if let Err(panic) = shown {
                self.quarantined.push(Quarantined::new(Callback::Watcher(*number), &panic));
            }
            let (_, ended) = self.all.remove(at);
            // The destructors of what it captured are code of the user, too.
            let _ = contain(|| drop(ended));
        }
    }
}
