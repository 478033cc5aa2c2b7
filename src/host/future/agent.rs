//! Agents that perform attempts as futures.

use super::timer::BoxFuture;
use crate::base::id::{AttemptId, Incarnation};
use crate::base::payload::Payload;
use crate::base::structure::Panic;
#[cfg(feature = "codecs")]
use crate::host::Encoding;
#[cfg(feature = "codecs")]
use crate::host::codec::{plain, unfit};
use crate::message::command::Command;
use crate::task::{Failure, TaskSpec, codes};
use crate::workflow::{AsyncSteps, Attempt, Steps, unreadable_input};
use async_channel::Sender;
use futures_util::FutureExt;
use serde::de::DeserializeOwned;
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
}

impl Assignment {
    /// An assignment without a deadline, for tests of agents.
    #[must_use]
    pub fn new(attempt: AttemptId, task: impl Into<Arc<TaskSpec>>) -> Self {
        let task = task.into();
        Self { attempt: Attempt::of(attempt, Arc::clone(&task), None), task }
    }

    /// The payload of the task as a typed value.
    ///
    /// # Errors
    ///
    /// A permanent failure if the payload is not of that type: another attempt would not change that.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        self.task.payload.to().map_err(|error| unreadable_input(&self.task.kind, &error))
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

impl AsyncAgent for AsyncSteps {
    async fn perform(&self, Assignment { task, attempt }: Assignment) -> Result<Payload, Failure> {
        self.begin(&task.payload, &attempt).await
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
    fn work(self: Arc<Self>, Assignment { task, attempt }: Assignment) -> BoxFuture<Answer> {
        self.0.begin(&task.payload, &attempt)
    }
}

/// An agent that sees no encoded payloads.
#[cfg(feature = "codecs")]
pub(super) struct Decoding {
    pub(super) agent: Arc<dyn Performer>,
    pub(super) encoding: Encoding,
}

#[cfg(feature = "codecs")]
impl Performer for Decoding {
    fn work(self: Arc<Self>, Assignment { task, attempt }: Assignment) -> BoxFuture<Answer> {
        Box::pin(async move {
            let task = Arc::new(plain(&self.encoding, &task)?);
            let output = Arc::clone(&self.agent).work(Assignment { task, attempt }).await?;
            self.encoding.encode(&output).map_err(|error| unfit(&error))
        })
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
    attempt: Attempt,
    commands: Option<Sender<Command>>,
}

impl Report {
    pub(super) const fn new(by: Incarnation, attempt: Attempt, commands: Sender<Command>) -> Self {
        Self { by, attempt, commands: Some(commands) }
    }

    /// Performs the attempt and sends its answer.
    pub(super) async fn of(mut self, work: BoxFuture<Answer>) {
        let answer = AssertUnwindSafe(work).catch_unwind().await;
        self.send(answer.unwrap_or_else(|panic| Err(panicked(&Panic::of(panic)))));
    }

    fn send(&mut self, result: Answer) {
        let Some(commands) = self.commands.take() else { return };
        // The channel is closed if the host has ended.
        let _ = commands.try_send(self.attempt.answer(self.by, result));
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let dropped = Failure::unknown("the future of the attempt was dropped before it completed");
        self.send(Err(dropped.with_code(codes::AGENT_DROPPED)));
    }
}
