//! Guards of nodes: what must hold before and after.

use super::moves::Move;
use super::{NodeStage, PieceEnd, Run};
use crate::definition::{Action, Otherwise, Precondition};
use crate::event::NodeEvent;
use crate::limits::Limits;
use crate::payload::Payload;
use crate::run::{NodeOutcome, NodeRemedy, Refusal, RunPhase};
use serde_json::json;

impl Run {
    /// The node could start: unless something is to be put together for it first, or its precondition does not hold.
    pub(super) fn admit(&self, node: u32, limits: &Limits) -> Option<Move> {
        match self.reduce(Some(node), limits) {
            Some(Ok(reduce)) => return Some(reduce),
            Some(Err(wide)) => return self.fitted(Err(wide), node, limits).err(),
            None => {}
        }
        let Precondition { when, .. } = self.plan.node(node)?.0.precondition.as_ref()?;
        let item = match self.given(node, Payload::NULL, limits) {
            Ok(item) => item,
            Err(failed) => return Some(failed),
        };
        let holds = when.holds(&self.scope(Some(node), item, limits));
        (!holds).then(|| Self::refuse(node, Refusal::Precondition))
    }

    const fn refuse(node: u32, guard: Refusal) -> Move {
        Move::of(node, NodeEvent::Refused { guard })
    }

    pub(super) fn note_refused(&mut self, node: u32) -> Result<(), &'static str> {
        self.agenda.insert(node);
        let state = self.state_mut(node).ok_or("an unknown node is refused")?;
        state.more_mut().refused += 1;
        Ok(())
    }

    /// Before a node ends well its output is looked at: by its postcondition, and by the variables that it writes to. An
    /// operator's word is not questioned.
    pub(super) fn checked(&self, next: Move, limits: &Limits) -> Move {
        self.or_hold(self.guarded(next, limits))
    }

    fn guarded(&self, next: Move, limits: &Limits) -> Move {
        let Move::Node(node, NodeEvent::Finished { outcome: NodeOutcome::Succeeded, output, .. }) = &next else {
            return next;
        };
        let node = node.get();
        let by_hand = matches!(self.remedy(node), Some(NodeRemedy::Complete { .. }));
        if self.phase != RunPhase::Running || self.goes_back(node) || by_hand {
            return next;
        }
        let Some((definition, _)) = self.plan.node(node) else { return next };
        if definition.postcondition.is_none() && definition.writes.is_empty() {
            return next;
        }
        let output = output.clone().unwrap_or_else(|| self.collected(node));
        let scope = self.scope(Some(node), output.clone(), limits);
        if definition.postcondition.as_ref().is_some_and(|condition| !condition.holds(&scope)) {
            return Self::refuse(node, Refusal::Postcondition);
        }
        match self.unwritable(node, &output) {
            Some(message) => self.fail(node, message),
            None => next,
        }
    }

    /// Whether a guard has said no to where the node stands now.
    pub(super) fn is_refused(&self, node: u32) -> bool {
        self.state(node).is_some_and(|state| match &state.stage {
            NodeStage::Waiting | NodeStage::Open(_) => state.refused() > 0,
            NodeStage::Working => state.refused() as usize >= state.pieces.len(),
            NodeStage::Ended(_) => false,
        })
    }

    /// A guard has said no: another attempt, or the end of the node.
    pub(super) fn after_refusal(&mut self, node: u32, limits: &Limits) -> Option<Move> {
        if let Some(cancel) = self.cancel_pieces(node) {
            return Some(cancel);
        }
        let state = self.state(node).filter(|state| state.active == 0)?;
        let (definition, plan) = self.plan.node(node)?;
        if state.stage == NodeStage::Waiting {
            let skip = definition.precondition.as_ref().is_some_and(|guard| guard.otherwise == Otherwise::Skip);
            return Some(match skip {
                true => self.end(node, NodeOutcome::Skipped),
                false => self.fail(node, Refusal::Precondition.to_string()),
            });
        }
        let attempts = plan.work.task.as_ref().map_or(1, |task| task.policy.retry().attempts);
        let again = state.stage == NodeStage::Working && matches!(definition.action, Action::Do(_));
        if !again || state.refused() >= attempts {
            return Some(self.fail(node, Refusal::Postcondition.to_string()));
        }
        let refused =
            state.pieces.last().and_then(|piece| piece.end.as_ref()).map(PieceEnd::output).unwrap_or_default();
        let place = u32::try_from(state.pieces.len()).unwrap_or(u32::MAX);
        Some(match self.given(node, Payload::new(json!({ "output": refused.value() })), limits) {
            Ok(input) => self.begin(node, place, input),
            Err(failed) => failed,
        })
    }
}
