//! Commands: requests to the core.
//!
//! One enum, with a family for each subject, so that there is one type to check, trace, fuzz and replay. Messages of
//! agents are commands, too: a host passes on what its agents send.

mod agent;
mod control;
mod run;
mod task;

pub use super::accepted::Accepted;
pub use agent::AgentCommand;
pub use control::ControlCommand;
pub use run::RunCommand;
pub use task::{DeadFilter, TaskCommand};

use super::schedule::ScheduleCommand;
use crate::base::id::{AttemptId, Incarnation};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::Definition;
use crate::message::run::RunSpec;
use crate::task::agent::{AgentSpec, Scope};
use crate::task::{Failure, TaskSpec, Usage};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A request to the core. [`Tick`](Self::Tick) changes nothing itself: it only advances the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Command {
    /// Commands about agents, or sent by an agent.
    Agent(AgentCommand),
    /// Commands about tasks.
    Task(TaskCommand),
    /// Commands about workflows and their runs.
    Run(RunCommand),
    /// Commands about schedules.
    Schedule(ScheduleCommand),
    /// Commands about the scheduler as a whole.
    Control(ControlCommand),
    /// Fires due timers.
    Tick,
}

impl Command {
    /// Submits a task.
    #[must_use]
    pub fn submit(task: impl Into<Arc<TaskSpec>>) -> Self {
        TaskCommand::Submit(task.into()).into()
    }

    /// Submits tasks, all or none.
    #[must_use]
    pub fn submit_all(tasks: impl IntoIterator<Item = TaskSpec>) -> Self {
        TaskCommand::SubmitAll(tasks.into_iter().map(Arc::new).collect()).into()
    }

    /// Registers an agent.
    #[must_use]
    pub fn register(agent: AgentSpec) -> Self {
        AgentCommand::Register(agent).into()
    }

    /// Reports that an attempt succeeded.
    #[must_use]
    pub fn complete(by: Incarnation, attempt: AttemptId, output: Payload) -> Self {
        AgentCommand::Complete { by, attempt, output, usage: Usage::default() }.into()
    }

    /// Reports that an attempt failed.
    #[must_use]
    pub fn fail(by: Incarnation, attempt: AttemptId, failure: Failure) -> Self {
        AgentCommand::Fail { by, attempt, failure, usage: Usage::default() }.into()
    }

    /// Adds the usage of the attempt that this command ends. Other commands are returned unchanged.
    #[must_use]
    pub fn using(mut self, used: Usage) -> Self {
        if let Self::Agent(AgentCommand::Complete { usage, .. } | AgentCommand::Fail { usage, .. }) = &mut self {
            *usage = used;
        }
        self
    }

    /// Pauses a scope.
    #[must_use]
    pub fn pause(scope: Scope, reason: impl Into<Name>) -> Self {
        ControlCommand::Pause { scope, reason: reason.into() }.into()
    }

    /// Resumes a scope.
    #[must_use]
    pub fn resume(scope: Scope) -> Self {
        ControlCommand::Resume { scope }.into()
    }

    /// Defines a workflow.
    #[must_use]
    pub fn define(definition: impl Into<Arc<Definition>>) -> Self {
        RunCommand::Define(definition.into()).into()
    }

    /// Starts a run.
    #[must_use]
    pub fn start(run: RunSpec) -> Self {
        RunCommand::Start(run).into()
    }
}

impl From<AgentCommand> for Command {
    fn from(command: AgentCommand) -> Self {
        Self::Agent(command)
    }
}

impl From<TaskCommand> for Command {
    fn from(command: TaskCommand) -> Self {
        Self::Task(command)
    }
}

impl From<ControlCommand> for Command {
    fn from(command: ControlCommand) -> Self {
        Self::Control(command)
    }
}

impl From<ScheduleCommand> for Command {
    fn from(command: ScheduleCommand) -> Self {
        Self::Schedule(command)
    }
}

impl From<RunCommand> for Command {
    fn from(command: RunCommand) -> Self {
        Self::Run(command)
    }
}
