//! How the host waits, and what time it is.

use crate::base::time::Time;
use crate::host::clock::Clock;
use core::fmt;
use core::pin::Pin;
use core::time::Duration;
use std::sync::Arc;

/// A future behind a pointer, which may move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// How to wait: the only thing that a host needs of a runtime.
///
/// Every function that sleeps is one: `tokio::time::sleep`, `|span| async move { smol::Timer::after(span).await; }`.
///
/// ```
/// use counterpoint::Time;
/// use counterpoint::host::future::{BoxFuture, Timer};
/// use std::time::Duration;
///
/// // A clock of one's own, as under WebAssembly, where the standard library has none.
/// struct NeverLate;
/// impl Timer for NeverLate {
///     fn sleep(&self, _: Duration) -> BoxFuture<()> {
///         Box::pin(async {})
///     }
///     fn now(&self) -> Option<Time> {
///         Some(Time::from_secs(1))
///     }
/// }
/// ```
pub trait Timer: Send + Sync + 'static {
    /// Ends when so much time has passed. If it ends early, the host waits again.
    fn sleep(&self, span: Duration) -> BoxFuture<()>;

    /// The time, if it is not the system's: then it decides what every fact bears as its moment. It need not begin anywhere,
    /// and a step back counts as standing still.
    fn now(&self) -> Option<Time> {
        None
    }
}

impl<F, S> Timer for F
where
    F: Fn(Duration) -> S + Send + Sync + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    fn sleep(&self, span: Duration) -> BoxFuture<()> {
        Box::pin(self(span))
    }
}

/// The timer and the clock that belongs to it.
#[derive(Clone)]
pub(super) struct Clockwork {
    timer: Arc<dyn Timer>,
    /// None where the timer knows the time.
    clock: Option<Clock>,
    /// The journal's last moment.
    earliest: Time,
}

impl Clockwork {
    pub(super) fn new(timer: Arc<dyn Timer>, earliest: Time) -> Self {
        // Without a clock the system's is not looked for: not every target has one.
        let clock = timer.now().is_none().then(|| Clock::starting(earliest));
        Self { timer, clock, earliest }
    }

    pub(super) fn now(&self) -> Time {
        let now = self.timer.now().or_else(|| self.clock.as_ref().map(Clock::now));
        now.map_or(self.earliest, |now| now.max(self.earliest))
    }

    pub(super) fn sleep(&self, span: Duration) -> BoxFuture<()> {
        self.timer.sleep(span)
    }
}

impl fmt::Debug for Clockwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clockwork({})", self.now())
    }
}
