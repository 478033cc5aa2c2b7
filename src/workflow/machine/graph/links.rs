//! Decisions from links: whether a node starts, must wait for its turn, or is to be cancelled.

use super::handling::is_handled;
use super::{BoundNode, Graph};
use crate::base::id::NodeIx;
use crate::definition::On;
use crate::message::run::NodeOutcome;
use crate::workflow::machine::node::{Arrival, Links, RoundsWork, Route};
use crate::workflow::plan::MilestonePlan;

/// Whether a node whose links allow it to start has its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Now,
    /// It must wait for another node.
    After(Obstruction),
    /// Its milestone has passed.
    Missed,
}

/// The node that another one must wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstruction {
    /// It must not be under way at the same time.
    Rival(NodeIx),
    /// The milestone is reached when this node has succeeded.
    Milestone(NodeIx),
}

/// An incoming link of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming<'a> {
    pub(crate) source: NodeIx,
    pub(crate) on: &'a On,
    /// The index of the link among the incoming links of the node.
    pub(crate) link: u32,
}

impl Graph {
    fn has_started(&self, ix: NodeIx) -> bool {
        self.state(ix).is_some_and(|state| state.has_started())
    }

    /// Whether a counting join that is the only destination of the node has started: the end of the node has no effect
    /// then.
    pub(crate) fn is_spare(&self, ix: NodeIx) -> bool {
        let plan = self.plan.nodes.get(ix.index());
        plan.is_some_and(|plan| plan.serves.iter().any(|join| self.has_started(*join)))
    }

    /// Whether a node has failed and its failure is not handled: no node that handles failures of it has run, and none can
    /// any more.
    pub(crate) fn is_unhandled(&self, ix: NodeIx) -> bool {
        self.node(ix).is_some_and(|node| node.state.has_failed() && !is_handled(self, node))
    }

    /// Whether a node that could start has its turn.
    pub(crate) fn turn(&self, node: BoundNode<'_>) -> Turn {
        if let Some(MilestonePlan { after, until }) = node.plan.milestone {
            let ended = |ix: NodeIx| self.state(ix).and_then(|state| state.ended());
            // A cancelled node counts as started: a milestone that has passed stays passed.
            if matches!(ended(until), Some(NodeOutcome::Cancelled { .. })) || self.has_started(until) {
                return Turn::Missed;
            }
            match ended(after) {
                None => return Turn::After(Obstruction::Milestone(after)),
                Some(NodeOutcome::Succeeded) => {}
                Some(_) => return Turn::Missed,
            }
        }
        let is_busy = |rival: &&NodeIx| self.state(**rival).is_some_and(|state| state.is_busy());
        match node.plan.rivals.iter().find(is_busy) {
            Some(rival) => Turn::After(Obstruction::Rival(*rival)),
            None => Turn::Now,
        }
    }

    /// Whether a node is to be cancelled: a join that cancels the rest has started, a node that cancels this one has
    /// succeeded, a stop node has ended the run, or a handler or an operator has ended the node.
    pub(crate) fn is_to_be_cancelled(&self, node: BoundNode<'_>) -> bool {
        let cancels = |join: NodeIx| self.plan.nodes.get(join.index()).is_some_and(|plan| !plan.cancels.is_empty());
        let succeeded = |other: &NodeIx| self.state(*other).is_some_and(|state| state.has_succeeded());
        node.plan.serves.iter().any(|join| self.has_started(*join) && cancels(*join))
            || node.plan.cancelled_by.iter().any(succeeded)
            || self.stop.is_some_and(|stop| stop != node.ix)
            || !node.state.is_plain()
                && (node.state.aside().interrupted().is_some() || node.state.aside().remedy.is_some())
    }

    /// The incoming links of a node.
    pub(crate) fn links_to(&self, ix: NodeIx) -> impl Iterator<Item = Incoming<'_>> {
        let links = self.plan.node(ix).map(|(node, _)| &node.after[..]).unwrap_or_default();
        links.iter().zip(0..).filter_map(|(link, number)| {
            Some(Incoming { source: self.plan.index_of(&link.node)?, on: &link.on, link: number })
        })
    }

    /// The decisions of the incoming links of a node, recomputed from their sources.
    pub(super) fn recomputed_links(&self, ix: NodeIx) -> Links {
        let mut links = Links::default();
        for Incoming { source, on, .. } in self.links_to(ix) {
            if let Some(decision) = self.node(source).and_then(|source| source.link_decision(on)) {
                links.decide(decision);
            }
        }
        links
    }

    /// The arrivals at a node that starts more than once, recomputed from its sources, if no link is taken for each
    /// instance.
    pub(super) fn recomputed_arrivals(&self, ix: NodeIx) -> RoundsWork {
        let mut rounds = RoundsWork::default();
        let Some((definition, plan)) = self.plan.node(ix) else { return rounds };
        for Incoming { source, on, link } in self.links_to(ix) {
            let Some(source) = self.node(source) else { continue };
            let Some(decision) = source.link_decision(on) else { continue };
            if decision.route == Route::Taken && *on != On::Each {
                rounds.arrive(definition.join, plan.links, link, Arrival::Token(source.state.output().clone()));
            }
            rounds.arrive(definition.join, plan.links, link, Arrival::Closed);
        }
        rounds
    }

    /// Whether a node has the same incoming links, from the same nodes, as a node of another graph. `from` maps each
    /// node of that graph to the node of this one that it continues.
    pub(crate) fn has_same_inputs(&self, ix: NodeIx, new: &Self, image: NodeIx, from: &[Option<NodeIx>]) -> bool {
        let (Some((was, _)), Some((is, _))) = (self.plan.node(ix), new.plan.node(image)) else { return false };
        let is_same = was.after.iter().zip(&is.after).all(|(was, is)| {
            let origin = new.plan.index_of(&is.node).and_then(|source| *from.get(source.index())?);
            was.on == is.on && origin.is_some() && origin == self.plan.index_of(&was.node)
        });
        was.join == is.join && was.after.len() == is.after.len() && is_same
    }

    /// Checks that the counted links of each node agree with their sources.
    pub(super) fn check_links(&self) -> Result<(), String> {
        for node in self.nodes().filter(|node| !node.state.has_ended()) {
            let (known, found) = (node.state.links(), self.recomputed_links(node.ix));
            if known != found {
                return Err(format!("node {} counts its links as {known:?}, not {found:?}", node.ix));
            }
        }
        Ok(())
    }
}
