//! The needs of a run: what each of its nodes waits for.

use super::graph::{BoundNode, Obstruction, Turn, Wanted};
use super::node::{Instance, InstanceUndo, NodeState, NodeWork, Ruling, Stage, Verdict, Worker};
use super::{Run, holds_late};
use crate::base::id::NodeIx;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::definition::{Decision, Parts};
use crate::message::run::{NodeOutcome, RunPhase};
use crate::saga::CompensationState;

/// A condition that a node waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    /// The end of a task or of a child run, or of its compensation.
    Work(Worker),
    Signal(Name),
    /// A change of one of these variables, after which a condition can hold.
    Variables(Vec<Name>),
    Decision {
        roles: Vec<Name>,
        to: Option<Name>,
    },
    Time(Time),
    /// More items, or the end of the items.
    Items,
    /// The end of a node with the same mutex.
    Turn(Name),
    /// The success of its milestone.
    Milestone(Name),
    /// A remedy for a failed compensation.
    Remedy,
    /// A remedy for a held failure.
    Decider(String),
}

/// What the nodes of a run wait for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting<'a> {
    run: &'a Run,
}

impl<'a> Waiting<'a> {
    pub(super) const fn new(run: &'a Run) -> Self {
        Self { run }
    }

    /// The times that a node and its handlers wait for.
    pub(crate) fn times(self, ix: NodeIx) -> Vec<Time> {
        let Some(node) = self.run.graph.node(ix) else { return Vec::new() };
        let mut times = node.work_times();
        if !self.run.rollback.concerns(ix) {
            times.extend(node.handler_times());
        }
        times.extend(node.time_limit());
        times
    }

    /// The times that nodes wait for.
    pub(crate) fn timers(self) -> impl Iterator<Item = (Time, NodeIx)> + use<'a> {
        self.run.graph.indexes().flat_map(move |ix| self.times(ix).into_iter().map(move |at| (at, ix)))
    }

    /// The decision that a node waits for.
    pub(crate) fn decision(self, ix: NodeIx) -> Option<(&'a Decision, &'a Ruling)> {
        if self.run.rollback.concerns(ix) { None } else { self.run.graph.node(ix)?.asks() }
    }

    /// The signals that nodes wait for.
    pub(crate) fn signals(self) -> impl Iterator<Item = Wanted<'a>> {
        let run = self.run;
        let nodes = run.graph.nodes().filter(move |node| run.plan().listens && !run.rollback.concerns(node.ix));
        nodes.flat_map(|node| node.wanted().chain(node.handler_signals()))
    }

    /// The needs of a node; the first that is met lets the node continue. Empty if it waits only for other nodes, which have
    /// needs of their own.
    pub(crate) fn needs(self, ix: NodeIx) -> Vec<Need> {
        let Some(node) = self.run.graph.node(ix) else { return Vec::new() };
        let (rolls_back, is_compensating) = (self.run.rollback.concerns(ix), self.run.rollback.is_compensating());
        match self.run.phase() {
            RunPhase::Running if rolls_back && is_compensating => needs_back(self.run, node),
            RunPhase::Running if rolls_back => self.work_under_way(ix).collect(),
            RunPhase::Running => needs_forward(self.run, node),
            // Compensations of a partial rollback end before the whole run is compensated.
            RunPhase::Failing if is_compensating => working(node.state).chain(needs_back(self.run, node)).collect(),
            RunPhase::Failing => self.work_under_way(ix).collect(),
            RunPhase::Compensating | RunPhase::CompensationFailed => needs_back(self.run, node),
            RunPhase::Finished => Vec::new(),
        }
    }

    /// The work under way, which is all that a paused run waits for.
    pub(crate) fn work_under_way(self, ix: NodeIx) -> impl Iterator<Item = Need> + use<'a> {
        self.run.graph.state(ix).into_iter().flat_map(|state| working(state).chain(undoing(state)))
    }
}

fn needs_forward(run: &Run, node: BoundNode<'_>) -> Vec<Need> {
    let state = node.state;
    let mut needs: Vec<Need> = match (state.aside().held.as_deref(), state.stage(), state.work()) {
        // The calls of a function go on while its failure is held.
        (Some(outcome), ..) => working(state).chain([Need::Decider(failure_text(outcome))]).collect(),
        (None, Stage::Waiting, _) => working(state).chain(needs_turn(run, node)).collect(),
        (None, Stage::Working, NodeWork::Wait(_) | NodeWork::Race(_)) => needs_occasion(node),
        (None, Stage::Working | Stage::Ended(_), _) => {
            working(state).chain(undoing(state)).chain(node.next_work_time().map(Need::Time)).collect()
        }
    };
    if holds_late(run, node.ix) {
        needs.extend(state.ended().map(failure_text).map(Need::Decider));
    }
    if node.items_if_open().is_some() && state.aside().held.is_none() {
        needs.push(Need::Items);
    }
    if state.is_working() {
        let read = node.watched().flat_map(|condition| {
            Parts { conditions: vec![condition], ..Parts::default() }.names().0.into_iter().cloned()
        });
        needs.extend(node.watched().next().map(|_| Need::Variables(read.collect())));
        needs.extend(node.handler_signals().map(|wanted| Need::Signal(wanted.signal.clone())));
        needs.extend(node.handler_times().min().map(Need::Time));
        needs.extend(node.time_limit().filter(|_| state.aside().held.is_none()).map(Need::Time));
    }
    needs
}

/// The need of a node that could start by its links.
fn needs_turn(run: &Run, node: BoundNode<'_>) -> Option<Need> {
    if node.verdict()? != Verdict::Starts {
        return None;
    }
    match run.graph.turn(node) {
        Turn::After(Obstruction::Milestone(after)) => Some(Need::Milestone(run.plan().name(after))),
        Turn::After(Obstruction::Rival(rival)) => Some(Need::Turn(run.plan().name(rival))),
        Turn::Now | Turn::Missed => None,
    }
}

fn needs_back(run: &Run, node: BoundNode<'_>) -> Vec<Need> {
    match run.rollback.state(node.ix) {
        Some(CompensationState::Failed) => vec![Need::Remedy],
        Some(_) | None => undoing(node.state).collect(),
    }
}

/// The needs of a wait or a race.
fn needs_occasion(node: BoundNode<'_>) -> Vec<Need> {
    let mut needs: Vec<Need> = node.wanted().map(|wanted| Need::Signal(wanted.signal.clone())).collect();
    if let Some((decision, ruling)) = node.asks() {
        let roles = decision.roles(ruling.level).cloned().collect();
        needs.push(Need::Decision { roles, to: ruling.to.clone() });
    }
    needs.extend(node.next_work_time().map(Need::Time));
    needs
}

/// The failure of a node as text.
fn failure_text(outcome: &NodeOutcome) -> String {
    match outcome {
        NodeOutcome::Failed { failure, .. } => failure.to_string(),
        NodeOutcome::Succeeded | NodeOutcome::Skipped | NodeOutcome::UpstreamFailed | NodeOutcome::Cancelled { .. } => {
            outcome.to_string()
        }
    }
}

/// The instances of a node that are under way or being queried.
fn working(state: &NodeState) -> impl Iterator<Item = Need> {
    let active = state.instances().iter().filter(|instance| instance.is_active());
    let worker = |instance: &Instance| match instance.is_unknown() {
        true => instance.query().map(Worker::Task),
        false => Some(instance.worker()),
    };
    active.filter_map(worker).map(Need::Work)
}

/// The compensations of a node that are under way.
fn undoing(state: &NodeState) -> impl Iterator<Item = Need> {
    state.instances().iter().filter_map(|instance| match instance.undo() {
        InstanceUndo::Active(worker) => Some(Need::Work(*worker)),
        InstanceUndo::Idle | InstanceUndo::Undone | InstanceUndo::Failed(_) => None,
    })
}
