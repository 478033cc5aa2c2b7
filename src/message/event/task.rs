//! Events of tasks and their attempts.

use super::Event;
use crate::base::id::{AgentId, AttemptNumber, Incarnation, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::task::{Bound, Failure, Rating, SideEffects, TaskOutcome, TaskSpec, Tier, Usage};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What happened to a task or to one of its attempts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskEvent {
    /// The task was accepted.
    Submitted {
        /// The task.
        spec: Arc<TaskSpec>,
        /// The dead letter that it replays.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replays: Option<TaskId>,
        /// How long an attempt is expected to take.
        #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
        expected: Option<Duration>,
    },
    /// The task can be assigned: its dependencies have succeeded, or its back-off is over.
    Ready,
    /// The task was moved behind shorter ones, because more work waits than the discipline has patience for
    /// ([`Discipline::Deferring`](crate::scheduler::Discipline::Deferring)).
    Deferred {
        /// Its virtual deadline from now on: a task that arrives after this time does not overtake it.
        until: Time,
    },
    /// An attempt was assigned to an agent.
    Assigned {
        /// The attempt.
        attempt: AttemptNumber,
        /// The agent.
        to: Incarnation,
    },
    /// The agent has begun to work on an attempt that it had prefetched.
    Started {
        /// The attempt.
        attempt: AttemptNumber,
    },
    /// The agent is asked to give the attempt back; the task is assigned again, and the attempt does not count.
    YieldRequested {
        /// The attempt.
        attempt: AttemptNumber,
        /// The reason.
        reason: YieldReason,
    },
    /// The attempt was given back. It does not count: the task waits again, at its old position.
    Yielded {
        /// The attempt.
        attempt: AttemptNumber,
        /// The agent that held it.
        by: Incarnation,
        /// Whether the outcome of this or an earlier attempt is unknown: the task may have had its effect.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        outcome_unknown: bool,
    },
    /// An attempt failed.
    AttemptFailed {
        /// The attempt.
        attempt: AttemptNumber,
        /// The agent that held it.
        by: Incarnation,
        /// The failure.
        failure: Box<Failure>,
        /// What becomes of the task.
        next: Next,
        /// Whether the outcome of this or an earlier attempt is unknown: the task may have had its effect.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        outcome_unknown: bool,
        /// Whether it would have been tried again, had the retry budget allowed it.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        beyond_budget: bool,
    },
    /// What an attempt has used up in all. It precedes the end of the attempt; a later report replaces an earlier one.
    Used {
        /// The attempt.
        attempt: AttemptNumber,
        /// The agent that holds it.
        by: Incarnation,
        /// What it used up.
        usage: Usage,
    },
    /// An attempt reported details of its work with a heartbeat. Heartbeats without details, and details that later ones replace
    /// within [`details_interval`](crate::scheduler::TaskLimits::details_interval), are no events.
    Heartbeat {
        /// The attempt.
        attempt: AttemptNumber,
        /// The agent that holds it.
        by: Incarnation,
        /// The details, which replace earlier ones of the task.
        details: Payload,
    },
    /// The task is of a pure kind, and an equal one is waiting or under way: it waits for the result of that one. It is answered
    /// with it, or becomes ready if the other one does not succeed.
    Joined {
        /// The equal task.
        to: TaskId,
    },
    /// The task succeeded without an attempt, with the result of an equal one.
    Answered {
        /// The task that gave the result.
        from: TaskId,
        /// The result.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        output: Payload,
    },
    /// The task succeeded.
    Succeeded {
        /// The attempt that succeeded.
        attempt: AttemptNumber,
        /// The agent that held it.
        by: Incarnation,
        /// Its output.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        output: Payload,
    },
    /// The task is to be cancelled, and its agent was notified. It ends when the agent answers, or after the grace period.
    CancelRequested {
        /// The reason.
        reason: Name,
    },
    /// The task was cancelled.
    Cancelled {
        /// The reason.
        reason: Name,
        /// Its side effects.
        #[serde(default)]
        side_effects: SideEffects,
    },
    /// A time limit of the task was reached.
    Expired {
        /// The time limit.
        bound: Bound,
        /// Whether the outcome of an attempt is unknown: the task may have had its effect.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        outcome_unknown: bool,
    },
    /// A dead letter was discarded.
    Discarded {
        /// The operator's reason.
        reason: Name,
    },
    /// The result of the task, which has ended, was rated.
    Rated {
        /// The agent of its last attempt.
        agent: AgentId,
        /// Its kind. A strategy can learn from the event alone, also after a restore from a snapshot.
        kind: Name,
        /// The rating.
        rating: Rating,
    },
}

/// Why an agent is asked to give an attempt back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum YieldReason {
    /// A task of the first tier found no agent.
    Preempted {
        /// The task that gets the agent.
        by: TaskId,
    },
    /// The attempt has not begun, and another task goes first.
    Recalled {
        /// The task that gets the agent.
        by: TaskId,
    },
    /// The attempt has not begun, and a task that goes first was or will be assigned to the same agent, which begins its
    /// attempts in the order in which it gets them.
    Overtaken {
        /// The task that goes first.
        by: TaskId,
    },
    /// The attempt has not begun, and another agent would complete it sooner.
    Rebalanced,
}

impl YieldReason {
    /// The task that gets the agent.
    #[must_use]
    pub const fn by(self) -> Option<TaskId> {
        match self {
            Self::Preempted { by } | Self::Recalled { by } => Some(by),
            Self::Overtaken { .. } | Self::Rebalanced => None,
        }
    }
}

/// What becomes of a task after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Next {
    /// It is tried again, not before this time.
    Retry {
        /// When.
        at: Time,
        /// Its tier from now on; none if that does not change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tier: Option<Tier>,
    },
    /// It has failed for good.
    Fail,
    /// Its attempts are used up; an operator may replay it.
    DeadLetter,
}

impl TaskEvent {
    /// The event of this task.
    #[must_use]
    pub const fn of(self, task: TaskId) -> Event {
        Event::Task { task, event: self }
    }

    /// The attempt that it is about, if it is about one.
    #[must_use]
    pub const fn attempt(&self) -> Option<AttemptNumber> {
        match self {
            Self::Assigned { attempt, .. }
            | Self::Started { attempt }
            | Self::YieldRequested { attempt, .. }
            | Self::Yielded { attempt, .. }
            | Self::AttemptFailed { attempt, .. }
            | Self::Used { attempt, .. }
            | Self::Heartbeat { attempt, .. }
            | Self::Succeeded { attempt, .. } => Some(*attempt),
            Self::Submitted { .. }
            | Self::Ready
            | Self::Deferred { .. }
            | Self::Joined { .. }
            | Self::Answered { .. }
            | Self::CancelRequested { .. }
            | Self::Cancelled { .. }
            | Self::Expired { .. }
            | Self::Discarded { .. }
            | Self::Rated { .. } => None,
        }
    }

    /// The agent that holds or held the attempt, if the event names it.
    #[must_use]
    pub const fn holder(&self) -> Option<Incarnation> {
        if let Self::Assigned { to: agent, .. }
        | Self::Yielded { by: agent, .. }
        | Self::AttemptFailed { by: agent, .. }
        | Self::Used { by: agent, .. }
        | Self::Heartbeat { by: agent, .. }
        | Self::Succeeded { by: agent, .. } = self
        {
            Some(*agent)
        } else {
            None
        }
    }

    /// Whether this event ends the task.
    #[cfg(feature = "resilience")]
    pub(crate) const fn ends_task(&self) -> bool {
        matches!(
            self,
            Self::Succeeded { .. }
                | Self::Answered { .. }
                | Self::Cancelled { .. }
                | Self::Expired { .. }
                | Self::AttemptFailed { next: Next::Fail | Next::DeadLetter, .. }
        )
    }

    /// How the task ended, if this event ends it.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "most events end nothing")]
    pub fn outcome(&self) -> Option<TaskOutcome> {
        Some(match self {
            Self::Succeeded { output, .. } | Self::Answered { output, .. } => TaskOutcome::Succeeded(output.clone()),
            Self::AttemptFailed { failure, next: Next::Fail, .. } => TaskOutcome::Failed((**failure).clone()),
            Self::AttemptFailed { failure, next: Next::DeadLetter, .. } => {
                TaskOutcome::DeadLettered((**failure).clone())
            }
            Self::Cancelled { reason, side_effects } => {
                TaskOutcome::Cancelled { reason: reason.clone(), side_effects: side_effects.clone() }
            }
            Self::Expired { bound, .. } => TaskOutcome::Expired(*bound),
            _ => return None,
        })
    }
}
