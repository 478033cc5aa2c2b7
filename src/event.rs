//! Facts: what the core decided or learned. They are the journal, the audit trail and the feed of every observer.
//!
//! Applying a fact never decides anything again: whatever was chosen, drawn or measured is written down in it.

use crate::agent::{AgentSpec, Guard, Scope};
use crate::definition::Definition;
use crate::id::{AgentId, AttemptId, Incarnation, RunId, Seq, TaskId};
use crate::name::Name;
use crate::payload::Payload;
use crate::run::{Cause, NodeOutcome, NodeRemedy, RunOutcome, RunSpec, UndoOutcome};
use crate::task::{Bound, Failure, Happened, Owner, TaskOutcome, TaskSpec, Tier};
use crate::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A fact with its place in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::exhaustive_structs,
    reason = "number, moment and fact are what an entry is; hosts build them from rows"
)]
pub struct Entry {
    /// From 1, without gaps.
    pub seq: Seq,
    /// When it became a fact; never before the entry before it.
    pub at: Time,
    /// The fact.
    pub event: Event,
}

/// A fact, by family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// About an agent.
    Agent(AgentEvent),
    /// About a task.
    Task(TaskEvent),
    /// About a workflow or a run.
    Run(RunEvent),
    /// About the scheduler as a whole.
    Control(ControlEvent),
}

/// A fact about the scheduler as a whole, or about a part of it that is neither a task nor an agent's life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ControlEvent {
    /// Nothing of this scope begins until it is resumed; what is under way goes on.
    Paused {
        /// What is paused.
        scope: Scope,
        /// On what grounds.
        reason: Name,
    },
    /// What was paused may go on.
    Resumed {
        /// What was paused.
        scope: Scope,
    },
    /// Too few agents are fit for work: breakers and outlier ejection bound nobody until that is over.
    Panicked {
        /// How many are fit.
        fit: u32,
        /// Of how many.
        of: u32,
    },
    /// Enough agents are fit for work again.
    Calmed {
        /// How many are fit.
        fit: u32,
        /// Of how many.
        of: u32,
    },
    /// Which new tasks are refused because tasks wait too long.
    Shedding {
        /// Those of this tier and of the less urgent ones; none: all are taken again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Tier>,
    },
    /// The service as a whole is degraded to another level: what is left out at it is the host's business.
    Degraded {
        /// The name of the level; none: nothing is left out any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<Name>,
        /// The pressure that led to it, in the unit of the configured one.
        pressure: u64,
    },
    /// A routing strategy has changed its mind about how it routes.
    Rerouted {
        /// The kind whose own strategy it is; none: that of all others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<Name>,
        /// How it routes now.
        to: Name,
        /// Why.
        why: Name,
    },
    /// There should be another number of agents.
    Scaling {
        /// How many there are.
        agents: u32,
        /// How many there should be now.
        advised: u32,
        /// How many would be right, if they could come and go at once.
        needed: u32,
        /// Why.
        why: Name,
    },
}

/// A fact about an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentEvent {
    /// A life began. If the agent had one before, that is over.
    Registered {
        /// The new life.
        by: Incarnation,
        /// What the agent is.
        spec: Arc<AgentSpec>,
    },
    /// The agent changed.
    Updated {
        /// Whose word it was.
        by: Incarnation,
        /// What the agent is now.
        spec: Arc<AgentSpec>,
    },
    /// The agent takes nothing new.
    Draining {
        /// Which life.
        by: Incarnation,
    },
    /// The agent left.
    Deregistered {
        /// Which life ended.
        by: Incarnation,
    },
    /// The agent's lease ran out without a word.
    Lost {
        /// Which life ended.
        by: Incarnation,
    },
    /// A guard bounds what the agent may hold, whatever its capacity.
    Throttled {
        /// Which life.
        by: Incarnation,
        /// Which guard.
        guard: Guard,
        /// How many attempts the agent may hold by this guard's word; none if the guard has no objection any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slots: Option<u32>,
        /// When the guard looks at the agent again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
        /// What made the guard say so, if it says more than its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Name>,
    },
}

impl AgentEvent {
    /// Which life it is about.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        match self {
            Self::Registered { by, .. }
            | Self::Updated { by, .. }
            | Self::Draining { by }
            | Self::Deregistered { by }
            | Self::Lost { by }
            | Self::Throttled { by, .. } => *by,
        }
    }
}

/// A fact about a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskEvent {
    /// The task was taken on.
    Submitted {
        /// The task.
        spec: Arc<TaskSpec>,
        /// The dead letter that it tries again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replays: Option<TaskId>,
        /// How long an attempt was expected to take.
        #[serde(with = "crate::time::span::option", default, skip_serializing_if = "Option::is_none")]
        expected: Option<Duration>,
    },
    /// Nothing holds the task back any more: what it waited for has succeeded, or its back-off is over.
    Ready {
        /// The task.
        task: TaskId,
    },
    /// An agent was given an attempt.
    Assigned {
        /// The attempt.
        attempt: AttemptId,
        /// To whom.
        to: Incarnation,
    },
    /// The agent has begun to work on an attempt that waited with it.
    Started {
        /// The attempt.
        attempt: AttemptId,
    },
    /// The agent shall give an attempt back; the task will be given out again, and the attempt counts as none.
    YieldRequested {
        /// The attempt.
        attempt: AttemptId,
        /// Why.
        why: YieldReason,
    },
    /// An attempt was given back. It counts as none: the task waits again, at its old place.
    Yielded {
        /// The attempt.
        attempt: AttemptId,
        /// Who held it.
        by: Incarnation,
        /// Whether the outcome of this or an earlier attempt is unknown: the task may have had its effect.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        maybe: bool,
    },
    /// An attempt failed, with what becomes of the task.
    AttemptFailed {
        /// The attempt.
        attempt: AttemptId,
        /// Who held it.
        by: Incarnation,
        /// Why.
        failure: Failure,
        /// What becomes of the task.
        next: Next,
        /// Whether the outcome of this or an earlier attempt is unknown: the task may have had its effect.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        maybe: bool,
        /// Whether it would have been tried again, had the retry budget allowed it.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        beyond_budget: bool,
    },
    /// The task succeeded without an attempt: the result of its like is known.
    Answered {
        /// The task.
        task: TaskId,
        /// The task whose result it is.
        from: TaskId,
        /// The result.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        output: Payload,
    },
    /// The task succeeded.
    Succeeded {
        /// By this attempt.
        attempt: AttemptId,
        /// Of this agent.
        by: Incarnation,
        /// With this output.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        output: Payload,
    },
    /// The task is no longer wanted, and its agent has been told. It ends when the agent answers, or does not in time.
    CancelRequested {
        /// The task.
        task: TaskId,
        /// On what grounds.
        reason: Name,
    },
    /// The task was withdrawn.
    Cancelled {
        /// The task.
        task: TaskId,
        /// On what grounds.
        reason: Name,
        /// Whether it had an effect all the same.
        #[serde(default)]
        happened: Happened,
    },
    /// The task's time ran out.
    Expired {
        /// The task.
        task: TaskId,
        /// Which bound it was.
        bound: Bound,
        /// Whether it may have had its effect all the same.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        maybe: bool,
    },
    /// A dead letter was given up.
    Discarded {
        /// The dead letter.
        task: TaskId,
        /// On what grounds.
        reason: Name,
    },
    /// Finished tasks left memory, and with them the recognition of repeated submits.
    Forgotten {
        /// The tasks.
        tasks: Vec<TaskId>,
    },
}

/// Why an agent shall give an attempt back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum YieldReason {
    /// This task of the first tier found no agent.
    Preempted {
        /// The task that gets the agent.
        by: TaskId,
    },
    /// The attempt has not begun, and this task goes before it.
    Recalled {
        /// The task that gets the agent.
        by: TaskId,
    },
    /// The attempt has not begun, and another agent would be done with it sooner.
    Rebalanced,
}

impl YieldReason {
    /// The task that gets the agent.
    #[must_use]
    pub const fn by(self) -> Option<TaskId> {
        match self {
            Self::Preempted { by } | Self::Recalled { by } => Some(by),
            Self::Rebalanced => None,
        }
    }
}

/// What becomes of a task after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Next {
    /// It is tried again, not before this moment.
    Retry {
        /// When.
        at: Time,
        /// In this tier from now on; none if that stays as it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tier: Option<Tier>,
    },
    /// It has failed for good.
    Fail,
    /// Its attempts are used up; an operator may replay it.
    DeadLetter,
}

/// A fact about a workflow or a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunEvent {
    /// Runs may use this definition.
    Defined {
        /// The definition.
        definition: Arc<Definition>,
    },
    /// A run began.
    Started {
        /// The run.
        spec: Arc<RunSpec>,
        /// The version that it is pinned to.
        version: u32,
        /// The step that it performs, for a run within a run. The definition is then the one inside that step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
    },
    /// A node that does more than one thing began: a map, a repeat, a wait.
    Opened {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// What it will do.
        what: Opening,
    },
    /// A node ended.
    NodeFinished {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// How.
        outcome: NodeOutcome,
        /// The cases that a choice took.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        took: Vec<Name>,
        /// What it gave. None: what its task or child run gave, or a map collected.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Payload>,
        /// For a node that took a signal: which of those of its name that the run keeps, counted from the oldest; the oldest if
        /// nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<u32>,
    },
    /// A signal arrived.
    Signalled {
        /// The run.
        run: RunId,
        /// Its name.
        signal: Name,
        /// What it brought.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        payload: Payload,
        /// When it is worth nothing any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// A signal that a run kept was taken by a run within it, which waits for it.
    SignalMoved {
        /// The run within, to which it goes.
        run: RunId,
        /// The run that kept it.
        from: RunId,
        /// Its name.
        signal: Name,
        /// Which of those of its name, counted from the oldest.
        #[serde(default)]
        place: u32,
    },
    /// Something happened to a node that is under way, and a handler takes care of it.
    HandlerFired {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// The handler, by its place in the node.
        handler: u32,
        /// For a signal: which of those of its name that the run keeps, counted from the oldest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<u32>,
    },
    /// An operator stopped a run from making moves.
    Paused {
        /// The run.
        run: RunId,
        /// On what grounds.
        reason: Name,
    },
    /// A run that was paused goes on.
    Resumed {
        /// The run.
        run: RunId,
    },
    /// An operator decided how a node ends.
    Operated {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// How.
        remedy: NodeRemedy,
    },
    /// A map that is open got more items.
    ItemsAdded {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// The items.
        items: Vec<Payload>,
    },
    /// A map that was open gets no more items.
    ItemsClosed {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
    },
    /// A map need not wait for more of its items.
    ItemsEnough {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
    },
    /// The token of a node entered a state.
    Entered {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// The state, by its place in the node.
        state: u32,
        /// What the token carries, for the first state; for another it is what the one before gave.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<Payload>,
    },
    /// Somebody decided what a node waits for.
    Decided {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// Who.
        by: Name,
        /// What for.
        option: Name,
        /// What they add.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        note: Payload,
    },
    /// A decision was handed to somebody else.
    Delegated {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// By whom.
        by: Name,
        /// To whom.
        to: Name,
    },
    /// Nobody has decided for a while: others may, too.
    Escalated {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// The how manieth step it is.
        level: u32,
    },
    /// The run does not go on forward.
    Halted {
        /// The run.
        run: RunId,
        /// Why.
        cause: Cause,
    },
    /// What was under way has ended; these nodes are to be undone.
    Unwinding {
        /// The run.
        run: RunId,
        /// The nodes, by their places.
        nodes: Vec<u32>,
    },
    /// The compensation of a node ended.
    NodeUndone {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// How.
        outcome: UndoOutcome,
    },
    /// An operator has a failed compensation tried again.
    UndoRetried {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
    },
    /// The run is over.
    Finished {
        /// The run.
        run: RunId,
        /// How.
        outcome: RunOutcome,
    },
    /// Finished runs left memory.
    Forgotten {
        /// The runs.
        runs: Vec<RunId>,
    },
}

/// How a node that does more than one thing begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Opening {
    /// A map of so many items.
    Map {
        /// How many.
        items: u32,
    },
    /// A repeat.
    Repeat,
    /// States between which one token moves.
    States,
    /// Work that is done each time that something comes in.
    Rounds,
    /// A wait, until this moment if there is one.
    Wait {
        /// The moment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// A wait for the first of several.
    Race {
        /// When it began.
        since: Time,
        /// The moments waited for, in the order of the offers.
        until: Vec<Option<Time>>,
    },
}

impl From<AgentEvent> for Event {
    fn from(event: AgentEvent) -> Self {
        Self::Agent(event)
    }
}

impl From<TaskEvent> for Event {
    fn from(event: TaskEvent) -> Self {
        Self::Task(event)
    }
}

impl From<ControlEvent> for Event {
    fn from(event: ControlEvent) -> Self {
        Self::Control(event)
    }
}

impl From<RunEvent> for Event {
    fn from(event: RunEvent) -> Self {
        Self::Run(event)
    }
}

impl ControlEvent {
    /// The agent that it is about, if it is about one.
    #[must_use]
    pub const fn agent(&self) -> Option<AgentId> {
        match self {
            Self::Paused { scope, .. } | Self::Resumed { scope } => match scope {
                Scope::Agent(agent) => Some(*agent),
                Scope::Tenant(_) | Scope::Kind(_) => None,
            },
            Self::Panicked { .. }
            | Self::Calmed { .. }
            | Self::Shedding { .. }
            | Self::Degraded { .. }
            | Self::Rerouted { .. }
            | Self::Scaling { .. } => None,
        }
    }
}

impl TaskEvent {
    /// The task that it is about; none for those that are about many.
    #[must_use]
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Self::Submitted { spec, .. } => Some(spec.id),
            Self::Started { attempt }
            | Self::YieldRequested { attempt, .. }
            | Self::Yielded { attempt, .. }
            | Self::Assigned { attempt, .. }
            | Self::AttemptFailed { attempt, .. }
            | Self::Succeeded { attempt, .. } => Some(attempt.task()),
            Self::Ready { task }
            | Self::Answered { task, .. }
            | Self::CancelRequested { task, .. }
            | Self::Cancelled { task, .. }
            | Self::Expired { task, .. }
            | Self::Discarded { task, .. } => Some(*task),
            Self::Forgotten { .. } => None,
        }
    }
}

impl TaskEvent {
    /// How the task ended, if this fact ends it.
    #[must_use]
    pub fn outcome(&self) -> Option<TaskOutcome> {
        match self {
            Self::Succeeded { output, .. } | Self::Answered { output, .. } => {
                Some(TaskOutcome::Succeeded(output.clone()))
            }
            Self::AttemptFailed { failure, next: Next::Fail, .. } => Some(TaskOutcome::Failed(failure.clone())),
            Self::AttemptFailed { failure, next: Next::DeadLetter, .. } => {
                Some(TaskOutcome::DeadLettered(failure.clone()))
            }
            Self::Cancelled { reason, happened, .. } => {
                Some(TaskOutcome::Cancelled { reason: reason.clone(), happened: happened.clone() })
            }
            Self::Expired { bound, .. } => Some(TaskOutcome::Expired(*bound)),
            Self::Submitted { .. }
            | Self::Ready { .. }
            | Self::Assigned { .. }
            | Self::Started { .. }
            | Self::YieldRequested { .. }
            | Self::Yielded { .. }
            | Self::AttemptFailed { next: Next::Retry { .. }, .. }
            | Self::CancelRequested { .. }
            | Self::Discarded { .. }
            | Self::Forgotten { .. } => None,
        }
    }
}

impl RunEvent {
    /// The run that it is about; none for definitions and for those that are about many.
    #[must_use]
    pub fn run(&self) -> Option<RunId> {
        match self {
            Self::Started { spec, .. } => Some(spec.id),
            Self::Opened { run, .. }
            | Self::NodeFinished { run, .. }
            | Self::Signalled { run, .. }
            | Self::SignalMoved { run, .. }
            | Self::HandlerFired { run, .. }
            | Self::Paused { run, .. }
            | Self::Resumed { run }
            | Self::Operated { run, .. }
            | Self::ItemsAdded { run, .. }
            | Self::ItemsClosed { run, .. }
            | Self::ItemsEnough { run, .. }
            | Self::Entered { run, .. }
            | Self::Decided { run, .. }
            | Self::Delegated { run, .. }
            | Self::Escalated { run, .. }
            | Self::Halted { run, .. }
            | Self::Unwinding { run, .. }
            | Self::NodeUndone { run, .. }
            | Self::UndoRetried { run, .. }
            | Self::Finished { run, .. } => Some(*run),
            Self::Defined { .. } | Self::Forgotten { .. } => None,
        }
    }
}
