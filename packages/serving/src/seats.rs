//! The connections that are open, and which of them can be closed for a new one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Counts of a [`Server`](crate::Server).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// The connections that are open.
    pub open: u64,
    /// The connections accepted so far.
    pub accepted: u64,
    /// The connections closed for a new one while they had no request.
    pub evicted: u64,
    /// The connections answered by 503, since all others had requests.
    pub refused: u64,
    /// The connections closed because no complete header arrived in time.
    pub silent: u64,
    /// The times at which the operating system gave no connection, for lack of descriptors or memory.
    pub exhausted: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub open: AtomicU64,
    pub accepted: AtomicU64,
    pub evicted: AtomicU64,
    pub refused: AtomicU64,
    pub silent: AtomicU64,
    pub exhausted: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn figures(&self) -> Figures {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            open: get(&self.open),
            accepted: get(&self.accepted),
            evicted: get(&self.evicted),
            refused: get(&self.refused),
            silent: get(&self.silent),
            exhausted: get(&self.exhausted),
        }
    }
}

/// The order in which connections without a request are closed: first those that never had one, then those whose last one
/// ended first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Fresh(u64),
    Rested(u64),
}

#[derive(Debug, Default)]
struct State {
    without_request: BTreeMap<Rank, Arc<Notify>>,
    next: u64,
}

/// A bounded number of connections. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Seats {
    state: Arc<Mutex<State>>,
    free: Arc<Semaphore>,
    pub counters: Arc<Counters>,
}

impl Seats {
    pub(crate) fn new(connections: usize) -> Self {
        let free = Arc::new(Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)));
        Self { state: Arc::default(), free, counters: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connection that has been without a request for the longest time. Returns whether there was one.
    pub(crate) fn evict(&self) -> bool {
        let Some((_, evicted)) = self.state().without_request.pop_first() else { return false };
        Counters::add(&self.counters.evicted);
        evicted.notify_one();
        true
    }

    /// A seat for a new connection; none if all connections have requests under way.
    pub(crate) async fn take(&self) -> Option<Arc<Seat>> {
        let permit = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(permit) => permit,
            // The evicted connection gives its permit back as soon as its task runs.
            Err(_) if self.evict() => Arc::clone(&self.free).acquire_owned().await.ok()?,
            Err(_) => return None,
        };
        let seat = Seat { seats: self.clone(), rank: Mutex::default(), evicted: Arc::default(), _permit: permit };
        seat.rest(Rank::Fresh);
        self.counters.open.fetch_add(1, Ordering::Relaxed);
        Counters::add(&self.counters.accepted);
        Some(Arc::new(seat))
    }
}

/// The place of one connection.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Seats,
    /// Its place among the connections without a request.
    rank: Mutex<Option<Rank>>,
    evicted: Arc<Notify>,
    _permit: OwnedSemaphorePermit,
}

impl Seat {
    /// Completes when the connection shall be closed for another one.
    pub(crate) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// A request has begun: the connection stays.
    pub(crate) fn begin(&self) {
        let mut rank = self.rank.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rank) = rank.take() {
            self.seats.state().without_request.remove(&rank);
        }
    }

    /// A request has ended.
    pub(crate) fn end(&self) {
        self.rest(Rank::Rested);
    }

    fn rest(&self, rank: fn(u64) -> Rank) {
        self.begin();
        let mut state = self.seats.state();
        let rank = rank(state.next);
        state.next += 1;
        state.without_request.insert(rank, Arc::clone(&self.evicted));
        *self.rank.lock().unwrap_or_else(PoisonError::into_inner) = Some(rank);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.begin();
        self.seats.counters.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_without_a_request_make_room_the_oldest_first() {
        let seats = Seats::new(3);
        let (first, second, third) =
            (seats.take().await.unwrap(), seats.take().await.unwrap(), seats.take().await.unwrap());
        first.begin();
        first.end();
        second.begin();
        // The third never had a request, the second has one, the first has ended one.
        let closes = async |seat: Arc<Seat>| {
            seat.evicted().await;
            drop(seat);
        };
        let (fourth, ()) = tokio::join!(seats.take(), closes(third));
        let fourth = fourth.unwrap();
        fourth.begin();
        let (fifth, ()) = tokio::join!(seats.take(), closes(first));
        let fifth = fifth.unwrap();
        fifth.begin();
        assert!(seats.take().await.is_none(), "all have requests");
        drop(second);
        assert!(seats.take().await.is_some());
        assert_eq!(seats.state().without_request.len(), 0);
        let figures = seats.counters.figures();
        assert_eq!((figures.open, figures.accepted, figures.evicted), (2, 6, 2));
    }
}
