//! Retries of nodes as a whole, and of the bodies of states.

use super::{Decider, Decision, Move, Next};
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::message::event::NodeEvent;
use crate::message::run::NodeOutcome;
use crate::resilience::delay;
use crate::saga::Step as _;
use crate::task::{Failure, FailureKind, Retry, SideEffects};
use crate::workflow::machine::graph::BoundNode;
use crate::workflow::machine::node::{Instance, InstanceEnd, NodeWork, Worker, retries_of};

impl Decider<'_> {
    /// The move of a node that is to be attempted again: its attempt before is compensated, and the next one begins at its time.
    pub(super) fn retry(&self, node: BoundNode<'_>, at: Time) -> Decision {
        let instances = node.state.instances();
        if instances.active() > 0 {
            return Ok(Next::Wait);
        }
        let work = node.state.work();
        if matches!(work, NodeWork::Map(_) | NodeWork::Repeat) {
            return self.begin_anew(node, at);
        }
        if at > self.now {
            return Ok(Next::Wait);
        }
        if matches!(work, NodeWork::States(_)) {
            let step = self.step(node)?;
            return self.perform(node, step);
        }
        // A child run starts with the input of the one before.
        let input = instances.last().map(|instance| instance.input().clone()).unwrap_or_default();
        self.meter.spend_copy(input.bytes());
        Ok(self.begin(node, instances.len(), input))
    }

    /// Compensates the instances of a map or a repeat that has failed, and opens it again. If a compensation fails, the node fails
    /// with its last failure.
    fn begin_anew(&self, node: BoundNode<'_>, at: Time) -> Decision {
        let instances = node.state.instances();
        if instances.undo_failure().is_none() {
            match self.undo_next(node) {
                Next::Wait => {}
                next @ (Next::Move(_) | Next::Keep(_)) => return Ok(next),
            }
        }
        if instances.is_undoing() {
            return Ok(Next::Wait);
        }
        if instances.undo_failure().is_some() {
            let step = self.step(node)?;
            return self.perform(node, step);
        }
        if at > self.now {
            return Ok(Next::Wait);
        }
        self.meter.visit(instances.len() as usize);
        self.start(node)
    }

    /// The move instead of the failure of a node whose retries allow another attempt.
    pub(super) fn retry_after(&self, node: BoundNode<'_>, outcome: &NodeOutcome) -> Option<Move> {
        let retry = node.definition.retry.as_ref()?;
        let NodeOutcome::Failed { failure, limit: None, .. } = outcome else { return None };
        let may = self.may_retry(node) && has_failed_attempt(node);
        self.again(node, retry, failure).filter(|_| may)
    }

    /// The move instead of a transition after the failure of a state whose retries allow another child run.
    pub(super) fn retry_of_state(&self, node: BoundNode<'_>) -> Option<Move> {
        let NodeWork::States(work) = node.state.work() else { return None };
        let retry = retries_of(node.definition, node.state)?;
        let instances = node.state.instances();
        let end = work.end_of_body(instances).filter(|end| failed_cleanly(end))?;
        let is_run = instances.last().is_some_and(|last| last.worker().child().is_some());
        let failure = end.failure().filter(|_| is_run && end.reached().is_none() && self.may_retry(node))?;
        self.again(node, retry, failure)
    }

    /// Whether nothing but its failure ends the node.
    fn may_retry(&self, node: BoundNode<'_>) -> bool {
        let aside = node.state.aside();
        self.goes_forward(node)
            && aside.blocked.is_none()
            && aside.remedy.is_none()
            && aside.interrupted().is_none()
            && aside.retry_at().is_none()
    }

    /// The event with which another attempt follows, if the retries allow one after this failure.
    fn again(&self, node: BoundNode<'_>, retry: &Retry, failure: &Failure) -> Option<Move> {
        if failure.kind == FailureKind::Permanent {
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
        let failure = Box::new(failure.clone());
        Some(Move::Node(node.ix, NodeEvent::Retrying { at: self.now + wait, rule, failure }))
    }
}

/// Whether an attempt of the node as a whole has failed, and leaves nothing that prevents another one.
fn has_failed_attempt(node: BoundNode<'_>) -> bool {
    let instances = node.state.instances();
    match node.state.work() {
        NodeWork::Task => {
            let last = instances.last().filter(|last| last.worker().child().is_some());
            last.and_then(Instance::end).is_some_and(failed_cleanly) && !instances.outcome_unknown()
        }
        NodeWork::Map(_) | NodeWork::Repeat => {
            let stays = |instance: &Instance| {
                let is_task = matches!(instance.worker(), Worker::Task(_));
                *instance.side_effects() == SideEffects::Possible && !(is_task && node.has_undo(instance))
            };
            instances.failed() > 0
                && instances.undo_failure().is_none()
                && !node.is_irreversible()
                && !(instances.outcome_unknown() && instances.iter().any(stays))
        }
        NodeWork::Immediate
        | NodeWork::Compensation
        | NodeWork::Rounds(_)
        | NodeWork::States(_)
        | NodeWork::Delegate(_)
        | NodeWork::Function(_)
        | NodeWork::Wait(_)
        | NodeWork::Race(_)
        | NodeWork::Send(_) => false,
    }
}

/// Whether it failed without side effects that may remain, and was not cancelled.
fn failed_cleanly(end: &InstanceEnd) -> bool {
    !end.is_success() && !end.is_cancelled() && !end.is_unknown()
}
