//! Futures in virtual time, on one thread, in an order that is always the same.

use super::VirtualClock;
use crate::host::future::BoxFuture;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

/// The task that `block_on` waits for.
const MAIN: u64 = 0;

/// Polls futures on this thread, each when it is woken, in the order of their waking. When all wait, virtual time goes on to the
/// next sleeper: an hour of back-off takes no time, and a test behaves the same each time it runs. Clones are the same.
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
/// executor.spawn(async { driver.await.expect("its journal does not fail") });
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
    /// Without those that are being polled.
    waiting: BTreeMap<u64, BoxFuture<()>>,
}

impl Executor {
    /// One that lets this clock go on.
    #[must_use]
    pub fn new(clock: VirtualClock) -> Self {
        Self(Arc::new(Inner { clock, tasks: Mutex::default(), ready: Arc::default() }))
    }

    /// Polls this future, too, until it ends or the executor is dropped.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.0.tasks);
        tasks.serial = tasks.serial.wrapping_add(1);
        let id = tasks.serial;
        tasks.waiting.insert(id, Box::pin(future));
        lock(&self.0.ready).push_back(id);
    }

    /// Polls everything until this future ends.
    ///
    /// # Panics
    ///
    /// When every future waits, and none of them for time: nothing would ever happen again.
    #[expect(clippy::panic, reason = "a test that cannot go on must fail")]
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
                    None => panic!("every future waits, and none for time: {} tasks and the main one", self.waiting()),
                },
            }
        }
    }

    fn poll(&self, id: u64) {
        // One that has ended may be woken still.
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
