//! Which shard executes a command.

use super::shard::{Partition, ShardId, Shards};
use crate::base::id::{RunId, TaskId};
use crate::base::name::Name;
use crate::message::command::{AgentCommand, Command, ControlCommand, RunCommand, TaskCommand};
use crate::message::schedule::ScheduleCommand;
use crate::task::TaskSpec;
use thiserror::Error;

/// Where a command is executed.
///
/// ```
/// use counterpoint::cluster::{Shards, Target};
/// use counterpoint::definition::Definition;
/// use counterpoint::{Command, TaskId, TaskSpec};
///
/// let shards = Shards::new(4)?;
/// assert_eq!(Target::of(&Command::define(Definition::new("greet")), shards)?, Target::Every);
/// let task = Command::submit(TaskSpec::new(TaskId::from_key("order-17"), "ship"));
/// assert!(matches!(Target::of(&task, shards)?, Target::One(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// In this shard.
    One(ShardId),
    /// In every shard: definitions, pauses, and what concerns an agent as a whole.
    Every,
}

impl Target {
    /// Where a command is executed: in the shard of its task, run or schedule.
    ///
    /// # Errors
    ///
    /// See [`Misrouted`].
    pub fn of(command: &Command, shards: Shards) -> Result<Self, Misrouted> {
        let router = Router(shards);
        match command {
            Command::Agent(command) => router.agent(command),
            Command::Task(command) => router.task_command(command),
            Command::Run(command) => Ok(router.run_command(command)),
            Command::Schedule(command) => Ok(router.schedule(command)),
            Command::Control(ControlCommand::Pause { .. } | ControlCommand::Resume { .. }) => Ok(Self::Every),
            Command::Control(ControlCommand::Identify { .. } | ControlCommand::ConfirmClock { .. }) | Command::Tick => {
                Err(Misrouted::OneShard)
            }
        }
    }
}

/// A command that no shard can execute as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Misrouted {
    /// Its tasks are of two shards. Give tasks that belong together ids of one [partition key](super::PartitionKey).
    #[error("task {first} is in shard {one}, task {second} in shard {other}: a command concerns one shard only")]
    Across {
        /// The first task.
        first: TaskId,
        /// The shard of the first task.
        one: ShardId,
        /// A task of another shard.
        second: TaskId,
        /// The other shard.
        other: ShardId,
    },
    /// It has no tasks.
    #[error("the command has no tasks, so no shard can be determined")]
    Empty,
    /// It would create ids that belong to other shards: a replay of many dead letters counts its new ids up. Replay them one by
    /// one.
    #[error("the new ids from {first} would belong to other shards: replay dead letters one by one")]
    ManyIds {
        /// The first new id.
        first: TaskId,
    },
    /// The host of a shard sends it to that shard, or the home of an agent to the shard with the incarnation.
    #[error("the command concerns one shard that its content does not name")]
    OneShard,
}

struct Router(Shards);

impl Router {
    const fn task(&self, task: TaskId) -> ShardId {
        self.0.shard_of(Partition::of_task(task))
    }

    const fn run(&self, run: RunId) -> Target {
        Target::One(self.0.shard_of(Partition::of_run(run)))
    }

    fn agent(&self, command: &AgentCommand) -> Result<Target, Misrouted> {
        match command {
            AgentCommand::Drain { .. } | AgentCommand::Deregister { .. } => Ok(Target::Every),
            AgentCommand::AttemptHeartbeat { attempt, .. }
            | AgentCommand::Complete { attempt, .. }
            | AgentCommand::Start { attempt, .. }
            | AgentCommand::Yield { attempt, .. }
            | AgentCommand::Fail { attempt, .. } => Ok(Target::One(self.task(attempt.task()))),
            AgentCommand::Register(_)
            | AgentCommand::Update { .. }
            | AgentCommand::Heartbeat { .. }
            | AgentCommand::Poll { .. } => Err(Misrouted::OneShard),
        }
    }

    fn task_command(&self, command: &TaskCommand) -> Result<Target, Misrouted> {
        match command {
            TaskCommand::Submit(task) => self.together(tasks_of(task)),
            TaskCommand::SubmitAll(tasks) => self.together(tasks.iter().flat_map(|task| tasks_of(task))),
            TaskCommand::Prioritise { tasks, .. } => self.together(tasks.iter().copied()),
            TaskCommand::Replay { dead, fresh } => self.together([*dead, *fresh].into_iter()),
            TaskCommand::Cancel { task, .. }
            | TaskCommand::Discard { dead: task, .. }
            | TaskCommand::Rate { task, .. } => Ok(Target::One(self.task(*task))),
            TaskCommand::ReplayAll { first, .. } if self.0.count() > 1 => Err(Misrouted::ManyIds { first: *first }),
            TaskCommand::ReplayAll { .. } | TaskCommand::DiscardAll { .. } => Ok(Target::Every),
        }
    }

    fn together(&self, mut tasks: impl Iterator<Item = TaskId>) -> Result<Target, Misrouted> {
        let first = tasks.next().ok_or(Misrouted::Empty)?;
        let one = self.task(first);
        let foreign = tasks.map(|task| (task, self.task(task))).find(|(_, other)| *other != one);
        match foreign {
            Some((second, other)) => Err(Misrouted::Across { first, one, second, other }),
            None => Ok(Target::One(one)),
        }
    }

    fn run_command(&self, command: &RunCommand) -> Target {
        match command {
            RunCommand::Define(_) | RunCommand::SetDefault { .. } | RunCommand::Retire { .. } => Target::Every,
            RunCommand::Start(spec) => self.run(spec.id),
            RunCommand::Signal { run, .. }
            | RunCommand::Update { run, .. }
            | RunCommand::Pause { run, .. }
            | RunCommand::Resume { run }
            | RunCommand::Migrate { run, .. }
            | RunCommand::Prioritise { run, .. }
            | RunCommand::Retry { run, .. }
            | RunCommand::Reset { run, .. }
            | RunCommand::Operate { run, .. }
            | RunCommand::Add { run, .. }
            | RunCommand::Close { run, .. }
            | RunCommand::Decide { run, .. }
            | RunCommand::Delegate { run, .. }
            | RunCommand::Cancel { run, .. }
            | RunCommand::Abort { run, .. }
            | RunCommand::Remedy { run, .. } => self.run(*run),
        }
    }

    fn schedule(&self, command: &ScheduleCommand) -> Target {
        let id: &Name = match command {
            ScheduleCommand::Create(spec) | ScheduleCommand::Update(spec) => &spec.id,
            ScheduleCommand::Delete { schedule, .. }
            | ScheduleCommand::Pause { schedule, .. }
            | ScheduleCommand::Resume { schedule, .. }
            | ScheduleCommand::Trigger { schedule, .. }
            | ScheduleCommand::Backfill { schedule, .. } => schedule,
        };
        Target::One(self.0.shard_of(Partition::of_key(id)))
    }
}

/// A task and those that it depends on.
fn tasks_of(task: &TaskSpec) -> impl Iterator<Item = TaskId> {
    core::iter::once(task.id).chain(task.after.iter().copied())
}
