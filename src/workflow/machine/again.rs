//! Save-points: a run goes back to the last of them, and forward again.

use super::apply::is_taken;
use super::moves::Move;
use super::reset::Anew;
use super::{NodeStage, NodeState, Run, Worker};
use crate::dag::NodeIx;
use crate::definition::On;
use crate::event::RunEvent;
use crate::name::Name;
use crate::run::{Cause, NodeOutcome, RunPhase, UndoOutcome};
use crate::saga::last_save_points;
use serde::{Deserialize, Serialize};

/// A way back, to save-points or to where an operator wants it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Way {
    /// The nodes at whose ends they are.
    to: Vec<u32>,
    cause: Cause,
    /// What an operator wants done anew, if it is no way to save-points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anew: Option<Anew>,
    /// What comes after them, in ascending order; found again after a restore.
    #[serde(skip)]
    inside: Vec<u32>,
}

impl Way {
    pub(super) fn anew(anew: Anew, cause: Cause) -> Self {
        Self { to: Vec::new(), cause, inside: anew.nodes.clone(), anew: Some(anew) }
    }

    /// Whether an operator asked for just this.
    pub(super) fn was_asked(&self, nodes: &[u32], undo: bool, why: &Name) -> bool {
        let same = self.anew.as_ref().is_some_and(|anew| anew.nodes == nodes && anew.undo == undo);
        same && matches!(&self.cause, Cause::Cancelled { reason } if reason == why)
    }
}

impl Run {
    /// The save-points to which a node's failure leads back. None if there are none.
    fn way_back(&self, broken: u32) -> Vec<u32> {
        let open = |point: NodeIx| {
            let node = point.get();
            let Some(save) = self.plan.node(node).and_then(|(node, _)| node.save.as_ref()) else { return false };
            let used = self.state(node).and_then(|state| state.more.as_ref()).map_or(0, |more| more.used);
            let done = self.state(node).and_then(NodeState::ended) == Some(&NodeOutcome::Succeeded);
            done && used < save.most() && !self.after(&[node]).into_iter().any(|node| self.stands(node))
        };
        let points = last_save_points(&self.plan.graph, NodeIx::new(broken), open);
        points.into_iter().map(NodeIx::get).collect()
    }

    /// All that comes after these nodes, in ascending order.
    pub(super) fn after(&self, nodes: &[u32]) -> Vec<u32> {
        let nodes: Vec<NodeIx> = nodes.iter().copied().map(NodeIx::new).collect();
        let mut after: Vec<u32> = self.plan.graph.descendants(&nodes).into_iter().map(NodeIx::get).collect();
        after.sort_unstable();
        after
    }

    /// Whether a pivot has happened in the node, or may have and cannot be undone.
    pub(super) fn stands(&self, node: u32) -> bool {
        let (Some(state), Some((definition, plan))) = (self.state(node), self.plan.node(node)) else { return false };
        let undoable = plan.work.undo.is_some() || plan.states.iter().any(|state| state.undo.is_some());
        let succeeded = state.ended() == Some(&NodeOutcome::Succeeded);
        let within = state
            .pieces
            .iter()
            .any(|piece| matches!(piece.worker, Some(Worker::Child(_))) && piece.committed && piece.had_effect());
        within || definition.pivot && (succeeded || state.had_effect() && !undoable)
    }

    /// Whether the node goes back to a save-point.
    pub(super) fn goes_back(&self, node: u32) -> bool {
        self.back.as_ref().is_some_and(|way| way.inside.binary_search(&node).is_ok())
    }

    /// Whether any node does.
    pub(crate) const fn is_going_back(&self) -> bool {
        self.back.is_some()
    }

    /// The next move of a node that goes back.
    pub(super) fn go_back(&mut self, node: u32) -> Option<Move> {
        match self.unwinding {
            None => self.halt(node),
            Some(_) => self.undo(node),
        }
    }

    /// What a failure that nothing takes care of leads to.
    pub(super) fn turn_back(&self, broken: u32, cause: Cause) -> RunEvent {
        let to = self.refs(&self.way_back(broken));
        if to.is_empty() { RunEvent::Failing { cause } } else { RunEvent::RolledBack { to, cause } }
    }

    /// The next step of a way back, when no node has anything to do.
    pub(super) fn along(&self, way: &Way) -> Option<RunEvent> {
        if self.unwinding.is_none() {
            let busy = |node: &u32| self.state(*node).is_some_and(NodeState::is_busy);
            let undone = || self.refs(&self.to_undo_after(way));
            return (!way.inside.iter().any(busy)).then(|| RunEvent::Compensating { nodes: undone() });
        }
        if !self.is_unwound() {
            return None;
        }
        let left = |node: &u32| {
            let undo = self.state(*node).and_then(|state| state.undo.as_deref());
            // An operator who wants it done anew may leave what was done.
            self.stands(*node) || way.anew.is_none() && matches!(undo, Some(UndoOutcome::Abandoned { .. }))
        };
        Some(if way.inside.iter().any(left) {
            RunEvent::Failing { cause: way.cause.clone() }
        } else {
            RunEvent::Restarted { nodes: self.refs(&way.inside) }
        })
    }

    fn to_undo_after(&self, way: &Way) -> Vec<u32> {
        let wanted = way.anew.as_ref().is_none_or(|anew| anew.undo);
        if !wanted || way.inside.iter().any(|node| self.stands(*node)) {
            return Vec::new();
        }
        let wanted = |node: &u32| self.state(*node).is_some_and(|state| self.can_undo(*node, state));
        way.inside.iter().copied().filter(wanted).collect()
    }

    pub(super) fn turned_back(&mut self, to: &[u32], cause: &Cause) -> Result<(), &'static str> {
        if self.phase != RunPhase::Running || self.back.is_some() {
            return Err("a run goes back that does not go forward");
        }
        for &point in to {
            let state = self.state_mut(point).filter(|state| state.ended() == Some(&NodeOutcome::Succeeded));
            state.ok_or("a run goes back to a node that is not done")?.more_mut().used += 1;
        }
        self.back = Some(Box::new(Way { to: to.to_vec(), cause: cause.clone(), anew: None, inside: self.after(to) }));
        self.wake_all();
        Ok(())
    }

    /// The way back as a snapshot holds it, made whole again.
    pub(super) fn with_way(mut self, way: Option<&Way>) -> Self {
        let inside = |way: &Way| way.anew.as_ref().map_or_else(|| self.after(&way.to), |anew| anew.nodes.clone());
        self.back = way.map(|way| Box::new(Way { inside: inside(way), ..way.clone() }));
        self
    }

    pub(super) fn way(&self) -> Option<Way> {
        self.back.as_deref().cloned()
    }

    /// What came after the save-points stands as if it had never begun; what leads there from elsewhere has led there.
    pub(super) fn went_forward(&mut self, nodes: &[u32]) -> Result<(), &'static str> {
        let way = self.back.take().filter(|_| self.phase == RunPhase::Running && self.is_unwound());
        let way = way.ok_or("a run goes forward from a save-point that it did not go back to")?;
        if way.inside != nodes {
            return Err("a run goes forward from another save-point");
        }
        if nodes.iter().any(|node| self.state(*node).is_some_and(NodeState::is_busy)) {
            return Err("a run goes forward where something is under way");
        }
        self.unwinding = None;
        for &point in &way.to {
            let save = self.plan.node(point).and_then(|(node, _)| node.save.as_ref());
            let again = save.map_or(0, |save| save.again);
            if let Some(more) = self.state_mut(point).and_then(|state| state.more.as_mut()) {
                more.instead = more.used > again;
            }
        }
        self.leave_behind(nodes);
        nodes.iter().for_each(|node| self.renew(*node));
        self.lead_again(nodes);
        let stays = |node: &u32| nodes.binary_search(node).is_err();
        let failed: Vec<u32> = self.broken.into_iter().chain(core::mem::take(&mut self.also_broken)).collect();
        let mut failed = failed.into_iter().filter(stays);
        self.broken = failed.next();
        self.also_broken = failed.collect();
        self.stopped = self.stopped.filter(stays);
        self.wake_all();
        Ok(())
    }

    /// A node stands as if it had never begun.
    pub(super) fn renew(&mut self, node: u32) {
        let Some(state) = self.nodes.get_mut(node as usize) else { return };
        let old = core::mem::take(state);
        let within: Vec<_> = old.children().collect();
        if old.ended().is_some() {
            self.open += 1;
        }
        // What was used up is used up.
        let spent = old.spent();
        if !spent.is_nothing() {
            state.more_mut().before = spent;
        }
        // What a host gave to a map it gave for good.
        if let Some(more) = old.more.filter(|more| more.closed || !more.added.is_empty()) {
            let kept = state.more_mut();
            (kept.added, kept.closed) = (more.added, more.closed);
        }
        if !within.is_empty() {
            self.former = self.former.iter().copied().chain(within).collect();
        }
    }

    /// Decides the links again that lead to these nodes from others.
    fn lead_again(&mut self, nodes: &[u32]) {
        let plan = std::sync::Arc::clone(&self.plan);
        for (from, compiled) in (0..).zip(&plan.nodes) {
            if nodes.binary_search(&from).is_ok() {
                continue;
            }
            for next in compiled.next.iter().filter(|next| nodes.binary_search(&next.to).is_ok()) {
                if let Some((taken, failed, cut)) = self.led(from, &next.on) {
                    self.link_decided(next, from, taken, failed, cut);
                }
            }
        }
    }

    /// How a link from a node was decided, if it was: whether it is taken, whether the node failed, whether the way was cut.
    pub(super) fn led(&self, from: u32, on: &On) -> Option<(bool, bool, bool)> {
        if matches!(on, On::Case(case) if self.went_beside(from, case)) {
            return Some((true, false, false));
        }
        let state = self.state(from)?;
        let outcome = state.ended()?;
        let failed = matches!(outcome, NodeOutcome::Failed { .. });
        let cut = failed || *outcome == NodeOutcome::Skipped && state.after_failure;
        let instead = self.instead(from);
        let taken = match (instead, on) {
            (Some(_), On::Success | On::Each) => false,
            (Some(instead), On::Case(case)) => case == instead,
            (Some(_) | None, _) => is_taken(on, outcome, state.took()),
        };
        Some((taken, failed, cut))
    }

    /// The way that a save-point takes instead of that on success, if it does now.
    fn instead(&self, node: u32) -> Option<&Name> {
        self.state(node)?.more.as_ref().filter(|more| more.instead)?;
        self.plan.node(node)?.0.save.as_ref()?.instead.as_ref()
    }

    /// Checks what must hold of doubts and ways back.
    pub(super) fn check_ways(&self) -> Result<(), String> {
        for (place, state) in (0..).zip(&self.nodes) {
            let doubts = state.pieces.iter().filter(|piece| piece.doubt().is_some()).count();
            if doubts != state.more.as_ref().map_or(0, |more| more.doubts) as usize {
                return Err(format!("run {}: node {place} counts its doubts wrongly", self.id()));
            }
            if self.goes_back(place) && self.unwinding.is_some() && state.stage == NodeStage::Working {
                return Err(format!("run {}: node {place} works where the run goes back", self.id()));
            }
        }
        match &self.back {
            Some(_) if !matches!(self.phase, RunPhase::Running | RunPhase::Halting) => {
                Err(format!("run {} goes back to a save-point and is {}", self.id(), self.phase))
            }
            Some(way) if !self.are_whole(&way.inside) => {
                Err(format!("run {} goes back in a part of it that is none", self.id()))
            }
            _ => Ok(()),
        }
    }
}
