//! How a node ended.

use crate::run::NodeOutcome;
use serde::{Deserialize, Serialize};

/// How a node ended, kept small: of the outcomes only a failure is large.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "NodeOutcome", into = "NodeOutcome")]
pub(crate) enum Ended {
    Succeeded,
    Skipped,
    Other(Box<NodeOutcome>),
}

impl Ended {
    pub(crate) const fn outcome(&self) -> &NodeOutcome {
        const SUCCEEDED: &NodeOutcome = &NodeOutcome::Succeeded;
        const SKIPPED: &NodeOutcome = &NodeOutcome::Skipped;
        match self {
            Self::Succeeded => SUCCEEDED,
            Self::Skipped => SKIPPED,
            Self::Other(outcome) => outcome,
        }
    }
}

impl From<NodeOutcome> for Ended {
    fn from(outcome: NodeOutcome) -> Self {
        match outcome {
            NodeOutcome::Succeeded => Self::Succeeded,
            NodeOutcome::Skipped => Self::Skipped,
            NodeOutcome::Failed { .. } | NodeOutcome::Cancelled { .. } => Self::Other(Box::new(outcome)),
        }
    }
}

impl From<Ended> for NodeOutcome {
    fn from(end: Ended) -> Self {
        end.outcome().clone()
    }
}
