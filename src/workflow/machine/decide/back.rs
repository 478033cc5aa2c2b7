//! The compensation of a node.

use super::{Decider, Move};
use crate::base::payload::Payload;
use crate::message::event::NodeEvent;
use crate::message::run::CompensationOutcome;
use crate::task::{Failure, Phase, SideEffects};
use crate::workflow::machine::graph::BoundNode;
use crate::workflow::machine::node::{Instance, InstanceUndo, Worker};
use serde_json::json;

impl Decider<'_> {
    /// The next move of the compensation of a node, if it may begin or is under way.
    pub(super) fn compensate(&self, node: BoundNode<'_>) -> Option<Move> {
        if !self.run.rollback.may_compensate(node.ix) {
            return None;
        }
        if let Some(next) = self.undo_next(node) {
            return Some(next);
        }
        let instances = node.state.instances();
        if instances.iter().any(|instance| matches!(instance.undo(), InstanceUndo::Active(_))) {
            return None;
        }
        let failure = instances.iter().find_map(|instance| match instance.undo() {
            InstanceUndo::Failed(failure) => Some(Failure::clone(failure)),
            InstanceUndo::Idle | InstanceUndo::Active(_) | InstanceUndo::Undone => None,
        });
        let outcome =
            failure.map_or(CompensationOutcome::Compensated, |failure| CompensationOutcome::Failed { failure });
        Some(Move::Node(node.ix, NodeEvent::Compensated { outcome }))
    }

    /// Compensates the latest instance that is not compensated: one after the other where each follows from the one before,
    /// otherwise all at once.
    fn undo_next(&self, node: BoundNode<'_>) -> Option<Move> {
        let instances = node.state.instances();
        let in_turn = node.state.work().is_undone_in_turn() || node.state.aside().refusals > 0;
        let is_busy =
            |instance: &Instance| matches!(instance.undo(), InstanceUndo::Active(_) | InstanceUndo::Failed(_));
        if in_turn && instances.iter().any(is_busy) {
            return None;
        }
        let is_open = |instance: &Instance| {
            instance.is_undo_idle() && instance.has_something_to_undo() && node.has_undo(instance)
        };
        let (index, instance) = instances.iter().enumerate().rev().find(|(_, instance)| is_open(instance))?;
        if let Worker::Child(run) = instance.worker() {
            return Some(Move::CancelRun(run));
        }
        let (output, certain) = match instance.side_effects() {
            SideEffects::Done(output) => (output.clone(), true),
            SideEffects::None | SideEffects::Possible => (Payload::NULL, false),
        };
        let payload = json!({ "input": instance.input().value(), "output": output.value(), "certain": certain });
        let owner = self.owner(node, u32::try_from(index).ok()?, Phase::Undo);
        Some(Move::Submit { owner, payload: Payload::new(payload) })
    }
}
