//! A run that failed goes on from where it failed.

use super::{NodeStage, NodeState, Run};
use crate::definition::On;
use crate::name::Name;
use crate::run::{NodeOutcome, RunOutcome, RunPhase};
use std::collections::BTreeSet;

impl Run {
    /// The nodes that are to be done anew; with one of them, it alone and what was skipped after it. The error names a node that stands in the way, or nothing if nothing has failed.
    pub(crate) fn to_redo(&self, only: Option<u32>) -> Result<Vec<u32>, Option<Name>> {
        let nodes = 0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let failed = match self.phase {
            RunPhase::Running => {
                self.back.is_none()
                    && nodes.clone().any(|node| only.is_none_or(|only| node == only) && self.has_failed(node))
            }
            RunPhase::Finished => matches!(self.outcome.as_deref(), Some(RunOutcome::Failed { .. })),
            RunPhase::Halting | RunPhase::Compensating | RunPhase::CompensationFailed => false,
        };
        if !failed {
            return Err(None);
        }
        if let Some(undone) = self.unwinding.as_ref().and_then(|unwinding| unwinding.members().next()) {
            return Err(Some(self.plan.name(undone.get())));
        }
        let anew = |node: &u32| {
            let failed = self.is_unhandled(*node) || self.was_halted(*node) || self.has_failed(*node);
            failed && only.is_none_or(|only| *node == only)
        };
        let mut anew: BTreeSet<u32> = nodes.filter(anew).collect();
        let doubtful = |node: &&u32| self.state(**node).is_some_and(|state| self.can_undo(**node, state));
        if let Some(node) = anew.iter().find(doubtful) {
            return Err(Some(self.plan.name(*node)));
        }
        let mut line: Vec<u32> = anew.iter().copied().collect();
        while let Some(node) = line.pop() {
            for next in self.plan.nodes.get(node as usize).map(|plan| &plan.next[..]).unwrap_or_default() {
                match self.state(next.to).map(|state| (state.stage == NodeStage::Waiting, state.ended())) {
                    Some((true, _)) if next.on != On::Each => {}
                    Some((_, Some(NodeOutcome::Skipped))) if self.remedy(next.to).is_some() => {}
                    Some((_, Some(NodeOutcome::Skipped))) if next.on != On::Each => {
                        if anew.insert(next.to) {
                            line.push(next.to);
                        }
                    }
                    Some(_) if anew.contains(&next.to) && next.on != On::Each => {}
                    Some(_) | None => return Err(Some(self.plan.name(next.to))),
                }
            }
        }
        if anew.is_empty() { Err(None) } else { Ok(anew.into_iter().collect()) }
    }

    /// Whether the node has failed and that is held, or its one piece of work has and the run, which is paused, has not been told
    /// what follows.
    fn has_failed(&self, node: u32) -> bool {
        let failed = |state: &NodeState| {
            let end = state.pieces.last().and_then(|piece| piece.end.as_ref());
            state.stage == NodeStage::Working && state.active == 0 && end.is_some_and(|end| !end.succeeded())
        };
        let held = |state: &NodeState| state.held().is_some();
        let waits = self.phase == RunPhase::Running && self.remedy(node).is_none();
        waits && self.state(node).is_some_and(|state| failed(state) || held(state))
    }

    /// Whether a node was withdrawn for no other reason than that the run turned back.
    pub(super) fn was_halted(&self, node: u32) -> bool {
        let cancelled = matches!(self.state(node).and_then(NodeState::ended), Some(NodeOutcome::Cancelled { .. }));
        self.is_finished() && cancelled && !self.is_withdrawn(node)
    }

    /// These nodes are done anew. None if the run has not failed.
    pub(crate) fn redo(&mut self, nodes: &[u32]) -> Option<()> {
        if !matches!(self.phase, RunPhase::Running | RunPhase::Finished) {
            return None;
        }
        for node in nodes {
            self.state(*node)?;
            self.renew(*node);
        }
        self.phase = RunPhase::Running;
        (self.cause, self.outcome, self.ended, self.unwinding) = (None, None, None, None);
        let count = |run: &Self, test: fn(&NodeState) -> bool| run.nodes.iter().filter(|state| test(state)).count();
        self.open = u32::try_from(count(self, |state| state.ended().is_none())).ok()?;
        self.working = u32::try_from(count(self, NodeState::is_busy)).ok()?;
        self.stopped = self.find_stop();
        self.relink_all(nodes);
        let all = 0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let broken: Vec<u32> = all.into_iter().filter(|node| self.is_unhandled(*node)).collect();
        self.broken = broken.first().copied();
        self.also_broken = broken.into_iter().skip(1).collect();
        self.wake_all();
        Some(())
    }
}
