//! A run goes on under another plan. What has happened stays; what follows from it by the links is found anew.

use super::{NodeStage, NodeState, Run, Tokens};
use crate::definition::On;
use crate::run::NodeOutcome;
use crate::workflow::plan::Plan;
use std::sync::Arc;

/// What the links that lead to a node say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Inflow {
    pub(super) decided: u32,
    pub(super) taken: u32,
    pub(super) failed: u32,
    pub(super) cut: bool,
}

impl Run {
    /// The same run under another plan. For each node of that, `from` says which node of this one it was. None if it does
    /// not fit.
    pub(crate) fn migrated(&self, plan: &Arc<Plan>, from: &[Option<u32>]) -> Option<Self> {
        let old = |place: &Option<u32>| match place {
            Some(place) => self.state(*place).map(|state| self.carried(state, plan)),
            None => Some(NodeState::default()),
        };
        let mut record = self.record();
        record.nodes = from.iter().map(old).collect::<Option<_>>()?;
        (record.broken, record.back) = (None, None);
        let image = |was: &u32| from.iter().position(|place| *place == Some(*was));
        let also = self.also_broken.iter().filter_map(image);
        record.also_broken = also.filter_map(|place| u32::try_from(place).ok()).collect();
        record.context.clear();
        record.gone = self.gone_without(from);
        let mut run = Self::from_record(&record, Arc::clone(plan))?;
        run.relink(self, from);
        run.broken = run.broken_after(self, from);
        run.hold_again();
        run.wake_all();
        Some(run)
    }

    /// A node as it goes on under another plan. What guards said of it before it began, and what was put together for it to
    /// read, is found anew; what it has begun with it keeps.
    fn carried(&self, state: &NodeState, plan: &Plan) -> NodeState {
        let mut state = state.clone();
        let begun = state.stage != NodeStage::Waiting;
        if let Some(more) = &mut state.more {
            if !begun {
                more.refused = 0;
            }
            let known = core::mem::take(&mut more.context);
            let name = |place: &u32| Some(&self.plan.definition.variables.get(*place as usize)?.name);
            let kept = known.into_iter().filter(|_| begun);
            more.context =
                kept.filter_map(|(place, value)| Some((plan.context.place(name(&place)?)?, value))).collect();
        }
        state
    }

    /// What leads where has changed: what the nodes that wait know of those before them is found anew.
    fn relink(&mut self, old: &Self, from: &[Option<u32>]) {
        for (node, was) in (0..).zip(from) {
            let inflow = self.inflow(node);
            let kept = was.is_some_and(|was| old.same_inputs(was, self, node, from));
            let tokens = (!kept && self.is_alive(node)).then(|| self.arrived(node)).flatten();
            let Some(state) = self.state_mut(node) else { continue };
            (state.decided, state.taken, state.failed_inputs) = (inflow.decided, inflow.taken, inflow.failed);
            if state.ended().is_none() {
                state.after_failure = inflow.cut;
            }
            if !kept && (tokens.is_some() || state.tokens().is_some()) {
                state.more_mut().tokens = tokens;
            }
            if let Some(more) = &mut state.more {
                more.items = None;
            }
        }
    }

    /// Nodes are done anew: what those after them know of the links is found anew.
    pub(super) fn relink_all(&mut self, anew: &[u32]) {
        let nodes = 0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        for node in nodes {
            let inflow = self.inflow(node);
            let touched = anew.contains(&node) || self.links_to(node).any(|(source, ..)| anew.contains(&source));
            let tokens = (touched && self.is_alive(node)).then(|| self.arrived(node)).flatten();
            let Some(state) = self.state_mut(node) else { continue };
            (state.decided, state.taken, state.failed_inputs) = (inflow.decided, inflow.taken, inflow.failed);
            if state.ended().is_none() {
                state.after_failure = inflow.cut;
            }
            if touched && (tokens.is_some() || state.tokens().is_some()) {
                state.more_mut().tokens = tokens;
            }
        }
    }

    /// What the links that lead to a node say, found in the nodes that they come from.
    pub(super) fn inflow(&self, node: u32) -> Inflow {
        let mut inflow = Inflow::default();
        for (source, on, _) in self.links_to(node) {
            let Some((taken, failed, cut)) = self.led(source, on) else { continue };
            inflow.decided += 1;
            inflow.taken += u32::from(taken);
            inflow.failed += u32::from(failed && !taken);
            inflow.cut |= cut;
        }
        inflow
    }

    /// The links that lead to a node, with the nodes that they come from.
    pub(super) fn links_to(&self, node: u32) -> impl Iterator<Item = (u32, &On, u32)> {
        let links = self.plan.node(node).map(|(node, _)| &node.after[..]).unwrap_or_default();
        links.iter().zip(0..).filter_map(|(link, place)| Some((self.plan.place(&link.node)?, &link.on, place)))
    }

    /// What has come over the links to a node that starts more than once, if nothing comes piece by piece.
    fn arrived(&self, node: u32) -> Option<Tokens> {
        let (definition, plan) = self.plan.node(node)?;
        let (join, links) = (definition.join, plan.links);
        if !join.repeats() {
            return None;
        }
        let mut tokens = Tokens::default();
        for (source, on, link) in self.links_to(node) {
            let Some(state) = self.state(source) else { continue };
            let Some((taken, ..)) = self.led(source, on) else { continue };
            if taken && *on != On::Each {
                tokens.arrive(join, links, link, state.output.clone());
            }
            tokens.close(join, links, link);
        }
        (tokens != Tokens::default()).then_some(tokens)
    }

    /// Whether a node gets what it gets over the same links, in the same way, from the same nodes.
    pub(super) fn same_inputs(&self, node: u32, new: &Self, place: u32, from: &[Option<u32>]) -> bool {
        let (Some((was, _)), Some((is, _))) = (self.plan.node(node), new.plan.node(place)) else { return false };
        let source = |run: &Self, name: &str| run.plan.place(name);
        let same = was.after.iter().zip(&is.after).all(|(was, is)| {
            let origin = source(new, &is.node).and_then(|place| *from.get(place as usize)?);
            was.on == is.on && origin.is_some() && origin == source(self, &was.node)
        });
        was.join == is.join && was.after.len() == is.after.len() && same
    }

    /// The node whose failure nothing takes care of.
    fn broken_after(&self, old: &Self, from: &[Option<u32>]) -> Option<u32> {
        let was = old.broken.and_then(|broken| from.iter().position(|place| *place == Some(broken)));
        let was = was.and_then(|place| u32::try_from(place).ok());
        let nodes = 0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        was.into_iter().chain(nodes).find(|node| self.is_unhandled(*node))
    }

    /// Whether a node has failed and nothing takes care of that.
    pub(super) fn is_unhandled(&self, node: u32) -> bool {
        let (Some(state), Some(plan)) = (self.state(node), self.plan.nodes.get(node as usize)) else { return false };
        let failed = matches!(state.ended(), Some(NodeOutcome::Failed { .. }));
        failed && state.took().is_empty() && !plan.handled && !self.is_spare(node)
    }

    /// What a node that waits knows of those before it is what these say.
    pub(super) fn check_links(&self) -> Result<(), String> {
        if !self.took_known {
            return Ok(());
        }
        for (node, state) in (0..).zip(&self.nodes).filter(|(_, state)| state.ended().is_none()) {
            let cut = state.after_failure;
            let known = Inflow { decided: state.decided, taken: state.taken, failed: state.failed_inputs, cut };
            let found = self.inflow(node);
            if known != found {
                return Err(format!("run {}: node {node} knows {known:?} of its links, which is {found:?}", self.id()));
            }
        }
        Ok(())
    }
}
