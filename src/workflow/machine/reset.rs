//! A run is set back by an operator: what comes after a point is withdrawn, undone if that is wanted, and done anew. From
//! there on it is a way back as to a save-point.

use super::again::Way;
use super::{NodeStage, NodeState, Piece, Run, Worker};
use crate::id::RunId;
use crate::name::Name;
use crate::run::{Cause, NodeOutcome, ResetObstacle, ResetPoint, RunOutcome, RunPhase};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What an operator wants done anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Anew {
    /// The nodes, in ascending order.
    pub(super) nodes: Vec<u32>,
    /// Whether what they did is undone first.
    pub(super) undo: bool,
}

impl Run {
    /// The nodes that are done anew from a point on, in ascending order. The error names a node that there is not.
    pub(crate) fn nodes_from(&self, point: &ResetPoint) -> Result<Vec<u32>, Name> {
        let (names, stay) = match point {
            ResetPoint::Start => return Ok((0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)).collect()),
            ResetPoint::After(names) => (names, true),
            ResetPoint::Before(names) => (names, false),
        };
        let place = |name: &Name| self.plan.place(name).ok_or_else(|| name.clone());
        let points = names.iter().map(place).collect::<Result<Vec<u32>, Name>>()?;
        let mut anew: BTreeSet<u32> = self.after(&points).into_iter().collect();
        if !stay {
            anew.extend(points);
        }
        Ok(anew.into_iter().collect())
    }

    /// Whether just this is under way.
    pub(crate) fn is_set_back_to(&self, nodes: &[u32], undo: bool, reason: &Name) -> bool {
        self.back.as_ref().is_some_and(|way| way.was_asked(nodes, undo, reason))
    }

    /// What stands in the way of doing these nodes anew, as far as this run can tell.
    pub(crate) fn can_be_reset(&self, anew: &[u32], point: &ResetPoint) -> Result<(), ResetObstacle> {
        if self.back.is_some() {
            return Err(ResetObstacle::GoingBack);
        }
        if !self.took_known {
            return Err(ResetObstacle::NotOnRecord);
        }
        let is_anew = |node: u32| anew.binary_search(&node).is_ok();
        if let ResetPoint::After(points) = point {
            let done = |node: u32| self.state(node).and_then(NodeState::ended) == Some(&NodeOutcome::Succeeded);
            let open = |name: &&Name| self.plan.place(name).is_some_and(|node| !is_anew(node) && !done(node));
            if let Some(node) = points.iter().find(open) {
                return Err(ResetObstacle::NotDone { node: node.clone() });
            }
        }
        let touched = |state: &NodeState| state.stage != NodeStage::Waiting || state.held().is_some();
        if !anew.iter().any(|node| self.state(*node).is_some_and(touched) || self.remedy(*node).is_some()) {
            return Err(ResetObstacle::Nothing);
        }
        for (node, state) in (0..).zip(&self.nodes) {
            let obstacle = if is_anew(node) { self.bars(node, state, anew) } else { self.cannot_stay(node, state) };
            if let Some(obstacle) = obstacle {
                return Err(obstacle);
            }
        }
        Ok(())
    }

    /// Why a node cannot be done anew.
    fn bars(&self, node: u32, state: &NodeState, anew: &[u32]) -> Option<ResetObstacle> {
        if self.stands(node) || self.has_pivot_under_way(node, state) {
            return Some(ResetObstacle::Pivot { node: self.plan.name(node) });
        }
        let repeats = self.plan.node(node).is_some_and(|(node, _)| node.join.repeats());
        let around = repeats && self.links_to(node).any(|(source, ..)| anew.binary_search(&source).is_err());
        around.then(|| ResetObstacle::Stream { node: self.plan.name(node) })
    }

    /// Why a node cannot stay as it is while others are done anew.
    fn cannot_stay(&self, node: u32, state: &NodeState) -> Option<ResetObstacle> {
        let name = || self.plan.name(node);
        if state.undo.is_some() {
            return Some(ResetObstacle::Undone { node: name() });
        }
        if self.is_unhandled(node) {
            return Some(ResetObstacle::Failed { node: name() });
        }
        let said = self.remedy(node).is_some() || self.interrupted(node).is_some();
        let leaves = state.ended().is_none() && !said && self.is_withdrawn(node);
        (leaves || self.was_halted(node)).then(|| ResetObstacle::Withdrawn { node: name() })
    }

    /// Whether a pivot is under way in a node: it is not withdrawn, and its end would decide between forward and back.
    fn has_pivot_under_way(&self, node: u32, state: &NodeState) -> bool {
        let pivot = self.is_pivot(node);
        state.pieces.iter().any(|piece: &Piece| piece.is_active() && (pivot || piece.committed))
    }

    /// Whether the run has a pivot under way, or has passed one: it cannot be withdrawn any more.
    pub(crate) fn is_committed(&self) -> bool {
        self.pivot_passed || (0..).zip(&self.nodes).any(|(node, state)| self.has_pivot_under_way(node, state))
    }

    /// The runs within a node that are under way.
    pub(crate) fn active_children_of(&self, node: u32) -> impl Iterator<Item = RunId> {
        let pieces = self.state(node).into_iter().flat_map(|state| &state.pieces);
        pieces.filter(|piece| piece.is_active()).filter_map(|piece| match piece.worker {
            Some(Worker::Child(run)) => Some(run),
            Some(Worker::Task(_)) | None => None,
        })
    }

    /// It is set back: from now on these nodes go back. None if it cannot be.
    pub(crate) fn reset(&mut self, nodes: &[u32], undo: bool, reason: &Name) -> Option<()> {
        let failed =
            matches!(self.outcome.as_deref(), Some(RunOutcome::Failed { .. } | RunOutcome::Compensated { .. }));
        let stands = self.phase == RunPhase::Running || self.is_finished() && failed;
        if !stands || self.back.is_some() || !self.are_whole(nodes) {
            return None;
        }
        if self.is_finished() {
            self.phase = RunPhase::Running;
            (self.cause, self.outcome, self.ended, self.unwinding) = (None, None, None, None);
        }
        self.shared.forget_reduced();
        let cause = Cause::Cancelled { reason: reason.clone() };
        self.back = Some(Box::new(Way::anew(Anew { nodes: nodes.to_vec(), undo }, cause)));
        self.wake_all();
        Some(())
    }

    /// Whether these are nodes in ascending order, each once, with all that comes after them.
    pub(super) fn are_whole(&self, nodes: &[u32]) -> bool {
        let ascend = nodes.is_sorted_by(|one, next| one < next);
        let known = nodes.iter().all(|node| self.state(*node).is_some());
        ascend && known && self.after(nodes).iter().all(|node| nodes.binary_search(node).is_ok())
    }

    /// What these nodes did, and is not undone when they are done anew, is on record to the end.
    pub(super) fn leave_behind(&mut self, nodes: &[u32]) {
        for &node in nodes {
            let name = self.plan.name(node);
            if self.state(node).is_some_and(|state| self.stays(node, state)) && !self.left.contains(&name) {
                self.left = self.left.iter().cloned().chain([name]).collect();
            }
        }
    }
}
