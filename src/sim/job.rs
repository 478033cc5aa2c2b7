//! The requests to the simulated host.

use crate::access::Token;
use crate::base::time::Time;
use crate::message::command::Command;
use crate::message::run::RunSpec;
use crate::task::TaskSpec;
use core::time::Duration;

/// A request to the host at a given time: a task, a run, a command of an operator. The client repeats it until it is
/// answered.
///
/// ```
/// use counterpoint::sim::Job;
/// use counterpoint::{TaskId, TaskSpec, Time};
/// use std::time::Duration;
///
/// // A row of a trace: the arrival, and the work on an agent of speed 1.
/// let task = TaskSpec::new(TaskId::new(1), "summarise");
/// let job = Job::task(Time::from_secs(3), task).taking(Duration::from_millis(840));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub(super) at: Time,
    pub(super) command: Command,
    pub(super) work: Option<Duration>,
    pub(super) caller: Option<Token>,
}

impl Job {
    /// A task that is submitted at this time.
    #[must_use]
    pub fn task(at: Time, task: TaskSpec) -> Self {
        Self::command(at, Command::submit(task))
    }

    /// A run that is started at this time.
    #[must_use]
    pub fn run(at: Time, run: RunSpec) -> Self {
        Self::command(at, Command::start(run))
    }

    /// Any command, sent at this time.
    #[must_use]
    pub fn command(at: Time, command: impl Into<Command>) -> Self {
        Self { at, command: command.into(), work: None, caller: None }
    }

    /// Makes the request that of the caller with this token, which the [access rules](super::Simulation::with_callers) of
    /// the simulation may deny. A request without a caller is never denied.
    #[must_use]
    pub fn by(mut self, caller: Token) -> Self {
        self.caller = Some(caller);
        self
    }

    /// Sets the time of an attempt at the task on an agent of speed 1. It has precedence over the models of the agents.
    #[must_use]
    pub const fn taking(mut self, work: Duration) -> Self {
        self.work = Some(work);
        self
    }
}
