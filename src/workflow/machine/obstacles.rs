//! What stands in the way of another plan: everything that is under way, or may have to be undone, must mean the same in it,
//! and what has happened must be something that could have happened by it.

use super::moves::Verdict;
use super::{NodeStage, NodeState, Run};
use crate::definition::{Action, Node, On, Write};
use crate::name::Name;
use crate::run::{Carried, MigrationReport, NodeOutcome, NodeStatus, Obstacle};
use crate::workflow::plan::Plan;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which node of a plan becomes which of another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mapping {
    /// For each node of the new plan: the node of the old one that it was.
    pub(crate) from: Vec<Option<u32>>,
    /// For each node of the old plan: the node of the new one that it becomes.
    to: Vec<Option<u32>>,
}

impl Mapping {
    /// By name, where nothing else is said. Also what is wrong with what is said.
    pub(crate) fn new(old: &Plan, new: &Plan, said: &BTreeMap<Name, Option<Name>>) -> (Self, Vec<Obstacle>) {
        let unknown = |name: &Name| Obstacle::UnknownNode { node: name.clone() };
        let mut wrong: Vec<Obstacle> = said.keys().filter(|name| old.place(name).is_none()).map(unknown).collect();
        wrong.extend(said.values().flatten().filter(|name| new.place(name).is_none()).map(unknown));
        let mut mapping = Self { from: vec![None; new.nodes.len()], to: vec![None; old.nodes.len()] };
        for (place, node) in (0..).zip(&old.definition.nodes) {
            let image = said.get(&node.name).map_or_else(|| Some(node.name.clone()), Clone::clone);
            let Some(image) = image.and_then(|name| new.place(&name)) else { continue };
            match mapping.from.get_mut(image as usize) {
                Some(Some(_)) => wrong.push(Obstacle::TwoIntoOne { node: new.name(image) }),
                Some(free) => *free = Some(place),
                None => {}
            }
            if let Some(to) = mapping.to.get_mut(place as usize) {
                *to = Some(image);
            }
        }
        (mapping, wrong)
    }

    fn image(&self, old: u32) -> Option<u32> {
        self.to.get(old as usize).copied().flatten()
    }
}

/// A run and what would become of it.
struct Case<'a> {
    old: &'a Run,
    new: &'a Run,
    mapping: &'a Mapping,
}

impl Run {
    /// What it would mean for the run to go on under another plan.
    pub(crate) fn migration(
        &self,
        plan: &Arc<Plan>,
        said: &BTreeMap<Name, Option<Name>>,
    ) -> (MigrationReport, Mapping) {
        let (mapping, wrong) = Mapping::new(&self.plan, plan, said);
        let mut report = MigrationReport::new(self.id(), self.plan.id.clone(), plan.id.clone());
        report.obstacles = wrong;
        if self.is_going_back() {
            report.obstacles.push(Obstacle::GoingBack);
        }
        for (place, node) in (0..).zip(&self.plan.definition.nodes) {
            match mapping.image(place) {
                Some(image) => {
                    report.carried.push(Carried::new(node.name.clone(), plan.name(image), self.status(place)));
                }
                None => report.dropped.push(node.name.clone()),
            }
        }
        let added = (0..).zip(&mapping.from).filter(|(_, from)| from.is_none()).map(|(place, _)| plan.name(place));
        report.added = added.collect();
        if let Some(new) = self.migrated(plan, &mapping.from) {
            let case = Case { old: self, new: &new, mapping: &mapping };
            for (node, state) in (0..).zip(&self.nodes) {
                case.node(node, state, &mut report.obstacles);
            }
            for (place, state) in (0..).zip(&new.nodes) {
                case.place(place, state, &mut report.obstacles);
            }
            case.updates(&mut report.obstacles);
            case.signals(&mut report.obstacles);
        }
        report.obstacles.sort();
        report.obstacles.dedup();
        (report, mapping)
    }

    /// Where a node stands.
    pub(crate) fn status(&self, node: u32) -> NodeStatus {
        use crate::run::UndoOutcome;
        let Some(state) = self.state(node) else { return NodeStatus::Waiting };
        match (state.undo.as_deref(), &state.stage) {
            (Some(UndoOutcome::Undone | UndoOutcome::Declared { .. }), _) => NodeStatus::Undone,
            (Some(UndoOutcome::Failed { .. }), _) => NodeStatus::UndoFailed,
            (Some(UndoOutcome::Abandoned { .. }), _) => NodeStatus::Abandoned,
            (None, _) if self.is_to_be_undone(node) => NodeStatus::Undoing,
            (None, NodeStage::Waiting) => NodeStatus::Waiting,
            (None, NodeStage::Working | NodeStage::Open(_)) => NodeStatus::Running,
            (None, NodeStage::Ended(end)) => end.outcome().into(),
        }
    }
}

impl Case<'_> {
    /// What a node of the old plan would lose.
    fn node(&self, old: u32, state: &NodeState, out: &mut Vec<Obstacle>) {
        let Some((was, _)) = self.old.plan.node(old) else { return };
        let node = was.name.clone();
        let held = state.is_busy() || state.ended().is_none() && self.old.remedy(old).is_some();
        let begun = state.is_busy() || !state.pieces.is_empty();
        self.writes(old, state, was, out);
        let Some(image) = self.mapping.image(old) else {
            if held || self.old.stopped == Some(old) {
                out.push(self.lost(node));
            } else if self.old.can_undo(old, state) {
                out.push(Obstacle::CompensationLost { node });
            } else if begun && was.pivot {
                out.push(Obstacle::PivotMoved { node });
            } else if state.children().next().is_some() {
                out.push(Obstacle::RunsWithinLost { node });
            }
            return;
        };
        let Some((is, _)) = self.new.plan.node(image) else { return };
        let gone_back = state.more.as_ref().is_some_and(|more| more.used > 0);
        if held && (!self.means_the_same(was, is) || was.query != is.query)
            || !self.stands(state, was, is)
            || gone_back && was.save != is.save
        {
            out.push(Obstacle::OtherMeaning { node: node.clone() });
        }
        if begun && !self.same_handlers(was, is) {
            out.push(Obstacle::OtherHandlers { node: node.clone() });
        }
        if begun && was.pivot != is.pivot {
            out.push(Obstacle::PivotMoved { node: node.clone() });
        }
        if begun && self.loses_undo(old, image, state) {
            out.push(Obstacle::CompensationLost { node: node.clone() });
        }
        if self.forgets(state, was) {
            out.push(Obstacle::NotOnRecord { node });
        }
    }

    /// What a node wrote to variables that are still there must be written by its image.
    fn writes(&self, old: u32, state: &NodeState, was: &Node, out: &mut Vec<Obstacle>) {
        if state.ended() != Some(&NodeOutcome::Succeeded) {
            return;
        }
        let image = self.mapping.image(old).and_then(|image| self.new.plan.node(image));
        let kept = |write: &&Write| image.is_some_and(|(is, _)| is.writes.contains(write));
        let variables = &self.new.plan.definition.variables;
        let known = |write: &&Write| variables.iter().any(|variable| variable.name == write.to);
        for write in was.writes.iter().filter(known).filter(|write| !kept(write)) {
            out.push(Obstacle::WriteLost { node: was.name.clone(), variable: write.to.clone() });
        }
    }

    /// A node that is under way has no image.
    fn lost(&self, node: Name) -> Obstacle {
        let within = self
            .new
            .plan
            .definition
            .nodes
            .iter()
            .find(|other| other.action.flows().any(|flow| flow.node(&node).is_some()));
        match within {
            Some(within) => Obstacle::OtherScope { node, within: within.name.clone() },
            None => Obstacle::Lost { node },
        }
    }

    /// The new name of a node of the old plan. What has none is named as no node can be.
    fn renamed(&self, name: &Name) -> Name {
        let image = self.old.plan.place(name).and_then(|place| self.mapping.image(place));
        image.map_or_else(|| Name::from(""), |image| self.new.plan.name(image))
    }

    fn means_the_same(&self, was: &Node, is: &Node) -> bool {
        was.action.meaning(&|name| self.renamed(name)) == is.action.meaning(&Name::clone)
    }

    /// Whether what a node has done, or has been found to need not do, can stand for what its image does.
    fn stands(&self, state: &NodeState, was: &Node, is: &Node) -> bool {
        match state.ended() {
            None => true,
            Some(NodeOutcome::Skipped) => true,
            Some(NodeOutcome::Cancelled { .. }) if state.pieces.is_empty() => true,
            Some(NodeOutcome::Succeeded | NodeOutcome::Failed { .. } | NodeOutcome::Cancelled { .. }) => {
                // By the place of its state it is known how a piece of work is undone.
                let states = matches!(was.action, Action::States(_));
                was.action.is_like(&is.action) && (!states || self.means_the_same(was, is))
            }
        }
    }

    fn same_handlers(&self, was: &Node, is: &Node) -> bool {
        let was = was.handlers.iter().map(|handler| handler.renamed(&|name| self.renamed(name)));
        was.eq(is.handlers.iter().cloned())
    }

    /// Whether something that was done, or is under way, could be undone and could not be any more.
    fn loses_undo(&self, old: u32, image: u32, state: &NodeState) -> bool {
        let may = |run: &Run, node: u32| {
            let plan = run.plan.nodes.get(node as usize);
            plan.is_some_and(|plan| plan.work.undo.is_some() || plan.states.iter().any(|state| state.undo.is_some()))
        };
        let piecewise =
            state.pieces.iter().any(|piece| self.old.has_undo(old, piece) && !self.new.has_undo(image, piece));
        piecewise || may(self.old, old) && !may(self.new, image)
    }

    /// Whether it matters which way the node took, and nobody knows.
    fn forgets(&self, state: &NodeState, was: &Node) -> bool {
        let chooses =
            matches!(was.action, Action::Choose { .. } | Action::Race { .. } | Action::States(_) | Action::Wait { .. });
        let skipped = matches!(state.ended(), None | Some(NodeOutcome::Skipped));
        !self.old.took_known && !skipped && (chooses || !was.handlers.is_empty())
    }

    /// What could not stand as it does in the new plan.
    fn place(&self, place: u32, state: &NodeState, out: &mut Vec<Obstacle>) {
        let from = self.mapping.from.get(place as usize).copied().flatten();
        let node = match from {
            Some(from) => self.old.plan.name(from),
            None => self.new.plan.name(place),
        };
        if self.changes_rounds(place, from, state) {
            out.push(Obstacle::JoinChanged { node: node.clone() });
        } else if let Some(after) = self.out_of_turn(place, state) {
            out.push(Obstacle::OutOfTurn { node: node.clone(), after });
        }
        // What is new has nothing to lose.
        let was_wanted = from.is_some_and(|from| !self.old.is_withdrawn(from));
        if state.ended().is_none() && self.new.is_withdrawn(place) && was_wanted {
            out.push(Obstacle::Withdrawn { node: node.clone() });
        }
        let was_unhandled = from.is_some_and(|from| self.old.is_unhandled(from));
        if self.new.is_unhandled(place) && !was_unhandled {
            out.push(Obstacle::FailureUnhandled { node: node.clone() });
        }
        let rivals = self.new.plan.nodes.get(place as usize).map(|plan| &plan.rivals[..]).unwrap_or_default();
        let busy = |rival: &&u32| **rival > place && self.new.state(**rival).is_some_and(NodeState::is_busy);
        if let Some(rival) = rivals.iter().find(busy).filter(|_| state.is_busy()) {
            out.push(Obstacle::Exclusion { node, other: self.new.plan.name(*rival) });
        }
    }

    /// Whether a node that starts more than once would lose rounds, or could not tell which have come.
    fn changes_rounds(&self, place: u32, from: Option<u32>, state: &NodeState) -> bool {
        let repeats = |run: &Run, node: u32| run.plan.node(node).is_some_and(|(node, _)| node.join.repeats());
        let open = from.is_some_and(|from| repeats(self.old, from)) || repeats(self.new, place);
        if !open || state.ended().is_some() && !state.is_busy() {
            return false;
        }
        if from.is_some_and(|from| self.old.same_inputs(from, self.new, place, &self.mapping.from)) {
            return false;
        }
        let begun = |source: u32| self.new.state(source).is_some_and(|state| state.stage != NodeStage::Waiting);
        let piecewise = self.new.links_to(place).any(|(source, on, _)| *on == On::Each && begun(source));
        state.stage != NodeStage::Waiting || piecewise
    }

    /// A node that should have come first, if a node stands where the new plan could not have brought it.
    fn out_of_turn(&self, place: u32, state: &NodeState) -> Option<Option<Name>> {
        let (definition, plan) = self.new.plan.node(place)?;
        // An operator may have a node end at any time, and what is withdrawn may be so at any time.
        if state.stage == NodeStage::Waiting || self.new.remedy(place).is_some() || definition.join.repeats() {
            return None;
        }
        let verdict = self.new.verdict(place);
        let begun = state.is_working() || !state.pieces.is_empty();
        let allowed = match state.ended() {
            Some(NodeOutcome::Cancelled { .. }) if !begun => true,
            Some(NodeOutcome::Skipped) => match verdict {
                Some(Verdict::Skips) => true,
                Some(Verdict::Starts) => plan.milestone.is_some() || definition.precondition.is_some(),
                Some(Verdict::Short { .. }) | None => false,
            },
            Some(NodeOutcome::Failed { .. }) if !begun => {
                matches!(verdict, Some(Verdict::Starts | Verdict::Short { .. }))
            }
            None | Some(NodeOutcome::Succeeded | NodeOutcome::Failed { .. } | NodeOutcome::Cancelled { .. }) => {
                verdict == Some(Verdict::Starts)
            }
        };
        if !allowed {
            return Some(self.cause(place));
        }
        let started = begun || matches!(state.ended(), Some(NodeOutcome::Succeeded | NodeOutcome::Failed { .. }));
        let (after, _) = plan.milestone.filter(|_| started)?;
        let reached = self.new.state(after).and_then(NodeState::ended) == Some(&NodeOutcome::Succeeded);
        (!reached).then(|| Some(self.new.plan.name(after)))
    }

    /// The first node before another that has not ended; if all have, the first.
    fn cause(&self, place: u32) -> Option<Name> {
        let open = |source: u32| self.new.is_alive(source);
        let mut sources = self.new.links_to(place).map(|(source, ..)| source);
        let first = sources.next()?;
        let cause = if open(first) { first } else { sources.find(|source| open(*source)).unwrap_or(first) };
        Some(self.new.plan.name(cause))
    }

    /// Updates of a variable that is still there must be such that it takes them.
    fn updates(&self, out: &mut Vec<Obstacle>) {
        let variables = &self.new.plan.definition.variables;
        for (name, values) in self.old.shared.updated() {
            let Some(variable) = variables.iter().find(|variable| variable.name == *name) else { continue };
            if values.iter().any(|value| variable.reducer.misfit(value.value()).is_some()) {
                out.push(Obstacle::UpdatesLost { variable: name.clone() });
            }
        }
    }

    fn signals(&self, out: &mut Vec<Obstacle>) {
        for (signal, kept) in &self.old.signals {
            let heard = |run: &Run| run.plan.definition.listens_to(signal);
            if heard(self.old) && !heard(self.new) {
                let kept = u32::try_from(kept.len()).unwrap_or(u32::MAX);
                out.push(Obstacle::SignalsLost { signal: signal.clone(), kept });
            }
        }
    }
}
