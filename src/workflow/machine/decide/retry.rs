//! Retries of child runs.

use super::{Decider, Move, Next};
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::message::event::NodeEvent;
use crate::message::run::NodeOutcome;
use crate::resilience::delay;
use crate::task::FailureKind;
use crate::workflow::machine::graph::BoundNode;
use crate::workflow::machine::node::{Instance, NodeWork};

impl Decider<'_> {
    /// Starts the next child run once its time has come, with the input of the one before.
    pub(super) fn retry(&self, node: BoundNode<'_>, at: Time) -> Next {
        let instances = node.state.instances();
        if at > self.now || instances.active() > 0 {
            return Next::Wait;
        }
        let input = instances.last().map(|instance| instance.input().clone()).unwrap_or_default();
        self.meter.spend_copy(input.bytes());
        self.begin(node, instances.len(), input)
    }

    /// The move instead of the failure of a node whose retries allow another child run.
    pub(super) fn retry_after(&self, node: BoundNode<'_>, outcome: &NodeOutcome) -> Option<Move> {
        let retry = node.definition.retry.as_ref()?;
        let NodeOutcome::Failed { failure, outcome_unknown: false, limit: None } = outcome else { return None };
        if !self.goes_forward(node) || !has_failed_run(node) || failure.kind == FailureKind::Permanent {
            return None;
        }
        let retried = node.state.aside().retries.as_deref();
        let tries = retried.map_or(0, |retries| retries.count).saturating_add(1);
        let counted = retry.count(failure, tries, |rule| retried.map_or(0, |retries| retries.of_rule(rule)));
        if counted.is_last {
            return None;
        }
        // Runs that fail at the same time draw different delays.
        let draw = (u64::from(node.ix.get()) << 32) | u64::from(tries);
        let wait =
            delay(&counted.settings, counted.failed, failure.retry_after, &mut Random::new(self.run.id().get(), draw));
        let rule = counted.rule.and_then(|rule| u32::try_from(rule).ok());
        Some(Move::Node(node.ix, NodeEvent::Retrying { at: self.now + wait, rule, failure: failure.clone() }))
    }
}

/// Whether the last child run of the node failed, and nothing else ends the node.
fn has_failed_run(node: BoundNode<'_>) -> bool {
    let (aside, last) = (node.state.aside(), node.state.instances().last());
    matches!(node.state.work(), NodeWork::Task)
        && last.is_some_and(|last| last.worker().child().is_some())
        && last.and_then(Instance::end).is_some_and(|end| !end.is_success() && !end.is_cancelled())
        && aside.blocked.is_none()
        && aside.remedy.is_none()
        && aside.interrupted().is_none()
}
