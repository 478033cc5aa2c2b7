//! The handles of submitted tasks and started runs, as futures.

use crate::base::id::{RunId, TaskId};
use crate::host::error::output_of;
use crate::host::reentry::Inside;
use crate::host::{HostError, RunError};
use crate::message::command::{Command, RunCommand, TaskCommand};
use crate::message::run::RunOutcome;
use crate::task::TaskOutcome;
use async_channel::Sender;
use core::fmt;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_channel::oneshot::Receiver;
use serde::de::DeserializeOwned;

/// The reason of a cancellation by a dropped handle.
const DROPPED: &str = "its handle was dropped";

/// Cancels the task or run when its handle is dropped, if requested.
struct CancelOnDrop {
    commands: Sender<Command>,
    cancel: Option<Command>,
    armed: bool,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let (true, Some(cancel)) = (self.armed, self.cancel.take()) {
            // The channel is closed if the host has ended.
            let _ = self.commands.try_send(cancel);
        }
    }
}

/// A submitted task: a future of its outcome. Dropping the handle does not affect the task. In a callback of the host it is
/// ready at once, with [`HostError::Reentrant`] unless the task has ended.
#[must_use = "dropping the handle does not affect the task"]
pub struct TaskHandle {
    id: TaskId,
    outcome: Receiver<TaskOutcome>,
    guard: CancelOnDrop,
    inside: Inside,
}

impl TaskHandle {
    pub(super) fn new(id: TaskId, outcome: Receiver<TaskOutcome>, commands: Sender<Command>, inside: Inside) -> Self {
        let cancel = TaskCommand::Cancel { task: id, reason: DROPPED.into() };
        Self { id, outcome, guard: CancelOnDrop { commands, cancel: Some(cancel.into()), armed: false }, inside }
    }

    /// Cancels the task if the handle is dropped before the task has ended.
    pub const fn cancel_on_drop(mut self) -> Self {
        self.guard.armed = true;
        self
    }

    /// The task's id.
    #[must_use]
    pub const fn id(&self) -> TaskId {
        self.id
    }
}

impl Future for TaskHandle {
    type Output = Result<TaskOutcome, HostError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = Pin::new(&mut self.outcome).poll(cx);
        if outcome.is_pending() && self.inside.is_here() {
            return Poll::Ready(Err(HostError::Reentrant));
        }
        self.guard.armed &= outcome.is_pending();
        outcome.map_err(|_| HostError::Ended)
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskHandle({})", self.id)
    }
}

/// A started run: a future of its output. Dropping the handle does not affect the run.
#[must_use = "dropping the handle does not affect the run"]
pub struct RunHandle<O> {
    id: RunId,
    outcome: Receiver<RunOutcome>,
    guard: CancelOnDrop,
    inside: Inside,
    output: PhantomData<fn() -> O>,
}

impl<O> RunHandle<O> {
    pub(super) fn new(id: RunId, outcome: Receiver<RunOutcome>, commands: Sender<Command>, inside: Inside) -> Self {
        let cancel = RunCommand::Cancel { run: id, reason: DROPPED.into() };
        let guard = CancelOnDrop { commands, cancel: Some(cancel.into()), armed: false };
        Self { id, outcome, guard, inside, output: PhantomData }
    }

    /// Cancels the run if the handle is dropped before the run has ended. Completed steps of the run are then
    /// compensated.
    pub const fn cancel_on_drop(mut self) -> Self {
        self.guard.armed = true;
        self
    }

    /// The run's id.
    #[must_use]
    pub const fn id(&self) -> RunId {
        self.id
    }
}

impl<O: DeserializeOwned> Future for RunHandle<O> {
    type Output = Result<O, RunError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = Pin::new(&mut self.outcome).poll(cx);
        if outcome.is_pending() && self.inside.is_here() {
            return Poll::Ready(Err(RunError::Reentrant));
        }
        self.guard.armed &= outcome.is_pending();
        outcome.map(|outcome| output_of(outcome.map_err(|_| RunError::HostEnded)?))
    }
}

impl<O> fmt::Debug for RunHandle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunHandle({})", self.id)
    }
}
