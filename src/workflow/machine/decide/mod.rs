//! The next move of a run, as a function of its state.

mod back;
mod end;
mod forward;
mod guard;
mod retry;
mod start;
mod whole;

use super::Run;
use super::course::Course;
use super::graph::BoundNode;
use super::node::{NodeState, NodeWork, Worker};
use super::values::NodeSight;
use crate::base::id::{NodeIx, RunId, TaskId};
use crate::base::limits::Limits;
use crate::base::meter::Meter;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::{Anomaly, OrAnomaly};
use crate::base::time::Time;
use crate::definition::{Subtask, TaskOverrides};
use crate::message::event::{NodeEvent, RunEvent};
use crate::message::run::{LimitReached, RunPhase};
use crate::task::{Owner, Phase};

/// The next move of a run.
#[derive(Debug)]
pub(crate) enum Move {
    /// Record this event of the run.
    Run(RunEvent),
    /// Record this event of a node.
    Node(NodeIx, NodeEvent),
    /// Submit a task of a node, of its compensation or of a query, with this payload and these settings from data.
    Submit { owner: Owner, payload: Payload, overrides: Option<Box<TaskOverrides>> },
    /// Determine which of these parts may be delegated, and record it.
    Split { node: NodeIx, part: u32, parts: Vec<Subtask> },
    /// Determine which runs receive the signal of a node next, and record it.
    Send { node: NodeIx, payload: Payload, key: Option<Name> },
    /// Start a child run with this input.
    Spawn { owner: Owner, input: Payload },
    /// Cancel a task.
    CancelTask(TaskId),
    /// Cancel a child run, or compensate it if it has ended.
    CancelRun(RunId),
}

impl Move {
    /// Submits a task with the settings of its template.
    const fn submit(owner: Owner, payload: Payload) -> Self {
        Self::Submit { owner, payload, overrides: None }
    }

    const fn cancel(worker: Worker) -> Self {
        match worker {
            Worker::Task(task) => Self::CancelTask(task),
            Worker::Child(run) => Self::CancelRun(run),
        }
    }
}

/// The result of a search for the next move of a run.
#[derive(Debug)]
pub(crate) enum Search {
    Found(Move),
    /// There is none before the run changes.
    Nothing,
    /// The bound on the work of the call is reached.
    Cut,
}

impl Search {
    /// Whether the search in a run may find a move. It finds none while no node is dirty, unless something concerns the
    /// run as a whole: all nodes have ended, a failure is unhandled, the run does not go forward, or it has a time limit
    /// or waits for signals of its parent run.
    pub(crate) fn may_find(run: &Run) -> bool {
        run.graph.dirty().first().is_some()
            || run.graph.is_over()
            || !run.graph.failures().is_empty()
            || !matches!(run.course, Course::Running)
            || !run.rollback.is_idle()
            || run.owner.is_some() && run.plan().listens
            || run.time_limit().is_some()
    }
}

/// The result of a decision about a node.
#[derive(Debug)]
enum Next {
    Move(Move),
    /// Cache a value for the next decision, which is no part of the state, and decide again.
    Keep(Kept),
    /// No move before the node is dirty again.
    Wait,
}

/// Cases of a choice that were evaluated in earlier calls. No part of the state: after a change of the run, the choice is
/// evaluated again from the first case on.
#[derive(Debug)]
pub(super) struct Evaluated {
    pub(super) node: NodeIx,
    item: Payload,
    /// The number of evaluated cases.
    cases: usize,
    took: Vec<Name>,
}

#[derive(Debug)]
enum Kept {
    /// The list of a map.
    List(Payload),
    /// The parts of delegated work that are not dirty any more.
    Settled(Vec<u32>),
    /// No instance at or after this index has a compensation that can begin.
    UndoBelow(u32),
    /// The cases of a choice that were evaluated, because the bound on the work of the call is reached.
    Cases(Evaluated),
}

impl Kept {
    fn apply(self, state: &mut NodeState) {
        match (self, state.work_mut()) {
            (Self::List(list), NodeWork::Map(map)) => map.set_list(list),
            (Self::Settled(parts), NodeWork::Delegate(delegate)) => delegate.settle(&parts),
            (Self::UndoBelow(index), _) => state.set_undo_below(index),
            (_, _) => {}
        }
    }
}

impl From<Option<Move>> for Next {
    fn from(next: Option<Move>) -> Self {
        next.map_or(Self::Wait, Self::Move)
    }
}

impl From<Move> for Next {
    fn from(next: Move) -> Self {
        Self::Move(next)
    }
}

type Decision = Result<Next, Anomaly>;

/// A run with the time and the limits of a call.
#[derive(Clone, Copy)]
struct Decider<'a> {
    run: &'a Run,
    now: Time,
    limits: &'a Limits,
    meter: &'a Meter,
}

impl Run {
    /// The next move, if there is one now. There is none if a function of the host panicked: what it was asked is open.
    ///
    /// # Errors
    ///
    /// When the state of a node is inconsistent. The node is not dirty any more.
    pub(crate) fn next_move(&mut self, now: Time, limits: &Limits, meter: &Meter) -> Result<Search, Anomaly> {
        if let Some(overdue) = (Decider { run: self, now, limits, meter }).overdue() {
            return Ok(if self.lacks_functions() { Search::Nothing } else { Search::Found(overdue) });
        }
        while let Some(ix) = self.graph.dirty().first() {
            let next = (Decider { run: self, now, limits, meter }).bounded(ix);
            if self.lacks_functions() {
                return Ok(Search::Nothing);
            }
            match next {
                Ok(Next::Move(next)) => return Ok(Search::Found(next)),
                Ok(Next::Keep(Kept::Cases(evaluated))) => self.evaluated = Some(Box::new(evaluated)),
                Ok(Next::Keep(kept)) => self.graph.keep(ix, |state| kept.apply(state)),
                Ok(Next::Wait) => self.graph.dirty_mut().settle(ix),
                Err(anomaly) => {
                    self.graph.dirty_mut().settle(ix);
                    return Err(anomaly);
                }
            }
            if meter.is_spent() {
                return Ok(Search::Cut);
            }
        }
        let whole = (Decider { run: self, now, limits, meter }).whole();
        Ok(whole.filter(|_| !self.lacks_functions()).map_or(Search::Nothing, Search::Found))
    }
}

impl<'a> Decider<'a> {
    const fn sight(&self, node: BoundNode<'_>) -> NodeSight<'a> {
        NodeSight { run: self.run, node: node.ix, now: self.now, limits: self.limits, meter: self.meter }
    }

    fn owner(&self, node: BoundNode<'_>, instance: u32, phase: Phase) -> Owner {
        Owner::new(self.run.id(), node.ix, instance, phase)
    }

    fn rolls_back(&self, node: BoundNode<'_>) -> bool {
        self.run.rollback.concerns(node.ix)
    }

    fn goes_forward(&self, node: BoundNode<'_>) -> bool {
        self.run.phase() == RunPhase::Running && !self.rolls_back(node)
    }

    /// The next move of a node. If the evaluations that it needs exceed their bound, the node is blocked: it begins nothing
    /// more, and fails.
    fn bounded(&self, ix: NodeIx) -> Decision {
        self.meter.begin_evaluation(self.limits.evaluation());
        let decided = self.node(ix);
        let is_open = |state: &NodeState| !state.has_ended() && state.aside().blocked.is_none();
        if self.meter.is_exhausted() && self.run.graph.state(ix).is_some_and(is_open) {
            let limit = LimitReached::Evaluation { max: self.limits.evaluation() };
            return Ok(Move::Node(ix, NodeEvent::Exhausted { limit }).into());
        }
        decided
    }

    fn node(&self, ix: NodeIx) -> Decision {
        let node = self.run.graph.node(ix).or_anomaly("a dirty node does not exist")?;
        self.meter.visit(8 + node.plan.serves.len() + node.plan.cancelled_by.len() + node.plan.rivals.len());
        let phase = self.run.phase();
        let is_open = matches!(phase, RunPhase::Running | RunPhase::Failing);
        if let Some(query) = self.query(node).filter(|_| is_open) {
            return Ok(query.into());
        }
        Ok(match phase {
            RunPhase::Running | RunPhase::Failing if self.rolls_back(node) => {
                let is_compensating = self.run.rollback.is_compensating();
                if is_compensating { self.compensate(node) } else { self.cancel_work(node).into() }
            }
            RunPhase::Running if self.run.graph.is_to_be_cancelled(node) => self.cancel(node).into(),
            RunPhase::Running => match self.handler_fires(node) {
                Some(fired) => fired.into(),
                None => return self.advance(node),
            },
            RunPhase::Failing => self.cancel_work(node).into(),
            RunPhase::Compensating | RunPhase::CompensationFailed => self.compensate(node),
            RunPhase::Finished => Next::Wait,
        })
    }

    /// Submits the query of the next instance whose outcome is unknown.
    fn query(&self, node: BoundNode<'_>) -> Option<Move> {
        let (index, instance) = node.state.instances().next_query()?;
        self.meter.spend_copy(instance.input().bytes());
        let payload = Payload::new(serde_json::json!({ "input": instance.input().value() }));
        Some(Move::submit(self.owner(node, index, Phase::Query), payload))
    }
}
