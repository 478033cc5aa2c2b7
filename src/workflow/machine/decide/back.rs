//! The compensation of a node.

use super::{Decider, Kept, Move, Next};
use crate::base::payload::{Field, Payload};
use crate::message::event::NodeEvent;
use crate::message::run::CompensationOutcome;
use crate::task::{Phase, SideEffects};
use crate::workflow::machine::graph::BoundNode;
use crate::workflow::machine::node::Worker;

/// The number of instances that a search for the next compensation may pass before the position is kept.
const PASSED: usize = 64;

impl Decider<'_> {
    /// The next move of the compensation of a node, if it may begin or is under way.
    pub(super) fn compensate(&self, node: BoundNode<'_>) -> Next {
        if !self.run.rollback.may_compensate(node.ix) {
            return Next::Wait;
        }
        let instances = node.state.instances();
        match self.undo_next(node) {
            Next::Wait if instances.is_undoing() => Next::Wait,
            Next::Wait => {
                let failure = instances.undo_failure().cloned();
                let outcome =
                    failure.map_or(CompensationOutcome::Compensated, |failure| CompensationOutcome::Failed { failure });
                Move::Node(node.ix, NodeEvent::Compensated { outcome }).into()
            }
            next @ (Next::Move(_) | Next::Keep(_)) => next,
        }
    }

    /// Compensates the latest instance that is not compensated: one after the other where each follows from the one before,
    /// otherwise all at once.
    pub(super) fn undo_next(&self, node: BoundNode<'_>) -> Next {
        let instances = node.state.instances();
        let in_turn = node.state.work().is_undone_in_turn() || node.state.aside().refusals > 0;
        if in_turn && (instances.is_undoing() || instances.undo_failure().is_some()) {
            return Next::Wait;
        }
        let found = instances.next_to_undo(|instance| node.has_undo(instance));
        let Some((index, instance, passed)) = found else { return Next::Wait };
        self.meter.visit(passed);
        if passed > PASSED {
            return Next::Keep(Kept::UndoBelow(index + 1));
        }
        if let (Worker::Child(run), false) = (instance.worker(), node.has_undo_task(index)) {
            return Move::CancelRun(run).into();
        }
        let (output, certain) = match instance.side_effects() {
            SideEffects::Done(output) => (output.clone(), true),
            SideEffects::None | SideEffects::Possible => (Payload::NULL, false),
        };
        // Its values are copied when an agent or a journal reads it.
        self.meter.spend_copy(instance.input().bytes().saturating_add(output.bytes()));
        let (input, output) = (Field::Payload(instance.input().clone()), Field::Payload(output));
        let payload = Payload::object([("input", input), ("output", output), ("certain", Field::Flag(certain))]);
        Move::submit(self.owner(node, index, Phase::Undo), payload).into()
    }
}
