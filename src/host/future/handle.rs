//! What a caller holds of a task or run: futures.

use crate::host::error::output_of;
use crate::host::{HostError, RunError};
use crate::id::{RunId, TaskId};
use crate::run::RunOutcome;
use crate::task::TaskOutcome;
use core::fmt;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_channel::oneshot::Receiver;
use serde::de::DeserializeOwned;

/// A task that was submitted: a future of how it ends. Dropped, it changes nothing about the task.
#[must_use = "the task goes on without it; drop it if nobody waits"]
pub struct TaskHandle {
    id: TaskId,
    told: Receiver<TaskOutcome>,
}

impl TaskHandle {
    pub(super) const fn new(id: TaskId, told: Receiver<TaskOutcome>) -> Self {
        Self { id, told }
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
        Pin::new(&mut self.told).poll(cx).map_err(|_| HostError::Ended)
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
    output: PhantomData<fn() -> O>,
}

impl<O> RunHandle<O> {
    pub(super) const fn new(id: RunId, told: Receiver<RunOutcome>) -> Self {
        Self { id, told, output: PhantomData }
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
        told.map(|told| output_of(told.map_err(|_| RunError::HostEnded)?))
    }
}

impl<O> fmt::Debug for RunHandle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunHandle({})", self.id)
    }
}
