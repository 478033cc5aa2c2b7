//! A command that was refused: nothing changed.

use crate::definition::DefinitionId;
use crate::id::{AgentId, AttemptId, Incarnation, RunId, TaskId};
use crate::name::Name;
use crate::run::{Obstacle, ResetObstacle, RunPhase};
use crate::task::Tier;
use crate::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a command was refused. Nothing of it happened; not a byte of the state changed.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejected {
    /// There is no such task, or it has been forgotten.
    #[error("no task {0} is known")]
    UnknownTask(TaskId),
    /// There is no such agent.
    #[error("no agent {0} is known")]
    UnknownAgent(AgentId),
    /// There is no such run, or it has been forgotten.
    #[error("no run {0} is known")]
    UnknownRun(RunId),
    /// There is no such workflow, or not in that version.
    #[error("no workflow {name} is defined{}", version_text(*.version))]
    UnknownWorkflow {
        /// The name asked for.
        name: Name,
        /// The version asked for.
        version: Option<u32>,
    },
    /// The run has no such node.
    #[error("run {run} has no node {node}")]
    UnknownNode {
        /// The run.
        run: RunId,
        /// The name asked for.
        node: Name,
    },
    /// The id belongs to another task.
    #[error("task {0} was submitted before, with other content")]
    TaskConflict(TaskId),
    /// Another run has the key and is not over.
    #[error("run {run} of workflow {workflow} has the key {key} and is not over")]
    KeyTaken {
        /// The workflow's name.
        workflow: Name,
        /// The key.
        key: Name,
        /// The run that has it.
        run: RunId,
    },
    /// The id belongs to another run.
    #[error("run {0} was started before, with other content")]
    RunConflict(RunId),
    /// The name and version belong to another definition.
    #[error("workflow {0} was defined before, with other content: give it a new version")]
    DefinitionConflict(DefinitionId),
    /// Runs of the version are not over.
    #[error("of workflow {definition} {runs} runs are not over")]
    InUse {
        /// Which definition.
        definition: DefinitionId,
        /// How many.
        runs: u32,
    },
    /// The version was made the default: make another one the default first.
    #[error("workflow {0} is what new runs take: make another version the default first")]
    IsDefault(DefinitionId),
    /// Ids with the top bit set are the engine's own.
    #[error("the id {0} is reserved for the engine: ids of a host are below 2^63")]
    ReservedId(u64),
    /// The step of a run is for the engine to set.
    #[error("task {0} names an owner, which only the engine may set")]
    ForeignOwner(TaskId),
    /// The task waits for a task that is not known.
    #[error("task {task} waits for {missing}, which is not known")]
    UnknownDependency {
        /// The task.
        task: TaskId,
        /// What it waits for.
        missing: TaskId,
    },
    /// The task waits for a task that has ended without success.
    #[error("task {task} waits for {dead}, which has ended without success")]
    DeadDependency {
        /// The task.
        task: TaskId,
        /// What it waits for.
        dead: TaskId,
    },
    /// The deadline has passed already.
    #[error("the deadline of task {task} has passed: {deadline} is not after {now}")]
    DeadlinePassed {
        /// The task.
        task: TaskId,
        /// Its deadline.
        deadline: Time,
        /// The time now.
        now: Time,
    },
    /// The task asks for more of a shared resource than there is.
    #[error("task {task} asks for {amount} of {name}, of which there are {total} in all")]
    NeverFits {
        /// The task.
        task: TaskId,
        /// The resource.
        name: Name,
        /// How much is asked for.
        amount: u64,
        /// How much there is, when nobody uses any.
        total: u64,
    },
    /// By what is known the deadline cannot be met.
    #[error("task {task} would be done at {expected}, after its deadline at {deadline}")]
    Infeasible {
        /// The task.
        task: TaskId,
        /// Its deadline.
        deadline: Time,
        /// When it would be done.
        expected: Time,
    },
    /// One of many is refused, and with it all of them.
    #[error("number {index} of many: {reason}")]
    InBulk {
        /// Which, from 0.
        index: u32,
        /// Why.
        reason: Box<Self>,
    },
    /// The attempt is not the current one of its task: it failed, timed out or was given to another agent before.
    #[error("attempt {0} is not the current attempt of its task")]
    StaleAttempt(AttemptId),
    /// The attempt belongs to another agent.
    #[error("attempt {attempt} is held by {holder}, not by {by}")]
    NotHolder {
        /// The attempt.
        attempt: AttemptId,
        /// Who spoke.
        by: Incarnation,
        /// Who holds it.
        holder: Incarnation,
    },
    /// Nobody has asked for the attempt back, and its agent does not drain.
    #[error("nobody has asked for attempt {0} back")]
    NotAsked(AttemptId),
    /// The agent is given work unasked.
    #[error("agent {0} does not ask for work: it is given work as it comes")]
    DoesNotPoll(AgentId),
    /// The word comes from a life of the agent that is over.
    #[error("{0} is over: the agent has left, was lost or has registered again")]
    StaleIncarnation(Incarnation),
    /// The word is about another agent than the one that speaks.
    #[error("{by} may not change agent {agent}")]
    ForeignAgent {
        /// Who spoke.
        by: Incarnation,
        /// About whom.
        agent: AgentId,
    },
    /// The task has ended.
    #[error("task {0} has ended")]
    TaskEnded(TaskId),
    /// An agent holds the task.
    #[error("task {0} has begun")]
    TaskBegun(TaskId),
    /// The task is no dead letter.
    #[error("task {0} is no dead letter")]
    NotDead(TaskId),
    /// The run has ended, or is past the point where this could be done.
    #[error("run {run} is {phase}")]
    RunPhase {
        /// The run.
        run: RunId,
        /// Where it stands.
        phase: RunPhase,
    },
    /// The run cannot move to that definition; everything that stands in the way, one to a line.
    #[error("run {run} cannot move: {}", obstacle_text(.obstacles))]
    NotMigratable {
        /// The run.
        run: RunId,
        /// What stands in the way.
        obstacles: Vec<Obstacle>,
    },
    /// A run within a run follows what the run around it says, or a definition of its own; others have no run around them.
    #[error("run {run} is {}", if .around.is_some() { "within another, and follows no version" } else { "not within another" })]
    RunWithin {
        /// The run.
        run: RunId,
        /// The run around it, if there is one.
        around: Option<RunId>,
    },
    /// The run cannot go on from where it failed.
    #[error("run {run} cannot go on from where it failed{}", because(.node))]
    NotRetriable {
        /// The run.
        run: RunId,
        /// A node that was undone, or that has gone on after the failure; none if nothing has failed.
        node: Option<Name>,
    },
    /// The run cannot be set back to that point.
    #[error("run {run} cannot be set back: {obstacle}")]
    NotResettable {
        /// The run.
        run: RunId,
        /// What stands in the way.
        obstacle: ResetObstacle,
    },
    /// The run has passed its point of no return: it goes forward only.
    #[error("run {0} has passed its point of no return, and goes forward only")]
    PastPivot(RunId),
    /// The task does a step of a run, which alone may withdraw it: cancel the run.
    #[error("task {task} does a step of run {run}, which alone may withdraw it")]
    TaskOfRun {
        /// The task.
        task: TaskId,
        /// The run.
        run: RunId,
    },
    /// The node has ended, or an operator has decided how it will.
    #[error("node {node} of run {run} has ended, or is about to")]
    NodeOver {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
    },
    /// The node takes no more items: it is no open map, has not begun, has ended, or was closed.
    #[error("node {node} of run {run} takes no more items")]
    NotOpen {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
    },
    /// The workflow of the run has no such variable, or it takes no updates from outside.
    #[error("run {run} has no variable {variable} that takes updates")]
    NotUpdatable {
        /// The run.
        run: RunId,
        /// The variable.
        variable: Name,
    },
    /// The variable takes updates, and not this one.
    #[error("variable {variable} of run {run} does not take this value{}", fitting(.wanted))]
    UpdateRefused {
        /// The run.
        run: RunId,
        /// The variable.
        variable: Name,
        /// What its reducer takes, in words; none if the workflow's own condition refused it.
        wanted: Option<Box<str>>,
    },
    /// The node waits for no decision.
    #[error("node {node} of run {run} waits for no decision")]
    NothingToDecide {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
    },
    /// The decision has no such option.
    #[error("node {node} has no option {option}")]
    UnknownOption {
        /// The node.
        node: Name,
        /// The option asked for.
        option: Name,
    },
    /// Somebody has none of the roles that may decide, or the decision was handed to somebody else.
    #[error("the decision of node {node} is not for {by} to take")]
    NotTheirs {
        /// The node.
        node: Name,
        /// Who spoke.
        by: Name,
    },
    /// Four eyes: who decided one node may not decide the other.
    #[error("{by} decided node {other}, and so may not decide node {node}")]
    FourEyes {
        /// The node.
        node: Name,
        /// Who spoke, or was to be asked.
        by: Name,
        /// The node that they decided.
        other: Name,
    },
    /// The compensation of this node has not failed.
    #[error("the compensation of node {node} of run {run} has not failed")]
    NothingToRemedy {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
    },
    /// A bound of [`Limits`](crate::Limits) is reached: try again later, or make room.
    #[error("{what} is at its limit of {limit}")]
    AtCapacity {
        /// Which bound, by the name of its field.
        what: Name,
        /// Its value.
        limit: u64,
        /// When trying again may help, if that can be told.
        retry_after: Option<Duration>,
    },
    /// Tasks wait too long, and those of this tier are not taken for a while.
    #[error("tasks of tier {tier} are not taken at present")]
    Shed {
        /// The tier.
        tier: Tier,
        /// When trying again may help, if that can be told.
        retry_after: Option<Duration>,
    },
    /// Something is larger than [`Limits`](crate::Limits) allow; trying again will not help.
    #[error("{what} is {size}, more than the {limit} allowed")]
    TooLarge {
        /// Which bound, by the name of its field.
        what: Name,
        /// What was brought.
        size: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A name is empty.
    #[error("the name of {what} is empty")]
    EmptyName {
        /// Of what.
        what: Name,
    },
    /// An agent without capacity could never work.
    #[error("agent {0} has no capacity")]
    NoCapacity(AgentId),
    /// The definition is not sound; every fault of it, one to a line.
    #[error("workflow {name} is not sound: {}", .faults.join("; "))]
    Unsound {
        /// The workflow's name.
        name: Name,
        /// What is wrong with it.
        faults: Vec<String>,
    },
    /// The definition names a predicate or reducer of the host that the configuration does not have.
    #[error("workflow {workflow} names `{function}`, which is no registered predicate or reducer")]
    UnknownFunction {
        /// The workflow's name.
        workflow: Name,
        /// The name that it uses.
        function: Name,
    },
    /// A scheduler on its own runs no workflows.
    #[error("a scheduler on its own runs no workflows: use an engine")]
    NoWorkflows,
}

fn fitting(kind: &Option<Box<str>>) -> String {
    kind.as_ref().map(|kind| format!(": it takes {kind}")).unwrap_or_default()
}

fn because(node: &Option<Name>) -> String {
    node.as_ref().map_or_else(|| ": it has not failed".to_owned(), |node| format!(": node {node} stands in the way"))
}

fn obstacle_text(obstacles: &[Obstacle]) -> String {
    obstacles.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn version_text(version: Option<u32>) -> String {
    version.map_or_else(String::new, |version| format!(" in version {version}"))
}
