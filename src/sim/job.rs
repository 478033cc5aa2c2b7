//! What is asked of the simulated host, and when.

use crate::base::time::Time;
use crate::message::command::Command;
use crate::message::run::RunSpec;
use crate::task::TaskSpec;
use core::time::Duration;

/// Something that is asked of the host at a moment: a task, a run, an operator's command. Whoever asks asks again until
/// the answer comes.
///
/// ```
/// use counterpoint::sim::Job;
/// use counterpoint::{TaskId, TaskSpec, Time};
/// use std::time::Duration;
///
/// // A row of a trace: when it came, and how long it took on an agent of speed 1.
/// let task = TaskSpec::new(TaskId::new(1), "summarise");
/// let job = Job::task(Time::from_secs(3), task).taking(Duration::from_millis(840));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub(super) at: Time,
    pub(super) command: Command,
    pub(super) work: Option<Duration>,
}

impl Job {
    /// A task that is submitted at this moment.
    #[must_use]
    pub fn task(at: Time, task: TaskSpec) -> Self {
        Self::command(at, Command::submit(task))
    }

    /// A run that is started at this moment.
    #[must_use]
    pub fn run(at: Time, run: RunSpec) -> Self {
        Self::command(at, Command::start(run))
    }

    /// Any command that is given at this moment.
    #[must_use]
    pub fn command(at: Time, command: impl Into<Command>) -> Self {
        Self { at, command: command.into(), work: None }
    }

    /// How long an attempt at the task takes on an agent of speed 1, whatever the agents' own models say.
    #[must_use]
    pub const fn taking(mut self, work: Duration) -> Self {
        self.work = Some(work);
        self
    }
}
