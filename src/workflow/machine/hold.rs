//! A failure that nothing takes care of can wait for an operator's word instead of turning the run back.

use super::moves::Move;
use super::{NodeState, Run};
use crate::definition::OnFailure;
use crate::event::NodeEvent;
use crate::run::{NodeOutcome, RunPhase};

impl Run {
    /// The next move, or that the node is held, if it would fail and that is to wait for a word.
    pub(super) fn or_hold(&self, next: Move) -> Move {
        let Move::Node(node, NodeEvent::Finished { outcome, took, .. }) = &next else { return next };
        let fails = matches!(outcome, NodeOutcome::Failed { .. }) && took.is_empty();
        if fails && self.would_hold(node.get()) {
            return Move::Node(*node, NodeEvent::Held { outcome: outcome.clone() });
        }
        next
    }

    /// Whether a failure of the node waits for a word: nothing takes care of it, and nobody has spoken yet.
    fn would_hold(&self, node: u32) -> bool {
        let handled = self.plan.nodes.get(node as usize).is_none_or(|plan| plan.handled);
        self.plan.definition.on_failure == OnFailure::Hold
            && self.phase == RunPhase::Running
            && !handled
            && !self.goes_back(node)
            && !self.is_spare(node)
            && self.remedy(node).is_none()
    }

    /// How a node has failed that waits for a word.
    pub(crate) fn held(&self, node: u32) -> Option<&NodeOutcome> {
        self.state(node)?.held()
    }

    pub(super) fn note_held(&mut self, node: u32, outcome: &NodeOutcome) -> Result<(), &'static str> {
        let state = self.state_mut(node).filter(|state| state.ended().is_none() && state.active == 0);
        let state = state.ok_or("a node is held that has not failed")?;
        state.more_mut().held = Some(Box::new(outcome.clone()));
        self.agenda.insert(node);
        Ok(())
    }

    /// Where another plan would not hold them, what follows is found anew.
    pub(super) fn hold_again(&mut self) {
        for node in 0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX) {
            if self.held(node).is_some()
                && !self.would_hold(node)
                && let Some(more) = self.state_mut(node).and_then(|state| state.more.as_mut())
            {
                more.held = None;
            }
        }
    }
}

impl NodeState {
    /// How it has failed, if it waits for a word.
    pub(super) fn held(&self) -> Option<&NodeOutcome> {
        self.more.as_ref()?.held.as_deref()
    }
}
