//! What the links between nodes say: whether a node starts, must wait for its turn, or is not wanted any more.

use super::{BoundNode, Graph};
use crate::base::id::NodeIx;
use crate::definition::On;
use crate::message::run::NodeOutcome;
use crate::workflow::machine::node::{Arrival, Inflow, Links, NodeWork, RoundsWork, Route, Verdict};
use crate::workflow::plan::MilestonePlan;

/// Whether a node that could start by its links has its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Now,
    /// It must wait for another node.
    After(Obstruction),
    /// Its milestone has passed.
    Missed,
}

/// The node that another must wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstruction {
    /// It must not be under way at the same time.
    Rival(NodeIx),
    /// The node's stretch of the run begins after it.
    Milestone(NodeIx),
}

/// A link that leads to a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming<'a> {
    pub(crate) source: NodeIx,
    pub(crate) on: &'a On,
    /// The index of the link among those that lead to the node.
    pub(crate) link: u32,
}

impl Graph {
    fn has_started(&self, ix: NodeIx) -> bool {
        self.state(ix).is_some_and(|state| state.has_started())
    }

    /// Whether a counting join that the node serves alone has started: its end does not matter any more.
    pub(crate) fn is_spare(&self, ix: NodeIx) -> bool {
        let plan = self.plan.nodes.get(ix.index());
        plan.is_some_and(|plan| plan.serves.iter().any(|join| self.has_started(*join)))
    }

    /// Whether a node failed, and nothing handles that.
    pub(crate) fn is_unhandled(&self, ix: NodeIx) -> bool {
        self.node(ix).is_some_and(|node| {
            node.state.has_failed() && node.state.took().is_empty() && !node.plan.handled && !self.is_spare(ix)
        })
    }

    /// What the links to a node say; none as long as that is open.
    pub(crate) fn verdict(&self, node: BoundNode<'_>) -> Option<Verdict> {
        let round_due = matches!(node.state.work(), NodeWork::Rounds(rounds) if rounds.due().is_some());
        node.state.links().verdict(node.definition.join, node.plan.links, round_due)
    }

    /// Whether all links to a node are decided.
    pub(crate) fn inflow(node: BoundNode<'_>) -> Inflow {
        if node.state.links().decided() == node.plan.links { Inflow::Over } else { Inflow::Open }
    }

    /// Whether a node that could start has its turn.
    pub(crate) fn turn(&self, node: BoundNode<'_>) -> Turn {
        if let Some(MilestonePlan { after, until }) = node.plan.milestone {
            let ended = |ix: NodeIx| self.state(ix).and_then(|state| state.ended());
            // A node that was cancelled counts as one that has started: what has passed does not come back.
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

    /// Whether the work of a node is not wanted any more: a join that cancels the rest has started, a node that cancels this
    /// one has succeeded, the run has come to its end, or a handler or an operator has ended the node.
    pub(crate) fn is_withdrawn(&self, ix: NodeIx) -> bool {
        let Some(node) = self.node(ix) else { return false };
        let cancels = |join: NodeIx| self.plan.nodes.get(join.index()).is_some_and(|plan| !plan.cancels.is_empty());
        let succeeded = |other: &NodeIx| self.state(*other).is_some_and(|state| state.has_succeeded());
        node.plan.serves.iter().any(|join| self.has_started(*join) && cancels(*join))
            || node.plan.cancelled_by.iter().any(succeeded)
            || self.stop.is_some_and(|stop| stop != ix)
            || node.state.aside().interrupted().is_some()
            || node.state.aside().remedy.is_some()
    }

    /// The links that lead to a node.
    pub(crate) fn links_to(&self, ix: NodeIx) -> impl Iterator<Item = Incoming<'_>> {
        let links = self.plan.node(ix).map(|(node, _)| &node.after[..]).unwrap_or_default();
        links.iter().zip(0..).filter_map(|(link, number)| {
            Some(Incoming { source: self.plan.index_of(&link.node)?, on: &link.on, link: number })
        })
    }

    /// What the links to a node have decided, found in the nodes that they come from.
    pub(super) fn found_links(&self, ix: NodeIx) -> Links {
        let mut links = Links::default();
        for Incoming { source, on, .. } in self.links_to(ix) {
            if let Some(decision) = self.node(source).and_then(|source| source.link_decision(on)) {
                links.decide(decision, false);
            }
        }
        links
    }

    /// What has come over the links to a node that starts more than once, if nothing comes from single instances.
    pub(super) fn found_arrivals(&self, ix: NodeIx) -> RoundsWork {
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

    /// Whether a node gets its inputs over the same links, in the same way, from the same nodes as a node of another graph.
    /// For each node of that graph, `from` says which node of this one it was.
    pub(crate) fn has_same_inputs(&self, ix: NodeIx, new: &Self, image: NodeIx, from: &[Option<NodeIx>]) -> bool {
        let (Some((was, _)), Some((is, _))) = (self.plan.node(ix), new.plan.node(image)) else { return false };
        let is_same = was.after.iter().zip(&is.after).all(|(was, is)| {
            let origin = new.plan.index_of(&is.node).and_then(|source| *from.get(source.index())?);
            was.on == is.on && origin.is_some() && origin == self.plan.index_of(&was.node)
        });
        was.join == is.join && was.after.len() == is.after.len() && is_same
    }

    /// Checks that what a node has counted of its links is what their sources say.
    pub(super) fn check_links(&self) -> Result<(), String> {
        for node in self.nodes().filter(|node| !node.state.has_ended()) {
            let (known, found) = (node.state.links(), self.found_links(node.ix));
            if known != found {
                return Err(format!("node {} counts its links as {known:?}, not {found:?}", node.ix));
            }
        }
        Ok(())
    }
}
