//! A virtual clock, which advances on request.

use crate::base::time::Time;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// A clock that advances only by method calls. Clones share the time.
///
/// With the feature `async` it is a `Timer` of `host::future`: sleeping futures wake when the clock reaches their time.
///
/// ```
/// use counterpoint::Time;
/// use counterpoint::testing::VirtualClock;
/// use std::time::Duration;
///
/// let clock = VirtualClock::default();
/// clock.advance(Duration::from_secs(90));
/// assert_eq!(clock.now(), Time::from_secs(90));
/// ```
#[derive(Debug, Clone, Default)]
pub struct VirtualClock(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    now: Time,
    /// The sleepers in the order of their wake times, then of their starts.
    sleepers: BTreeMap<(Time, u64), Waker>,
    #[cfg(feature = "async")]
    serial: u64,
}

impl VirtualClock {
    /// A clock at this time.
    #[must_use]
    pub fn at(now: Time) -> Self {
        let clock = Self::default();
        clock.advance_to(now);
        clock
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.lock().now
    }

    /// Advances the clock by this duration. A host on this clock reads it only after that, so a step of more than
    /// [`max_step`](crate::scheduler::ClockLimits::max_step) is a jump of its clock; sleeping futures advance in smaller ones.
    pub fn advance(&self, span: Duration) {
        let until = self.now() + span;
        self.advance_to(until);
    }

    /// Advances the clock to this time. Sleepers wake in the order of their wake times. An earlier time has no effect.
    pub fn advance_to(&self, until: Time) {
        while let Some(at) = self.next_wakeup().filter(|at| *at <= until) {
            self.wake(at);
        }
        let mut inner = self.lock();
        inner.now = inner.now.max(until);
    }

    /// The wake time of the next sleeper.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        self.lock().sleepers.keys().next().map(|(at, _)| *at)
    }

    /// Wakes all sleepers up to this time.
    fn wake(&self, at: Time) {
        let mut inner = self.lock();
        inner.now = inner.now.max(at);
        let later = inner.sleepers.split_off(&(at, u64::MAX));
        let woken = core::mem::replace(&mut inner.sleepers, later);
        drop(inner);
        for waker in woken.into_values() {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "async")]
mod sleep {
    use super::VirtualClock;
    use crate::base::time::Time;
    use crate::host::future::{BoxFuture, Timer};
    use core::pin::Pin;
    use core::task::{Context, Poll};
    use core::time::Duration;

    impl Timer for VirtualClock {
        fn sleep(&self, span: Duration) -> BoxFuture<()> {
            let mut inner = self.lock();
            inner.serial = inner.serial.wrapping_add(1);
            let until = (inner.now + span, inner.serial);
            Box::pin(Sleep { clock: self.clone(), until })
        }

        fn now(&self) -> Option<Time> {
            Some(Self::now(self))
        }
    }

    struct Sleep {
        clock: VirtualClock,
        until: (Time, u64),
    }

    impl Future for Sleep {
        type Output = ();

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            let mut inner = self.clock.lock();
            if inner.now >= self.until.0 {
                return Poll::Ready(());
            }
            inner.sleepers.insert(self.until, cx.waker().clone());
            Poll::Pending
        }
    }

    impl Drop for Sleep {
        fn drop(&mut self) {
            self.clock.lock().sleepers.remove(&self.until);
        }
    }
}
