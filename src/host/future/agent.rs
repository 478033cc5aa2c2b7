//! Whoever performs attempts as futures.

use super::cancel::{Cancellation, Cancelled};
use super::timer::BoxFuture;
use crate::base::id::{AttemptId, Incarnation};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::message::command::Command;
use crate::task::{Failure, TaskSpec};
use crate::workflow::{Attempt, Steps, unknown_step};
use async_channel::Sender;
use core::any::Any;
use core::fmt;
use futures_util::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// An attempt as an agent is given it.
///
/// ```
/// use counterpoint::host::future::Assignment;
/// use counterpoint::{AttemptId, Payload, TaskId, TaskSpec};
///
/// let task = TaskSpec::new(TaskId::new(7), "greet").with_payload(Payload::of("Ada")?);
/// let assignment = Assignment::new(AttemptId::new(task.id, 1), task);
/// assert_eq!(assignment.input::<String>().unwrap(), "Ada");
/// assert!(assignment.input::<u32>().is_err());
/// # Ok::<(), counterpoint::PayloadError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Assignment {
    /// The task.
    pub task: Arc<TaskSpec>,
    /// The attempt at it.
    pub attempt: Attempt,
    /// When the engine stops waiting for the answer: then the future is dropped.
    pub until: Option<Time>,
    /// Whether it is no longer wanted.
    pub cancellation: Cancellation,
}

impl Assignment {
    /// An attempt without a bound, for tests of agents.
    #[must_use]
    pub fn new(attempt: AttemptId, task: impl Into<Arc<TaskSpec>>) -> Self {
        let (task, cancellation): (Arc<TaskSpec>, _) = (task.into(), Cancellation::default());
        let attempt = Attempt::new(attempt, task.kind.clone()).with_flag(cancellation.flag());
        Self { task, attempt, until: None, cancellation }
    }

    /// Sets when the engine stops waiting for the answer.
    #[must_use]
    pub const fn with_until(mut self, until: Option<Time>) -> Self {
        self.until = until;
        self
    }

    /// What the task is given, as a type.
    ///
    /// # Errors
    ///
    /// A permanent failure when it is not of that type: another attempt would not change that.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        self.task.payload.to().map_err(|error| Failure::permanent(format!("step {}: {error}", self.task.kind)))
    }

    /// Ends when the attempt is no longer wanted.
    pub fn cancelled(&self) -> Cancelled {
        self.cancellation.cancelled()
    }
}

/// Whoever performs attempts at tasks, one future for each.
///
/// The work may be asked for again after a failure or a crash: [`Attempt::task`] is the key by which the world outside
/// recognises that it has been done. A future is dropped when its attempt has ended without it: because it took too long,
/// the task was cancelled and its grace is over, or the agent was taken away. [`AsyncSteps`] and [`Steps`] are agents, and so
/// is every function of the right form.
///
/// ```
/// use counterpoint::host::future::{Assignment, AsyncAgent};
/// use counterpoint::{Failure, Payload};
///
/// struct Shouter;
///
/// impl AsyncAgent for Shouter {
///     async fn perform(&self, assignment: Assignment) -> Result<Payload, Failure> {
///         let text: String = assignment.input()?;
///         Payload::of(&text.to_uppercase()).map_err(|error| Failure::permanent(error.to_string()))
///     }
/// }
/// ```
pub trait AsyncAgent: Send + Sync + 'static {
    /// Performs an attempt.
    ///
    /// # Errors
    ///
    /// The failure says what it means for the next attempt. An agent that is not sure whether the work was done says
    /// [`Failure::unknown`].
    fn perform(&self, assignment: Assignment) -> impl Future<Output = Result<Payload, Failure>> + Send;
}

impl<F, A> AsyncAgent for F
where
    F: Fn(Assignment) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Payload, Failure>> + Send,
{
    fn perform(&self, assignment: Assignment) -> impl Future<Output = Result<Payload, Failure>> + Send {
        self(assignment)
    }
}

/// Steps that do not wait: each is done in one go on the thread that polls it.
impl AsyncAgent for Steps {
    async fn perform(&self, assignment: Assignment) -> Result<Payload, Failure> {
        Self::perform(self, &assignment.task.kind, &assignment.task.payload, &assignment.attempt)
    }
}

type Handler = dyn Fn(Assignment) -> BoxFuture<Result<Payload, Failure>> + Send + Sync;

/// The steps that an agent can do as futures, by kind.
///
/// ```
/// use counterpoint::host::future::{Assignment, AsyncSteps};
/// use counterpoint::Failure;
///
/// let steps = AsyncSteps::new()
///     .with_fn("greet", |name: String, _: Assignment| async move { Ok::<_, Failure>(format!("Hello, {name}")) })
///     .with_fn("add", |(a, b): (u32, u32), _: Assignment| async move { Ok::<_, Failure>(a + b) });
/// assert_eq!(steps.kinds().count(), 2);
/// ```
#[derive(Clone, Default)]
pub struct AsyncSteps {
    handlers: BTreeMap<Name, Arc<Handler>>,
}

impl AsyncSteps {
    /// No steps yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an asynchronous function as the step of a kind. Of two with the same kind the later one stays.
    #[must_use]
    pub fn with_fn<I, O, F, A>(mut self, kind: impl Into<Name>, step: F) -> Self
    where
        I: DeserializeOwned,
        O: Serialize,
        F: Fn(I, Assignment) -> A + Send + Sync + 'static,
        A: Future<Output = Result<O, Failure>> + Send + 'static,
    {
        let handler = move |assignment: Assignment| -> BoxFuture<Result<Payload, Failure>> {
            let kind = assignment.task.kind.clone();
            let work = assignment.input().map(|input| step(input, assignment));
            Box::pin(async move {
                let output = work?.await?;
                // The work is done: a failure that says that nothing happened would be a lie.
                Payload::of(&output).map_err(|error| Failure::unknown(format!("step {kind} was done, but: {error}")))
            })
        };
        self.handlers.insert(kind.into(), Arc::new(handler));
        self
    }

    /// Adds steps that do not wait.
    #[must_use]
    pub fn with_steps(mut self, steps: &Steps) -> Self {
        for kind in steps.kinds() {
            let steps = steps.clone();
            let handler = move |assignment: Assignment| -> BoxFuture<Result<Payload, Failure>> {
                let steps = steps.clone();
                Box::pin(async move { AsyncAgent::perform(&steps, assignment).await })
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

    /// The kinds, in order. An agent that does these steps has them as skills.
    pub fn kinds(&self) -> impl ExactSizeIterator<Item = &Name> + Clone {
        self.handlers.keys()
    }
}

impl AsyncAgent for AsyncSteps {
    async fn perform(&self, assignment: Assignment) -> Result<Payload, Failure> {
        match self.handlers.get(&assignment.task.kind) {
            Some(handler) => handler(assignment).await,
            None => Err(unknown_step(&assignment.task.kind, self.kinds())),
        }
    }
}

impl fmt::Debug for AsyncSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.kinds()).finish()
    }
}

/// An agent whose type is forgotten.
pub(super) trait Performer: Send + Sync {
    /// Performs an attempt and says how it went.
    fn work(self: Arc<Self>, assignment: Assignment, report: Report) -> BoxFuture<()>;
}

impl<A: AsyncAgent> Performer for A {
    fn work(self: Arc<Self>, assignment: Assignment, report: Report) -> BoxFuture<()> {
        Box::pin(async move {
            // The agent's own code makes the future, so a panic may come before there is one.
            let work = AssertUnwindSafe(async move { self.perform(assignment).await });
            let result = work.catch_unwind().await;
            report
                .say(result.unwrap_or_else(|panic| {
                    Err(Failure::unknown(format!("the agent panicked: {}", message(&*panic))))
                }));
        })
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// The answer that an attempt owes. If its future is dropped without one, that is the answer: what it had done by then nobody
/// knows.
pub(super) struct Report {
    by: Incarnation,
    attempt: AttemptId,
    words: Option<Sender<Command>>,
}

impl Report {
    pub(super) const fn new(by: Incarnation, attempt: AttemptId, words: Sender<Command>) -> Self {
        Self { by, attempt, words: Some(words) }
    }

    fn say(mut self, result: Result<Payload, Failure>) {
        self.send(result);
    }

    fn send(&mut self, result: Result<Payload, Failure>) {
        let Some(words) = self.words.take() else { return };
        let word = match result {
            Ok(output) => Command::complete(self.by, self.attempt, output),
            Err(failure) => Command::fail(self.by, self.attempt, failure),
        };
        // The host may have ended.
        let _ = words.try_send(word);
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.send(Err(Failure::unknown("the attempt was dropped before it answered")));
    }
}
