//! Agents that perform attempts as futures.

use super::cancel::{Cancellation, Cancelled};
use super::timer::BoxFuture;
use crate::base::id::{AttemptId, Incarnation};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::Panic;
use crate::base::time::Time;
use crate::message::command::Command;
use crate::task::{Failure, Identity, TaskSpec, codes};
use crate::workflow::{Attempt, Steps, unknown_step, unreadable_input};
use async_channel::Sender;
use core::fmt;
use core::future::ready;
use futures_util::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// An attempt that is assigned to an agent.
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
    /// The attempt.
    pub attempt: Attempt,
    /// The time at which the engine stops waiting for the answer; the future is then dropped.
    pub until: Option<Time>,
    /// The request to cancel the attempt.
    pub cancellation: Cancellation,
}

impl Assignment {
    /// An assignment without a time limit, for tests of agents.
    #[must_use]
    pub fn new(attempt: AttemptId, task: impl Into<Arc<TaskSpec>>) -> Self {
        Self::of(attempt, task.into(), None)
    }

    pub(super) fn of(attempt: AttemptId, task: Arc<TaskSpec>, identity: Option<Arc<Identity>>) -> Self {
        let cancellation = Cancellation::default();
        let attempt = Attempt::flagged(attempt, task.kind.clone(), cancellation.flag()).with_key_of(identity, &task);
        Self { task, attempt, until: None, cancellation }
    }

    /// Sets the time at which the engine stops waiting for the answer.
    #[must_use]
    pub const fn with_until(mut self, until: Option<Time>) -> Self {
        self.until = until;
        self
    }

    /// The payload of the task as a typed value.
    ///
    /// # Errors
    ///
    /// A permanent failure if the payload is not of that type: another attempt would not change that.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        self.task.payload.to().map_err(|error| unreadable_input(&self.task.kind, &error))
    }

    /// Completes when the attempt is cancelled.
    pub fn cancelled(&self) -> Cancelled {
        self.cancellation.cancelled()
    }
}

/// Performs attempts, one future for each.
///
/// The same work may be requested again after a failure or a crash: [`Attempt::idempotency_key`] is the key by which an outside
/// system recognises that the work has been done. The future of an attempt is dropped when the attempt ends without it:
/// after its timeout, when the task was cancelled and the grace period is over, or when the agent was removed.
/// [`AsyncSteps`] and [`Steps`] implement this trait, and so does every function with a matching signature.
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
    /// The failure states whether another attempt makes sense. An agent that cannot know whether the work was done
    /// returns [`Failure::unknown`].
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

/// Synchronous steps: each runs to its end on the thread that polls it.
impl AsyncAgent for Steps {
    async fn perform(&self, assignment: Assignment) -> Result<Payload, Failure> {
        Self::perform(self, &assignment.task.kind, &assignment.task.payload, &assignment.attempt)
    }
}

/// The result of an attempt.
pub(super) type Answer = Result<Payload, Failure>;

/// Creates the future of an attempt. The step is called when the future is polled.
type Handler = dyn Fn(Assignment) -> BoxFuture<Answer> + Send + Sync;

/// Asynchronous steps by the kind of task that they perform.
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
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an asynchronous function as the step for a kind. A later function replaces an earlier one for the same
    /// kind.
    #[must_use]
    pub fn with_fn<I, O, F, A>(mut self, kind: impl Into<Name>, step: F) -> Self
    where
        I: DeserializeOwned,
        O: Serialize,
        F: Fn(I, Assignment) -> A + Send + Sync + 'static,
        A: Future<Output = Result<O, Failure>> + Send + 'static,
    {
        let step = Arc::new(step);
        let handler = move |assignment: Assignment| -> BoxFuture<Answer> {
            let step = Arc::clone(&step);
            Box::pin(async move {
                let kind = assignment.task.kind.clone();
                let work = assignment.input().map(|input| step(input, assignment));
                let output = work?.await?;
                // The work is done, so a failure without side effects would be wrong.
                Payload::of(&output).map_err(|error| {
                    Failure::unknown(format!("step {kind} completed, but its output is not JSON: {error}"))
                        .with_code(codes::STEP_OUTPUT)
                })
            })
        };
        self.handlers.insert(kind.into(), Arc::new(handler));
        self
    }

    /// Adds synchronous steps.
    #[must_use]
    pub fn with_steps(mut self, steps: &Steps) -> Self {
        for kind in steps.kinds() {
            let steps = steps.clone();
            let handler = move |assignment: Assignment| -> BoxFuture<Answer> {
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

    /// The kinds in ascending order. An agent with these steps has them as skills.
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

/// An agent without its concrete type.
pub(super) trait Performer: Send + Sync {
    /// A future that performs an attempt. No code of the user runs before it is polled.
    fn work(self: Arc<Self>, assignment: Assignment) -> BoxFuture<Answer>;
}

impl<A: AsyncAgent> Performer for A {
    fn work(self: Arc<Self>, assignment: Assignment) -> BoxFuture<Answer> {
        // The agent's own code creates the inner future.
        Box::pin(async move { self.perform(assignment).await })
    }
}

/// Steps as an agent: their futures are boxed already.
pub(super) struct Boxed(pub(super) AsyncSteps);

impl Performer for Boxed {
    fn work(self: Arc<Self>, assignment: Assignment) -> BoxFuture<Answer> {
        let Self(steps) = &*self;
        match steps.handlers.get(&assignment.task.kind) {
            Some(handler) => handler(assignment),
            None => Box::pin(ready(Err(unknown_step(&assignment.task.kind, steps.kinds())))),
        }
    }
}

/// The failure of an attempt whose future panicked: the work may have been done.
pub(super) fn panicked(panic: &Panic) -> Failure {
    Failure::unknown(format!("the agent panicked: {panic}")).with_code(codes::AGENT_PANICKED)
}

/// The answer that a spawned attempt must send. Dropped without one, it reports a failure with an unknown outcome, because the
/// work may have been done.
pub(super) struct Report {
    by: Incarnation,
    attempt: AttemptId,
    commands: Option<Sender<Command>>,
}

impl Report {
    pub(super) const fn new(by: Incarnation, attempt: AttemptId, commands: Sender<Command>) -> Self {
        Self { by, attempt, commands: Some(commands) }
    }

    /// Performs the attempt and sends its answer.
    pub(super) async fn of(mut self, work: BoxFuture<Answer>) {
        let answer = AssertUnwindSafe(work).catch_unwind().await;
        self.send(answer.unwrap_or_else(|panic| Err(panicked(&Panic::of(panic)))));
    }

    fn send(&mut self, result: Answer) {
        let Some(commands) = self.commands.take() else { return };
        let command = match result {
            Ok(output) => Command::complete(self.by, self.attempt, output),
            Err(failure) => Command::fail(self.by, self.attempt, failure),
        };
        // The channel is closed if the host has ended.
        let _ = commands.try_send(command);
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let dropped = Failure::unknown("the future of the attempt was dropped before it completed");
        self.send(Err(dropped.with_code(codes::AGENT_DROPPED)));
    }
}
