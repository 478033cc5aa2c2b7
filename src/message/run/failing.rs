//! How compensations end, and what an operator does about one that failed.

use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::task::Failure;
use serde::{Deserialize, Serialize};

/// The answer of a query: the step has taken effect with this output, or it has not. `None` if the answer is neither.
pub(crate) fn found(answer: &Payload) -> Option<Option<Payload>> {
    let answer = answer.value();
    let output = || Payload::new(answer.get("output").cloned().unwrap_or_default());
    answer.get("happened")?.as_bool().map(|happened| happened.then(output))
}

/// How the compensation of a node ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CompensationOutcome {
    /// The node is compensated.
    Compensated,
    /// The compensation failed; an operator can retry it or decide.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// An operator declared that the node is undone.
    Declared {
        /// The reason given.
        reason: Name,
    },
    /// An operator abandoned the compensation: the side effects of the node remain.
    Abandoned {
        /// The reason given.
        reason: Name,
    },
}

/// An operator's decision on a failed compensation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CompensationRemedy {
    /// Executes the compensation again. Rejected for a nested workflow: its own run has ended, with its compensations
    /// decided.
    Retry,
    /// The node was undone by other means.
    Declare {
        /// The reason.
        reason: Name,
    },
    /// The side effects of the node remain.
    Abandon {
        /// The reason.
        reason: Name,
    },
}
