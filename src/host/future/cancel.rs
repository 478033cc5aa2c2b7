//! Cancellation of an attempt, as a flag and as a future.

use crate::workflow::Flag;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Whether an attempt is cancelled. Clones refer to the same attempt.
///
/// An agent may clean up and answer after a cancellation. If it takes longer than the task's grace period, its future
/// is dropped.
///
/// ```
/// use counterpoint::host::future::Cancellation;
///
/// let cancellation = Cancellation::default();
/// let seen = cancellation.clone();
/// assert!(!seen.is_cancelled());
/// cancellation.cancel();
/// assert!(seen.is_cancelled());
/// // Within an agent: `select! { answer = work => .., () = seen.cancelled() => .. }`.
/// ```
#[derive(Clone, Default)]
pub struct Cancellation(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// The flag that `Attempt::is_cancelled` reads.
    flag: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Cancellation {
    /// Whether the attempt is cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.flag.load(Ordering::Acquire)
    }

    /// A future that completes when the attempt is cancelled; at once if it is cancelled already.
    pub fn cancelled(&self) -> Cancelled {
        Cancelled(self.clone())
    }

    /// Cancels the attempt. Called by hosts and in tests of agents.
    pub fn cancel(&self) {
        self.0.flag.store(true, Ordering::Release);
        let waiting = core::mem::take(&mut *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for waker in waiting {
            waker.wake();
        }
    }

    /// The flag for the attempt.
    pub(super) fn flag(&self) -> Arc<dyn Flag> {
        Arc::clone(&self.0) as Arc<dyn Flag>
    }
}

impl Flag for Shared {
    fn flag(&self) -> &AtomicBool {
        &self.flag
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancellation").field(&self.is_cancelled()).finish()
    }
}

/// Completes when an attempt is cancelled: see [`Cancellation::cancelled`].
#[derive(Debug, Clone)]
#[must_use = "futures do nothing unless they are polled"]
pub struct Cancelled(Cancellation);

impl Future for Cancelled {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let shared = &self.0.0;
        if self.0.is_cancelled() {
            return Poll::Ready(());
        }
        let mut waiting = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        drop(waiting);
        // The flag may have been set between the check and the registration of the waker.
        if self.0.is_cancelled() { Poll::Ready(()) } else { Poll::Pending }
    }
}
