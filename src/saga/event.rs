//! The events of a saga, its outcome and its errors.

use super::progress::IllegalProgress;
use super::{CompensationEnd, RollbackError};
use crate::base::payload::Payload;
use crate::dag::NodeIx;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An event of a saga. The state of a [`Saga`](super::Saga) is the fold of its events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SagaEvent {
    /// The step, the query of its outcome or its compensation begins, whichever is next for the step.
    Began {
        /// The step.
        step: NodeIx,
    },
    /// A step has completed, as it reported itself or as its query found out.
    Completed {
        /// The step.
        step: NodeIx,
        /// Its output.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        output: Payload,
    },
    /// A step has not completed.
    Failed {
        /// The step.
        step: NodeIx,
        /// Whether it may have had side effects all the same: its outcome is unknown and cannot be queried.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        outcome_unknown: bool,
    },
    /// The outcome of a step is unknown and is to be queried.
    OutcomeUnknown {
        /// The step.
        step: NodeIx,
    },
    /// The whole saga fails: no further step begins, and those under way are awaited.
    Failing,
    /// A failure rolls back to save-points: no step after them begins, and those under way are awaited.
    RolledBack {
        /// The save-points.
        to: Vec<NodeIx>,
    },
    /// No step in the scope of the rollback is under way; the compensation of these begins.
    Compensating {
        /// The steps.
        steps: Vec<NodeIx>,
    },
    /// The compensation of a step has ended, or a failed one was settled by a decision.
    Compensated {
        /// The step.
        step: NodeIx,
        /// How.
        end: CompensationEnd,
    },
    /// A failed compensation is retried.
    CompensationRetried {
        /// The step.
        step: NodeIx,
    },
    /// The steps after the save-points are compensated and restart.
    Restarted,
    /// The saga has ended.
    Ended {
        /// Its outcome.
        outcome: SagaOutcome,
    },
}

/// The outcome of a saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SagaOutcome {
    /// Every step has completed.
    Completed,
    /// The saga failed, and every step with possible side effects and a compensation is compensated.
    Compensated,
    /// The saga failed without having compensated anything, or side effects remain.
    Failed {
        /// The steps whose side effects remain, done or possible: their compensation was abandoned, or a pivot was passed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        residue: Vec<NodeIx>,
    },
}

/// A call that the state of a saga does not allow, or an event that does not follow from those before it. After a rejected
/// call nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SagaError {
    /// There is no such step.
    #[error("there is no step {0}")]
    UnknownStep(NodeIx),
    /// Neither the step nor its query nor its compensation is under way.
    #[error("step {0} is not under way")]
    NotUnderWay(NodeIx),
    /// The step has no failed compensation.
    #[error("no compensation of step {0} has failed")]
    NothingToSettle(NodeIx),
    /// The saga is failing or being compensated already.
    #[error("the saga has failed already")]
    Failing,
    /// A pivot was passed: the saga only goes forward.
    #[error("a pivot has been passed")]
    PastPivot,
    /// The saga has ended.
    #[error("the saga has ended")]
    Ended,
    /// An event does not follow from those before it.
    #[error("event {index}: {reason}")]
    Inconsistent {
        /// The index of the event, from 0.
        index: usize,
        /// The transition that its predecessors do not allow.
        reason: IllegalEvent,
    },
}

/// The reason why an event does not follow from those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IllegalEvent {
    /// The saga has ended.
    #[error("the saga has ended")]
    Ended,
    /// The saga has failed already.
    #[error("the saga has failed already")]
    Failing,
    /// There is no such step.
    #[error("there is no step {0}")]
    UnknownStep(NodeIx),
    /// The step cannot begin now, is not under way, or has ended.
    #[error("step {0} is in another state")]
    Step(NodeIx),
    /// The rollback is in another state.
    #[error(transparent)]
    Rollback(#[from] RollbackError),
}

impl IllegalEvent {
    /// The step does not allow the transition.
    pub(super) const fn step(step: NodeIx) -> impl FnOnce(IllegalProgress) -> Self {
        move |_| Self::Step(step)
    }
}
