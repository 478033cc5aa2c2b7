//! The end of a node and of its compensation.

use super::instance::is_default;
use super::{Applied, Illegal};
use crate::base::name::Name;
use crate::message::run::{CompensationOutcome, NodeOutcome};
use serde::{Deserialize, Serialize};

/// The end of a node. Most nodes succeed or are skipped, take no case and are not compensated, so other ends are boxed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ended {
    Succeeded,
    Skipped,
    With(Box<End>),
}

/// The end of a node in its general form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct End {
    outcome: NodeOutcome,
    /// The cases that were taken: of a choice, of a race, or a handler.
    #[serde(default, skip_serializing_if = "is_default")]
    took: Vec<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compensated: Option<CompensationOutcome>,
}

impl Ended {
    pub(super) fn new(outcome: &NodeOutcome, took: &[Name]) -> Self {
        Self::of(Box::new(End { outcome: outcome.clone(), took: took.to_vec(), compensated: None }))
    }

    /// The compact form if it suffices.
    fn of(end: Box<End>) -> Self {
        match (&end.outcome, &end.took[..], &end.compensated) {
            (NodeOutcome::Succeeded, [], None) => Self::Succeeded,
            (NodeOutcome::Skipped, [], None) => Self::Skipped,
            (_, _, _) => Self::With(end),
        }
    }

    pub(crate) const fn outcome(&self) -> &NodeOutcome {
        const SUCCEEDED: &NodeOutcome = &NodeOutcome::Succeeded;
        const SKIPPED: &NodeOutcome = &NodeOutcome::Skipped;
        match self {
            Self::Succeeded => SUCCEEDED,
            Self::Skipped => SKIPPED,
            Self::With(end) => &end.outcome,
        }
    }

    pub(crate) fn took(&self) -> &[Name] {
        match self {
            Self::With(end) => &end.took,
            Self::Succeeded | Self::Skipped => &[],
        }
    }

    pub(crate) const fn compensated(&self) -> Option<&CompensationOutcome> {
        match self {
            Self::With(end) => end.compensated.as_ref(),
            Self::Succeeded | Self::Skipped => None,
        }
    }

    /// Records the end of the compensation, or the decision of an operator about a failed one.
    pub(super) fn compensate(&mut self, outcome: &CompensationOutcome) -> Applied {
        match self.compensated() {
            None | Some(CompensationOutcome::Failed { .. }) => {
                self.set(Some(outcome.clone()));
                Ok(())
            }
            Some(_) => Err(Illegal::new("the compensation of a node ends", "it has ended")),
        }
    }

    /// Tries a failed compensation again.
    pub(super) fn retry_compensation(&mut self) -> Applied {
        match self.compensated() {
            Some(CompensationOutcome::Failed { .. }) => {
                self.set(None);
                Ok(())
            }
            Some(_) | None => Err(Illegal::new("the compensation of a node is tried again", "it has not failed")),
        }
    }

    fn set(&mut self, compensated: Option<CompensationOutcome>) {
        let (outcome, took) = (self.outcome().clone(), self.took().to_vec());
        *self = Self::of(Box::new(End { outcome, took, compensated }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Failure;

    #[test]
    fn a_compensation_ends_once_unless_it_failed() {
        let failed = CompensationOutcome::Failed { failure: Failure::permanent("no") };
        let mut ended = Ended::new(&NodeOutcome::Succeeded, &[]);
        assert_eq!(ended, Ended::Succeeded);
        assert!(ended.retry_compensation().is_err());
        ended.compensate(&failed).unwrap();
        ended.retry_compensation().unwrap();
        assert_eq!(ended, Ended::Succeeded);
        ended.compensate(&failed).unwrap();
        ended.compensate(&CompensationOutcome::Compensated).unwrap();
        assert!(ended.compensate(&CompensationOutcome::Compensated).is_err());
        assert_eq!(
            (ended.outcome(), ended.compensated()),
            (&NodeOutcome::Succeeded, Some(&CompensationOutcome::Compensated))
        );
    }
}
