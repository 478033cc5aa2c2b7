//! Rejected commands: a typed reason for each, by family. A rejected command changes no state.
//!
//! A caller that must choose its next step uses the [class](Rejected::class): the command names something that does not
//! exist, contradicts existing state, is too late, can be sent again later, or can never succeed as it is. Mappings to
//! other protocols (HTTP status codes, error codes of the wire protocol) use the class.

use crate::base::id::{AgentId, AttemptId, Incarnation, RunId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::definition::DefinitionId;
use crate::message::run::{Obstacle, ResetObstacle, RunPhase};
use crate::task::Tier;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a command was refused. No event was emitted for it and no state changed.
///
/// ```
/// use counterpoint::{Config, Engine, Outbox, RejectedClass, TaskCommand, TaskId, Time};
///
/// let mut engine = Engine::new(Config::default());
/// let cancel = TaskCommand::Cancel { task: TaskId::new(7), reason: "no longer needed".into() };
/// let refused = engine.handle(Time::ZERO, cancel.into(), &mut Outbox::default());
/// let Err(refused) = refused else { panic!("there is no task 7") };
/// assert_eq!(refused.class(), RejectedClass::Unknown);
/// assert_eq!(refused.to_string(), "no task t7 is known");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejected {
    /// The command names something that does not exist or is no longer retained.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// The command contradicts something that exists under the same id, name or key.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The command refers to an attempt or incarnation that is over.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// A bound on load is reached; the same command may succeed later.
    #[error(transparent)]
    Capacity(#[from] Overload),
    /// The command does not apply to the state that its subject is in.
    #[error(transparent)]
    State(#[from] WrongState),
    /// The sender may not give this command.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The content of the command is not valid; the same command never succeeds.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The command is not meant for this subject; another command is.
    #[error(transparent)]
    Misuse(#[from] Misuse),
    /// One command of a bulk is refused, and with it all of them.
    #[error("number {index} of the bulk: {reason}")]
    InBulk {
        /// The index of the refused command, from 0.
        index: u32,
        /// The reason for that command.
        reason: Box<Self>,
    },
}

impl Rejected {
    /// The family of the reason; for a bulk, that of the refused command in it.
    #[must_use]
    pub fn class(&self) -> RejectedClass {
        match self {
            Self::Unknown(_) => RejectedClass::Unknown,
            Self::Conflict(_) => RejectedClass::Conflict,
            Self::Stale(_) => RejectedClass::Stale,
            Self::Capacity(_) => RejectedClass::Capacity,
            Self::State(_) => RejectedClass::State,
            Self::Forbidden(_) => RejectedClass::Forbidden,
            Self::Invalid(_) => RejectedClass::Invalid,
            Self::Misuse(_) => RejectedClass::Misuse,
            Self::InBulk { reason, .. } => reason.class(),
        }
    }

    /// The reason as one word in snake case, for protocols: `unknown_task`, `stale_attempt`. Unique over all families; for a
    /// bulk, that of the refused command in it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown(reason) => reason.code(),
            Self::Conflict(reason) => reason.code(),
            Self::Stale(reason) => reason.code(),
            Self::Capacity(reason) => reason.code(),
            Self::State(reason) => reason.code(),
            Self::Forbidden(reason) => reason.code(),
            Self::Invalid(reason) => reason.code(),
            Self::Misuse(reason) => reason.code(),
            Self::InBulk { reason, .. } => reason.code(),
        }
    }

    /// How long to wait before the command is worth sending again, if the scheduler can estimate that.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Capacity(Overload::AtCapacity { retry_after, .. } | Overload::Shed { retry_after, .. }) => {
                *retry_after
            }
            Self::InBulk { reason, .. } => reason.retry_after(),
            Self::Unknown(_)
            | Self::Conflict(_)
            | Self::Stale(_)
            | Self::State(_)
            | Self::Forbidden(_)
            | Self::Invalid(_)
            | Self::Misuse(_) => None,
        }
    }
}

/// The family of a [`Rejected`].
///
/// | class | sending the same command again | HTTP status |
/// |---|---|---|
/// | `Unknown` | helps once the subject exists | 404 |
/// | `Conflict` | does not help | 409 |
/// | `Stale` | does not help: another attempt or incarnation is current | 409 |
/// | `Capacity` | may help later, see [`Rejected::retry_after`] | 429 |
/// | `State` | may help when the subject has changed its state | 409 |
/// | `Forbidden` | does not help for this sender | 403 |
/// | `Invalid` | never helps | 422 |
/// | `Misuse` | never helps: another command is meant for this subject | 400 |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RejectedClass {
    /// The command names something that does not exist.
    Unknown,
    /// The command contradicts something that exists.
    Conflict,
    /// The command refers to an attempt or incarnation that is over.
    Stale,
    /// A bound on load is reached.
    Capacity,
    /// The command does not apply to the state that its subject is in.
    State,
    /// The sender may not give this command.
    Forbidden,
    /// The content of the command is not valid.
    Invalid,
    /// The command is not meant for this subject.
    Misuse,
}

impl RejectedClass {
    /// The class as one word in lower case, as in serialized form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Conflict => "conflict",
            Self::Stale => "stale",
            Self::Capacity => "capacity",
            Self::State => "state",
            Self::Forbidden => "forbidden",
            Self::Invalid => "invalid",
            Self::Misuse => "misuse",
        }
    }

    /// The HTTP status code that fits the class.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Unknown => 404,
            Self::Conflict | Self::Stale | Self::State => 409,
            Self::Capacity => 429,
            Self::Forbidden => 403,
            Self::Invalid => 422,
            Self::Misuse => 400,
        }
    }
}

impl fmt::Display for RejectedClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The command names something that does not exist or is no longer retained.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unknown {
    /// No such task is retained.
    #[error("no task {0} is known")]
    Task(TaskId),
    /// No such agent is registered.
    #[error("no agent {0} is known")]
    Agent(AgentId),
    /// No such run is retained.
    #[error("no run {0} is known")]
    Run(RunId),
    /// No such workflow is defined, or not in that version.
    #[error("no workflow {name} is defined{}", version_text(*.version))]
    Workflow {
        /// The requested name.
        name: Name,
        /// The requested version.
        version: Option<u32>,
    },
    /// The run has no such node.
    #[error("run {run} has no node {node}")]
    Node {
        /// The run.
        run: RunId,
        /// The requested name.
        node: Name,
    },
    /// The task depends on a task that is not known.
    #[error("task {task} depends on {missing}, which is not known")]
    Dependency {
        /// The task.
        task: TaskId,
        /// The missing dependency.
        missing: TaskId,
    },
    /// The workflow of the run has no such variable, or the variable takes no updates from outside.
    #[error("run {run} has no variable {variable} that takes updates")]
    Variable {
        /// The run.
        run: RunId,
        /// The requested variable.
        variable: Name,
    },
    /// The decision has no such option.
    #[error("node {node} has no option {option}")]
    DecisionOption {
        /// The node.
        node: Name,
        /// The requested option.
        option: Name,
    },
    /// The definition names a predicate or reducer that the configuration does not register.
    #[error("workflow {workflow} names `{function}`, which is no registered predicate or reducer")]
    Function {
        /// The name of the workflow.
        workflow: Name,
        /// The name of the function.
        function: Name,
    },
}

impl Unknown {
    const fn code(&self) -> &'static str {
        match self {
            Self::Task(_) => "unknown_task",
            Self::Agent(_) => "unknown_agent",
            Self::Run(_) => "unknown_run",
            Self::Workflow { .. } => "unknown_workflow",
            Self::Node { .. } => "unknown_node",
            Self::Dependency { .. } => "unknown_dependency",
            Self::Variable { .. } => "unknown_variable",
            Self::DecisionOption { .. } => "unknown_option",
            Self::Function { .. } => "unknown_function",
        }
    }
}

/// The command contradicts something that exists under the same id, name or key.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Conflict {
    /// A task with this id was submitted before, with other content.
    #[error("task {0} was submitted before, with other content")]
    Task(TaskId),
    /// A run with this id was started before, with other content.
    #[error("run {0} was started before, with other content")]
    Run(RunId),
    /// This name and version were defined before, with other content.
    #[error("workflow {0} was defined before, with other content: give it a new version")]
    Definition(DefinitionId),
    /// Another active run of the workflow has the sole key.
    #[error("run {run} of workflow {workflow} has the key {key} and is not over")]
    SoleKey {
        /// The name of the workflow.
        workflow: Name,
        /// The key.
        key: Name,
        /// The run that has the key.
        run: RunId,
    },
    /// Runs of the version are active.
    #[error("{runs} runs of workflow {definition} are not over")]
    InUse {
        /// The definition.
        definition: DefinitionId,
        /// The number of active runs.
        runs: u32,
    },
    /// The version is the default of its workflow.
    #[error("workflow {0} is the default for new runs: make another version the default first")]
    IsDefault(DefinitionId),
}

impl Conflict {
    const fn code(&self) -> &'static str {
        match self {
            Self::Task(_) => "task_conflict",
            Self::Run(_) => "run_conflict",
            Self::Definition(_) => "definition_conflict",
            Self::SoleKey { .. } => "key_taken",
            Self::InUse { .. } => "in_use",
            Self::IsDefault(_) => "is_default",
        }
    }
}

/// The command refers to an attempt or incarnation that is over.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stale {
    /// The attempt is not the current one of its task: it has ended, or the task was assigned again.
    #[error("attempt {0} is not the current attempt of its task")]
    Attempt(AttemptId),
    /// The attempt is held by another incarnation.
    #[error("attempt {attempt} is held by {holder}, not by {by}")]
    NotHolder {
        /// The attempt.
        attempt: AttemptId,
        /// The incarnation that sent the command.
        by: Incarnation,
        /// The incarnation that holds the attempt.
        holder: Incarnation,
    },
    /// The incarnation is over: the agent was deregistered, was lost or has registered again.
    #[error("{0} is over: the agent has left, was lost or has registered again")]
    Incarnation(Incarnation),
}

impl Stale {
    const fn code(&self) -> &'static str {
        match self {
            Self::Attempt(_) => "stale_attempt",
            Self::NotHolder { .. } => "not_holder",
            Self::Incarnation(_) => "stale_incarnation",
        }
    }
}

/// A bound on load is reached; the same command may succeed later.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Overload {
    /// A bound of [`Limits`](crate::Limits) is reached.
    #[error("{what} is at its limit of {limit}")]
    AtCapacity {
        /// The name of the field of the limits.
        what: Name,
        /// The value of the limit.
        limit: u64,
        /// How long to wait before sending the command again, if that can be estimated.
        retry_after: Option<Duration>,
    },
    /// Tasks wait too long; tasks of this tier are refused for now.
    #[error("tasks of tier {tier} are refused at present: tasks wait too long")]
    Shed {
        /// The tier.
        tier: Tier,
        /// How long to wait before sending the command again, if that can be estimated.
        retry_after: Option<Duration>,
    },
}

impl Overload {
    const fn code(&self) -> &'static str {
        match self {
            Self::AtCapacity { .. } => "at_capacity",
            Self::Shed { .. } => "shed",
        }
    }
}

/// The command does not apply to the state that its subject is in.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WrongState {
    /// The task has ended.
    #[error("task {0} has ended")]
    TaskEnded(TaskId),
    /// The task is assigned to an agent.
    #[error("task {0} has begun")]
    TaskBegun(TaskId),
    /// The task is not a dead letter.
    #[error("task {0} is not a dead letter")]
    NotDead(TaskId),
    /// The task depends on a task that has ended without success.
    #[error("task {task} depends on {dead}, which has ended without success")]
    DeadDependency {
        /// The task.
        task: TaskId,
        /// The failed dependency.
        dead: TaskId,
    },
    /// The scheduler has not requested the attempt back, and its agent is not draining.
    #[error("attempt {0} was not requested back")]
    NotRequestedBack(AttemptId),
    /// The run is in a phase in which the command does not apply.
    #[error("run {run} is {phase}")]
    RunPhase {
        /// The run.
        run: RunId,
        /// The phase of the run.
        phase: RunPhase,
    },
    /// The run cannot migrate to the definition.
    #[error("run {run} cannot migrate: {}", obstacle_text(.obstacles))]
    NotMigratable {
        /// The run.
        run: RunId,
        /// Every obstacle.
        obstacles: Vec<Obstacle>,
    },
    /// The run cannot be retried from its failure.
    #[error("run {run} cannot be retried from its failure{}", because(.node))]
    NotRetriable {
        /// The run.
        run: RunId,
        /// A node that was compensated, or after which the run has gone on; none if no node has failed.
        node: Option<Name>,
    },
    /// The run cannot be reset to that point.
    #[error("run {run} cannot be reset: {obstacle}")]
    NotResettable {
        /// The run.
        run: RunId,
        /// The obstacle.
        obstacle: ResetObstacle,
    },
    /// The run has passed its pivot: it can only go forward.
    #[error("run {0} has passed its pivot and can only go forward")]
    PastPivot(RunId),
    /// The node has ended, or an operator has decided how it ends.
    #[error("node {node} of run {run} has ended, or is about to")]
    NodeOver {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
    },
    /// The node takes no more items: it is not an open map, has not begun, has ended, or was closed.
    #[error("node {node} of run {run} takes no more items")]
    NotOpen {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
    },
    /// The node waits for no decision.
    #[error("node {node} of run {run} waits for no decision")]
    NothingToDecide {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
    },
    /// The compensation of the node has not failed.
    #[error("the compensation of node {node} of run {run} has not failed")]
    NothingToRemedy {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
    },
}

impl WrongState {
    const fn code(&self) -> &'static str {
        match self {
            Self::TaskEnded(_) => "task_ended",
            Self::TaskBegun(_) => "task_begun",
            Self::NotDead(_) => "not_dead",
            Self::DeadDependency { .. } => "dead_dependency",
            Self::NotRequestedBack(_) => "not_requested_back",
            Self::RunPhase { .. } => "run_phase",
            Self::NotMigratable { .. } => "not_migratable",
            Self::NotRetriable { .. } => "not_retriable",
            Self::NotResettable { .. } => "not_resettable",
            Self::PastPivot(_) => "past_pivot",
            Self::NodeOver { .. } => "node_over",
            Self::NotOpen { .. } => "not_open",
            Self::NothingToDecide { .. } => "nothing_to_decide",
            Self::NothingToRemedy { .. } => "nothing_to_remedy",
        }
    }
}

/// The sender may not give this command.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Forbidden {
    /// An agent may change itself only.
    #[error("{by} may not change agent {agent}")]
    ForeignAgent {
        /// The incarnation that sent the command.
        by: Incarnation,
        /// The agent that the command is about.
        agent: AgentId,
    },
    /// The sender has none of the roles that may decide, or the decision was delegated to another person.
    #[error("{by} may not decide node {node}")]
    NotDecider {
        /// The node.
        node: Name,
        /// The sender.
        by: Name,
    },
    /// Four-eyes principle: the person who decided one node may not decide the other.
    #[error("{by} decided node {other}, and so may not decide node {node}")]
    FourEyes {
        /// The node.
        node: Name,
        /// The sender, or the person to whom the decision was to be delegated.
        by: Name,
        /// The node that this person decided.
        other: Name,
    },
}

impl Forbidden {
    const fn code(&self) -> &'static str {
        match self {
            Self::ForeignAgent { .. } => "foreign_agent",
            Self::NotDecider { .. } => "not_decider",
            Self::FourEyes { .. } => "four_eyes",
        }
    }
}

/// The content of the command is not valid; the same command never succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Invalid {
    /// Ids with the top bit set are reserved for the engine.
    #[error("the id {0} is reserved for the engine: ids of a host are below 2^63")]
    ReservedId(u64),
    /// The deadline has passed.
    #[error("the deadline of task {task} has passed: {deadline} is not after {now}")]
    DeadlinePassed {
        /// The task.
        task: TaskId,
        /// Its deadline.
        deadline: Time,
        /// The time of the command.
        now: Time,
    },
    /// The task requests more of a shared resource than there is in all.
    #[error("task {task} requests {amount} of {name}, of which there are {total} in all")]
    NeverFits {
        /// The task.
        task: TaskId,
        /// The resource.
        name: Name,
        /// The requested amount.
        amount: u64,
        /// The total amount.
        total: u64,
    },
    /// By the current estimate the deadline cannot be met.
    #[error("task {task} is expected to end at {expected}, after its deadline at {deadline}")]
    Infeasible {
        /// The task.
        task: TaskId,
        /// Its deadline.
        deadline: Time,
        /// When the task is expected to end.
        expected: Time,
    },
    /// A value is larger than [`Limits`](crate::Limits) allow.
    #[error("{what} is {size}, more than the {limit} allowed")]
    TooLarge {
        /// The name of the field of the limits.
        what: Name,
        /// The size that the command has.
        size: u64,
        /// The size that is allowed.
        limit: u64,
    },
    /// A name is empty.
    #[error("the name of {what} is empty")]
    EmptyName {
        /// What the name belongs to.
        what: Name,
    },
    /// An agent without capacity could never work.
    #[error("agent {0} has no capacity")]
    NoCapacity(AgentId),
    /// The definition is not sound.
    #[error("workflow {name} is not sound: {}", .faults.join("; "))]
    Unsound {
        /// The name of the workflow.
        name: Name,
        /// Every fault.
        faults: Vec<String>,
    },
    /// The variable takes updates, but not this value.
    #[error("variable {variable} of run {run} does not take this value{}", fitting(.wanted))]
    Update {
        /// The run.
        run: RunId,
        /// The variable.
        variable: Name,
        /// The kind of value that its reducer takes; none if the workflow's own condition refused the value.
        wanted: Option<Box<str>>,
    },
}

impl Invalid {
    const fn code(&self) -> &'static str {
        match self {
            Self::ReservedId(_) => "reserved_id",
            Self::DeadlinePassed { .. } => "deadline_passed",
            Self::NeverFits { .. } => "never_fits",
            Self::Infeasible { .. } => "infeasible",
            Self::TooLarge { .. } => "too_large",
            Self::EmptyName { .. } => "empty_name",
            Self::NoCapacity(_) => "no_capacity",
            Self::Unsound { .. } => "unsound",
            Self::Update { .. } => "update_refused",
        }
    }
}

/// The command is not meant for this subject; another command is.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Misuse {
    /// Only the engine may set the owner of a task.
    #[error("task {0} names an owner, which only the engine may set")]
    ForeignOwner(TaskId),
    /// The agent is assigned work as it comes and does not poll.
    #[error("agent {0} does not poll: it is assigned work as it comes")]
    DoesNotPoll(AgentId),
    /// A child run follows its parent run or a definition of its own.
    #[error("run {run} is {}", if .parent.is_some() { "a child run, and follows no version" } else { "not a child run" })]
    ChildRun {
        /// The run.
        run: RunId,
        /// The parent run, if there is one.
        parent: Option<RunId>,
    },
    /// The task performs a step of a run: cancel the run instead.
    #[error("task {task} performs a step of run {run}: cancel the run instead")]
    TaskOfRun {
        /// The task.
        task: TaskId,
        /// The run.
        run: RunId,
    },
    /// A scheduler alone runs no workflows.
    #[error("a scheduler alone runs no workflows: use an engine")]
    NoWorkflows,
}

impl Misuse {
    const fn code(&self) -> &'static str {
        match self {
            Self::ForeignOwner(_) => "foreign_owner",
            Self::DoesNotPoll(_) => "does_not_poll",
            Self::ChildRun { .. } => "child_run",
            Self::TaskOfRun { .. } => "task_of_run",
            Self::NoWorkflows => "no_workflows",
        }
    }
}

fn fitting(kind: &Option<Box<str>>) -> String {
    kind.as_ref().map(|kind| format!(": it takes {kind}")).unwrap_or_default()
}

fn because(node: &Option<Name>) -> String {
    node.as_ref().map_or_else(|| ": it has not failed".to_owned(), |node| format!(": node {node} prevents it"))
}

fn obstacle_text(obstacles: &[Obstacle]) -> String {
    obstacles.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn version_text(version: Option<u32>) -> String {
    version.map_or_else(String::new, |version| format!(" in version {version}"))
}
