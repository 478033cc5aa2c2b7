//! Resetting nodes to their initial states, and migrating them to another plan, with the effects on links.

use super::{Count, Graph};
use crate::base::id::{NodeIx, RunId};
use crate::definition::Node;
use crate::workflow::machine::change::Renewal;
use crate::workflow::machine::illegal::Applied;
use crate::workflow::machine::node::{NodeState, retries_of};
use crate::workflow::plan::Plan;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Graph {
    /// Resets these nodes to their initial states with undecided links. Returns the child runs that they had.
    pub(crate) fn renew(&mut self, nodes: &[NodeIx], renewal: Renewal) -> Vec<RunId> {
        let mut children = Vec::new();
        for ix in nodes {
            if let Some(state) = self.nodes.get_mut(ix.index()) {
                if !state.work().keeps_instances(renewal) {
                    children.extend(state.instances().children());
                }
                *state = core::mem::take(state).renewed(renewal);
            }
        }
        self.count = Count::all(&self.nodes);
        // A node that was reset may handle the failures of others once more.
        review_failures(self);
        self.stop = self.stop.filter(|ix| nodes.binary_search(ix).is_err());
        children
    }

    /// Decides the links from other nodes to these nodes, which were reset, again.
    pub(crate) fn redecide_links(&mut self, nodes: &[NodeIx]) -> Applied {
        let plan = Arc::clone(&self.plan);
        let is_inside = |ix: &NodeIx| nodes.binary_search(ix).is_ok();
        for (from, compiled) in plan.indexes().zip(&plan.nodes).filter(|(from, _)| !is_inside(from)) {
            for next in compiled.next.iter().filter(|next| is_inside(&next.to)) {
                let decision = self.node(from).and_then(|node| node.link_decision(&next.on));
                if let Some(decision) = decision {
                    self.decide_link(from, next, decision)?;
                }
            }
        }
        Ok(())
    }

    /// Recomputes the links of all nodes after these nodes were reset, and the unhandled failures.
    pub(crate) fn relink(&mut self, renewed: &[NodeIx]) {
        let all: BTreeSet<NodeIx> = renewed.iter().copied().collect();
        let is_renewed = |ix: &NodeIx| all.contains(ix);
        for ix in self.plan.indexes() {
            let is_touched = is_renewed(&ix) || self.links_to(ix).any(|link| is_renewed(&link.source));
            self.relink_node(ix, is_touched);
        }
        self.stop = self.find_stop();
        self.failures = self.plan.indexes().filter(|ix| self.is_unhandled(*ix)).collect();
    }

    /// Recomputes the links of a node, and its arrivals if they may have changed.
    fn relink_node(&mut self, ix: NodeIx, arrivals_changed: bool) {
        let links = self.recomputed_links(ix);
        let is_open = self.state(ix).is_some_and(|state| !state.has_ended());
        let arrivals = (arrivals_changed && is_open).then(|| self.recomputed_arrivals(ix));
        if let Some(state) = self.nodes.get_mut(ix.index()) {
            state.set_links(links);
            if let Some(arrivals) = arrivals {
                state.set_arrivals(arrivals);
            }
        }
    }

    /// The nodes under another plan. `from` maps each node of that plan to the node of this one that it continues.
    /// States are kept, and data derived from links is recomputed. None if `from` has an invalid index.
    pub(crate) fn migrated(&self, plan: &Arc<Plan>, from: &[Option<NodeIx>]) -> Option<Self> {
        let mut nodes = Self::new(Arc::clone(plan)).nodes;
        for ((slot, was), node) in nodes.iter_mut().zip(from).zip(&plan.definition.nodes) {
            let Some(was) = was else { continue };
            let mut state = self.state(*was)?.clone();
            let variable = |old: u32| {
                let name = &self.plan.definition.variables.get(old as usize)?.name;
                plan.context.index_of(name)
            };
            let before = self.plan.definition.nodes.get(was.index());
            let rules =
                |node: Option<&Node>| node.and_then(|node| retries_of(node, &state)).map(|retry| retry.rules.clone());
            let has_same_rules = rules(before) == rules(Some(node));
            state.migrate(variable, has_same_rules);
            state.adopt_kind(slot.work().kind());
            *slot = state;
        }
        let mut new = Self::restored(Arc::clone(plan), nodes, Vec::new())?;
        for (ix, was) in plan.indexes().zip(from) {
            let is_kept = was.is_some_and(|was| self.has_same_inputs(was, &new, ix, from));
            new.relink_node(ix, !is_kept);
        }
        let image = |was: &NodeIx| plan.indexes().zip(from).find(|(_, from)| **from == Some(*was)).map(|(ix, _)| ix);
        let known: Vec<NodeIx> = self.failures.iter().filter_map(image).filter(|ix| new.is_unhandled(*ix)).collect();
        let others = plan.indexes().filter(|ix| new.is_unhandled(*ix) && !known.contains(ix));
        new.failures = known.iter().copied().chain(others).collect();
        Some(new)
    }

    /// The nodes that no node of such a plan continues.
    pub(crate) fn dropped<'a>(&'a self, from: &'a [Option<NodeIx>]) -> impl Iterator<Item = &'a NodeState> {
        self.nodes().filter(|node| !from.contains(&Some(node.ix))).map(|node| node.state)
    }
}

/// Drops the failures that are handled by now.
pub(crate) fn review_failures(graph: &mut Graph) {
    if !graph.failures.is_empty() {
        graph.failures = graph.failures.iter().copied().filter(|ix| graph.is_unhandled(*ix)).collect();
    }
}
