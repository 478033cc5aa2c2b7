//! How compensations end, and what an operator does about one that failed.

use crate::name::Name;
use crate::payload::Payload;
use crate::task::Failure;
use serde::{Deserialize, Serialize};

/// What a query's answer says: the step has happened and gave this, or it has not; none if it does not say.
pub(crate) fn found(answer: &Payload) -> Option<Option<Payload>> {
    let answer = answer.value();
    let output = || Payload::new(answer.get("output").cloned().unwrap_or_default());
    answer.get("happened")?.as_bool().map(|happened| happened.then(output))
}

/// How the compensation of a node ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UndoOutcome {
    /// The node is undone.
    Undone,
    /// It could not be undone; an operator may try again or decide.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// An operator says that it is undone.
    Declared {
        /// On what grounds.
        reason: Name,
    },
    /// An operator gave it up: what it did stays.
    Abandoned {
        /// On what grounds.
        reason: Name,
    },
}

/// What an operator says of a compensation that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UndoRemedy {
    /// Try it again. Refused for a workflow within: what it could not undo was settled in it, and it has ended.
    Retry,
    /// It has been undone by other means.
    Declare {
        /// On what grounds.
        reason: Name,
    },
    /// What it did stays.
    Abandon {
        /// On what grounds.
        reason: Name,
    },
}
