//! The canonical form of commands.

use super::command::{AgentCommand, Command, RunCommand, TaskCommand};
use super::schedule::ScheduleCommand;
use crate::base::canonical::Canonical;

impl Command {
    /// Brings the content of the command into canonical form, which is compared with what is known and recorded in events.
    ///
    /// A definition is brought into its canonical form once it is validated, because its depth is not bounded before.
    pub(crate) fn make_canonical(&mut self) {
        match self {
            Self::Agent(command) => match command {
                AgentCommand::Register(spec) | AgentCommand::Update { spec, .. } => spec.make_canonical(),
                AgentCommand::Fail { failure, .. } => failure.make_canonical(),
                AgentCommand::Heartbeat { .. }
                | AgentCommand::AttemptHeartbeat { .. }
                | AgentCommand::Drain { .. }
                | AgentCommand::Deregister { .. }
                | AgentCommand::Complete { .. }
                | AgentCommand::Poll { .. }
                | AgentCommand::Start { .. }
                | AgentCommand::Yield { .. } => {}
            },
            Self::Task(command) => match command {
                TaskCommand::Submit(spec) => spec.make_canonical(),
                TaskCommand::SubmitAll(specs) => specs.make_canonical(),
                TaskCommand::Cancel { .. }
                | TaskCommand::Prioritise { .. }
                | TaskCommand::Replay { .. }
                | TaskCommand::ReplayAll { .. }
                | TaskCommand::DiscardAll { .. }
                | TaskCommand::Discard { .. }
                | TaskCommand::Rate { .. } => {}
            },
            Self::Run(RunCommand::Start(spec)) => spec.make_canonical(),
            Self::Schedule(ScheduleCommand::Create(spec) | ScheduleCommand::Update(spec)) => spec.make_canonical(),
            Self::Run(_) | Self::Schedule(_) | Self::Control(_) | Self::Tick => {}
        }
    }
}
