//! The timer and the clock of the host.

use crate::base::time::Time;
use crate::host::clock::Clock;
use core::fmt;
use core::pin::Pin;
use core::time::Duration;
use std::sync::Arc;

/// A boxed future that may move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A timer: the only thing that a host needs of a runtime.
///
/// Every function that sleeps implements it: `tokio::time::sleep`,
/// `|span| async move { smol::Timer::after(span).await; }`.
///
/// ```
/// use counterpoint::Time;
/// use counterpoint::host::future::{BoxFuture, Timer};
/// use std::time::Duration;
///
/// // An own clock, as needed under WebAssembly, where the standard library has none.
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
    /// Completes after this time. If it completes early, the host waits again.
    fn sleep(&self, span: Duration) -> BoxFuture<()>;

    /// The time, if it is not the system's. It becomes the time of every event. It may start at any value; a step back
    /// counts as no progress, and a long step is [a jump of the clock](crate::scheduler::ClockLimits).
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

/// The timer and its clock.
#[derive(Clone)]
pub(super) struct Clockwork {
    timer: Arc<dyn Timer>,
    /// `None` if the timer supplies the time.
    clock: Option<Clock>,
    /// The time of the journal's last entry.
    earliest: Time,
}

impl Clockwork {
    pub(super) fn new(timer: Arc<dyn Timer>, earliest: Time) -> Self {
        // The system's clock is read only without a clock of the timer: not every target has one.
        let clock = timer.now().is_none().then(|| Clock::starting(earliest));
        Self { timer, clock, earliest }
    }

    pub(super) fn now(&self) -> Time {
        let now = self.timer.now().or_else(|| self.clock.as_ref().map(Clock::now));
        now.map_or(self.earliest, |now| now.max(self.earliest))
    }

    /// Whether the readings advance with the true time: they are not supplied by the timer.
    pub(super) const fn is_monotonic(&self) -> bool {
        self.clock.is_some()
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
