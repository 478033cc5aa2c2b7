//! Obstacles to a migration: nodes that are under way, or may have to be compensated, must have the same meaning in the
//! new plan, and the states of nodes must be reachable in it.

use super::migrate::Mapping;
use crate::base::id::NodeIx;
use crate::base::name::Name;
use crate::definition::{Action, Node, On, Write};
use crate::message::run::{NodeOutcome, Obstacle};
use crate::saga::Step as _;
use crate::workflow::machine::Run;
use crate::workflow::machine::graph::BoundNode;
use crate::workflow::machine::node::{NodeState, Verdict, waits_with_work};

/// A run before and after a migration.
pub(super) struct Case<'a> {
    pub(super) old: &'a Run,
    pub(super) new: &'a Run,
    pub(super) mapping: &'a Mapping,
}

impl Case<'_> {
    /// Collects all obstacles.
    pub(super) fn obstacles(&self, out: &mut Vec<Obstacle>) {
        self.old.graph.nodes().for_each(|node| self.old_node(node, out));
        self.new.graph.nodes().for_each(|node| self.new_node(node, out));
        self.updates(out);
        self.signals(out);
    }

    /// The obstacles from a node of the old plan.
    fn old_node(&self, old: BoundNode<'_>, out: &mut Vec<Obstacle>) {
        let BoundNode { definition: was, state, .. } = old;
        let node = old.name();
        let held = state.is_busy() || !state.has_ended() && state.aside().remedy.is_some();
        let begun = state.is_busy() || !state.instances().is_empty();
        self.writes(old, out);
        let Some(image) = self.mapping.image(old.ix).and_then(|image| self.new.graph.node(image)) else {
            if held || self.old.graph.stop() == Some(old.ix) {
                out.push(self.lost(node));
            } else if old.needs_compensation() {
                out.push(Obstacle::CompensationLost { node });
            } else if begun && was.pivot {
                out.push(Obstacle::PivotMoved { node });
            } else if state.instances().children().next().is_some() {
                out.push(Obstacle::ChildRunsLost { node });
            }
            return;
        };
        let is = image.definition;
        let was_save_point = state.aside().save_point.times > 0;
        if held && (!self.means_the_same(was, is) || !same_query(was, is))
            || !self.stands(state, was, is)
            || was_save_point && was.save != is.save
        {
            out.push(Obstacle::ActionChanged { node: node.clone() });
        }
        if begun && !self.same_handlers(was, is) {
            out.push(Obstacle::HandlersChanged { node: node.clone() });
        }
        if begun && was.pivot != is.pivot {
            out.push(Obstacle::PivotMoved { node: node.clone() });
        }
        if begun && loses_undo(old, image) {
            out.push(Obstacle::CompensationLost { node });
        }
    }

    /// The writes of a node to variables that still exist must also be writes of the node that continues it.
    fn writes(&self, old: BoundNode<'_>, out: &mut Vec<Obstacle>) {
        if !old.state.has_succeeded() {
            return;
        }
        let image = self.mapping.image(old.ix).and_then(|image| self.new.plan().node(image));
        let is_kept = |write: &&Write| image.is_some_and(|(is, _)| is.writes.contains(write));
        let variables = &self.new.plan().definition.variables;
        let is_known = |write: &&Write| variables.iter().any(|variable| variable.name == write.to);
        for write in old.definition.writes.iter().filter(is_known).filter(|write| !is_kept(write)) {
            out.push(Obstacle::WriteLost { node: old.name(), variable: write.to.clone() });
        }
    }

    /// The obstacle for a node under way that no node continues.
    fn lost(&self, node: Name) -> Obstacle {
        let nodes = &self.new.plan().definition.nodes;
        let within = nodes.iter().find(|other| other.action.flows().any(|flow| flow.node(&node).is_some()));
        match within {
            Some(within) => Obstacle::ScopeChanged { node, within: within.name.clone() },
            None => Obstacle::Removed { node },
        }
    }

    /// The new name of a node of the old plan; a name that no node can have if there is none.
    fn renamed(&self, name: &Name) -> Name {
        let image = self.old.plan().index_of(name).and_then(|ix| self.mapping.image(ix));
        image.map_or_else(|| Name::from(""), |image| self.new.plan().name(image))
    }

    fn means_the_same(&self, was: &Node, is: &Node) -> bool {
        was.action.meaning(&|name| self.renamed(name)) == is.action.meaning(&Name::clone)
    }

    /// Whether the state of a node is valid for the action of the node that continues it.
    fn stands(&self, state: &NodeState, was: &Node, is: &Node) -> bool {
        match state.ended() {
            // A function that was retried keeps its calls.
            None if waits_with_work(state) => was.action.is_like(&is.action),
            None | Some(NodeOutcome::Skipped | NodeOutcome::UpstreamFailed) => true,
            Some(NodeOutcome::Cancelled { .. }) if state.instances().is_empty() => true,
            Some(NodeOutcome::Succeeded | NodeOutcome::Failed { .. } | NodeOutcome::Cancelled { .. }) => {
                // The compensation of an instance depends on the index of its state.
                let has_states = matches!(was.action, Action::States(_));
                was.action.is_like(&is.action) && (!has_states || self.means_the_same(was, is))
            }
        }
    }

    fn same_handlers(&self, was: &Node, is: &Node) -> bool {
        let was = was.handlers.iter().map(|handler| handler.meaning(&|name| self.renamed(name)));
        was.eq(is.handlers.iter().map(|handler| handler.meaning(&Name::clone)))
    }

    /// The obstacles from a node of the new plan.
    fn new_node(&self, new: BoundNode<'_>, out: &mut Vec<Obstacle>) {
        let origin = self.mapping.origin(new.ix).and_then(|origin| self.old.graph.node(origin));
        let node = origin.map_or_else(|| new.name(), |origin| origin.name());
        if self.changes_rounds(new, origin) {
            out.push(Obstacle::JoinChanged { node: node.clone() });
        } else if let Some(after) = self.order_violation(new) {
            out.push(Obstacle::OrderViolated { node: node.clone(), after });
        }
        // A new node has no state to lose.
        let was_wanted = origin.is_some_and(|origin| !self.old.graph.is_to_be_cancelled(origin));
        if !new.state.has_ended() && self.new.graph.is_to_be_cancelled(new) && was_wanted {
            out.push(Obstacle::Cancelled { node: node.clone() });
        }
        let was_unhandled = origin.is_some_and(|origin| self.old.graph.is_unhandled(origin.ix));
        if self.new.graph.is_unhandled(new.ix) && !was_unhandled {
            out.push(Obstacle::FailureUnhandled { node: node.clone() });
        }
        let is_busy = |ix: NodeIx| self.new.graph.state(ix).is_some_and(|state| state.is_busy());
        let rival = new.plan.rivals.iter().find(|rival| **rival > new.ix && is_busy(**rival));
        if let Some(rival) = rival.filter(|_| new.state.is_busy()) {
            out.push(Obstacle::Exclusion { node, other: self.new.plan().name(*rival) });
        }
    }

    /// Whether a node that starts more than once would lose rounds, or could not recompute its arrivals.
    fn changes_rounds(&self, new: BoundNode<'_>, origin: Option<BoundNode<'_>>) -> bool {
        let repeats = |node: BoundNode<'_>| node.definition.join.repeats();
        let is_open = origin.is_some_and(repeats) || repeats(new);
        if !is_open || new.state.has_ended() && !new.state.is_busy() {
            return false;
        }
        let from = &self.mapping.from;
        if origin.is_some_and(|origin| self.old.graph.has_same_inputs(origin.ix, &self.new.graph, new.ix, from)) {
            return false;
        }
        let has_begun = |ix: NodeIx| self.new.graph.state(ix).is_some_and(|state| !state.is_waiting());
        let mut links = self.new.graph.links_to(new.ix);
        !new.state.is_waiting() || links.any(|link| *link.on == On::Each && has_begun(link.source))
    }

    /// The node that should have ended first, if the state of a node is not reachable in the new plan.
    fn order_violation(&self, new: BoundNode<'_>) -> Option<Option<Name>> {
        let state = new.state;
        // Operators and cancellations may end a node at any time.
        if state.is_waiting() || state.aside().remedy.is_some() || new.definition.join.repeats() {
            return None;
        }
        let verdict = new.verdict();
        let begun = state.is_working() || !state.instances().is_empty();
        let is_allowed = match state.ended() {
            Some(NodeOutcome::Cancelled { .. }) if !begun => true,
            Some(NodeOutcome::UpstreamFailed) => matches!(verdict, Some(Verdict::Skips | Verdict::UpstreamFailed)),
            Some(NodeOutcome::Skipped) => match verdict {
                Some(Verdict::Skips | Verdict::UpstreamFailed) => true,
                Some(Verdict::Starts) => new.plan.milestone.is_some() || new.definition.guards.precondition.is_some(),
                Some(Verdict::Short { .. }) | None => false,
            },
            Some(NodeOutcome::Failed { .. }) if !begun => {
                matches!(verdict, Some(Verdict::Starts | Verdict::Short { .. }))
            }
            None | Some(NodeOutcome::Succeeded | NodeOutcome::Failed { .. } | NodeOutcome::Cancelled { .. }) => {
                verdict == Some(Verdict::Starts)
            }
        };
        if !is_allowed {
            return Some(self.first_before(new.ix));
        }
        // A join that fell short of its number has failed whether or not its milestone was reached.
        let was_let_in = state.has_failed() && verdict == Some(Verdict::Starts);
        let has_started = begun || state.has_succeeded() || was_let_in;
        let milestone = new.plan.milestone.filter(|_| has_started)?;
        let is_reached = self.new.graph.state(milestone.after).is_some_and(|state| state.has_succeeded());
        (!is_reached).then(|| Some(self.new.plan().name(milestone.after)))
    }

    /// The first predecessor of a node that has not ended; if all have ended, the first one.
    fn first_before(&self, ix: NodeIx) -> Option<Name> {
        let is_open = |source: NodeIx| self.new.graph.state(source).is_some_and(|state| !state.has_ended());
        let mut sources = self.new.graph.links_to(ix).map(|link| link.source);
        let first = sources.next()?;
        let before = if is_open(first) { first } else { sources.find(|source| is_open(*source)).unwrap_or(first) };
        Some(self.new.plan().name(before))
    }

    /// The updates of a variable that still exists must be accepted by it.
    fn updates(&self, out: &mut Vec<Obstacle>) {
        let variables = &self.new.plan().definition.variables;
        for (name, values) in self.old.variables.updates() {
            let Some(variable) = variables.iter().find(|variable| variable.name == *name) else { continue };
            if values.iter().any(|value| variable.reducer.expected_type(value.value()).is_some()) {
                out.push(Obstacle::UpdatesLost { variable: name.clone() });
            }
        }
    }

    fn signals(&self, out: &mut Vec<Obstacle>) {
        for (signal, kept) in self.old.signals.all() {
            let listens = |run: &Run| run.plan().definition.awaits_signal(signal);
            if listens(self.old) && !listens(self.new) {
                let kept = u32::try_from(kept).unwrap_or(u32::MAX);
                out.push(Obstacle::SignalsLost { signal: signal.clone(), kept });
            }
        }
    }
}

fn same_query(was: &Node, is: &Node) -> bool {
    match (&was.query, &is.query) {
        (Some(was), Some(is)) => was.is_compatible_with(is),
        (was, is) => was.is_none() && is.is_none(),
    }
}

/// Whether a compensation of work that was done or is under way would be lost.
fn loses_undo(old: BoundNode<'_>, new: BoundNode<'_>) -> bool {
    let mut instances = old.state.instances().iter();
    instances.any(|instance| old.has_undo(instance) && !new.has_undo(instance))
        || old.declares_undo() && !new.declares_undo()
}
