//! What a caller holds of a task or run.

use crate::base::id::{RunId, TaskId};
use crate::host::error::output_of;
use crate::host::{HostError, RunError};
use crate::message::run::RunOutcome;
use crate::task::TaskOutcome;
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use crossbeam::channel::Receiver;
use serde::de::DeserializeOwned;

/// A task that was submitted.
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

    /// Waits until the task has ended.
    ///
    /// # Errors
    ///
    /// When the host ends first.
    pub fn wait(self) -> Result<TaskOutcome, HostError> {
        self.told.recv().map_err(|_| HostError::Ended)
    }

    /// Waits until the task has ended, or gives the handle back when that takes longer.
    ///
    /// # Errors
    ///
    /// The handle itself, to wait again.
    pub fn wait_for(self, patience: Duration) -> Result<TaskOutcome, Self> {
        self.told.recv_timeout(patience).map_err(|_| self)
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskHandle({})", self.id)
    }
}

/// A run that was started, and gives back an `O`.
pub struct RunHandle<O> {
    id: RunId,
    told: Receiver<RunOutcome>,
    output: PhantomData<fn() -> O>,
}

impl<O: DeserializeOwned> RunHandle<O> {
    pub(super) const fn new(id: RunId, told: Receiver<RunOutcome>) -> Self {
        Self { id, told, output: PhantomData }
    }

    /// The run's id.
    #[must_use]
    pub const fn id(&self) -> RunId {
        self.id
    }

    /// Waits until the run has ended, and gives what it gave back.
    ///
    /// # Errors
    ///
    /// When the run did not succeed, what it gave back is no `O`, or the host ends first.
    pub fn wait(self) -> Result<O, RunError> {
        output_of(self.told.recv().map_err(|_| RunError::HostEnded)?)
    }

    /// Waits until the run has ended, or gives the handle back when that takes longer.
    ///
    /// # Errors
    ///
    /// The handle itself, to wait again.
    pub fn wait_for(self, patience: Duration) -> Result<Result<O, RunError>, Self> {
        self.told.recv_timeout(patience).map(output_of).map_err(|_| self)
    }
}

impl<O> fmt::Debug for RunHandle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunHandle({})", self.id)
    }
}
