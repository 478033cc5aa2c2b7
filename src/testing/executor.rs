//! A deterministic executor of futures in virtual time, on one thread.

use super::VirtualClock;
use crate::host::future::BoxFuture;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

/// The id of the future that `block_on` waits for.
const MAIN: u64 = 0;

/// A single-threaded executor that polls futures in the order in which they are woken. When all of them wait, virtual
/// time advances to the next sleeper: an hour of back-off takes no time, and a test behaves the same in every run.
/// Clones share the executor.
///
/// ```
/// use counterpoint::host::future::{FutureHost, Timer};
/// use counterpoint::testing::{Executor, VirtualClock};
/// use counterpoint::{Config, Time};
/// use std::time::Duration;
///
/// let clock = VirtualClock::default();
/// let executor = Executor::new(clock.clone());
/// let (host, driver) = FutureHost::start(Config::default(), clock.clone())?;
/// executor.spawn(async { driver.await.expect("the journal does not fail") });
/// executor.block_on(async {
///     Timer::sleep(&clock, Duration::from_secs(3_600)).await;
///     host.shut_down(Duration::ZERO).await
/// })?;
/// assert_eq!(clock.now(), Time::from_secs(3_600));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Executor(Arc<Inner>);

struct Inner {
    clock: VirtualClock,
    tasks: Mutex<Tasks>,
    ready: Arc<Mutex<VecDeque<u64>>>,
}

#[derive(Default)]
struct Tasks {
    serial: u64,
    /// Without the futures that are being polled.
    waiting: BTreeMap<u64, BoxFuture<()>>,
}

impl Executor {
    /// An executor that advances this clock.
    #[must_use]
    pub fn new(clock: VirtualClock) -> Self {
        Self(Arc::new(Inner { clock, tasks: Mutex::default(), ready: Arc::default() }))
    }

    /// Spawns a future, which is polled until it ends or the executor is dropped.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.0.tasks);
        tasks.serial = tasks.serial.wrapping_add(1);
        let id = tasks.serial;
        tasks.waiting.insert(id, Box::pin(future));
        lock(&self.0.ready).push_back(id);
    }

    /// Polls all futures until this one ends.
    ///
    /// # Panics
    ///
    /// When all futures wait and none of them sleeps: a deadlock.
    #[expect(clippy::panic, reason = "a deadlocked test must fail")]
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let mut main = pin!(future);
        lock(&self.0.ready).push_back(MAIN);
        loop {
            let next = lock(&self.0.ready).pop_front();
            match next {
                Some(MAIN) => {
                    if let Poll::Ready(done) = main.as_mut().poll(&mut Context::from_waker(&self.waker(MAIN))) {
                        return done;
                    }
                }
                Some(id) => self.poll(id),
                None => match self.0.clock.next_wakeup() {
                    Some(at) => self.0.clock.advance_to(at),
                    None => panic!(
                        "deadlock: {} spawned futures and the main one wait, and none of them sleeps",
                        self.waiting()
                    ),
                },
            }
        }
    }

    fn poll(&self, id: u64) {
        // A future that has ended may still be woken.
        let Some(mut task) = lock(&self.0.tasks).waiting.remove(&id) else { return };
        if Pin::new(&mut task).poll(&mut Context::from_waker(&self.waker(id))).is_pending() {
            lock(&self.0.tasks).waiting.insert(id, task);
        }
    }

    fn waiting(&self) -> usize {
        lock(&self.0.tasks).waiting.len()
    }

    fn waker(&self, id: u64) -> Waker {
        Waker::from(Arc::new(Ready { id, ready: Arc::clone(&self.0.ready) }))
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("clock", &self.0.clock.now()).field("waiting", &self.waiting()).finish()
    }
}

struct Ready {
    id: u64,
    ready: Arc<Mutex<VecDeque<u64>>>,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        let mut ready = lock(&self.ready);
        if !ready.contains(&self.id) {
            ready.push_back(self.id);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
