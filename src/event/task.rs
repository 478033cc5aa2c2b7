//! Facts about tasks.

use crate::id::{AttemptId, Incarnation, TaskId};
use crate::name::Name;
use crate::payload::Payload;
use crate::task::{Bound, Failure, Happened, TaskOutcome, TaskSpec, Tier, Usage};
use crate::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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
    /// What an attempt has used up in all. It comes before the end of the attempt, and said again it replaces what was said.
    Used {
        /// The attempt.
        attempt: AttemptId,
        /// Who held it.
        by: Incarnation,
        /// What it used up.
        usage: Usage,
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
    /// Tasks that wait are more urgent from now on, or less.
    Prioritised {
        /// The tasks.
        tasks: Vec<TaskId>,
        /// Where they wait now.
        tier: Tier,
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

impl TaskEvent {
    /// The task that it is about; none for those that are about many.
    #[must_use]
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Self::Submitted { spec, .. } => Some(spec.id),
            Self::Started { attempt }
            | Self::YieldRequested { attempt, .. }
            | Self::Yielded { attempt, .. }
            | Self::Used { attempt, .. }
            | Self::Assigned { attempt, .. }
            | Self::AttemptFailed { attempt, .. }
            | Self::Succeeded { attempt, .. } => Some(attempt.task()),
            Self::Ready { task }
            | Self::Answered { task, .. }
            | Self::CancelRequested { task, .. }
            | Self::Cancelled { task, .. }
            | Self::Expired { task, .. }
            | Self::Discarded { task, .. } => Some(*task),
            Self::Prioritised { .. } | Self::Forgotten { .. } => None,
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
            | Self::Used { .. }
            | Self::AttemptFailed { next: Next::Retry { .. }, .. }
            | Self::CancelRequested { .. }
            | Self::Discarded { .. }
            | Self::Prioritised { .. }
            | Self::Forgotten { .. } => None,
        }
    }
}
