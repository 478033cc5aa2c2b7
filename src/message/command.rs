//! Commands: requests to the core.
//!
//! One enum, with a family for each subject, so that there is one type to check, trace, fuzz and replay. Messages of
//! agents are commands, too: a host passes on what its agents send.

pub use super::accepted::Accepted;
use super::schedule::ScheduleCommand;
use crate::base::id::{AgentId, AttemptId, Incarnation, RunId, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::definition::Definition;
use crate::message::run::{CompensationRemedy, Migration, NodeRemedy, ResetPoint, RunSpec};
use crate::task::agent::{AgentSpec, Scope};
use crate::task::{Failure, FailureKind, JournalId, Rating, TaskSpec, Tier, Usage};
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

/// Commands about agents, or sent by an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentCommand {
    /// Registers a new agent, or a new incarnation of a known one; attempts of the previous incarnation return to the
    /// queue. The answer is [`Accepted::Registered`].
    Register(AgentSpec),
    /// Changes the declaration of an agent: its skills, its capacity, anything but its id.
    Update {
        /// The agent that sends it.
        by: Incarnation,
        /// The new declaration.
        spec: AgentSpec,
    },
    /// Renews the lease of an agent.
    Heartbeat {
        /// The agent that sends it.
        by: Incarnation,
    },
    /// Reports that an attempt is under way, which restarts its [heartbeat timeout](crate::Policy::heartbeat_timeout), and renews
    /// the lease of the agent. Details of the work are handed to the next attempt at the task; they replace earlier ones.
    AttemptHeartbeat {
        /// The agent that holds the attempt.
        by: Incarnation,
        /// The attempt.
        attempt: AttemptId,
        /// The details; null for none. At most [`details_bytes`](crate::scheduler::SizeLimits::details_bytes).
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        details: Payload,
    },
    /// Drains an agent: it finishes the attempts that it holds and gets no others.
    Drain {
        /// The agent.
        agent: AgentId,
    },
    /// Removes an agent. Its attempts return to the queue with their outcomes unknown; drain the agent first to avoid
    /// that.
    Deregister {
        /// The agent.
        agent: AgentId,
    },
    /// Reports that an attempt succeeded.
    Complete {
        /// The agent that holds the attempt.
        by: Incarnation,
        /// The attempt.
        attempt: AttemptId,
        /// Its output.
        output: Payload,
        /// The usage of the attempt; above [`Usage::MAX`] it counts as that.
        #[serde(default, skip_serializing_if = "Usage::is_nothing")]
        usage: Usage,
    },
    /// Reports that an agent that polls is ready for a number of further attempts, now or when tasks arrive. The number
    /// replaces that of an earlier request. Rejected for agents that do not poll.
    Poll {
        /// The agent that sends it.
        by: Incarnation,
        /// The number of attempts; 0 withdraws the request.
        most: u32,
    },
    /// Reports that an attempt that waited at the agent has begun.
    Start {
        /// The agent that holds the attempt.
        by: Incarnation,
        /// The attempt.
        attempt: AttemptId,
    },
    /// Gives an attempt back, as requested or because the agent drains. The attempt has had no side effects.
    Yield {
        /// The agent that holds the attempt.
        by: Incarnation,
        /// The attempt.
        attempt: AttemptId,
    },
    /// Reports that an attempt failed, or was stopped because it was cancelled.
    Fail {
        /// The agent that holds the attempt.
        by: Incarnation,
        /// The attempt.
        attempt: AttemptId,
        /// The failure.
        failure: Failure,
        /// The usage of the attempt; above [`Usage::MAX`] it counts as that.
        #[serde(default, skip_serializing_if = "Usage::is_nothing")]
        usage: Usage,
    },
}

/// Commands about tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskCommand {
    /// Submits a task. The same task again changes nothing; another task under a known id is rejected.
    Submit(Arc<TaskSpec>),
    /// Submits tasks, all or none. Known tasks with the same content count as accepted; a task may depend on an earlier
    /// one of the list.
    SubmitAll(Vec<Arc<TaskSpec>>),
    /// Cancels a task.
    Cancel {
        /// The task.
        task: TaskId,
        /// The reason.
        reason: Name,
    },
    /// Changes the tier of waiting tasks: of all of them or of none. Among tasks of their new tier they keep the order
    /// of their arrival. Rejected if one of them has begun.
    Prioritise {
        /// The tasks.
        tasks: Vec<TaskId>,
        /// Their new tier.
        tier: Tier,
        /// The reason.
        reason: Name,
    },
    /// Submits a dead letter again, as a new task.
    Replay {
        /// The dead letter.
        dead: TaskId,
        /// The id of the new task.
        fresh: TaskId,
    },
    /// Submits the dead letters again that match a filter, as new tasks, all or none; the oldest
    /// [`Limits::bulk`](crate::Limits::bulk), if there are more. The answer is [`Accepted::Count`].
    ReplayAll {
        /// The filter.
        filter: DeadFilter,
        /// The id of the first new task; the others get the following ids, in the order of [`dead_letters`].
        ///
        /// [`dead_letters`]: crate::scheduler::Reader::dead_letters
        first: TaskId,
        /// The tier of the new tasks; without one, each keeps the tier of its dead letter.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tier: Option<Tier>,
    },
    /// Discards the dead letters that match a filter; the oldest [`Limits::bulk`](crate::Limits::bulk), if there are more. The
    /// answer is [`Accepted::Count`].
    DiscardAll {
        /// The filter.
        filter: DeadFilter,
        /// The reason.
        reason: Name,
    },
    /// Discards a dead letter.
    Discard {
        /// The dead letter.
        dead: TaskId,
        /// The reason.
        reason: Name,
    },
    /// Rates the result of a task that has ended and that an agent has performed: a grade of a user, a test that the result
    /// passed, a reward. Strategies that learn take it into account for the agent and the kind. A task has one rating; the same
    /// again changes nothing, and another one is rejected.
    Rate {
        /// The task.
        task: TaskId,
        /// The rating.
        rating: Rating,
    },
}

/// A filter of dead letters: those that meet every condition that is set.
///
/// ```
/// use counterpoint::FailureKind;
/// use counterpoint::message::DeadFilter;
///
/// let refused = DeadFilter::default().with_kind("charge").with_failure(FailureKind::Overloaded).with_most(100);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DeadFilter {
    /// The kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Name>,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Name>,
    /// The kind of the last failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureKind>,
    /// Dead since this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Dead before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Time>,
    /// The largest number of dead letters, the oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<u32>,
}

impl DeadFilter {
    /// Sets the kind.
    #[must_use]
    pub fn with_kind(mut self, kind: impl Into<Name>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Sets the tenant.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Name>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Sets the kind of the last failure.
    #[must_use]
    pub const fn with_failure(mut self, kind: FailureKind) -> Self {
        self.failure = Some(kind);
        self
    }

    /// Sets the time since which they are dead at the earliest.
    #[must_use]
    pub const fn with_since(mut self, at: Time) -> Self {
        self.since = Some(at);
        self
    }

    /// Sets the time before which they were dead.
    #[must_use]
    pub const fn with_before(mut self, at: Time) -> Self {
        self.before = Some(at);
        self
    }

    /// Bounds the number of dead letters.
    #[must_use]
    pub const fn with_most(mut self, most: u32) -> Self {
        self.most = Some(most);
        self
    }
}

/// Commands of operators about the scheduler as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ControlCommand {
    /// Gives the journal an identity, from which the [idempotency keys](crate::task::IdempotencyKey) of tasks are derived.
    /// Repeated with another identity, the command is rejected. Hosts of this crate send it when they open a journal; with an
    /// engine alone, send it before the first task is submitted, because attempts that were dispatched before have no key.
    Identify {
        /// The identity, unique among all journals.
        journal: JournalId,
    },
    /// Lets no attempt of this scope begin; attempts under way continue.
    Pause {
        /// The scope.
        scope: Scope,
        /// The reason.
        reason: Name,
    },
    /// Ends a pause.
    Resume {
        /// The scope.
        scope: Scope,
    },
    /// Confirms the time to which the host's clock has jumped ahead. Rejected if no jump to about that time, within
    /// [`max_step`](crate::scheduler::ClockLimits::max_step), waits to be confirmed.
    ConfirmClock {
        /// The time by the new clock.
        time: Time,
        /// The reason.
        reason: Name,
    },
}

/// Commands about workflows and their runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunCommand {
    /// Defines a workflow. The same definition again changes nothing; another one under the same name and version is
    /// rejected.
    Define(Arc<Definition>),
    /// Sets the version that new runs without a version use, for example to return from a faulty version to the one
    /// before. Existing runs keep their version.
    SetDefault {
        /// The name of the workflow.
        workflow: Name,
        /// The version; none for the newest, which is the initial setting.
        version: Option<u32>,
        /// The reason.
        reason: Name,
    },
    /// Retires a version: no run of it can be started any more, and it no longer counts against the bound on
    /// definitions. Rejected while runs of it are active, and if it was set as the default. Ended runs keep it, and its
    /// number is never reused.
    Retire {
        /// The name of the workflow.
        workflow: Name,
        /// The version.
        version: u32,
        /// The reason.
        reason: Name,
    },
    /// Starts a run. The same run again changes nothing; another one under a known id is rejected.
    Start(RunSpec),
    /// Sends a signal to a run, which keeps it until a node that waits for it takes it: a node of the run itself first,
    /// then one of its child runs, the oldest first. A node that begins to wait later takes a kept signal, too. Each
    /// signal is taken once.
    Signal {
        /// The run.
        run: RunId,
        /// The name of the signal.
        signal: Name,
        /// Its payload.
        payload: Payload,
    },
    /// Updates a variable of a running run from outside, at once. Rejected unless the variable accepts such updates
    /// ([`Variable::with_updates`](crate::definition::Variable::with_updates)).
    /// [`RunView::variable`](crate::engine::RunView::variable) returns the new value. The command is not idempotent:
    /// sent twice, it updates twice.
    Update {
        /// The run.
        run: RunId,
        /// The variable.
        variable: Name,
        /// The value.
        value: Payload,
    },
    /// Pauses a run and its child runs: work under way continues and its end is recorded, and nothing new begins.
    Pause {
        /// The run.
        run: RunId,
        /// The reason.
        reason: Name,
    },
    /// Resumes a paused run.
    Resume {
        /// The run.
        run: RunId,
    },
    /// Migrates a run to another definition: another version of its workflow, or a definition of its own. Ended nodes
    /// keep their results, work under way continues, and nodes that have not started follow the new definition.
    /// Rejected with all [obstacles](crate::message::Obstacle) if state would be lost or change its meaning;
    /// [`Engine::migration`](crate::Engine::migration) is the dry run. The same command migrates back. Child runs keep
    /// their definitions and are migrated by commands of their own.
    Migrate {
        /// The run.
        run: RunId,
        /// The target, and the mapping of nodes.
        migration: Migration,
        /// The reason.
        reason: Name,
    },
    /// Changes the tier of a run and of its child runs: of their waiting tasks and of tasks to come, except for nodes
    /// that set a tier of their own. Attempts under way are not affected.
    Prioritise {
        /// The run.
        run: RunId,
        /// The new tier.
        tier: Tier,
        /// The reason.
        reason: Name,
    },
    /// Continues a failed run from its failure. Nodes that succeeded keep their results; the nodes whose failures were
    /// not handled, those that were cancelled because of them and those that were skipped after them are executed
    /// again. A node is executed again as a whole, a map with all of its items.
    ///
    /// The command applies to a run that has ended; to a paused run in which a node has failed, before the failure has
    /// consequences; and to held failures ([`OnFailure::Hold`](crate::definition::OnFailure::Hold)). Rejected for a run
    /// in which a step was or would have to be compensated, and if the run has gone on after the failure
    /// ([`WrongState::NotRetriable`]). A child run is not retried itself: retry its parent run. Signals that no node
    /// had taken when the run ended are lost.
    ///
    /// [`WrongState::NotRetriable`]: crate::message::rejected::WrongState::NotRetriable
    Retry {
        /// The run.
        run: RunId,
        /// The node; none for all that have failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<Name>,
        /// The reason.
        reason: Name,
    },
    /// Resets a run to a point: the work after it is cancelled and awaited, compensated in reverse causal order if
    /// `undo` is set, and executed again from there. Work that is not causally after the point is not affected.
    ///
    /// The command applies to a run that goes forward or is paused (the reset then begins when it is resumed), and to a
    /// run that has failed or was compensated. A run that succeeded has published its result: start another one. A
    /// compensation that fails waits for a [remedy](Self::Remedy); an abandoned one does not prevent the run from going
    /// forward. Without `undo`, and after an abandoned compensation, the side effects remain: if the run fails later,
    /// its outcome lists them ([`RunView::left_behind`](crate::engine::RunView::left_behind)). Child runs under way are
    /// cancelled and compensate themselves. Signals that were taken are not delivered again, items that were added to
    /// open maps are kept, and used budgets stay used.
    ///
    /// Rejected if a pivot after the point has succeeded, and if a node that is to keep its state could not
    /// ([`ResetObstacle`](crate::message::ResetObstacle)). A child run is reset by its own id while it goes forward;
    /// once it has ended, reset its parent run.
    Reset {
        /// The run.
        run: RunId,
        /// The point.
        to: ResetPoint,
        /// Whether the work is compensated before it is executed again.
        undo: bool,
        /// The reason.
        reason: Name,
    },
    /// Decides how a node that has not ended ends.
    Operate {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
        /// How it ends.
        remedy: NodeRemedy,
    },
    /// Adds items to an open map.
    Add {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
        /// The items.
        items: Vec<Payload>,
    },
    /// Closes an open map: it gets no more items and ends when its items are done.
    Close {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
    },
    /// Makes a decision that a node of a run waits for.
    Decide {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
        /// The person or system that decides.
        by: Name,
        /// Its roles. The engine trusts the host for them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        roles: Vec<Name>,
        /// The chosen option.
        option: Name,
        /// A note.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        note: Payload,
    },
    /// Delegates a decision to another person, who alone may make it or delegate it from then on.
    Delegate {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
        /// The person who delegates, and who may make the decision.
        by: Name,
        /// The roles of that person. The engine trusts the host for them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        roles: Vec<Name>,
        /// The person who is to decide.
        to: Name,
    },
    /// Cancels a run: work under way is cancelled, completed steps are compensated. Rejected once the run has passed
    /// its pivot: it goes forward to its end. While the pivot is under way, its outcome decides whether the run goes
    /// forward or is compensated.
    Cancel {
        /// The run.
        run: RunId,
        /// The reason.
        reason: Name,
    },
    /// Cancels a run even past its pivot: work under way is cancelled, nothing more is compensated, and the outcome
    /// lists the side effects that remain. A child run that has passed its own pivot still goes forward to its end; it
    /// can be aborted by its id.
    Abort {
        /// The run.
        run: RunId,
        /// The reason.
        reason: Name,
    },
    /// Decides what happens after a compensation has failed.
    Remedy {
        /// The run.
        run: RunId,
        /// The node whose compensation failed.
        node: Name,
        /// The decision.
        remedy: CompensationRemedy,
    },
}

#[cfg(any(feature = "threads", feature = "async"))]
impl RunCommand {
    /// The decision of a person in one role, without a note.
    pub(crate) fn decision(run: RunId, node: Name, (by, role): (Name, Name), option: Name) -> Self {
        Self::Decide { run, node, by, roles: vec![role], option, note: Payload::NULL }
    }
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
