//! The end of a node, by itself or by cancellation.

use super::{Decider, Move};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::Boundary;
use crate::message::event::NodeEvent;
use crate::message::run::{NodeOutcome, NodeRemedy, Refusal};
use crate::task::{Place, codes};
use crate::workflow::machine::graph::BoundNode;
use crate::workflow::machine::node::{Ending, NodeWork, Surroundings, is_changed, waits_with_work};
use crate::workflow::machine::variables::unwritable;

/// The data of the event that ends a node.
struct Finished {
    outcome: NodeOutcome,
    took: Vec<Name>,
    output: Option<Payload>,
    signal: Option<u32>,
}

impl Finished {
    const fn new(outcome: NodeOutcome) -> Self {
        Self { outcome, took: Vec::new(), output: None, signal: None }
    }

    fn with_output(self, output: Payload) -> Self {
        Self { output: (!output.is_null()).then_some(output), ..self }
    }
}

impl Decider<'_> {
    /// Ends the node, unless a guard or the policy of its workflow prevents it.
    pub(super) fn end(&self, node: BoundNode<'_>, ending: Ending) -> Move {
        let maybe = node.state.instances().outcome_unknown();
        let failed = |failure, limit| NodeOutcome::Failed { failure: Box::new(failure), outcome_unknown: maybe, limit };
        let finished = match ending {
            Ending::Succeeded => Finished::new(NodeOutcome::Succeeded),
            Ending::With { took, output } => {
                Finished { took, ..Finished::new(NodeOutcome::Succeeded).with_output(output) }
            }
            Ending::Signal { took, signal } => {
                let index = Some(signal.index).filter(|index| *index > 0);
                let finished = Finished::new(NodeOutcome::Succeeded).with_output(signal.payload);
                Finished { took: vec![took], signal: index, ..finished }
            }
            Ending::Skipped => Finished::new(NodeOutcome::Skipped),
            Ending::UpstreamFailed => Finished::new(NodeOutcome::UpstreamFailed),
            Ending::Failed { failure, instance } => {
                Finished::new(failed(failure.through(self.place(node, instance)), None))
            }
            Ending::Limit { limit, partial } => {
                let failure = limit.failure().through(self.place(node, None));
                Finished::new(failed(failure, Some(limit))).with_output(partial)
            }
            Ending::Reached { failure, limit, partial } => {
                let failure = failure.through(self.place(node, None));
                Finished::new(failed(failure, Some(limit))).with_output(partial)
            }
        };
        self.finish(node, finished)
    }

    /// The place of a failure that ends a node, with the index of the instance that it came from if there are several.
    fn place(&self, node: BoundNode<'_>, instance: Option<u32>) -> Place {
        Place::new(self.run.plan().id.name.clone(), node.definition.name.clone(), instance)
    }

    fn finish(&self, node: BoundNode<'_>, mut finished: Finished) -> Move {
        if finished.outcome == NodeOutcome::Succeeded
            && let Some(instead) = self.refused_output(node, finished.output.as_ref())
        {
            return instead;
        }
        if let Some(instead) = self.retry_after(node, &finished.outcome) {
            return instead;
        }
        let is_changed = matches!(&finished.outcome, NodeOutcome::Failed { failure, .. } if node.function().is_some() && is_changed(failure));
        if is_changed && self.goes_forward(node) && node.state.aside().remedy.is_none() {
            return Move::Node(node.ix, NodeEvent::Held { outcome: finished.outcome });
        }
        if finished.took.is_empty() {
            finished.took.extend(self.handler_of(node, &finished.outcome));
        }
        let Finished { outcome, took, output, signal } = finished;
        if matches!(outcome, NodeOutcome::Failed { .. }) && took.is_empty() && self.run.holds_failure(node) {
            return Move::Node(node.ix, NodeEvent::Held { outcome });
        }
        Move::Node(node.ix, NodeEvent::Finished { outcome, took, output, signal })
    }

    /// The move instead of the end if the output of a node that succeeds is rejected, by its postcondition or by a
    /// variable that it writes to. Outputs set by an operator are not checked.
    fn refused_output(&self, node: BoundNode<'_>, output: Option<&Payload>) -> Option<Move> {
        let is_checked = node.definition.guards.postcondition.is_some() || !node.definition.writes.is_empty();
        let by_operator = matches!(node.state.aside().remedy.as_ref(), Some(NodeRemedy::Complete { .. }));
        if !is_checked || by_operator || !self.goes_forward(node) {
            return None;
        }
        if output.is_none() {
            self.meter.visit(node.state.instances().as_slice().len().saturating_mul(4));
        }
        let output = output.cloned().unwrap_or_else(|| node.state.collected());
        let sight = self.sight(node);
        if node
            .definition
            .guards
            .postcondition
            .as_ref()
            .is_some_and(|condition| !sight.holds(condition, output.clone()))
        {
            return Some(Self::refuse(node, Refusal::Postcondition));
        }
        let message = unwritable(&self.run.graph, node, &output)?;
        Some(self.end(node, Ending::failed(codes::WRITE, message)))
    }

    /// The handler that matches this end of a node.
    fn handler_of(&self, node: BoundNode<'_>, outcome: &NodeOutcome) -> Option<Name> {
        if !self.goes_forward(node) {
            return None;
        }
        let handlers = node.handlers();
        let found = match (outcome, node.state.aside().interrupted()) {
            (NodeOutcome::Cancelled { .. }, Some(handler)) => handlers.get(handler as usize),
            (NodeOutcome::Cancelled { .. }, None) => {
                handlers.iter().find(|handler| node.state.is_working() && handler.on == Boundary::Cancel)
            }
            (NodeOutcome::Failed { failure, .. }, _) => handlers.iter().find(|handler| match &handler.on {
                Boundary::Error(failures) => failures.matches(failure),
                Boundary::Timeout(_) | Boundary::Signal { .. } | Boundary::Cancel | Boundary::When(_) => false,
            }),
            (NodeOutcome::Succeeded | NodeOutcome::Skipped | NodeOutcome::UpstreamFailed, _) => None,
        };
        found.map(|handler| handler.name.clone())
    }

    /// Cancels a node that is no longer needed while the run continues.
    pub(super) fn cancel(&self, node: BoundNode<'_>) -> Option<Move> {
        let has_work = !node.state.is_waiting() || waits_with_work(node.state);
        if has_work { self.cancel_work(node) } else { Some(self.end_cancelled(node)) }
    }

    /// Cancels the work of a node under way and awaits its end.
    pub(super) fn cancel_work(&self, node: BoundNode<'_>) -> Option<Move> {
        // What it has begun to compensate is compensated first.
        if self.goes_forward(node) && self.run.rollback.is_compensating_for(node.ix) {
            return None;
        }
        let instances = node.state.instances();
        match instances.next_to_cancel() {
            Some(worker) => Some(Move::cancel(worker)),
            None => {
                let is_open = node.state.is_working() || waits_with_work(node.state);
                // A compensation between two attempts is completed first.
                (is_open && instances.active() == 0 && !instances.is_undoing()).then(|| self.close(node))
            }
        }
    }

    /// Ends a node without instances under way. Work that was completed before counts as completed.
    fn close(&self, node: BoundNode<'_>) -> Move {
        let has_succeeded = || {
            // Child runs before the last one failed and were retried.
            let last = node.state.instances().last().and_then(|instance| instance.end());
            last.is_some_and(|end| end.is_success())
        };
        let is_whole = matches!(node.state.work(), NodeWork::Task)
            && node.state.aside().refusals == 0
            && node.state.aside().interrupted().is_none()
            && node.state.aside().remedy.is_none()
            && has_succeeded();
        if is_whole { self.end(node, Ending::Succeeded) } else { self.end_cancelled(node) }
    }

    /// Ends a cancelled node as an operator decided, or as cancelled.
    fn end_cancelled(&self, node: BoundNode<'_>) -> Move {
        match node.state.aside().remedy.as_ref().filter(|_| self.goes_forward(node)) {
            Some(NodeRemedy::Complete { output, .. }) if output.is_null() => self.end(node, Ending::Succeeded),
            Some(NodeRemedy::Complete { output, .. }) => {
                self.end(node, Ending::With { took: Vec::new(), output: output.clone() })
            }
            Some(NodeRemedy::Fail { reason }) => {
                self.end(node, Ending::failed(codes::OPERATOR, format!("failed by an operator: {reason}")))
            }
            Some(NodeRemedy::Skip { .. }) if node.state.is_waiting() => self.end(node, Ending::Skipped),
            Some(NodeRemedy::Skip { .. }) | None => {
                let maybe = node.state.instances().outcome_unknown();
                self.finish(node, Finished::new(NodeOutcome::Cancelled { outcome_unknown: maybe }))
            }
        }
    }
}
