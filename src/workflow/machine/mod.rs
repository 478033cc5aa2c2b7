//! A run as a state machine: applies inputs and decides the next move.
//!
//! [`apply`](Run::apply) applies a [`RunInput`]; [`next_move`](Run::next_move) computes the next move as a function of
//! the state alone, so an interrupted run continues where it was. Every move leads to inputs after which it is no
//! longer the next one.
//!
//! A run consists of components that maintain their own invariants: the [`Course`] of the run as a whole, the [`Graph`]
//! of its nodes (each a [`node::NodeState`] with a machine for its kind of work), the kept [`Signals`], the
//! [`Rollback`], and the [`Variables`].

mod apply;
mod change;
mod check;
mod course;
mod decide;
mod graph;
mod illegal;
mod input;
mod needs;
mod node;
mod pack;
mod record;
mod rollback;
mod signals;
mod values;
mod variables;
mod work;
mod workforce;

pub(crate) use change::{Changes, Mapping, NoRetry};
pub(crate) use decide::{Move, Search};
pub(crate) use graph::BoundNode;
pub(crate) use illegal::Illegal;
pub(crate) use input::{RunInput, WorkInput};
pub(crate) use needs::{Need, Waiting};
pub(crate) use node::{
    Call, Claim, Commitment, InstanceEnd, Made, NodeState, NodeWork, Share, Worker, decides_late, misread,
};
pub(crate) use record::RunRecord;
pub(crate) use rollback::{leaves_effects, note_continued};
pub(crate) use values::Values;
pub(crate) use variables::NoUpdate;
pub(crate) use workforce::{SpentBefore, Workforce};

use crate::base::digest::Digest;
use crate::base::id::{NodeIx, RunId, Seq};
use crate::base::limits::Limits;
use crate::base::meter::Meter;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::definition::{Budget, OnFailure};
use crate::message::run::{Cause, CompensationOutcome, NodeStatus, RunPhase, RunSpec};
use crate::saga::Rollback;
use crate::task::{Owner, Spending, Subject, Tier};
use crate::workflow::plan::Plan;
use course::Course;
use decide::Evaluated;
use graph::Graph;
use node::Stage;
use serde::{Deserialize, Serialize};
use signals::Signals;
use std::sync::Arc;
use variables::Variables;

/// One execution of a plan.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) spec: Arc<RunSpec>,
    pub(crate) owner: Option<Owner>,
    pub(crate) begun: Begun,
    /// The work of the run, from which that of its steps is derived.
    work: Digest,
    course: Course,
    graph: Graph,
    signals: Signals,
    rollback: Rollback<Cause>,
    /// The nodes whose side effects remained when they were restarted.
    left_behind: Box<[Name]>,
    variables: Variables,
    /// The reason for which an operator has paused it.
    paused: Option<Name>,
    /// The tier that an operator has set.
    raised: Option<Tier>,
    /// The child runs of nodes that were executed again.
    former: Box<[RunId]>,
    /// The usage of nodes that the run no longer has since a migration.
    gone: Option<Box<Spending>>,
    /// The cases of a choice that were evaluated in earlier calls. No part of the state.
    evaluated: Option<Box<Evaluated>>,
}

/// The sequence number and the time of the event with which a run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) seq: Seq,
    pub(crate) at: Time,
}

fn work_of(spec: &RunSpec) -> Digest {
    spec.origin.work(Subject::Run(spec.id))
}

impl Run {
    pub(crate) fn new(plan: Arc<Plan>, spec: Arc<RunSpec>, owner: Option<Owner>, begun: Begun) -> Self {
        Self {
            work: work_of(&spec),
            spec,
            owner,
            begun,
            course: Course::Running,
            graph: Graph::new(plan),
            signals: Signals::default(),
            rollback: Rollback::default(),
            left_behind: Box::default(),
            variables: Variables::default(),
            paused: None,
            raised: None,
            former: Box::default(),
            gone: None,
            evaluated: None,
        }
    }

    pub(crate) fn id(&self) -> RunId {
        self.spec.id
    }

    pub(crate) const fn plan(&self) -> &Arc<Plan> {
        self.graph.plan()
    }

    pub(crate) const fn course(&self) -> &Course {
        &self.course
    }

    pub(crate) const fn graph(&self) -> &Graph {
        &self.graph
    }

    pub(crate) const fn signals(&self) -> &Signals {
        &self.signals
    }

    pub(crate) const fn rollback(&self) -> &Rollback<Cause> {
        &self.rollback
    }

    /// The nodes whose side effects remained when they were restarted.
    pub(crate) fn left_behind(&self) -> &[Name] {
        &self.left_behind
    }

    pub(crate) const fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Its tasks and child runs, and their usage.
    pub(crate) const fn workforce(&self) -> Workforce<'_> {
        Workforce::new(self)
    }

    /// The values that expressions see.
    pub(crate) const fn values<'a>(&'a self, limits: &'a Limits, meter: &'a Meter) -> Values<'a> {
        Values::new(self, limits, meter)
    }

    /// The changes that an operator can make.
    pub(crate) const fn changes(&self) -> Changes<'_> {
        Changes::new(self)
    }

    /// What the nodes wait for.
    pub(crate) const fn waiting(&self) -> Waiting<'_> {
        Waiting::new(self)
    }

    pub(crate) fn phase(&self) -> RunPhase {
        if matches!(self.course, Course::Compensating(_)) && self.rollback.has_failed() {
            return RunPhase::CompensationFailed;
        }
        self.course.phase()
    }

    pub(crate) const fn is_finished(&self) -> bool {
        matches!(self.course, Course::Finished(_))
    }

    /// The reason for which an operator has paused it.
    pub(crate) const fn paused(&self) -> Option<&Name> {
        self.paused.as_ref()
    }

    /// The tier of its tasks, unless their nodes declare one.
    pub(crate) fn tier(&self) -> Tier {
        self.raised.unwrap_or(self.spec.tier)
    }

    /// Whether it goes forward and its definition refers to functions of the host that cannot be called.
    pub(crate) fn lacks_functions(&self) -> bool {
        let plan = self.plan();
        plan.calls_functions() && self.phase() == RunPhase::Running && plan.lacking().next().is_some()
    }

    /// The budget of the run: the smaller bound of the definition and of the start for each measure.
    pub(crate) fn budget(&self) -> Option<Budget> {
        match (self.plan().definition.budget, self.spec.budget) {
            (Some(a), Some(b)) => Some(a.within(b)),
            (a, b) => a.or(b),
        }
    }

    /// The end of the time limit of the run.
    pub(crate) fn time_limit(&self) -> Option<Time> {
        if self.spec.budget.is_none() && self.plan().definition.budget.is_none() {
            return None;
        }
        let span = self.budget().filter(|_| self.phase() == RunPhase::Running)?.time?;
        Some(self.begun.at + span)
    }
}

/// Dirty nodes.
impl Run {
    /// Marks a node as dirty, because of its timer or of a budget.
    pub(crate) fn wake(&mut self, ix: NodeIx) {
        self.graph.wake(ix);
    }

    /// Marks all nodes as dirty, after a restore.
    pub(crate) fn wake_all(&mut self) {
        self.graph.wake_all();
    }

    /// Marks the nodes that may wait for a signal as dirty.
    pub(crate) fn wake_listening(&mut self) {
        self.graph.wake_listening();
    }

    /// Marks a node as clean that waits for a condition of the engine.
    pub(crate) fn park(&mut self, ix: NodeIx) {
        self.graph.dirty_mut().settle(ix);
    }
}

/// Nodes.
impl Run {
    /// Whether the run has passed a pivot, or has one under way: it can no longer be cancelled.
    pub(crate) fn is_committed(&self) -> bool {
        self.rollback.has_passed_pivot() || self.graph.nodes().any(|node| node.has_pivot_under_way())
    }

    /// Whether a node has an unhandled failure that waits for an operator.
    fn holds_failure(&self, node: BoundNode<'_>) -> bool {
        self.plan().definition.on_failure == OnFailure::Hold
            && self.phase() == RunPhase::Running
            && !self.rollback.concerns(node.ix)
            && !node.plan.handled
            && !self.graph.is_spare(node.ix)
            && node.state.aside().remedy.is_none()
    }

    /// The status of a node.
    pub(crate) fn status(&self, ix: NodeIx) -> NodeStatus {
        let Some(state) = self.graph.state(ix) else { return NodeStatus::Waiting };
        match (state.compensated(), state.stage()) {
            (Some(CompensationOutcome::Compensated | CompensationOutcome::Declared { .. }), _) => {
                NodeStatus::Compensated
            }
            (Some(CompensationOutcome::Failed { .. }), _) => NodeStatus::CompensationFailed,
            (Some(CompensationOutcome::Abandoned { .. }), _) => NodeStatus::Abandoned,
            (None, _) if self.rollback.state(ix).is_some() => NodeStatus::Compensating,
            (None, Stage::Waiting) => NodeStatus::Waiting,
            (None, Stage::Working) => NodeStatus::Running,
            (None, Stage::Ended(end)) => end.outcome().into(),
        }
    }
}

const _: () = assert!(size_of::<Run>() <= 312, "an engine keeps many runs");

/// Whether the failure of a node that has ended waits for an operator: when the node ended, something was to handle it, which
/// has then ended without running.
pub(crate) fn holds_late(run: &Run, ix: NodeIx) -> bool {
    run.plan().definition.on_failure == OnFailure::Hold
        && run.phase() == RunPhase::Running
        && !run.rollback.concerns(ix)
        && run.graph.failures().contains(&ix)
        && run.graph.state(ix).is_some_and(|state| state.has_failed() && state.aside().remedy.is_none())
}
