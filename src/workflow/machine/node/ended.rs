//! The end of a node and of its compensation.

use super::instance::is_default;
use crate::base::name::Name;
use crate::message::run::{CompensationOutcome, NodeOutcome};
use serde::{Deserialize, Serialize};

/// The end of a node in a small form: most nodes succeed or are skipped, take no case and are not compensated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ended {
    Succeeded,
    Skipped,
    With(Box<End>),
}

/// The end of a node with all data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct End {
    outcome: NodeOutcome,
    /// The cases that were taken: of a choice, of a race, or a handler.
    #[serde(default, skip_serializing_if = "is_default")]
    took: Vec<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compensated: Option<CompensationOutcome>,
    /// Whether it had begun nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    before_start: bool,
}

impl Ended {
    pub(super) fn new(outcome: &NodeOutcome, took: &[Name]) -> Self {
        match (outcome, took) {
            (NodeOutcome::Succeeded, []) => Self::Succeeded,
            (NodeOutcome::Skipped, []) => Self::Skipped,
            (_, _) => {
                let (outcome, took) = (outcome.clone(), took.to_vec());
                Self::With(Box::new(End { outcome, took, compensated: None, before_start: false }))
            }
        }
    }

    /// The end of a node that was cancelled and had begun nothing.
    pub(super) fn before_start(mut self) -> Self {
        if let Self::With(end) = &mut self {
            end.before_start = matches!(end.outcome, NodeOutcome::Cancelled { .. });
        }
        self
    }

    /// Whether the node was cancelled before it began.
    pub(crate) const fn is_before_start(&self) -> bool {
        match self {
            Self::With(end) => end.before_start,
            Self::Succeeded | Self::Skipped => false,
        }
    }

    /// The end in its small form, if that is sufficient.
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

    /// Sets the end of the compensation; none: it is retried.
    pub(super) fn set_compensated(&mut self, compensated: Option<CompensationOutcome>) {
        let (outcome, took, before_start) = (self.outcome().clone(), self.took().to_vec(), self.is_before_start());
        *self = Self::of(Box::new(End { outcome, took, compensated, before_start }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_kept_in_its_small_form() {
        let mut ended = Ended::new(&NodeOutcome::Succeeded, &[]);
        assert_eq!(ended, Ended::Succeeded);
        ended.set_compensated(Some(CompensationOutcome::Compensated));
        assert_eq!(
            (ended.outcome(), ended.compensated()),
            (&NodeOutcome::Succeeded, Some(&CompensationOutcome::Compensated))
        );
        ended.set_compensated(None);
        assert_eq!(ended, Ended::Succeeded);
    }
}
