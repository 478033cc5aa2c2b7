//! Instances that are child runs: converts the end of a child run into the end of an instance or of its compensation.

use super::{InstanceEnd, Reached};
use crate::base::payload::Payload;
use crate::message::run::{Cause, RunOutcome};
use crate::task::SideEffects;

/// The work that ends with a child run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChildRole {
    /// The instance that the child run performs.
    Forward,
    /// The compensation of the instance that the child run performed.
    Compensation,
}

/// The end of a child run, as an input of its parent run.
pub(crate) fn child_end(outcome: &RunOutcome, role: ChildRole) -> InstanceEnd {
    let failed = |cause: &Cause, side_effects| InstanceEnd::limited(side_effects, cause.failure(), reached(cause));
    match outcome {
        RunOutcome::Succeeded { output } => InstanceEnd::succeeded(SideEffects::Done(output.clone())),
        RunOutcome::Compensated { cause } => match role {
            ChildRole::Forward => failed(cause, SideEffects::None),
            ChildRole::Compensation => InstanceEnd::succeeded(SideEffects::None),
        },
        RunOutcome::Failed { residue, .. } if residue.is_empty() && role == ChildRole::Compensation => {
            InstanceEnd::succeeded(SideEffects::None)
        }
        RunOutcome::Failed { cause, residue } => {
            failed(cause, if residue.is_empty() { SideEffects::None } else { SideEffects::Possible })
        }
    }
}

/// The limit that ended a run, and its output up to there.
fn reached(cause: &Cause) -> Option<Reached> {
    match cause {
        Cause::Limit { limit, partial, .. } => Some(Reached { limit: *limit, partial: Payload::clone(partial) }),
        Cause::Node { .. } | Cause::Cancelled { .. } | Cause::Output { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::name::Name;
    use crate::message::run::LimitReached;

    fn cancelled() -> Cause {
        Cause::Cancelled { reason: Name::from("late") }
    }

    #[test]
    fn a_compensated_child_run_is_a_failure_forward_and_a_success_backward() {
        let outcome = RunOutcome::Compensated { cause: cancelled() };
        let forward = child_end(&outcome, ChildRole::Forward);
        assert!(!forward.is_success() && *forward.side_effects() == SideEffects::None);
        assert!(child_end(&outcome, ChildRole::Compensation).is_success());
    }

    #[test]
    fn what_a_child_run_leaves_behind_is_a_possible_side_effect() {
        let outcome = RunOutcome::Failed { cause: cancelled(), residue: vec![Name::from("ship")] };
        for role in [ChildRole::Forward, ChildRole::Compensation] {
            assert!(child_end(&outcome, role).is_unknown(), "{role:?}");
        }
        let nothing = RunOutcome::Failed { cause: cancelled(), residue: Vec::new() };
        assert!(child_end(&nothing, ChildRole::Compensation).is_success());
    }

    #[test]
    fn a_limit_is_passed_on_with_the_partial_output() {
        let limit = LimitReached::Rounds { max: 3 };
        let cause = Cause::Limit { node: None, limit, partial: Payload::NULL, path: Vec::new() };
        let end = child_end(&RunOutcome::Failed { cause, residue: Vec::new() }, ChildRole::Forward);
        assert_eq!(end.reached().map(|reached| reached.limit), Some(limit));
    }
}
