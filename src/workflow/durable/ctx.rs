//! The context of a durable function.

use super::call::FunctionFuture;
use super::decided::Decided;
use super::request::{Request, Shape};
use super::spec::FunctionSpec;
use super::state::{Shared, State};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::definition::{Body, Decision};
use crate::task::{Failure, codes};
use crate::workflow::Flow;
use crate::workflow::kind::{AsStep, Decides, Mapped, Once, Plain, Saves, Waits};
use core::fmt;
use core::time::Duration;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, MutexGuard};

/// The context of a durable function, through which it requests its calls. Clones refer to the same execution.
///
/// Each call has a key, which identifies it within the function, and is performed by the engine: a task, a child run, a wait. The
/// function begins again from its start after a crash, and often between two calls; calls that are known are not performed again,
/// and return what they returned before. So the code between the calls must be deterministic: it awaits nothing but calls, and
/// takes values from outside (the time, random numbers, the contents of a file) only by [`value`](Self::value). Calls may be joined
/// and selected with the combinators of any library.
///
/// ```
/// use counterpoint::Failure;
/// use counterpoint::workflow::{Ctx, StepSpec, UndoSpec};
/// use std::time::Duration;
///
/// const RESERVE: UndoSpec<String, u64> = StepSpec::new("reserve").undoable();
/// const PACK: StepSpec<String, u64> = StepSpec::new("pack");
/// const SHIP: StepSpec<(u64, Vec<u64>), String> = StepSpec::new("ship");
///
/// async fn order(ctx: Ctx, lines: Vec<String>) -> Result<String, Failure> {
///     let mut shelf = 0;
///     for line in &lines {
///         shelf = ctx.step("reserve", RESERVE, line).undoable().await?; // reserve #0, reserve #1, ...
///     }
///     if lines.len() > 10 {
///         ctx.signal::<()>("approve").within(Duration::from_secs(4 * 3_600)).await?;
///     }
///     let parcels = ctx.map("pack", PACK, &lines).max_concurrent(4).await?;
///     ctx.step("ship", SHIP, &(shelf, parcels)).await
/// }
/// ```
///
/// A step takes its own input, and is undone only if it can be:
///
/// ```compile_fail,E0308
/// # use counterpoint::workflow::{Ctx, StepSpec};
/// # const PACK: StepSpec<String, u64> = StepSpec::new("pack");
/// # async fn order(ctx: Ctx) { let parcel = ctx.step("pack", PACK, &7).await; } // the input is a String
/// ```
///
/// ```compile_fail,E0277
/// # use counterpoint::workflow::{Ctx, StepSpec};
/// # const PACK: StepSpec<String, u64> = StepSpec::new("pack");
/// # async fn order(ctx: Ctx) { let parcel = ctx.step("pack", PACK, &String::new()).undoable().await; } // it has no undo
/// ```
#[derive(Clone)]
pub struct Ctx(Arc<Shared>);

impl Ctx {
    pub(super) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    #[cfg(feature = "codecs")]
    pub(super) fn encoding(&self) -> Option<&crate::base::codec::Encoding> {
        self.0.encoding()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// Performs a step: a [`Step`](crate::workflow::Step), an [`AsyncStep`](crate::workflow::AsyncStep) or a
    /// [`StepSpec`](crate::workflow::StepSpec), as one task.
    pub fn step<M, S: AsStep<M>>(
        &self,
        key: impl Into<Name>,
        step: S,
        input: &S::Input,
    ) -> FunctionFuture<S::Output, Once<S::Form>>
    where
        S::Input: Serialize,
    {
        self.request(key, input, Shape::Body(Body::Task(step.work())))
    }

    /// Performs a step for each item of a list. The result has the outputs in the order of the items.
    pub fn map<M, S: AsStep<M>>(
        &self,
        key: impl Into<Name>,
        step: S,
        items: &[S::Input],
    ) -> FunctionFuture<Vec<S::Output>, Mapped<S::Form>>
    where
        S::Input: Serialize,
    {
        self.request(key, items, Shape::Map { body: Body::Task(step.work()), max_concurrent: None })
    }

    /// Runs a workflow as a child run: one of the builder, one that was written as data, or another function.
    pub fn sub<I: Serialize, O>(&self, key: impl Into<Name>, flow: &Flow<I, O>, input: &I) -> FunctionFuture<O, Plain> {
        self.request(key, input, Shape::Body(Body::Flow(Arc::clone(flow.definition()))))
    }

    /// Performs a task, a workflow or a called workflow that is given as data. The caller asserts the type of the output.
    pub fn call<O>(&self, key: impl Into<Name>, body: Body, input: &impl Serialize) -> FunctionFuture<O, Plain> {
        self.request(key, input, Shape::Body(body))
    }

    /// Waits for a signal to the run. The key of the call is the name of the signal.
    pub fn signal<O>(&self, signal: impl Into<Name>) -> FunctionFuture<O, Waits> {
        let signal = signal.into();
        self.request(signal.clone(), &(), Shape::Signal { signal, within: None })
    }

    /// Waits for a span of time, which begins when the engine begins the call.
    pub fn sleep(&self, key: impl Into<Name>, span: Duration) -> FunctionFuture<(), Plain> {
        self.request(key, &(), Shape::Sleep(span))
    }

    /// Waits until a time.
    pub fn sleep_until(&self, key: impl Into<Name>, time: Time) -> FunctionFuture<(), Plain> {
        self.request(key, &time, Shape::SleepUntil)
    }

    /// A value from outside: the time, a random number, the contents of a file. The closure is called once, and the engine records
    /// what it returns; a function that begins again gets the recorded value. The closure is called again if the process ends
    /// before the value is recorded, so it must have no side effects that matter.
    ///
    /// ```
    /// use counterpoint::Failure;
    /// use counterpoint::workflow::Ctx;
    ///
    /// async fn order(ctx: Ctx, _: ()) -> Result<u32, Failure> {
    ///     let dice = ctx.value("dice", || 4).await?; // from a generator of random numbers
    ///     Ok(dice)
    /// }
    /// ```
    pub fn value<O: Serialize>(
        &self,
        key: impl Into<Name>,
        compute: impl FnOnce() -> O + Send + 'static,
    ) -> FunctionFuture<O, Plain> {
        let request = Request::new(key.into(), Ok(Payload::NULL), Shape::Value);
        FunctionFuture::new(self, request, Some(Box::new(move || encode(&compute()))))
    }

    /// Waits for the decision of a person with a role, between these options, each of which must have a string as its JSON form:
    /// the cases of an enum without data, or texts. A person decides with [`RunCommand::Decide`](crate::RunCommand::Decide), or
    /// the method `decide` of a host, for the run of the function; the key of the call is the name of the node.
    ///
    /// ```
    /// use counterpoint::Failure;
    /// use counterpoint::workflow::{Ctx, Decided};
    /// use serde::{Deserialize, Serialize};
    /// use std::time::Duration;
    ///
    /// #[derive(Serialize, Deserialize, PartialEq)]
    /// enum Verdict {
    ///     Publish,
    ///     Return,
    /// }
    ///
    /// async fn publish(ctx: Ctx, _: ()) -> Result<bool, Failure> {
    ///     let options = [Verdict::Publish, Verdict::Return];
    ///     let decided: Decided<Verdict> = ctx
    ///         .decision("release", "editor", &options)
    ///         .escalated(Duration::from_secs(3_600), "chief editor")
    ///         .within(Duration::from_secs(86_400))
    ///         .await?;
    ///     Ok(decided.option == Verdict::Publish)
    /// }
    /// ```
    pub fn decision<T: Serialize + DeserializeOwned>(
        &self,
        key: impl Into<Name>,
        role: impl Into<Name>,
        options: &[T],
    ) -> FunctionFuture<Decided<T>, Decides> {
        let mut names = Vec::with_capacity(options.len());
        let mut unfit = None;
        for option in options {
            match encode(option).map(|name| name.value().as_str().map(Name::from)) {
                Ok(Some(name)) => names.push(name),
                Ok(None) => unfit = Some("the JSON form of an option of a decision is not a string".to_owned()),
                Err(failure) => unfit = Some(failure.message.to_string()),
            }
        }
        let decision = Decision::by(role, names);
        let shape = Shape::Decision { decision, within: None };
        let input = match unfit {
            Some(message) => Err(Failure::permanent(message).with_code(codes::INVALID_VALUE)),
            None => Ok(Payload::NULL),
        };
        FunctionFuture::new(self, Request::new(key.into(), input, shape), None)
    }

    /// Passes the pivot of the run: once this is requested, nothing that the run has done is compensated any more, and the
    /// run can no longer be cancelled, only aborted. It goes forward: if the function fails after it, the run fails, and its
    /// outcome names the function as work whose side effects remain.
    ///
    /// ```
    /// use counterpoint::Failure;
    /// use counterpoint::workflow::{Ctx, StepSpec, UndoSpec};
    ///
    /// const CHARGE: UndoSpec<u32, String> = StepSpec::new("charge").undoable();
    /// const SHIP: StepSpec<String, ()> = StepSpec::new("ship");
    ///
    /// async fn order(ctx: Ctx, cents: u32) -> Result<(), Failure> {
    ///     let receipt = ctx.step("charge", CHARGE, &cents).undoable().await?;
    ///     ctx.pivot("paid").await?; // from here on, the order is shipped
    ///     ctx.step("ship", SHIP, &receipt).await
    /// }
    /// ```
    pub fn pivot(&self, key: impl Into<Name>) -> FunctionFuture<(), Plain> {
        self.request(key, &(), Shape::Pivot)
    }

    /// A save-point. If the function fails after it, and nothing handles the failure, the run does not fail: the calls that were
    /// requested after the save-point are cancelled and compensated, and the function begins again. The calls before it are
    /// kept, so the code continues from here. The result is the number of times that this has happened, with which the code may
    /// choose another way.
    ///
    /// The function rolls back once, or as often as [`retries`](FunctionFuture::retries) allows. Then the save-point before this
    /// one counts, and without one the run fails. A save-point before a [`pivot`](Self::pivot) has no effect any more.
    ///
    /// ```
    /// use counterpoint::Failure;
    /// use counterpoint::workflow::{Ctx, StepSpec, UndoSpec};
    ///
    /// const PACK: StepSpec<String, u64> = StepSpec::new("pack");
    /// const BOOK: UndoSpec<(u64, String), String> = StepSpec::new("book").undoable();
    /// const SHIP: StepSpec<String, ()> = StepSpec::new("ship");
    ///
    /// async fn order(ctx: Ctx, goods: String) -> Result<(), Failure> {
    ///     let parcel = ctx.step("pack", PACK, &goods).await?;
    ///     // A packed parcel stays packed. If the first carrier cannot ship it, its booking is cancelled and another one is asked.
    ///     let carrier = match ctx.save_point("packed").retries(2).await? {
    ///         0 => "fast",
    ///         1 => "cheap",
    ///         _ => "post",
    ///     };
    ///     let booking = ctx.step("book", BOOK, &(parcel, carrier.to_owned())).undoable().await?;
    ///     ctx.step("ship", SHIP, &booking).await
    /// }
    /// ```
    pub fn save_point(&self, key: impl Into<Name>) -> FunctionFuture<u32, Saves> {
        self.request(key, &(), Shape::SavePoint { retries: 1 })
    }

    /// Ends this execution of the function, and begins it again with another input, within the same run: the run keeps its
    /// id, its key and its signals, and a caller that waits for its result gets that of the last execution. What the
    /// function has done so far is forgotten, so a function that never ends occupies a bounded amount of memory. Calls that
    /// have not ended are cancelled; what the others did is not compensated any more. `function` must be the function
    /// itself.
    ///
    /// The future never completes, unless the input has no JSON form.
    ///
    /// ```
    /// use counterpoint::Failure;
    /// use counterpoint::workflow::{Ctx, FunctionSpec};
    /// use std::time::Duration;
    ///
    /// const POLL: FunctionSpec<u64, u64> = FunctionSpec::new("poll");
    ///
    /// /// Counts the days, until a signal ends it.
    /// async fn poll(ctx: Ctx, days: u64) -> Result<u64, Failure> {
    ///     match ctx.signal::<()>("stop").within(Duration::from_secs(86_400)).await {
    ///         Ok(()) => Ok(days),
    ///         Err(_) => ctx.continue_as_new(POLL, &(days + 1)).await,
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// When the input has no JSON form.
    pub async fn continue_as_new<I: Serialize, O>(
        &self,
        function: FunctionSpec<I, O>,
        input: &I,
    ) -> Result<O, Failure> {
        let input = encode(input)?;
        self.state().continue_as_new(function.name(), input);
        core::future::pending().await
    }

    fn request<O, L>(
        &self,
        key: impl Into<Name>,
        input: &(impl Serialize + ?Sized),
        shape: Shape,
    ) -> FunctionFuture<O, L> {
        FunctionFuture::new(self, Request::new(key.into(), encode(input), shape), None)
    }
}

fn encode(data: &(impl Serialize + ?Sized)) -> Result<Payload, Failure> {
    Payload::of(data).map_err(|error| Failure::permanent(error.to_string()).with_code(codes::INVALID_VALUE))
}

impl fmt::Debug for Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctx").finish_non_exhaustive()
    }
}
