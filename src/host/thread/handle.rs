//! The handles of submitted tasks and started runs.

use crate::base::id::{RunId, TaskId};
use crate::base::structure::threads::thread::{self, ThreadId};
use crate::host::coder::Coder;
use crate::host::error::output_of;
use crate::host::{HostError, RunError};
use crate::message::run::RunOutcome;
use crate::task::TaskOutcome;
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use crossbeam::channel::{Receiver, Select};
use serde::de::DeserializeOwned;

/// A submitted task.
pub struct TaskHandle {
    id: TaskId,
    outcome: Receiver<TaskOutcome>,
    /// The thread that must not wait for the outcome: the owner's.
    inside: ThreadId,
    coder: Coder,
}

impl TaskHandle {
    pub(super) const fn new(id: TaskId, outcome: Receiver<TaskOutcome>, inside: ThreadId, coder: Coder) -> Self {
        Self { id, outcome, inside, coder }
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
            return self.coder.outcome(self.outcome.try_recv().map_err(|_| HostError::Reentrant)?);
        }
        self.coder.outcome(self.outcome.recv().map_err(|_| HostError::Ended)?)
    }

    /// Waits until the task has ended, or returns the handle after this time; a callback of the host does not wait. An output
    /// that cannot be decoded is returned as the journal has it.
    ///
    /// # Errors
    ///
    /// The handle itself, to wait again.
    pub fn wait_for(self, patience: Duration) -> Result<TaskOutcome, Self> {
        let patience = if thread::current().id() == self.inside { Duration::ZERO } else { patience };
        let Ok(outcome) = self.outcome.recv_timeout(patience) else { return Err(self) };
        Ok(self.coder.outcome(outcome.clone()).unwrap_or(outcome))
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
    coder: Coder,
    output: PhantomData<fn() -> O>,
}

impl<O: DeserializeOwned> RunHandle<O> {
    pub(super) const fn new(id: RunId, outcome: Receiver<RunOutcome>, inside: ThreadId, coder: Coder) -> Self {
        Self { id, outcome, inside, coder, output: PhantomData }
    }

    fn output(&self, outcome: RunOutcome) -> Result<O, RunError> {
        output_of(self.coder.run_outcome(outcome)?)
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

    /// Waits until one of the runs has ended, takes its handle out of the list, and returns its id and its output; `None` if
    /// the list is empty. A callback of the host does not wait.
    ///
    /// ```
    /// use counterpoint::host::thread::{RunHandle, ThreadHost};
    /// use counterpoint::workflow::{StepSpec, Steps, Workflow};
    /// use counterpoint::{AgentId, AgentSpec, Config, RunId};
    ///
    /// const DOUBLE: StepSpec<u64, u64> = StepSpec::new("double");
    ///
    /// let flow = Workflow::<u64, u64>::named("twice");
    /// let flow = flow.output(flow.step(DOUBLE, flow.input()))?;
    ///
    /// let host = ThreadHost::start(Config::default())?;
    /// host.add_agent(AgentSpec::new(AgentId::new(1)), Steps::new().with_fn(DOUBLE, |n, _| Ok(2 * n)))?;
    /// let mut runs = Vec::new();
    /// for n in 1..=3 {
    ///     runs.push(host.run(&flow, RunId::new(n), &n)?);
    /// }
    /// let mut outputs = 0;
    /// while let Some((run, output)) = RunHandle::wait_any(&mut runs) {
    ///     assert_eq!(output?, 2 * run.get());
    ///     outputs += 1;
    /// }
    /// assert_eq!(outputs, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_any(runs: &mut Vec<Self>) -> Option<(RunId, Result<O, RunError>)> {
        let is_inside = runs.first()?.inside == thread::current().id();
        let (at, outcome) = Self::select(runs, is_inside).unwrap_or((0, Err(RunError::Reentrant)));
        let run = runs.swap_remove(at);
        Some((run.id, outcome.and_then(|outcome| run.output(outcome))))
    }

    /// The place of the first of the runs that has ended. None has if this is inside of the host, where nothing may wait.
    fn select(runs: &[Self], is_inside: bool) -> Option<(usize, Result<RunOutcome, RunError>)> {
        let mut select = Select::new();
        for run in runs {
            select.recv(&run.outcome);
        }
        let selected = if is_inside { select.try_select().ok()? } else { select.select() };
        let at = selected.index();
        #[expect(clippy::indexing_slicing, reason = "the operations are those of the runs, in their order")]
        Some((at, selected.recv(&runs[at].outcome).map_err(|_| RunError::HostEnded)))
    }
}

impl<O> fmt::Debug for RunHandle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunHandle({})", self.id)
    }
}
