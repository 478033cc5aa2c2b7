//! Submissions: each caller gets a verdict, and later the outcome of its task or run.

use super::HostError;
use crate::base::structure::{Arena, NearMap, Slot};
use core::hash::Hash;
use std::sync::Arc;

/// A caller that has submitted a task or started a run. Each host implements it in its own way.
pub(super) trait Caller<T>: Send + Sync {
    /// The submission was accepted, and that is durable.
    fn accepted(&self);
    /// The submission was rejected; nothing follows.
    fn rejected(&self, error: HostError);
    /// The task or run has ended, and that is durable; nothing follows.
    fn ended(&self, outcome: T);
    /// Nothing follows. If there was no outcome and no rejection, the host has ended.
    fn abandoned(&self);
}

/// The submission of a caller. Its caller gets [`Caller::abandoned`] when the ticket is dropped.
pub(super) struct Ticket<T>(Arc<dyn Caller<T>>);

impl<T> Ticket<T> {
    pub(super) fn new(caller: Arc<dyn Caller<T>>) -> Self {
        Self(caller)
    }

    fn end(self, outcome: T) {
        self.0.ended(outcome);
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        self.0.abandoned();
    }
}

/// The result of a submission, for its caller once it is durable.
pub(super) enum Receipt<K, T> {
    Accepted(K),
    /// The same was submitted before, and it has ended.
    Ended(T),
    Rejected(HostError),
}

/// The tickets whose tasks or runs have not ended.
pub(super) struct Tickets<K, T> {
    places: NearMap<K, Slot>,
    /// When the host ends, they are dropped in the order of their slots, which does not depend on the hash.
    tickets: Arena<Queue<T>>,
}

/// The tickets of one task or run: several if it was submitted several times.
struct Queue<T> {
    first: Ticket<T>,
    more: Vec<Ticket<T>>,
}

impl<K, T> Default for Tickets<K, T> {
    fn default() -> Self {
        Self { places: NearMap::default(), tickets: Arena::default() }
    }
}

impl<K: Copy + Eq + Hash, T: Clone> Tickets<K, T> {
    /// Sends a durable receipt. The ticket of what has not ended is kept.
    pub(super) fn answer(&mut self, ticket: Ticket<T>, receipt: Receipt<K, T>) {
        match receipt {
            Receipt::Rejected(error) => ticket.0.rejected(error),
            Receipt::Ended(outcome) => {
                ticket.0.accepted();
                ticket.end(outcome);
            }
            Receipt::Accepted(key) => {
                ticket.0.accepted();
                self.add(key, ticket);
            }
        }
    }

    fn add(&mut self, key: K, ticket: Ticket<T>) {
        if let Some(queue) = self.places.get(&key).and_then(|slot| self.tickets.get_mut(*slot)) {
            queue.more.push(ticket);
            return;
        }
        let slot = self.tickets.insert(Queue { first: ticket, more: Vec::new() });
        self.places.insert(key, slot);
    }

    /// Ends a task or run whose event may have an outcome, which is copied only if a caller waits for it.
    pub(super) fn end(&mut self, key: K, outcome: impl FnOnce() -> Option<T>) {
        let Some(slot) = self.places.get(&key).copied() else { return };
        let Some(outcome) = outcome() else { return };
        self.places.remove(&key);
        let Some(Queue { first, more }) = self.tickets.remove(slot) else { return };
        let mut ticket = first;
        for next in more {
            ticket.end(outcome.clone());
            ticket = next;
        }
        ticket.end(outcome);
    }
}
