//! The handles of submitted tasks and started runs.

use crate::base::id::{RunId, TaskId};
use crate::base::structure::threads::thread::{self, ThreadId};
#[cfg(feature = "codecs")]
use crate::host::Encoding;
#[cfg(feature = "codecs")]
use crate::host::codec::{outcome_of, run_outcome_of};
use crate::host::error::output_of;
use crate::host::{HostError, RunError};
use crate::message::run::RunOutcome;
use crate::task::TaskOutcome;
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use crossbeam::channel::Receiver;
use serde::de::DeserializeOwned;

/// A submitted task.
pub struct TaskHandle {
    id: TaskId,
    outcome: Receiver<TaskOutcome>,
    /// The thread that must not wait for the outcome: the owner's.
    inside: ThreadId,
    #[cfg(feature = "codecs")]
    encoding: Option<Encoding>,
}

impl TaskHandle {
    pub(super) const fn new(id: TaskId, outcome: Receiver<TaskOutcome>, inside: ThreadId) -> Self {
        Self {
            id,
            outcome,
            inside,
            #[cfg(feature = "codecs")]
            encoding: None,
        }
    }

    /// Decodes the output.
    #[cfg(feature = "codecs")]
    pub(super) fn decoding(mut self, encoding: Option<Encoding>) -> Self {
        self.encoding = encoding;
        self
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
    /// When the host ends first, or the caller is a callback of the host.
    pub fn wait(self) -> Result<TaskOutcome, HostError> {
        if thread::current().id() == self.inside {
            return self.outcome.try_recv().map_err(|_| HostError::Reentrant);
        }
        let outcome = self.outcome.recv().map_err(|_| HostError::Ended)?;
        #[cfg(feature = "codecs")]
        let outcome = outcome_of(self.encoding.as_ref(), outcome)?;
        Ok(outcome)
    }

    /// Waits until the task has ended, or returns the handle after this time; a callback of the host does not wait. An output
    /// that cannot be decoded is returned as the journal has it.
    ///
    /// # Errors
    ///
    /// The handle itself, to wait again.
    pub fn wait_for(self, patience: Duration) -> Result<TaskOutcome, Self> {
        let patience = if thread::current().id() == self.inside { Duration::ZERO } else { patience };
        let outcome = self.outcome.recv_timeout(patience);
        #[cfg(feature = "codecs")]
        let outcome = outcome.map(|outcome| outcome_of(self.encoding.as_ref(), outcome.clone()).unwrap_or(outcome));
        outcome.map_err(|_| self)
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskHandle({})", self.id)
    }
}

/// A started run with an output of type `O`.
pub struct RunHandle<O> {
    id: RunId,
    outcome: Receiver<RunOutcome>,
    /// The thread that must not wait for the outcome: the owner's.
    inside: ThreadId,
    #[cfg(feature = "codecs")]
    encoding: Option<Encoding>,
    output: PhantomData<fn() -> O>,
}

impl<O: DeserializeOwned> RunHandle<O> {
    pub(super) const fn new(id: RunId, outcome: Receiver<RunOutcome>, inside: ThreadId) -> Self {
        Self {
            id,
            outcome,
            inside,
            #[cfg(feature = "codecs")]
            encoding: None,
            output: PhantomData,
        }
    }

    /// Decodes the output.
    #[cfg(feature = "codecs")]
    pub(super) fn decoding(mut self, encoding: Option<Encoding>) -> Self {
        self.encoding = encoding;
        self
    }

    fn output(&self, outcome: RunOutcome) -> Result<O, RunError> {
        #[cfg(feature = "codecs")]
        let outcome = run_outcome_of(self.encoding.as_ref(), outcome)?;
        output_of(outcome)
    }

    /// The run's id.
    #[must_use]
    pub const fn id(&self) -> RunId {
        self.id
    }

    /// Waits until the run has ended, and returns its output.
    ///
    /// # Errors
    ///
    /// When the run did not succeed, its output is no `O`, the host ends first, or the caller is a callback of the host.
    pub fn wait(self) -> Result<O, RunError> {
        if thread::current().id() == self.inside {
            return self.output(self.outcome.try_recv().map_err(|_| RunError::Reentrant)?);
        }
        self.output(self.outcome.recv().map_err(|_| RunError::HostEnded)?)
    }

    /// Waits until the run has ended, or returns the handle after this time; a callback of the host does not wait.
    ///
    /// # Errors
    ///
    /// The handle itself, to wait again.
    pub fn wait_for(self, patience: Duration) -> Result<Result<O, RunError>, Self> {
        let patience = if thread::current().id() == self.inside { Duration::ZERO } else { patience };
        match self.outcome.recv_timeout(patience) {
            Ok(outcome) => Ok(self.output(outcome)),
            Err(_) => Err(self),
        }
    }
}

impl<O> fmt::Debug for RunHandle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunHandle({})", self.id)
    }
}
