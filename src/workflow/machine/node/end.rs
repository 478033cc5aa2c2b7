//! The end of an instance of a node's work.

use crate::base::payload::Payload;
use crate::message::run::LimitReached;
use crate::task::{Failure, FailureKind, SideEffects, codes};
use serde::{Deserialize, Serialize};

/// The end of an instance. Most instances succeed, so the data of other ends is boxed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct InstanceEnd {
    side_effects: SideEffects,
    /// None if it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trouble: Option<Box<Trouble>>,
}

/// Why an instance did not succeed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Trouble {
    Cancelled,
    Failed {
        failure: Failure,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reached: Option<Reached>,
    },
}

/// A limit that a child run reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reached {
    pub(crate) limit: LimitReached,
    /// The output that the child run would have had if it had ended at the limit.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub(crate) partial: Payload,
}

impl InstanceEnd {
    pub(crate) const fn succeeded(side_effects: SideEffects) -> Self {
        Self { side_effects, trouble: None }
    }

    pub(crate) fn failed(side_effects: SideEffects, failure: Failure) -> Self {
        Self { side_effects, trouble: Some(Box::new(Trouble::Failed { failure, reached: None })) }
    }

    /// The end of a child run at a limit.
    pub(crate) fn limited(side_effects: SideEffects, failure: Failure, reached: Option<Reached>) -> Self {
        Self { side_effects, trouble: Some(Box::new(Trouble::Failed { failure, reached })) }
    }

    pub(crate) fn cancelled(side_effects: SideEffects) -> Self {
        Self { side_effects, trouble: Some(Box::new(Trouble::Cancelled)) }
    }

    pub(crate) const fn side_effects(&self) -> &SideEffects {
        &self.side_effects
    }

    pub(crate) fn failure(&self) -> Option<&Failure> {
        match self.trouble.as_deref()? {
            Trouble::Failed { failure, .. } => Some(failure),
            Trouble::Cancelled => None,
        }
    }

    /// The failure as a node reports it.
    pub(crate) fn failure_or(&self, cancelled: &str) -> Failure {
        let cancelled = || Failure::permanent(cancelled).with_code(codes::CANCELLED);
        self.failure().cloned().unwrap_or_else(cancelled)
    }

    pub(crate) fn reached(&self) -> Option<&Reached> {
        match self.trouble.as_deref()? {
            Trouble::Failed { reached, .. } => reached.as_ref(),
            Trouble::Cancelled => None,
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        matches!(self.trouble.as_deref(), Some(Trouble::Cancelled))
    }

    pub(crate) const fn is_success(&self) -> bool {
        self.trouble.is_none()
    }

    /// Whether the outcome of an attempt is unknown.
    pub(crate) fn is_unknown(&self) -> bool {
        self.side_effects == SideEffects::Possible
    }

    /// The end of an instance of a pivot, which is attempted until its outcome is known: a permanent failure had no
    /// side effects.
    pub(crate) fn of_pivot(mut self) -> Self {
        if self.failure().is_some_and(|failure| failure.kind == FailureKind::Permanent) {
            self.side_effects = SideEffects::None;
        }
        self
    }

    /// The end of work that has no side effects, whatever was reported.
    pub(crate) fn without_effects(mut self) -> Self {
        self.side_effects = SideEffects::None;
        self
    }

    /// The end with the outcome that a query found; none if the query failed. A cancelled instance stays cancelled.
    pub(crate) fn found(mut self, outcome: Option<SideEffects>) -> Self {
        if let Some(side_effects) = outcome {
            let done = matches!(side_effects, SideEffects::Done(_));
            self.side_effects = side_effects;
            if done && !self.is_cancelled() {
                self.trouble = None;
            }
        }
        self
    }

    pub(super) const fn output_mut(&mut self) -> Option<&mut Payload> {
        if let SideEffects::Done(output) = &mut self.side_effects { Some(output) } else { None }
    }

    pub(crate) fn output(&self) -> Payload {
        match &self.side_effects {
            SideEffects::Done(output) => output.clone(),
            SideEffects::None | SideEffects::Possible => Payload::NULL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn done() -> SideEffects {
        SideEffects::Done(Payload::new(json!(3)))
    }

    #[test]
    fn a_query_settles_a_failure_but_not_a_cancellation() {
        let unknown = InstanceEnd::failed(SideEffects::Possible, Failure::permanent("lost"));
        assert!(unknown.is_unknown() && !unknown.is_success());
        assert!(unknown.clone().found(Some(done())).is_success());
        assert_eq!(unknown.clone().found(Some(SideEffects::None)).side_effects(), &SideEffects::None);
        assert_eq!(unknown.clone().found(None), unknown);
        let cancelled = InstanceEnd::cancelled(SideEffects::Possible).found(Some(done()));
        assert!(cancelled.is_cancelled());
        assert_eq!(cancelled.output(), Payload::new(json!(3)));
    }

    #[test]
    fn a_permanent_failure_of_a_pivot_had_no_effect() {
        let end = |failure| InstanceEnd::failed(SideEffects::Possible, failure).of_pivot();
        assert!(!end(Failure::permanent("no")).is_unknown());
        assert!(end(Failure::transient("late")).is_unknown());
    }
}
