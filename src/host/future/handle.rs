//! What a caller holds of a task or run: futures.

use crate::base::id::{RunId, TaskId};
use crate::host::error::output_of;
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

/// Why what nobody holds any more was cancelled.
const DROPPED: &str = "nobody waits for it any more";

/// What a handle says when it is dropped too early, if it was told to.
struct Leash {
    words: Sender<Command>,
    cancel: Option<Command>,
    taut: bool,
}

impl Drop for Leash {
    fn drop(&mut self) {
        if let (true, Some(cancel)) = (self.taut, self.cancel.take()) {
            // The host may have ended.
            let _ = self.words.try_send(cancel);
        }
    }
}

/// A task that was submitted: a future of how it ends. Dropped, it changes nothing about the task.
#[must_use = "the task goes on without it; drop it if nobody waits"]
pub struct TaskHandle {
    id: TaskId,
    told: Receiver<TaskOutcome>,
    leash: Leash,
}

impl TaskHandle {
    pub(super) fn new(id: TaskId, told: Receiver<TaskOutcome>, words: Sender<Command>) -> Self {
        let cancel = TaskCommand::Cancel { task: id, reason: DROPPED.into() };
        Self { id, told, leash: Leash { words, cancel: Some(cancel.into()), taut: false } }
    }

    /// Cancels the task if the handle is dropped before the task has ended.
    pub const fn cancel_on_drop(mut self) -> Self {
        self.leash.taut = true;
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
        let told = Pin::new(&mut self.told).poll(cx);
        self.leash.taut &= told.is_pending();
        told.map_err(|_| HostError::Ended)
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskHandle({})", self.id)
    }
}

/// A run that was started: a future of what it gives back. Dropped, it changes nothing about the run.
#[must_use = "the run goes on without it; drop it if nobody waits"]
pub struct RunHandle<O> {
    id: RunId,
    told: Receiver<RunOutcome>,
    leash: Leash,
    output: PhantomData<fn() -> O>,
}

impl<O> RunHandle<O> {
    pub(super) fn new(id: RunId, told: Receiver<RunOutcome>, words: Sender<Command>) -> Self {
        let cancel = RunCommand::Cancel { run: id, reason: DROPPED.into() };
        let leash = Leash { words, cancel: Some(cancel.into()), taut: false };
        Self { id, told, leash, output: PhantomData }
    }

    /// Cancels the run, and so undoes what it has done, if the handle is dropped before the run has ended.
    pub const fn cancel_on_drop(mut self) -> Self {
        self.leash.taut = true;
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
        let told = Pin::new(&mut self.told).poll(cx);
        self.leash.taut &= told.is_pending();
        told.map(|told| output_of(told.map_err(|_| RunError::HostEnded)?))
    }
}

impl<O> fmt::Debug for RunHandle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunHandle({})", self.id)
    }
}
