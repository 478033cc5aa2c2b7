//! A registry of asynchronous steps by kind.

use super::step::{AsyncQuery, AsyncStep, AsyncUndo};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::task::Failure;
use crate::workflow::attempt::Attempt;
use crate::workflow::spec::{StepKind, UndoSpec};
use crate::workflow::step::Done;
use crate::workflow::steps::{About, Found, Steps, lost_output, unknown_step, unreadable_input};
use core::fmt;
use core::future::ready;
use core::pin::Pin;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The future of an attempt.
pub(crate) type Working = Pin<Box<dyn Future<Output = Result<Payload, Failure>> + Send>>;

/// Creates the future of an attempt. No code of the user runs before the future is polled.
type Handler = dyn Fn(Payload, Attempt) -> Working + Send + Sync;

/// A registry of asynchronous steps by kind, with which a host performs attempts. It may hold blocking steps, too
/// ([`with_steps`](Self::with_steps)).
///
/// Cloning is cheap; agents can share one registry.
///
/// ```
/// use counterpoint::Failure;
/// use counterpoint::workflow::{AsyncSteps, Attempt};
///
/// let steps = AsyncSteps::new()
///     .with_fn("greet", |name: String, _: Attempt| async move { Ok::<_, Failure>(format!("Hello, {name}")) })
///     .with_fn("add", |(a, b): (u32, u32), _: Attempt| async move { Ok::<_, Failure>(a + b) });
/// assert_eq!(steps.kinds().count(), 2);
/// ```
///
/// A blocking step is not a future:
///
/// ```compile_fail,E0277
/// # use counterpoint::Failure;
/// # use counterpoint::workflow::{AsyncSteps, Attempt, Step};
/// # struct Double;
/// # impl Step for Double {
/// #     const KIND: &'static str = "double";
/// #     type Input = u32;
/// #     type Output = u32;
/// #     fn run(&self, input: u32, _: &Attempt) -> Result<u32, Failure> { Ok(input * 2) }
/// # }
/// let steps = AsyncSteps::new().with(Double); // `.with_steps(&Steps::new().with(Double))`
/// ```
///
/// An undo is required where it is registered:
///
/// ```compile_fail,E0277
/// # use counterpoint::Failure;
/// # use counterpoint::workflow::{AsyncStep, AsyncSteps, Attempt};
/// # struct Publish;
/// # impl AsyncStep for Publish {
/// #     const KIND: &'static str = "publish";
/// #     type Input = String;
/// #     type Output = ();
/// #     async fn run(&self, _: String, _: Attempt) -> Result<(), Failure> { Ok(()) }
/// # }
/// let steps = AsyncSteps::new().with_undo(Publish); // Publish is no AsyncUndo
/// ```
#[derive(Clone, Default)]
pub struct AsyncSteps {
    handlers: BTreeMap<Name, Arc<Handler>>,
}

impl AsyncSteps {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a step. It replaces a step of the same kind.
    #[must_use]
    pub fn with<S: AsyncStep + 'static>(self, step: S) -> Self {
        let step = Arc::new(step);
        self.with_fn(S::KIND, move |input: S::Input, attempt| {
            let step = Arc::clone(&step);
            async move { step.run(input, attempt).await }
        })
    }

    /// Adds a step and its compensation.
    #[must_use]
    pub fn with_undo<S: AsyncUndo + 'static>(self, step: S) -> Self {
        let step = Arc::new(step);
        let undone = Arc::clone(&step);
        self.with(step).with_fn(S::undo_kind(), move |done: Done<S::Input, S::Output>, attempt| {
            let step = Arc::clone(&undone);
            async move { step.undo(done, attempt).await }
        })
    }

    /// Adds a step and its query.
    #[must_use]
    pub fn with_query<S: AsyncQuery + 'static>(self, step: S) -> Self {
        let step = Arc::new(step);
        let asked = Arc::clone(&step);
        self.with(step).with_fn(S::query_kind(), move |about: About<S::Input>, attempt| {
            let step = Arc::clone(&asked);
            async move { Ok(Found::from(step.find(about.input, attempt).await?)) }
        })
    }

    /// Adds an asynchronous function as the step of a kind: of a name, or of a [`StepSpec`](crate::workflow::StepSpec), which gives the
    /// function its types. It replaces a step of the same kind.
    #[must_use]
    pub fn with_fn<I, O, F, A>(mut self, kind: impl StepKind<I, O>, step: F) -> Self
    where
        I: DeserializeOwned,
        O: Serialize,
        F: Fn(I, Attempt) -> A + Send + Sync + 'static,
        A: Future<Output = Result<O, Failure>> + Send + 'static,
    {
        let step = Arc::new(step);
        let handler = move |payload: Payload, attempt: Attempt| -> Working {
            let step = Arc::clone(&step);
            Box::pin(async move {
                let kind = attempt.kind().clone();
                let work = payload.to::<I>().map(|input| step(input, attempt));
                drop((payload, step));
                let output = work.map_err(|error| unreadable_input(&kind, &error))?.await?;
                Payload::of(&output).map_err(|error| lost_output(&kind, &error))
            })
        };
        self.handlers.insert(kind.name(), Arc::new(handler));
        self
    }

    /// Adds asynchronous functions as a step and its compensation.
    #[must_use]
    pub fn with_undo_fn<I, O, F, A, G, B>(self, step: UndoSpec<I, O>, run: F, undo: G) -> Self
    where
        I: DeserializeOwned,
        O: Serialize + DeserializeOwned,
        F: Fn(I, Attempt) -> A + Send + Sync + 'static,
        A: Future<Output = Result<O, Failure>> + Send + 'static,
        G: Fn(Done<I, O>, Attempt) -> B + Send + Sync + 'static,
        B: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.with_fn(step.step(), run).with_fn(step.undo_kind(), undo)
    }

    /// Adds blocking steps: each runs to its end on the thread that polls it.
    #[must_use]
    pub fn with_steps(mut self, steps: &Steps) -> Self {
        for kind in steps.kinds() {
            let steps = steps.clone();
            let handler = move |payload: Payload, attempt: Attempt| -> Working {
                let steps = steps.clone();
                Box::pin(async move { steps.perform(attempt.kind(), &payload, &attempt) })
            };
            self.handlers.insert(kind.clone(), Arc::new(handler));
        }
        self
    }

    /// Adds all steps of another registry.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.handlers.extend(other.handlers);
        self
    }

    /// The kinds in ascending order. An agent with these steps has them as skills.
    pub fn kinds(&self) -> impl ExactSizeIterator<Item = &Name> + Clone {
        self.handlers.keys()
    }

    /// Performs one attempt.
    ///
    /// # Errors
    ///
    /// Returns the failure of the step, or a permanent failure if the kind is not registered or the payload is not a
    /// valid input.
    pub async fn perform(&self, payload: &Payload, attempt: &Attempt) -> Result<Payload, Failure> {
        self.begin(payload, attempt).await
    }

    pub(crate) fn begin(&self, payload: &Payload, attempt: &Attempt) -> Working {
        match self.handlers.get(attempt.kind()) {
            Some(handler) => handler(payload.clone(), attempt.clone()),
            None => Box::pin(ready(Err(unknown_step(attempt.kind(), self.kinds())))),
        }
    }
}

impl fmt::Debug for AsyncSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.kinds()).finish()
    }
}
