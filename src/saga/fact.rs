//! What a saga writes down, and how it ends.

use crate::base::payload::Payload;
use crate::dag::NodeIx;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A fact about a saga. Its state is nothing but their fold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SagaFact {
    /// A step was handed out: to be done, asked about or undone, as it stands.
    Began {
        /// The step.
        step: NodeIx,
    },
    /// A step was done, at once or as it turned out when it was asked about.
    Done {
        /// The step.
        step: NodeIx,
        /// What it gave.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        output: Payload,
    },
    /// A step was not done.
    Failed {
        /// The step.
        step: NodeIx,
        /// Whether it may have happened all the same.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        maybe: bool,
    },
    /// Nobody knows whether a step has happened; that is to be found out.
    InDoubt {
        /// The step.
        step: NodeIx,
    },
    /// Somebody wants it to go no further.
    Cancelled {
        /// Even if there is no way back.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        anyway: bool,
    },
    /// It does not go on forward: what is under way after these save-points is awaited, or everything if there are none.
    Halted {
        /// The save-points.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        to: Vec<NodeIx>,
    },
    /// Nothing is under way there any more; these steps are to be undone.
    Unwinding {
        /// The steps.
        steps: Vec<NodeIx>,
    },
    /// The compensation of a step ended.
    Undone {
        /// The step.
        step: NodeIx,
    },
    /// The compensation of a step failed.
    UndoFailed {
        /// The step.
        step: NodeIx,
    },
    /// A compensation that failed is tried again.
    UndoRetried {
        /// The step.
        step: NodeIx,
    },
    /// A compensation that failed was settled by other means, or given up: then what the step did stays.
    UndoSettled {
        /// The step.
        step: NodeIx,
        /// Whether it was given up.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        abandoned: bool,
    },
    /// What came after the save-points is undone, and is done again from there.
    Forward,
    /// It is over.
    Ended {
        /// How.
        outcome: SagaOutcome,
    },
}

/// How a saga ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SagaOutcome {
    /// Every step was done.
    Completed,
    /// It failed, and everything that had happened or may have, and has a compensation, is undone.
    Compensated,
    /// It failed, and these steps have happened or may have, and stay: their compensation was given up, or a pivot had been
    /// passed. None: nothing had happened that is to be undone.
    Failed {
        /// The steps.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        residue: Vec<NodeIx>,
    },
}

/// A word to a saga that does not fit, or a fact that does not follow. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SagaError {
    /// There is no such step.
    #[error("there is no step {0}")]
    UnknownStep(NodeIx),
    /// Nobody was asked to do anything about the step.
    #[error("step {0} is not under way")]
    NotUnderWay(NodeIx),
    /// The step has no compensation that failed.
    #[error("no compensation of step {0} has failed")]
    NothingToSettle(NodeIx),
    /// It is being undone as a whole, or was already told to stop.
    #[error("it turns back already")]
    TurnsBack,
    /// There is no way back: it goes on to its end.
    #[error("there is no way back: the pivot has been passed")]
    PastPivot,
    /// It is over.
    #[error("it is over")]
    Over,
    /// A fact that does not follow from those before it.
    #[error("fact {place}: {why}")]
    Misfit {
        /// The place of the fact, from 0.
        place: usize,
        /// Why not.
        why: &'static str,
    },
}
