//! Doubt: nobody knows whether a piece of work has happened, and there is a way to find out.

use super::moves::Move;
use super::{PieceEnd, Run, Worker};
use crate::id::TaskId;
use crate::payload::Payload;
use crate::run::found;
use crate::task::{Owner, Phase, SideEffects};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What is known of a piece in doubt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Doubt {
    /// How it ends if nobody knows better.
    end: PieceEnd,
    /// The task that finds out, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) asked: Option<TaskId>,
}

impl Run {
    /// Has somebody find out about the next piece of the node that is in doubt.
    pub(super) fn ask(&self, node: u32) -> Option<Move> {
        let state = self.state(node)?;
        state.more.as_ref().filter(|more| more.doubts > 0)?;
        let open = |doubt: &Doubt| doubt.asked.is_none();
        let mut pieces = (0..).zip(&state.pieces);
        let (item, piece) = pieces.find(|(_, piece)| piece.doubt().is_some_and(open))?;
        let owner = Owner::new(self.id(), node, item, Phase::Query);
        Some(Move::Submit { owner, payload: Payload::new(json!({ "input": piece.input.value() })) })
    }

    /// Whether an end is one about which somebody can be asked.
    pub(super) fn is_in_doubt(&self, owner: Owner, end: &PieceEnd) -> bool {
        end.side_effects == SideEffects::Possible
            && self.plan.nodes.get(owner.node as usize).is_some_and(|plan| plan.work.query.is_some())
    }

    /// The piece does not end before somebody has been asked.
    pub(super) fn doubted(&mut self, owner: Owner, end: PieceEnd) -> Result<(), &'static str> {
        let state = self.state_mut(owner.node).ok_or("an unknown piece is in doubt")?;
        let piece = state.pieces.get_mut(owner.item as usize).ok_or("an unknown piece is in doubt")?;
        piece.aside_mut().doubt = Some(Doubt { end, asked: None });
        state.more_mut().doubts += 1;
        self.agenda.insert(owner.node);
        Ok(())
    }

    pub(super) fn note_asked(&mut self, owner: Owner, worker: Worker) -> Result<(), &'static str> {
        let Worker::Task(task) = worker else { return Err("a run is asked about a piece") };
        let piece = self.piece(owner).ok_or("an unknown piece is asked about")?;
        let doubt = piece.aside_mut().doubt.as_mut().filter(|doubt| doubt.asked.is_none());
        doubt.ok_or("a piece is asked about that is not in doubt")?.asked = Some(task);
        self.agenda.insert(owner.node);
        Ok(())
    }

    /// The piece ends as the answer says.
    pub(super) fn answered(&mut self, owner: Owner, answer: &PieceEnd) -> Result<PieceEnd, &'static str> {
        let state = self.state_mut(owner.node).ok_or("an unknown piece is asked about")?;
        let piece = state.pieces.get_mut(owner.item as usize).ok_or("an unknown piece is asked about")?;
        let doubt = piece.aside_mut().doubt.take().ok_or("an answer about a piece that is not in doubt")?;
        let more = state.more_mut();
        more.doubts = more.doubts.saturating_sub(1);
        Ok(settled(doubt.end, answer))
    }
}

/// What was withdrawn stays so, whatever has happened of it.
fn settled(mut end: PieceEnd, answer: &PieceEnd) -> PieceEnd {
    let SideEffects::Done(answer) = &answer.side_effects else { return end };
    match found(answer) {
        Some(Some(output)) => return end.after_all(output),
        Some(None) => end.side_effects = SideEffects::None,
        None => {}
    }
    end
}
