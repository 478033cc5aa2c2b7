//! The future of a call, with the settings of the call.

use super::ctx::Ctx;
use super::facts::CallId;
use super::request::{Compute, Request, Shape};
use crate::base::canonical::Canonical as _;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{FunctionCall, Work};
use crate::task::{Failure, Needs, Policy, Retry, Tier, codes};
use crate::workflow::kind::{Decides, Mapped, Saves, Tasks, Undoable, Waits};
use core::fmt;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use serde::de::DeserializeOwned;

/// A call of a durable function: a future of its result. The call is requested when the future is polled for the first time;
/// the settings must be made before.
///
/// A failure of the call is an error, with which the function continues. Dropping the future does not cancel the call: it goes on
/// until the function ends.
#[must_use = "a call is requested when it is awaited"]
pub struct FunctionFuture<O, L> {
    ctx: Ctx,
    stage: Stage,
    types: PhantomData<fn() -> (O, L)>,
}

enum Stage {
    Before(Box<(Request, Option<Compute>)>),
    Waits {
        id: CallId,
        /// The hash of a recorded value with its call, if the value was not computed in this execution.
        recorded: Option<u64>,
    },
    /// The result was taken, or the turn has failed.
    Over,
}

impl<O, L> FunctionFuture<O, L> {
    pub(super) fn new(ctx: &Ctx, request: Request, compute: Option<Compute>) -> Self {
        Self { ctx: ctx.clone(), stage: Stage::Before(Box::new((request, compute))), types: PhantomData }
    }

    fn set(mut self, set: impl FnOnce(&mut Request)) -> Self {
        if let Stage::Before(before) = &mut self.stage {
            set(&mut before.0);
        }
        self
    }

    /// Distinguishes the call from others of its key by data of the function, for example the id of an order line. Calls of one
    /// key that may be under way at the same time must be distinguished by data; others are numbered.
    pub fn keyed(self, data: impl fmt::Display) -> Self {
        let data = Name::from(data.to_string());
        self.set(|request| request.data = Some(data))
    }
}

/// Settings of calls that perform a task, once or for each item of a list.
// The bounds are those of the methods: the message of an unmet bound names what to do.
impl<O, L> FunctionFuture<O, L> {
    /// Sets retries and timeouts.
    pub fn policy(self, policy: Policy) -> Self
    where
        L: Tasks,
    {
        self.change(|work| work.policy = policy)
    }

    /// Sets the retries.
    pub fn retry(self, retry: Retry) -> Self
    where
        L: Tasks,
    {
        self.change(|work| work.policy = work.policy.clone().with_retry(retry))
    }

    /// Sets the longest time that an attempt may take.
    pub fn attempt_timeout(self, span: Duration) -> Self
    where
        L: Tasks,
    {
        self.change(|work| work.policy = work.policy.clone().with_attempt_timeout(span))
    }

    /// Sets the needs.
    pub fn needs(self, needs: Needs) -> Self
    where
        L: Tasks,
    {
        self.change(|work| work.needs = Some(needs))
    }

    /// Sets the tier.
    pub fn tier(self, tier: Tier) -> Self
    where
        L: Tasks,
    {
        self.change(|work| work.tier = Some(tier))
    }

    fn change(self, change: impl FnOnce(&mut Work)) -> Self {
        self.set(|request| {
            if let Some(work) = request.work_mut() {
                change(work);
            }
        })
    }
}

impl<O, L> FunctionFuture<O, L> {
    /// Lets the step be compensated if the function fails or is cancelled after it. The calls of a function are compensated one
    /// after the other, the last first.
    pub fn undoable(self) -> Self
    where
        L: Undoable,
    {
        self.set(|request| request.undo = Some(L::undo(&request.kind())))
    }
}

impl<O, S> FunctionFuture<O, Mapped<S>> {
    /// Bounds the number of items under way at a time.
    pub fn max_concurrent(self, items: u32) -> Self {
        self.set(|request| {
            if let Shape::Map { max_concurrent, .. } = &mut request.shape {
                *max_concurrent = Some(items);
            }
        })
    }
}

impl<O> FunctionFuture<O, Waits> {
    /// Fails with the code [`SIGNAL_TIMEOUT`](codes::SIGNAL_TIMEOUT) if the signal does not arrive within this time.
    pub fn within(self, span: Duration) -> Self {
        self.set(|request| {
            if let Shape::Signal { within, .. } = &mut request.shape {
                *within = Some(span);
            }
        })
    }
}

impl<O> FunctionFuture<O, Decides> {
    /// Fails with the code [`DECISION_TIMEOUT`](codes::DECISION_TIMEOUT) without a decision within this time.
    pub fn within(self, span: Duration) -> Self {
        self.set(|request| {
            if let Shape::Decision { within, .. } = &mut request.shape {
                *within = Some(span);
            }
        })
    }

    /// Lets people with another role decide as well after a time without a decision.
    pub fn escalated(self, after: Duration, role: impl Into<Name>) -> Self {
        let role = role.into();
        self.set(|request| {
            if let Shape::Decision { decision, .. } = &mut request.shape {
                *decision = decision.clone().escalated(after, role);
            }
        })
    }
}

impl<O> FunctionFuture<O, Saves> {
    /// Sets how often the function may roll back to the save-point; once by default.
    pub fn retries(self, times: u32) -> Self {
        self.set(|request| {
            if let Shape::SavePoint { retries } = &mut request.shape {
                *retries = times;
            }
        })
    }
}

impl<O: DeserializeOwned, L> Future for FunctionFuture<O, L> {
    type Output = Result<O, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if matches!(self.stage, Stage::Before(_))
            && let Stage::Before(before) = core::mem::replace(&mut self.stage, Stage::Over)
        {
            match request(&self.ctx, *before) {
                Ok(Some((id, recorded))) => {
                    self.stage = Stage::Waits { id, recorded };
                    self.ctx.state().wait();
                }
                // The turn has failed: the code does not continue.
                Ok(None) => return Poll::Pending,
                Err(failure) => return Poll::Ready(Err(failure)),
            }
        }
        self.receive(cx)
    }
}

impl<O: DeserializeOwned, L> FunctionFuture<O, L> {
    fn receive(&mut self, cx: &Context<'_>) -> Poll<Result<O, Failure>> {
        let Stage::Waits { id, recorded } = &self.stage else { return Poll::Pending };
        let mut state = self.ctx.state();
        let Some(outcome) = state.take(id, cx.waker()) else { return Poll::Pending };
        state.stop_waiting();
        if let (Some(print), Ok(value)) = (recorded, &outcome)
            && *print != value_call(id, value.clone()).print()
        {
            state.fail(codes::FUNCTION_CHANGED, changed(id));
            drop(state);
            self.stage = Stage::Over;
            return Poll::Pending;
        }
        drop(state);
        #[cfg(feature = "codecs")]
        let outcome = match (self.ctx.encoding(), outcome) {
            (Some(encoding), Ok(output)) => match encoding.decode(&output) {
                Ok(plain) => Ok(plain),
                Err(error) => {
                    self.ctx.state().fail_codec(&error);
                    self.stage = Stage::Over;
                    return Poll::Pending;
                }
            },
            (_, outcome) => outcome,
        };
        let output = outcome.and_then(|output| {
            let unreadable = |error| {
                let message = format!("the output of the call `{}` {}: {error}", id.0, id.1);
                Failure::permanent(message).with_code(codes::INVALID_VALUE)
            };
            output.to().map_err(unreadable)
        });
        self.stage = Stage::Over;
        Poll::Ready(output)
    }
}

impl<O, L> Drop for FunctionFuture<O, L> {
    fn drop(&mut self) {
        if let Stage::Waits { id, .. } = &self.stage {
            let mut state = self.ctx.state();
            state.abandon(id);
            state.stop_waiting();
        }
    }
}

impl<O, L> fmt::Debug for FunctionFuture<O, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Before(before) => format!("`{}`, not requested", before.0.key),
            Stage::Waits { id: (key, occurrence), .. } => format!("`{key}` {occurrence}"),
            Stage::Over => "over".to_owned(),
        };
        write!(f, "FunctionFuture({stage})")
    }
}

/// Requests a call, if the engine does not know it. Returns its identity, and the hash of a value that is known. None if the turn
/// fails.
///
/// # Errors
///
/// When the input has no JSON form.
fn request(
    ctx: &Ctx,
    (mut request, compute): (Request, Option<Compute>),
) -> Result<Option<(CallId, Option<u64>)>, Failure> {
    let input = core::mem::replace(&mut request.input, Ok(Payload::NULL))?;
    let mut state = ctx.state();
    let Some(id) = state.identify(&request.key, request.data.take()) else { return Ok(None) };
    let known = state.known(&id);
    let input = match (&known, compute) {
        (_, None) => input,
        (Some(known), Some(_)) => {
            // It was computed before: its output is the value.
            state.recall(&id);
            return Ok(Some((id, Some(known.print))));
        }
        (None, Some(compute)) => {
            // The code of the user does not run under the lock.
            drop(state);
            let value = compute()?;
            state = ctx.state();
            value
        }
    };
    #[cfg(feature = "codecs")]
    let input = {
        // A codec is code of the user, too.
        drop(state);
        let encoded = encoded(ctx, &request.shape, known.as_ref(), input);
        state = ctx.state();
        match encoded {
            Ok(input) => input,
            Err(error) => {
                state.fail_codec(&error);
                return Ok(None);
            }
        }
    };
    let call = in_answer(request, &id, input);
    match known {
        None => state.request(id.clone(), call),
        Some(known) if known.print == call.print() => state.recall(&id),
        Some(_) => {
            state.fail(codes::FUNCTION_CHANGED, changed(&id));
            return Ok(None);
        }
    }
    Ok(Some((id, None)))
}

/// The input as the engine gets it. That of a known call is the known one, if it means the same.
#[cfg(feature = "codecs")]
fn encoded(
    ctx: &Ctx,
    shape: &Shape,
    known: Option<&super::state::Known>,
    input: Payload,
) -> Result<Payload, crate::base::codec::CodecError> {
    let Some(encoding) = ctx.encoding() else { return Ok(input) };
    let encode = |plain: &Payload| match shape {
        // The engine distributes the items, and reads the time.
        Shape::Map { .. } => encoding.encode_list(plain),
        Shape::SleepUntil => Ok(plain.clone()),
        Shape::Body(_)
        | Shape::Signal { .. }
        | Shape::Decision { .. }
        | Shape::Sleep(_)
        | Shape::Value
        | Shape::Pivot
        | Shape::SavePoint { .. } => encoding.encode(plain),
    };
    encoding.again(known.map(|known| &known.input), &input, encode)
}

/// The call in the form in which the engine computes its hash.
fn in_answer(request: Request, id: &CallId, input: Payload) -> FunctionCall {
    let mut call = request.call(id.clone(), input);
    call.make_canonical();
    call
}

fn value_call(id: &CallId, value: Payload) -> FunctionCall {
    in_answer(Request::new(id.0.clone(), Ok(Payload::NULL), Shape::Value), id, value)
}

fn changed((key, occurrence): &CallId) -> String {
    format!("it requests the known call `{key}` {occurrence} with another body or input")
}
