//! Rejections because of the state of the subject, of the load, or of the sender.

use crate::base::id::{AgentId, AttemptId, Incarnation, RunId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::run::{Obstacle, ResetObstacle, RunPhase};
use crate::task::Tier;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use thiserror::Error;

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
    pub(super) const fn code(&self) -> &'static str {
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
    /// The task has not ended, so its result cannot be rated.
    #[error("task {0} has not ended")]
    TaskNotEnded(TaskId),
    /// No agent has performed the task, so there is nothing to rate.
    #[error("task {0} was performed by no agent")]
    NothingToRate(TaskId),
    /// The task has another rating.
    #[error("task {0} has another rating")]
    TaskRated(TaskId),
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
    /// A predicate or reducer of the host that the command depends on has panicked.
    #[error("function `{function}` of run {run} has panicked and is not called again")]
    FunctionPanicked {
        /// The run.
        run: RunId,
        /// The name of the function.
        function: Name,
    },
    /// No jump of the clock to about that time waits to be confirmed.
    #[error("no jump of the clock to {time} waits to be confirmed; the engine's time is {now}")]
    NoClockJump {
        /// The time in the command.
        time: Time,
        /// The engine's time.
        now: Time,
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
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::TaskEnded(_) => "task_ended",
            Self::TaskBegun(_) => "task_begun",
            Self::TaskNotEnded(_) => "task_not_ended",
            Self::NothingToRate(_) => "nothing_to_rate",
            Self::TaskRated(_) => "task_rated",
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
            Self::FunctionPanicked { .. } => "function_panicked",
            Self::NoClockJump { .. } => "no_clock_jump",
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
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::ForeignAgent { .. } => "foreign_agent",
            Self::NotDecider { .. } => "not_decider",
            Self::FourEyes { .. } => "four_eyes",
        }
    }
}

fn because(node: &Option<Name>) -> String {
    node.as_ref().map_or_else(|| ": it has not failed".to_owned(), |node| format!(": node {node} prevents it"))
}

fn obstacle_text(obstacles: &[Obstacle]) -> String {
    obstacles.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
