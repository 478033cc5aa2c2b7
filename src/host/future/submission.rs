//! A submission that its caller awaits: the verdict first, then the outcome.

use crate::host::HostError;
use crate::host::ticket::Caller;
use core::task::{Context, Poll, Waker};
use std::sync::{Mutex, PoisonError};

/// The verdict and the outcome of a submission, and the waker of its caller: one allocation for both.
pub(super) struct Submission<T>(Mutex<State<T>>);

struct State<T> {
    phase: Phase<T>,
    waker: Option<Waker>,
}

enum Phase<T> {
    Submitted,
    Accepted,
    Ended(T),
    /// Boxed, because it is rare and larger than an outcome.
    Rejected(Box<HostError>),
    /// Nothing follows: the result was taken, or the host has ended.
    Over,
}

impl<T> Default for Submission<T> {
    fn default() -> Self {
        Self(Mutex::new(State { phase: Phase::Submitted, waker: None }))
    }
}

impl<T> Submission<T> {
    pub(super) fn poll_verdict(&self, cx: &Context<'_>) -> Poll<Result<(), HostError>> {
        self.poll(cx, |phase| match phase {
            Phase::Submitted => Poll::Pending,
            Phase::Accepted | Phase::Ended(_) => Poll::Ready(Ok(())),
            Phase::Over => Poll::Ready(Err(HostError::Ended)),
            Phase::Rejected(_) => match core::mem::replace(phase, Phase::Over) {
                Phase::Rejected(error) => Poll::Ready(Err(*error)),
                Phase::Submitted | Phase::Accepted | Phase::Ended(_) | Phase::Over => {
                    Poll::Ready(Err(HostError::Ended))
                }
            },
        })
    }

    /// The outcome, once; `None` if there is none.
    pub(super) fn poll_outcome(&self, cx: &Context<'_>) -> Poll<Option<T>> {
        self.poll(cx, |phase| match phase {
            Phase::Submitted | Phase::Accepted => Poll::Pending,
            Phase::Ended(_) | Phase::Rejected(_) | Phase::Over => match core::mem::replace(phase, Phase::Over) {
                Phase::Ended(outcome) => Poll::Ready(Some(outcome)),
                Phase::Submitted | Phase::Accepted | Phase::Rejected(_) | Phase::Over => Poll::Ready(None),
            },
        })
    }

    fn poll<R>(&self, cx: &Context<'_>, read: impl FnOnce(&mut Phase<T>) -> Poll<R>) -> Poll<R> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = read(&mut state.phase);
        if read.is_pending() && !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        read
    }

    fn proceed(&self, to: Phase<T>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.phase = to;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T: Send> Caller<T> for Submission<T> {
    fn accepted(&self) {
        self.proceed(Phase::Accepted);
    }

    fn rejected(&self, error: HostError) {
        self.proceed(Phase::Rejected(Box::new(error)));
    }

    fn ended(&self, outcome: T) {
        self.proceed(Phase::Ended(outcome));
    }

    fn abandoned(&self) {
        let waits = {
            let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            matches!(state.phase, Phase::Submitted | Phase::Accepted)
        };
        if waits {
            self.proceed(Phase::Over);
        }
    }
}
