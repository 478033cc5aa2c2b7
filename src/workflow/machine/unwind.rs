//! A run turns back: which nodes are undone, in which order, and how it ends then.

use super::moves::Move;
use super::{NodeState, Piece, PieceUndo, Run, Worker};
use crate::dag::NodeIx;
use crate::definition::Action;
use crate::event::NodeEvent;
use crate::id::RunId;
use crate::name::Name;
use crate::payload::Payload;
use crate::run::{Cause, RunOutcome, RunPhase, UndoOutcome};
use crate::saga::{Step, Unwinding};
use crate::task::{Failure, Owner, Phase, SideEffects};
use serde_json::json;

impl Run {
    /// The nodes whose effects are to be undone: what has happened or may have, and has a compensation. None if the pivot
    /// has been passed.
    pub(super) fn to_undo(&self) -> Vec<u32> {
        if self.pivot_passed {
            return Vec::new();
        }
        (0..).zip(&self.nodes).filter(|(node, state)| self.can_undo(*node, state)).map(|(node, _)| node).collect()
    }

    pub(super) fn can_undo(&self, node: u32, state: &NodeState) -> bool {
        state.undo.is_none() && state.pieces.iter().any(|piece| piece.can_be_undone() && self.has_undo(node, piece))
    }

    /// Whether there is a way to undo a piece of a node.
    pub(super) fn has_undo(&self, node: u32, piece: &Piece) -> bool {
        self.plan.nodes.get(node as usize).is_some_and(|plan| match plan.states.get(piece.state() as usize) {
            Some(state) => state.can_be_undone(),
            None => plan.work.can_be_undone(),
        })
    }

    pub(super) fn unwind(&mut self, nodes: &[u32]) -> Option<()> {
        let members: Vec<NodeIx> = nodes.iter().copied().map(NodeIx::new).collect();
        let unwinding = Unwinding::along(&self.plan.reversed, &members).ok()?;
        let unwinding = unwinding.with_policy(self.plan.definition.on_undo_failure);
        self.agenda.extend(unwinding.ready().map(NodeIx::get));
        self.unwinding = Some(Box::new(unwinding));
        Some(())
    }

    /// Where the compensation of a node stands.
    pub(super) fn step_back(&self, node: u32) -> Option<Step> {
        self.unwinding.as_ref()?.step(NodeIx::new(node))
    }

    /// Whether the node is one of those that are being undone or will be.
    pub(crate) fn is_to_be_undone(&self, node: u32) -> bool {
        self.unwinding.as_ref().is_some_and(|unwinding| unwinding.step(NodeIx::new(node)).is_some())
    }

    /// A run within whose compensation ended and left something behind: there is nothing in it to try again.
    pub(crate) fn left_by(&self, node: u32) -> Option<RunId> {
        self.state(node)?.pieces.iter().find_map(|piece| match (&piece.undo, piece.worker) {
            (PieceUndo::Failed(_), Some(Worker::Child(run))) => Some(run),
            (_, Some(_) | None) => None,
        })
    }

    pub(super) fn is_unwound(&self) -> bool {
        self.unwinding.as_ref().is_some_and(|unwinding| unwinding.is_over())
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.unwinding.as_ref().is_some_and(|unwinding| unwinding.stuck().next().is_some())
    }

    /// The next move of a node's compensation, if it is its turn.
    pub(super) fn undo(&self, node: u32) -> Option<Move> {
        match self.unwinding.as_ref()?.step(NodeIx::new(node))? {
            Step::Ready | Step::Undoing => {}
            Step::Waiting | Step::Failed | Step::Settled => return None,
        }
        if self.unwinding.as_ref()?.is_held() && self.unwinding.as_ref()?.step(NodeIx::new(node)) == Some(Step::Ready) {
            return None;
        }
        let state = self.state(node)?;
        if let Some(next) = self.undo_piece(node, state) {
            return Some(next);
        }
        if state.pieces.iter().any(|piece| matches!(piece.undo, PieceUndo::Active(_))) {
            return None;
        }
        let failure = state.pieces.iter().find_map(|piece| match &piece.undo {
            PieceUndo::Failed(failure) => Some(Failure::clone(failure)),
            PieceUndo::Idle | PieceUndo::Active(_) | PieceUndo::Undone => None,
        });
        let outcome = failure.map_or(UndoOutcome::Undone, |failure| UndoOutcome::Failed { failure });
        Some(Move::of(node, NodeEvent::Compensated { outcome }))
    }

    /// Begins to undo the latest piece that is not: of a repeat one after the other, otherwise all at once.
    fn undo_piece(&self, node: u32, state: &NodeState) -> Option<Move> {
        let in_turn =
            matches!(self.plan.node(node)?.0.action, Action::Repeat(_) | Action::States(_) | Action::Delegate(_))
                || state.refused() > 0;
        let busy = |undo: &PieceUndo| matches!(undo, PieceUndo::Active(_) | PieceUndo::Failed(_));
        if in_turn && state.pieces.iter().any(|piece| busy(&piece.undo)) {
            return None;
        }
        let mut items = state.pieces.iter().enumerate().rev();
        let open = |piece: &Piece| piece.undo.is_idle() && piece.can_be_undone() && self.has_undo(node, piece);
        let (item, piece) = items.find(|(_, piece)| open(piece))?;
        let item = u32::try_from(item).ok()?;
        if let Some(Worker::Child(run)) = piece.worker {
            return Some(Move::HaltChild(run));
        }
        let (output, certain) = match piece.side_effects() {
            SideEffects::Done(output) => (output.clone(), true),
            SideEffects::None | SideEffects::Possible => (Payload::NULL, false),
        };
        let payload = json!({ "input": piece.input.value(), "output": output.value(), "certain": certain });
        let owner = Owner::new(self.id(), node, item, Phase::Undo);
        Some(Move::Submit { owner, payload: Payload::new(payload) })
    }

    pub(super) fn outcome_unwound(&self) -> RunOutcome {
        let cause =
            self.cause.as_deref().cloned().unwrap_or_else(|| Cause::Cancelled { reason: Name::from("unknown") });
        let residue: Vec<Name> = (0..)
            .zip(&self.nodes)
            .filter(|(node, state)| self.stays(*node, state))
            .map(|(node, _)| self.plan.name(node))
            .collect();
        let before = self.left.iter().filter(|name| !residue.contains(name)).cloned().collect::<Vec<Name>>();
        let residue = [residue, before].concat();
        let undone = self.nodes.iter().any(|state| state.undo.is_some());
        if undone && residue.is_empty() {
            RunOutcome::Compensated { cause }
        } else {
            RunOutcome::Failed { cause, residue }
        }
    }

    /// Whether the node had an effect that should have been undone and was not.
    pub(super) fn stays(&self, node: u32, state: &NodeState) -> bool {
        let Some((definition, _)) = self.plan.node(node) else { return false };
        let stays = |piece: &Piece| piece.had_effect() && (definition.pivot || self.has_undo(node, piece));
        match state.undo.as_deref() {
            Some(UndoOutcome::Abandoned { .. }) => true,
            Some(_) => false,
            None => state.pieces.iter().any(stays),
        }
    }

    /// What the nodes say of their compensation is what its order says.
    pub(super) fn check_undoing(&self) -> Result<(), String> {
        let undoes = matches!(self.phase, RunPhase::Compensating | RunPhase::CompensationFailed);
        if undoes && self.unwinding.is_none() {
            return Err(format!("run {} is {} and undoes nothing", self.id(), self.phase));
        }
        for (node, state) in (0..).zip(&self.nodes) {
            let idle = state.pieces.iter().all(|piece| piece.undo.is_idle());
            let active = state.pieces.iter().any(|piece| matches!(piece.undo, PieceUndo::Active(_)));
            let can = state.pieces.iter().any(|piece| piece.can_be_undone() && self.has_undo(node, piece));
            let fits = match self.step_back(node) {
                // What was undone on a way back to a save-point needs not be undone again.
                None => !active && (idle || state.undo.is_some()),
                Some(Step::Waiting) => can && idle && state.undo.is_none(),
                Some(Step::Ready) => can && !active && state.undo.is_none(),
                Some(Step::Undoing) => can && !idle && state.undo.is_none(),
                Some(Step::Failed) => matches!(state.undo.as_deref(), Some(UndoOutcome::Failed { .. })),
                Some(Step::Settled) => {
                    state.undo.as_deref().is_some_and(|undo| !matches!(undo, UndoOutcome::Failed { .. }))
                }
            };
            if !fits {
                let stage = self.step_back(node);
                return Err(format!("run {}: the compensation of node {node} cannot be {stage:?}", self.id()));
            }
        }
        Ok(())
    }
}
