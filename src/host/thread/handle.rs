//! What a caller holds of a task or run, and what can go wrong.

use crate::error::{PayloadError, RestoreError};
use crate::id::{RunId, TaskId};
use crate::journal::{AppendError, JournalError};
use crate::payload::Payload;
use crate::rejected::Rejected;
use crate::run::RunOutcome;
use crate::task::TaskOutcome;
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use crossbeam::channel::Receiver;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// A host could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum HostError {
    /// The engine refused the command; nothing changed.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The host has ended: it was shut down, or its journal failed.
    #[error("the host has ended")]
    Ended,
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal cannot be restored from.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// A snapshot was not kept.
    #[error("the snapshot was not kept: {0}")]
    Snapshot(AppendError),
    /// The input has no JSON form.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(String),
    /// So many attempts were still under way when the host ended.
    #[error("{0} attempts were still under way when the host ended")]
    StillWorking(usize),
}

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
        read(self.told.recv().map_err(|_| RunError::HostEnded)?)
    }

    /// Waits until the run has ended, or gives the handle back when that takes longer.
    ///
    /// # Errors
    ///
    /// The handle itself, to wait again.
    pub fn wait_for(self, patience: Duration) -> Result<Result<O, RunError>, Self> {
        self.told.recv_timeout(patience).map(read).map_err(|_| self)
    }
}

fn read<O: DeserializeOwned>(outcome: RunOutcome) -> Result<O, RunError> {
    match outcome {
        RunOutcome::Succeeded { output } => Payload::to(&output).map_err(RunError::Output),
        outcome @ (RunOutcome::Compensated { .. } | RunOutcome::Failed { .. }) => Err(RunError::Unsuccessful(outcome)),
    }
}

impl<O> fmt::Debug for RunHandle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunHandle({})", self.id)
    }
}

/// A run gave nothing back.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum RunError {
    /// It did not succeed.
    #[error("the run {0}")]
    Unsuccessful(RunOutcome),
    /// What it gave back is of another type.
    #[error(transparent)]
    Output(PayloadError),
    /// The host ended first; the run goes on when another takes over its journal.
    #[error("the host ended before the run did")]
    HostEnded,
}
