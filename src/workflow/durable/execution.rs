//! The execution of a function up to the point where it waits for calls.

use super::ctx::Ctx;
use super::facts::{EndedCall, Facts};
use super::functions::Running;
use crate::base::payload::Payload;
use crate::base::structure::contain;
use crate::definition::FunctionCall;
use crate::task::{Failure, codes};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Wake;

/// How often code may wake itself without receiving a result. Combinators do so after every few dozen futures; code that
/// spins does so for ever.
const SPINS: u32 = 1_000;
/// The number of results that are passed on before other futures on the thread are polled.
const GROUP: u32 = 64;

/// A function that was begun and has not ended.
pub(super) struct Execution {
    ctx: Ctx,
    /// None once it has ended.
    running: Option<Running>,
    woken: Arc<Woken>,
    /// The results that the code has not been given, in the order in which the calls ended.
    results: VecDeque<EndedCall>,
    spins: u32,
}

/// Where a function stands after a turn.
pub(super) enum Stand {
    Ended(Result<Payload, Failure>),
    /// It waits for calls, of which these are new.
    Waits(Vec<FunctionCall>),
    /// The function of this name begins again with this input.
    Again(&'static str, Payload),
    /// The turn fails.
    Fails(Failure),
}

/// Whether the code was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Execution {
    /// A function that begins.
    pub(super) fn new(ctx: Ctx, running: Running, facts: &Facts) -> Self {
        ctx.state().know(&facts.ended, &facts.open);
        Self { ctx, running: Some(running), woken: Arc::default(), results: VecDeque::new(), spins: 0 }
    }

    /// Adds results that the code has not been given.
    pub(super) fn feed(&mut self, facts: Facts) {
        self.ctx.state().allow(facts.most);
        self.results.extend(facts.ended);
    }

    /// Polls the code, and passes one result on after the other: a function that begins again gets them in the order in which they
    /// came the first time, so it selects among its calls as it did then.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<Stand> {
        for _ in 0..GROUP {
            self.woken.0.store(false, Ordering::Release);
            if let Poll::Ready(stand) = self.poll_code() {
                return Poll::Ready(stand);
            }
            if self.woken.0.load(Ordering::Acquire) {
                self.spins = self.spins.saturating_add(1);
                if self.spins > SPINS {
                    return Poll::Ready(stuck("it wakes itself again and again and waits for none of its calls"));
                }
                break;
            }
            let Some(result) = self.results.pop_front() else { return Poll::Ready(self.waits()) };
            self.spins = 0;
            let waker = self.ctx.state().reveal(result.id, result.result);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_code(&mut self) -> Poll<Stand> {
        let Some(running) = &mut self.running else { return Poll::Pending };
        let waker = Waker::from(Arc::clone(&self.woken));
        let polled = contain(|| running.as_mut().poll(&mut Context::from_waker(&waker)));
        let (fault, again) = {
            let mut state = self.ctx.state();
            (state.fault(), state.again())
        };
        let stand = match (polled, fault) {
            (Err(panic), _) => {
                let failure = Failure::transient(format!("the code of the function panicked: {panic}"));
                Stand::Fails(failure.with_code(codes::AGENT_PANICKED))
            }
            (Ok(_), Some(fault)) => Stand::Fails(fault),
            (Ok(polled), None) => match (again, polled) {
                (Some((name, input)), _) => Stand::Again(name, input),
                (None, Poll::Ready(ended)) => Stand::Ended(ended),
                (None, Poll::Pending) => return Poll::Pending,
            },
        };
        self.discard();
        Poll::Ready(stand)
    }

    fn waits(&self) -> Stand {
        let mut state = self.ctx.state();
        if state.is_waiting() {
            return Stand::Waits(state.take_requested());
        }
        stuck("it awaits something that is none of its calls: only futures of its `Ctx` may be awaited")
    }

    /// Drops the code, whose destructors may panic.
    fn discard(&mut self) {
        let running = self.running.take();
        let _ = contain(|| drop(running));
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        self.discard();
    }
}

fn stuck(message: &str) -> Stand {
    Stand::Fails(Failure::permanent(message).with_code(codes::FUNCTION_STUCK))
}
