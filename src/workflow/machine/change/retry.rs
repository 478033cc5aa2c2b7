//! The retry of a failed run from the nodes that failed.

use crate::base::id::NodeIx;
use crate::base::name::Name;
use crate::definition::On;
use crate::message::run::{NodeOutcome, RunOutcome, RunPhase};
use crate::saga::Step as _;
use crate::workflow::machine::change::{Changes, Renewal};
use crate::workflow::machine::illegal::{Applied, Illegal};
use crate::workflow::machine::node::{Instance, NodeState, NodeWork, is_between_attempts};
use crate::workflow::machine::{Run, holds_late};
use std::collections::BTreeSet;

/// The reason for which no node is retried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoRetry {
    /// No node has failed.
    Nothing,
    /// This node prevents it: it continued after the failure, or was or could be compensated.
    Node(Name),
}

impl Changes<'_> {
    /// The nodes to restart: those that failed, or only `only`, and those skipped after them.
    pub(crate) fn to_retry(self, only: Option<NodeIx>) -> Result<Vec<NodeIx>, NoRetry> {
        let is_wanted = |ix: &NodeIx| only.is_none_or(|only| *ix == only);
        let failed = match self.run.phase() {
            RunPhase::Running => {
                let mut nodes = self.run.graph.indexes().filter(is_wanted);
                !self.run.rollback.is_partial() && nodes.any(|ix| self.has_failed_pending(ix))
            }
            RunPhase::Finished => matches!(self.run.course.outcome(), Some(RunOutcome::Failed { .. })),
            RunPhase::Failing | RunPhase::Compensating | RunPhase::CompensationFailed => false,
        };
        if !failed {
            return Err(NoRetry::Nothing);
        }
        let blocked = |ix: NodeIx| NoRetry::Node(self.run.plan().name(ix));
        if let Some(member) = self.run.rollback.compensation().and_then(|compensation| compensation.steps().next()) {
            return Err(blocked(member));
        }
        let has_failed = |ix: &NodeIx| {
            self.run.graph.is_unhandled(*ix) || self.was_cancelled_by_failure(*ix) || self.has_failed_pending(*ix)
        };
        let mut anew: BTreeSet<NodeIx> = self.run.graph.indexes().filter(is_wanted).filter(has_failed).collect();
        // A function keeps what its calls have done, unless its compensation has begun to undo it.
        let is_or_was_undoable = |ix: &&NodeIx| {
            let node = self.run.graph.node(**ix);
            node.is_some_and(|node| {
                node.state.compensated().is_some() || node.function().is_none() && node.needs_compensation()
            })
        };
        if let Some(ix) = anew.iter().find(is_or_was_undoable) {
            return Err(blocked(*ix));
        }
        let mut line: Vec<NodeIx> = anew.iter().copied().collect();
        while let Some(ix) = line.pop() {
            for next in self.run.plan().nodes.get(ix.index()).map(|plan| &plan.next[..]).unwrap_or_default() {
                match self.after_retried(next.to, &next.on, &anew) {
                    Follower::Stays => {}
                    Follower::Follows => {
                        if anew.insert(next.to) {
                            line.push(next.to);
                        }
                    }
                    Follower::Blocks => return Err(blocked(next.to)),
                }
            }
        }
        if anew.is_empty() { Err(NoRetry::Nothing) } else { Ok(anew.into_iter().collect()) }
    }

    /// The effect on a node of the restart of one before it.
    fn after_retried(self, ix: NodeIx, on: &On, anew: &BTreeSet<NodeIx>) -> Follower {
        let Some(state) = self.run.graph.state(ix) else { return Follower::Blocks };
        let is_skipped = matches!(state.ended(), Some(NodeOutcome::Skipped | NodeOutcome::UpstreamFailed));
        match on {
            On::Each if is_skipped && state.aside().remedy.is_some() => Follower::Stays,
            On::Each => Follower::Blocks,
            _ if state.is_waiting() || is_skipped && state.aside().remedy.is_some() => Follower::Stays,
            _ if is_skipped => Follower::Follows,
            _ if anew.contains(&ix) => Follower::Stays,
            On::Success | On::Failure | On::Always | On::Case(_) => Follower::Blocks,
        }
    }

    /// Whether a failure of the node is held; or its instance has failed and the run is paused before the node ends.
    fn has_failed_pending(self, ix: NodeIx) -> bool {
        if holds_late(self.run, ix) {
            return true;
        }
        let Some(state) = self.run.graph.state(ix) else { return false };
        let end = state.instances().last().and_then(Instance::end);
        let is_idle = state.instances().active() == 0 && !state.instances().is_undoing();
        let is_pending = || {
            let is_task = state.is_working() && matches!(state.work(), NodeWork::Task);
            is_task && end.is_some_and(|end| !end.is_success()) || is_between_attempts(state)
        };
        self.run.phase() == RunPhase::Running
            && state.aside().remedy.is_none()
            && (state.aside().held.is_some() || is_idle && is_pending())
    }

    /// Whether a node was cancelled only because the run failed.
    pub(super) fn was_cancelled_by_failure(self, ix: NodeIx) -> bool {
        let ended = self.run.graph.state(ix).and_then(|state| state.ended());
        let was_cancelled = matches!(ended, Some(NodeOutcome::Cancelled { .. }));
        let graph = &self.run.graph;
        let by_others = || graph.node(ix).is_some_and(|node| graph.is_to_be_cancelled(node));
        self.run.is_finished() && was_cancelled && !by_others()
    }
}

impl Run {
    /// These nodes restart.
    pub(in crate::workflow::machine) fn retry(&mut self, nodes: &[NodeIx]) -> Applied {
        const INPUT: &str = "a run is retried";
        if !matches!(self.phase(), RunPhase::Running | RunPhase::Finished) {
            return Err(Illegal::new(INPUT, "it is failing or being compensated"));
        }
        let is_busy =
            |state: &NodeState| state.instances().active() > 0 && !state.work().keeps_instances(Renewal::Retry);
        if nodes.iter().any(|ix| self.graph.state(*ix).is_none_or(is_busy)) {
            return Err(Illegal::new(INPUT, "a node of it is unknown or under way"));
        }
        self.renew(nodes, Renewal::Retry);
        self.course.reopen();
        self.rollback.reopen();
        self.graph.relink(nodes);
        self.graph.wake_all();
        Ok(())
    }
}

/// The effect on a node of the restart of one before it.
enum Follower {
    Stays,
    /// It restarts, too.
    Follows,
    /// It prevents the retry.
    Blocks,
}
