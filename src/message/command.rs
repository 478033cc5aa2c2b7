//! What a host asks of the core.
//!
//! One enum, by family, so that there is one place to check, trace, fuzz and replay. The words of agents are commands,
//! too: a host passes on what its agents say.

use crate::base::id::{AgentId, AttemptId, Incarnation, RunId, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::definition::Definition;
use crate::message::run::{CompensationRemedy, Migration, NodeRemedy, ResetPoint, RunSpec};
use crate::task::agent::{AgentSpec, Scope};
use crate::task::{Failure, FailureKind, TaskSpec, Tier, Usage};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a host asks of the core. [`Tick`](Self::Tick) asks nothing: it only lets time pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Command {
    /// About agents, or said by one.
    Agent(AgentCommand),
    /// About tasks.
    Task(TaskCommand),
    /// About workflows and their runs.
    Run(RunCommand),
    /// About the scheduler as a whole.
    Control(ControlCommand),
    /// Fires what is due.
    Tick,
}

/// About agents, or said by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentCommand {
    /// A new agent, or a new life of a known one: what the old life held goes back to the queue. Answered by
    /// [`Accepted::Registered`].
    Register(AgentSpec),
    /// The agent has changed: skills, capacity, anything but its id.
    Update {
        /// Who says so.
        by: Incarnation,
        /// What it is now.
        spec: AgentSpec,
    },
    /// The agent is alive.
    Heartbeat {
        /// Who says so.
        by: Incarnation,
    },
    /// The agent shall finish what it holds and take nothing new.
    Drain {
        /// Which agent.
        agent: AgentId,
    },
    /// The agent leaves. What it holds goes back to the queue with its outcome unknown; drain first to avoid that.
    Deregister {
        /// Which agent.
        agent: AgentId,
    },
    /// An attempt succeeded.
    Complete {
        /// Who says so: the agent that holds the attempt.
        by: Incarnation,
        /// The attempt.
        attempt: AttemptId,
        /// What it gave.
        output: Payload,
        /// What it used up.
        #[serde(default, skip_serializing_if = "Usage::is_nothing")]
        usage: Usage,
    },
    /// An agent that asks for work is ready for so many attempts more, now or when there are any, in place of what it asked
    /// for before. Says nothing to agents that are given work unasked.
    Poll {
        /// Who says so.
        by: Incarnation,
        /// How many; 0 takes the request back.
        most: u32,
    },
    /// An attempt that waited with the agent has begun.
    Start {
        /// Who says so: the agent that holds the attempt.
        by: Incarnation,
        /// The attempt.
        attempt: AttemptId,
    },
    /// An attempt is given back, as was asked or because the agent drains. Nothing has happened of it.
    Yield {
        /// Who says so: the agent that holds the attempt.
        by: Incarnation,
        /// The attempt.
        attempt: AttemptId,
    },
    /// An attempt failed, or was given up because it was cancelled.
    Fail {
        /// Who says so: the agent that holds the attempt.
        by: Incarnation,
        /// The attempt.
        attempt: AttemptId,
        /// Why.
        failure: Failure,
        /// What it used up.
        #[serde(default, skip_serializing_if = "Usage::is_nothing")]
        usage: Usage,
    },
}

/// About tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskCommand {
    /// A new task. The same again is recognised and changes nothing; another task under a known id is refused.
    Submit(Arc<TaskSpec>),
    /// New tasks, all or none. Those that are known already count as taken; a task may wait for one that comes before it in
    /// the list.
    SubmitAll(Vec<Arc<TaskSpec>>),
    /// The task is no longer wanted.
    Cancel {
        /// Which task.
        task: TaskId,
        /// On what grounds.
        reason: Name,
    },
    /// Makes tasks that wait more urgent, or less: all of them or none. Among their like they keep their places. Refused if
    /// one has begun.
    Prioritise {
        /// Which tasks.
        tasks: Vec<TaskId>,
        /// How urgent they are from now on.
        tier: Tier,
        /// On what grounds.
        reason: Name,
    },
    /// Tries a dead letter again, as a new task.
    Replay {
        /// The dead letter.
        dead: TaskId,
        /// The new task's id.
        fresh: TaskId,
    },
    /// Tries all dead letters again that pass, as new tasks, all or none. Answered by [`Accepted::Count`].
    ReplayAll {
        /// Which.
        filter: DeadFilter,
        /// The id of the first new task; the others have those that follow, in the order of [`dead_letters`].
        ///
        /// [`dead_letters`]: crate::scheduler::Reader::dead_letters
        first: TaskId,
        /// How urgent they are now; as they were, if nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tier: Option<Tier>,
    },
    /// Gives all dead letters up that pass. Answered by [`Accepted::Count`].
    DiscardAll {
        /// Which.
        filter: DeadFilter,
        /// On what grounds.
        reason: Name,
    },
    /// Gives a dead letter up.
    Discard {
        /// The dead letter.
        dead: TaskId,
        /// On what grounds.
        reason: Name,
    },
}

/// Which dead letters: those for which all holds that is said.
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
    /// Of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Name>,
    /// Of this tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Name>,
    /// Whose last failure was of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureKind>,
    /// Dead since then, or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Dead before then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Time>,
    /// So many at the most, the oldest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<u32>,
}

impl DeadFilter {
    /// Only those of this kind.
    #[must_use]
    pub fn with_kind(mut self, kind: impl Into<Name>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Only those of this tenant.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Name>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Only those whose last failure was of this kind.
    #[must_use]
    pub const fn with_failure(mut self, kind: FailureKind) -> Self {
        self.failure = Some(kind);
        self
    }

    /// Only those that are dead since then or later.
    #[must_use]
    pub const fn with_since(mut self, at: Time) -> Self {
        self.since = Some(at);
        self
    }

    /// Only those that were dead before then.
    #[must_use]
    pub const fn with_before(mut self, at: Time) -> Self {
        self.before = Some(at);
        self
    }

    /// The oldest so many at the most.
    #[must_use]
    pub const fn with_most(mut self, most: u32) -> Self {
        self.most = Some(most);
        self
    }
}

/// About the scheduler as a whole: for operators.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ControlCommand {
    /// Lets nothing of this scope begin; what is under way goes on.
    Pause {
        /// What is paused.
        scope: Scope,
        /// On what grounds.
        reason: Name,
    },
    /// Lets what was paused go on.
    Resume {
        /// What was paused.
        scope: Scope,
    },
}

/// About workflows and their runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunCommand {
    /// A workflow that runs may use. The same again changes nothing; another under the same name and version is refused.
    Define(Arc<Definition>),
    /// Runs that ask for no version take this one from now on; so a new version that does not do well is rolled back for
    /// new runs. Runs that have begun keep theirs.
    SetDefault {
        /// The workflow's name.
        workflow: Name,
        /// The version; the newest, if none, which is how it is at first.
        version: Option<u32>,
        /// On what grounds.
        reason: Name,
    },
    /// No run can be started of this version any more, and it makes room for another. Refused while runs of it are not
    /// over, and if it was made the default. Runs that are over keep it, and its number never comes to mean another.
    Retire {
        /// The workflow's name.
        workflow: Name,
        /// The version.
        version: u32,
        /// On what grounds.
        reason: Name,
    },
    /// A new run. The same again changes nothing; another under a known id is refused.
    Start(RunSpec),
    /// Brings a signal to a run, which keeps it until a node that waits for it takes it: a node of the run itself first, then
    /// one of the runs within, the oldest first. A node that begins to wait later finds it all the same. Each signal is taken
    /// once.
    Signal {
        /// Which run.
        run: RunId,
        /// The signal's name.
        signal: Name,
        /// What it brings.
        payload: Payload,
    },
    /// Writes to a variable of a run that goes forward, from outside and at once, if the variable takes such updates
    /// ([`Variable::with_updates`](crate::definition::Variable::with_updates)); else it is refused, and nothing is kept. What
    /// the variable is then, [`RunView::variable`](crate::engine::RunView::variable) tells. The same again is another update.
    Update {
        /// Which run.
        run: RunId,
        /// Which of its variables.
        variable: Name,
        /// What is written.
        value: Payload,
    },
    /// The run makes no more moves, nor do those within it: what is under way goes on, what ends is written down, and nothing
    /// new begins.
    Pause {
        /// Which run.
        run: RunId,
        /// On what grounds.
        reason: Name,
    },
    /// A run that was paused goes on.
    Resume {
        /// Which run.
        run: RunId,
    },
    /// Moves a run to another definition: another version of its workflow, or one of its own. What has happened stays, what
    /// is under way goes on, what has not started follows the new definition. Refused with everything that stands in the
    /// way ([`Obstacle`](crate::message::Obstacle)), if anything would be lost or come to mean something else; ask
    /// [`Engine::migration`](crate::Engine::migration) first. Moving back is the same command. Runs within keep what they
    /// began with, and are moved by commands of their own.
    Migrate {
        /// Which run.
        run: RunId,
        /// Where to, and what becomes of its nodes.
        migration: Migration,
        /// On what grounds.
        reason: Name,
    },
    /// Makes a run more urgent, or less, and the runs within it: its tasks that wait are moved, and those to come are as
    /// urgent, where their nodes do not say otherwise. What an agent holds goes on as it is.
    Prioritise {
        /// Which run.
        run: RunId,
        /// How urgent it is from now on.
        tier: Tier,
        /// On what grounds.
        reason: Name,
    },
    /// Lets a run that failed go on from where it failed. What has succeeded stays; the nodes whose failures nothing took
    /// care of, those that were withdrawn because of them, and those that were skipped after them are done anew. It is for
    /// a run that is over, for one that is paused in which work has failed: before it goes on and the failure has
    /// consequences; and for nodes that are held ([`OnFailure::Hold`](crate::definition::OnFailure::Hold)). A node is done anew as a whole,
    /// a map with all of its items. Refused for a run in which something was undone or would have to be, and if something after the failure has gone on ([`WrongState::NotRetriable`]); a run
    /// within another is not retried, but the run around it. Signals that nobody had taken when the run ended are gone.
    ///
    /// [`WrongState::NotRetriable`]: crate::message::rejected::WrongState::NotRetriable
    Retry {
        /// Which run.
        run: RunId,
        /// Which node alone; every one that has failed, if none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<Name>,
        /// On what grounds.
        reason: Name,
    },
    /// Sets a run back to a point: all that came after it is withdrawn and awaited, undone in reverse causal order if `undo`
    /// says so, and done anew from there. What does not come after the point goes on and does not notice. It is for a run that
    /// goes forward or is paused (then it is set back when it goes on), and for one that has failed or was undone; one that
    /// succeeded has told its result, so start another. A compensation that fails on the way waits for a
    /// [remedy](Self::Remedy); one that is abandoned does not keep the run from going forward. Without `undo`, and after
    /// abandoning, what was done stays: if the run fails later, its outcome lists it among what is left
    /// ([`RunView::left_behind`](crate::engine::RunView::left_behind)). Runs within that are under way are withdrawn as always: they
    /// undo themselves. Signals that were taken are not given again; items added to open maps stay theirs; what was used up of
    /// budgets is used up.
    ///
    /// Refused past a pivot that comes after the point, and if anything that is to stay could not
    /// ([`ResetObstacle`](crate::message::ResetObstacle)). A run within another is set back by its own id while it goes forward; once
    /// it is over, set back the run around it.
    Reset {
        /// Which run.
        run: RunId,
        /// To where.
        to: ResetPoint,
        /// Whether what is done anew is undone first.
        undo: bool,
        /// On what grounds.
        reason: Name,
    },
    /// Decides how a node ends that has not ended.
    Operate {
        /// Which run.
        run: RunId,
        /// Which node.
        node: Name,
        /// How.
        remedy: NodeRemedy,
    },
    /// Gives more items to a map that is open.
    Add {
        /// Which run.
        run: RunId,
        /// Which node.
        node: Name,
        /// The items.
        items: Vec<Payload>,
    },
    /// A map that is open gets no more items: it ends when those that it has are done.
    Close {
        /// Which run.
        run: RunId,
        /// Which node.
        node: Name,
    },
    /// Decides what a node of a run waits for.
    Decide {
        /// Which run.
        run: RunId,
        /// Which node.
        node: Name,
        /// Who decides.
        by: Name,
        /// The roles that they have, on the host's word.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        roles: Vec<Name>,
        /// What for.
        option: Name,
        /// What they add.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        note: Payload,
    },
    /// Hands a decision to somebody else, who alone may take it or hand it on from then on.
    Delegate {
        /// Which run.
        run: RunId,
        /// Which node.
        node: Name,
        /// Who hands it on, and could have taken it.
        by: Name,
        /// The roles that they have, on the host's word.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        roles: Vec<Name>,
        /// To whom.
        to: Name,
    },
    /// The run is no longer wanted: what is under way is withdrawn, what was done is undone. Refused once the run has passed
    /// its pivot: it goes forward to its end. While a pivot is under way, its end decides between forward and back.
    Cancel {
        /// Which run.
        run: RunId,
        /// On what grounds.
        reason: Name,
    },
    /// The same even past the pivot: what is under way is withdrawn, nothing is undone any more, and the outcome lists what
    /// stays. A run within that has passed its own pivot still goes forward to its end; it can be aborted by its id.
    Abort {
        /// Which run.
        run: RunId,
        /// On what grounds.
        reason: Name,
    },
    /// Says what becomes of a compensation that failed.
    Remedy {
        /// Which run.
        run: RunId,
        /// The node whose compensation failed.
        node: Name,
        /// What becomes of it.
        remedy: CompensationRemedy,
    },
}

impl Command {
    /// A new task.
    #[must_use]
    pub fn submit(task: impl Into<Arc<TaskSpec>>) -> Self {
        TaskCommand::Submit(task.into()).into()
    }

    /// New tasks, all or none.
    #[must_use]
    pub fn submit_all(tasks: impl IntoIterator<Item = TaskSpec>) -> Self {
        TaskCommand::SubmitAll(tasks.into_iter().map(Arc::new).collect()).into()
    }

    /// A new agent.
    #[must_use]
    pub fn register(agent: AgentSpec) -> Self {
        AgentCommand::Register(agent).into()
    }

    /// An attempt succeeded.
    #[must_use]
    pub fn complete(by: Incarnation, attempt: AttemptId, output: Payload) -> Self {
        AgentCommand::Complete { by, attempt, output, usage: Usage::default() }.into()
    }

    /// An attempt failed.
    #[must_use]
    pub fn fail(by: Incarnation, attempt: AttemptId, failure: Failure) -> Self {
        AgentCommand::Fail { by, attempt, failure, usage: Usage::default() }.into()
    }

    /// Says what the attempt used up that this command ends. Nothing but such a command is changed by it.
    #[must_use]
    pub fn using(mut self, used: Usage) -> Self {
        if let Self::Agent(AgentCommand::Complete { usage, .. } | AgentCommand::Fail { usage, .. }) = &mut self {
            *usage = used;
        }
        self
    }

    /// Lets nothing of this scope begin.
    #[must_use]
    pub fn pause(scope: Scope, reason: impl Into<Name>) -> Self {
        ControlCommand::Pause { scope, reason: reason.into() }.into()
    }

    /// Lets what was paused go on.
    #[must_use]
    pub fn resume(scope: Scope) -> Self {
        ControlCommand::Resume { scope }.into()
    }

    /// A workflow that runs may use.
    #[must_use]
    pub fn define(definition: impl Into<Arc<Definition>>) -> Self {
        RunCommand::Define(definition.into()).into()
    }

    /// A new run.
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

impl From<RunCommand> for Command {
    fn from(command: RunCommand) -> Self {
        Self::Run(command)
    }
}

/// A command was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Accepted {
    /// It took effect.
    Done,
    /// It had been said before, word for word: nothing changed.
    Repeated,
    /// Nobody waited for the signal, which is one that is not kept: nothing changed.
    Unheard,
    /// It took effect, on so many.
    Count(u32),
    /// It took effect; by what is known the task will be done at this moment, after its deadline.
    Late(Time),
    /// The agent lives this life from now on; every word of its carries it.
    Registered(Incarnation),
}
