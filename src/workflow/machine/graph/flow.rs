//! Begin and end of nodes, with the effects on other nodes.

use super::handling::left_by;
use super::{Graph, NodeState};
use crate::base::id::NodeIx;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::definition::{Action, Node, On};
use crate::message::event::Opening;
use crate::message::run::NodeOutcome;
use crate::workflow::machine::illegal::{Applied, Illegal};
use crate::workflow::machine::node::{
    Arrival, Instance, InstanceEnd, LinkDecision, NodeWork, Route, Start, Worker, is_between_attempts,
};
use crate::workflow::plan::Next;
use std::sync::Arc;

/// The end of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeEnd<'a> {
    pub(crate) outcome: &'a NodeOutcome,
    pub(crate) took: &'a [Name],
    /// None for the output of its instances.
    pub(crate) output: Option<&'a Payload>,
}

impl Graph {
    /// Opens a node with several instances, or a node that waits.
    pub(crate) fn open(&mut self, ix: NodeIx, opening: &Opening, now: Time) -> Applied {
        let is_again = self.change("a node opens", ix, |state| {
            let is_again = is_between_attempts(state);
            state.open(opening)?;
            Ok(is_again)
        })?;
        if is_again { Ok(()) } else { self.started(ix, now) }
    }

    /// Begins the next instance of a node with this task or child run.
    pub(crate) fn begin(&mut self, ix: NodeIx, index: u32, worker: Worker, input: &Payload, now: Time) -> Applied {
        let start = self.change("an instance begins", ix, |state| state.begin(index, worker, input))?;
        if start == Start::Starts {
            self.started(ix, now)?;
            if self.node(ix).is_some_and(|node| node.awaits_its_task()) {
                self.dirty.settle(ix);
            }
        }
        Ok(())
    }

    fn started(&mut self, ix: NodeIx, now: Time) -> Applied {
        const INPUT: &str = "a node begins";
        let (definition, _) = self.plan.node(ix).ok_or(Illegal::unknown_node(INPUT))?;
        let is_timed = definition.budget.and_then(|budget| budget.time).is_some();
        if is_timed || !definition.handlers.is_empty() {
            self.state_mut(INPUT, ix)?.watch_from(now);
        }
        self.wake_dependents(ix);
        Ok(())
    }

    /// Marks the other nodes as dirty that depend on whether this one has begun, is under way, or has ended.
    fn wake_dependents(&mut self, ix: NodeIx) {
        if let Some(plan) = self.plan.nodes.get(ix.index()) {
            self.dirty.extend(plan.cancels.iter().chain(&plan.wakes).chain(&plan.rivals));
        }
    }

    /// Ends a node and decides its links.
    pub(crate) fn end(&mut self, ix: NodeIx, end: NodeEnd<'_>) -> Applied {
        const INPUT: &str = "a node ends";
        let NodeEnd { outcome, took, output } = end;
        let output = match (output, outcome) {
            (Some(output), _) => output.clone(),
            (None, NodeOutcome::Succeeded) => self.state(ix).ok_or(Illegal::unknown_node(INPUT))?.collected(),
            (
                None,
                NodeOutcome::Failed { .. }
                | NodeOutcome::Skipped
                | NodeOutcome::UpstreamFailed
                | NodeOutcome::Cancelled { .. },
            ) => Payload::NULL,
        };
        let is_busy = self.change(INPUT, ix, |state| {
            state.end(outcome, took, output)?;
            Ok(state.is_busy())
        })?;
        if !is_busy {
            self.dirty.settle(ix);
        }
        self.wake_dependents(ix);
        let plan = Arc::clone(&self.plan);
        let (definition, compiled) = plan.node(ix).ok_or(Illegal::unknown_node(INPUT))?;
        if self.is_unhandled(ix) {
            self.failures.push(ix);
        }
        if *outcome == NodeOutcome::Succeeded {
            self.dirty.extend(&compiled.cancels_on_success);
            if definition.action == Action::Stop && self.stop.is_none() {
                self.stop = Some(ix);
                self.wake_all();
            }
        }
        for next in &compiled.next {
            let node = self.node(ix).ok_or(Illegal::unknown_node(INPUT))?;
            // The link of a handler that has fired was decided then.
            let is_open = !matches!(&next.on, On::Case(case) if node.has_branched(case));
            if let Some(decision) = node.link_decision(&next.on).filter(|_| is_open) {
                self.decide_link(ix, next, decision)?;
            }
        }
        if self.state(ix).is_some_and(NodeState::has_dodged) {
            let left = left_by(self, ix);
            self.failures.extend(left);
        }
        Ok(())
    }

    /// Starts the branch of a non-interrupting handler.
    pub(crate) fn branch(&mut self, ix: NodeIx, handler: &Name) -> Applied {
        let plan = Arc::clone(&self.plan);
        let (_, compiled) = plan.node(ix).ok_or(Illegal::unknown_node("a handler fires"))?;
        let mut branches = compiled.next.iter().filter(|next| matches!(&next.on, On::Case(case) if case == handler));
        branches.try_for_each(|next| self.decide_link(ix, next, LinkDecision::BRANCH))
    }

    /// Decides a link, which its destination counts.
    pub(super) fn decide_link(&mut self, from: NodeIx, next: &Next, decision: LinkDecision) -> Applied {
        const INPUT: &str = "a link is decided";
        if self.state(next.to).is_some_and(|state| matches!(state.work(), NodeWork::Rounds(_))) {
            if decision.route == Route::Taken && next.on != On::Each {
                let value = self.state(from).ok_or(Illegal::unknown_node(INPUT))?.output().clone();
                self.arrive(next, Arrival::Token(value))?;
            }
            self.arrive(next, Arrival::Closed)?;
        }
        self.state_mut(INPUT, next.to)?.decide_link(decision);
        self.dirty.insert(next.to);
        Ok(())
    }

    /// Records a token on a link to a node that starts more than once, or that no further token arrives.
    fn arrive(&mut self, next: &Next, arrival: Arrival) -> Applied {
        const INPUT: &str = "a token arrives";
        let (definition, plan) = self.plan.node(next.to).ok_or(Illegal::unknown_node(INPUT))?;
        let (join, links) = (definition.join, plan.links);
        if self.state_mut(INPUT, next.to)?.arrive(join, links, next.link, arrival) {
            self.dirty.insert(next.to);
        }
        Ok(())
    }

    /// Records the end of an instance, or the outcome that a query found.
    pub(crate) fn finish(
        &mut self,
        ix: NodeIx,
        index: u32,
        finish: impl FnOnce(&mut NodeState, &Node) -> Applied,
    ) -> Applied {
        const INPUT: &str = "an instance ends";
        let plan = Arc::clone(&self.plan);
        let (definition, compiled) = plan.node(ix).ok_or(Illegal::unknown_node(INPUT))?;
        self.change(INPUT, ix, |state| finish(state, definition))?;
        let state = self.state(ix).ok_or(Illegal::unknown_node(INPUT))?;
        let end = state.instances().get(index).and_then(Instance::end);
        let output = end.filter(|end| end.is_success()).map(InstanceEnd::output);
        if state.has_ended() && !state.is_busy() {
            self.wake_dependents(ix);
        }
        if let Some(output) = output {
            for next in compiled.next.iter().filter(|next| next.on == On::Each) {
                self.arrive(next, Arrival::Token(output.clone()))?;
            }
        }
        Ok(())
    }
}
