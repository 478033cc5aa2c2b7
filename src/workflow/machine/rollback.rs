//! The rollback of a run: the state machine of [sagas](crate::saga) over the nodes of the run.

use super::change::Renewal;
use super::graph::BoundNode;
use super::illegal::{Applied, Illegal};
use super::node::{CallGoal, FunctionWork, NodeState, end_rollback, is_between_attempts, keep_spent, roll_back_node};
use super::{Run, RunPhase};
use crate::base::id::NodeIx;
use crate::base::name::Name;
use crate::message::run::{CallPoint, Cause, CompensationOutcome};
use crate::saga::{CompensationEnd, CompensationState, Goal, ResetMode, Rollback, RollbackError, Step, Steps};
use crate::task::Spending;
use std::collections::BTreeSet;

impl Step for BoundNode<'_> {
    fn is_pivot(&self) -> bool {
        self.definition.pivot
    }

    /// A function may have passed a pivot before its end.
    fn is_passed_pivot(&self) -> bool {
        let by_call = self.function_work().is_some_and(FunctionWork::has_passed_pivot);
        by_call || self.is_pivot() && (self.has_succeeded() || self.has_effects() && !self.is_compensable())
    }

    fn is_compensable(&self) -> bool {
        self.declares_undo()
    }

    fn is_save_point(&self) -> bool {
        let uses = self.state.aside().save_point.times;
        self.has_succeeded() && self.definition.save.as_ref().is_some_and(|save| uses < save.max_rollbacks())
    }

    fn is_busy(&self) -> bool {
        self.state.is_busy()
    }

    fn has_succeeded(&self) -> bool {
        self.state.has_succeeded()
    }

    fn has_effects(&self) -> bool {
        self.state.instances().had_effect()
    }

    fn has_compensable_effects(&self) -> bool {
        if let Some(function) = self.function_work() {
            return function.tally().effects > 0;
        }
        let instances = self.state.instances();
        match self.plan.states.is_empty() {
            true => instances.had_effect() && self.plan.work.can_be_undone(),
            false => instances.iter().any(|instance| instance.had_effect() && self.has_undo(instance)),
        }
    }

    fn has_effects_to_compensate(&self) -> bool {
        if let Some(function) = self.function_work() {
            return function.tally().to_undo > 0;
        }
        let instances = self.state.instances();
        match self.plan.states.is_empty() {
            true => instances.has_something_to_undo() && self.plan.work.can_be_undone(),
            false => instances.iter().any(|instance| instance.has_something_to_undo() && self.has_undo(instance)),
        }
    }

    fn compensated(&self) -> Option<CompensationEnd> {
        self.state.compensated().map(end_of)
    }

    /// A child run may have passed a pivot of its own. Of a function that is rolled back to a call, only the calls from there on
    /// count.
    fn is_irreversible(&self) -> bool {
        match self.function_work().and_then(|function| Some((function, function.cut()?))) {
            Some((function, from)) => function.is_irreversible_from(from, self.state.instances()),
            None => self.state.instances().is_irreversible() || self.is_passed_pivot(),
        }
    }

    /// A function that was rolled back to a call still has the effects of the calls before it.
    fn needs_whole_compensation(&self) -> bool {
        match (self.function_work().filter(|function| function.cut().is_some()), self.compensated()) {
            (None, _) => self.needs_compensation(),
            (Some(function), None) => function.has_any_effects_to_undo(),
            (Some(function), Some(CompensationEnd::Compensated | CompensationEnd::Declared)) => {
                function.has_effects_before_cut()
            }
            (Some(_), Some(CompensationEnd::Failed | CompensationEnd::Abandoned)) => false,
        }
    }
}

const fn end_of(outcome: &CompensationOutcome) -> CompensationEnd {
    match outcome {
        CompensationOutcome::Compensated => CompensationEnd::Compensated,
        CompensationOutcome::Failed { .. } => CompensationEnd::Failed,
        CompensationOutcome::Declared { .. } => CompensationEnd::Declared,
        CompensationOutcome::Abandoned { .. } => CompensationEnd::Abandoned,
    }
}

impl Rollback<Cause> {
    /// Whether exactly this reset is under way.
    pub(crate) fn is_reset(&self, nodes: &[NodeIx], mode: ResetMode, reason: &Name) -> bool {
        self.partial().is_some_and(|partial| {
            let is_same = partial.steps == nodes && partial.goal == Goal::Reset(mode);
            is_same && matches!(&partial.cause, Cause::Cancelled { reason: known } if known == reason)
        })
    }
}

/// Reading.
impl Run {
    /// The names of the nodes with side effects that should have been compensated and were not.
    pub(super) fn residue(&self) -> Vec<Name> {
        let mut residue: Vec<Name> = self.graph.residue().into_iter().map(|ix| self.plan().name(ix)).collect();
        let known: BTreeSet<Name> = residue.iter().cloned().collect();
        residue.extend(self.left_behind.iter().filter(|name| !known.contains(*name)).cloned());
        residue
    }
}

/// The nodes that a node compensates now: those of these names, or all, that have ended and have something to undo. None once a
/// pivot has been passed.
pub(super) fn to_compensate(run: &Run, of: &[Name]) -> Vec<NodeIx> {
    if run.rollback.has_passed_pivot() {
        return Vec::new();
    }
    let is_meant = |node: &BoundNode<'_>| of.is_empty() || of.contains(&node.definition.name);
    let is_over = |node: &BoundNode<'_>| node.state.has_ended() && !node.is_busy() && !node.is_irreversible();
    let nodes = run.graph.nodes().filter(|node| is_meant(node) && is_over(node) && node.needs_compensation());
    nodes.map(|node| node.ix).collect()
}

/// A node compensates others while the run goes forward.
pub(super) fn throw(run: &mut Run, by: NodeIx, nodes: &[NodeIx]) -> Applied {
    const INPUT: &str = "a node compensates others";
    let has_ended = |ix: &NodeIx| run.graph.node(*ix).is_some_and(|node| node.state.has_ended() && !node.is_busy());
    if !nodes.is_sorted_by(|one, next| one < next) || !nodes.iter().all(has_ended) {
        return Err(Illegal::by(INPUT)(RollbackError::OtherSteps));
    }
    let cause = Cause::Cancelled { reason: run.plan().name(by) };
    run.rollback.throw(by, nodes, cause).map_err(Illegal::by(INPUT))
}

/// The node for which nodes are compensated goes on when that is settled.
fn wake_thrower(run: &mut Run) {
    if let Some(by) = run.rollback.thrower() {
        run.graph.wake(by);
    }
}

/// Transitions.
impl Run {
    /// A failure rolls back to the ends of these nodes.
    pub(super) fn roll_back(&mut self, to: &[NodeIx], cause: &Cause) -> Applied {
        const INPUT: &str = "a run is rolled back";
        self.course.require_running(INPUT)?;
        self.rollback.roll_back(&self.graph, to, cause.clone()).map_err(Illegal::by(INPUT))?;
        for &point in to {
            self.graph.keep(point, NodeState::roll_back);
        }
        self.graph.wake_all();
        Ok(())
    }

    /// An operator resets the run: these nodes are rolled back.
    pub(super) fn reset(&mut self, nodes: &[NodeIx], mode: ResetMode, reason: &Name) -> Applied {
        const INPUT: &str = "a run is reset";
        if self.phase() != RunPhase::Running && !self.course.has_failed() {
            return Err(Illegal::new(INPUT, "it is neither running nor failed"));
        }
        if !self.graph.is_closed(nodes) {
            return Err(Illegal::by(INPUT)(RollbackError::OtherSteps));
        }
        let cause = Cause::Cancelled { reason: reason.clone() };
        self.rollback.reset(nodes, mode, cause).map_err(Illegal::by(INPUT))?;
        if self.is_finished() {
            self.course.reopen();
            self.rollback.reopen();
        }
        self.variables.forget_reduced();
        self.graph.wake_all();
        Ok(())
    }

    /// The nodes in the scope of a rollback have ended, and these are compensated.
    pub(super) fn compensate(&mut self, nodes: &[NodeIx]) -> Applied {
        let is_failing = self.phase() != RunPhase::Running;
        if is_failing {
            self.course.compensate()?;
        }
        let compensated = self.rollback.compensate(&self.graph, nodes, is_failing);
        compensated.map_err(Illegal::by("nodes are compensated"))?;
        if is_failing {
            end_function_rollbacks(self);
        }
        self.graph.wake_these(self.rollback.ready());
        wake_thrower(self);
        Ok(())
    }

    /// The compensation of an instance of a node begins. That of the node begins with its first instance.
    pub(super) fn begin_compensation(&mut self, ix: NodeIx) -> Applied {
        if self.graph.state(ix).is_some_and(is_between_attempts) {
            return Ok(());
        }
        if self.rollback.is_compensating() && self.rollback.state(ix) != Some(CompensationState::Ready) {
            return Ok(());
        }
        self.rollback.begin(ix).map_err(Illegal::by("the compensation of an instance begins"))
    }

    /// The compensation of a node has ended, or an operator has decided about a failed one.
    pub(super) fn end_compensation(&mut self, ix: NodeIx, outcome: &CompensationOutcome) -> Applied {
        const INPUT: &str = "the compensation of a node ends";
        self.rollback.end(ix, end_of(outcome)).map_err(Illegal::by(INPUT))?;
        self.graph.wake_these(self.rollback.ready());
        wake_thrower(self);
        self.graph.change(INPUT, ix, |state| state.set_compensated(Some(outcome)))
    }

    /// An operator retries a failed compensation.
    pub(super) fn retry_compensation(&mut self, ix: NodeIx) -> Applied {
        const INPUT: &str = "the compensation of a node is retried";
        self.rollback.retry(ix).map_err(Illegal::by(INPUT))?;
        self.graph.wake_these(self.rollback.ready());
        self.graph.change(INPUT, ix, |state| state.set_compensated(None))
    }

    /// The nodes that were rolled back restart.
    pub(super) fn restart(&mut self, nodes: &[NodeIx]) -> Applied {
        const INPUT: &str = "a run restarts nodes";
        self.course.require_running(INPUT)?;
        let partial = self.rollback.restart(&self.graph).map_err(Illegal::by(INPUT))?;
        if partial.steps != nodes {
            return Err(Illegal::by(INPUT)(RollbackError::OtherSteps));
        }
        for &point in partial.save_points() {
            let again =
                self.graph.node(point).and_then(|node| Some(node.definition.save.as_ref()?.retries)).unwrap_or(0);
            self.graph.keep(point, |state| state.leave_save_point(again));
        }
        self.leave_behind(nodes);
        self.renew(nodes, Renewal::Repeat);
        self.graph.wake_all();
        self.graph.redecide_links(nodes)
    }

    /// Records the nodes whose side effects remain when they restart.
    fn leave_behind(&mut self, nodes: &[NodeIx]) {
        let left = nodes.iter().filter_map(|ix| self.graph.node(*ix)).filter(Step::leaves_residue);
        let known: BTreeSet<&Name> = self.left_behind.iter().collect();
        let new: Vec<Name> = left.map(|node| node.name()).filter(|name| !known.contains(name)).collect();
        if !new.is_empty() {
            self.left_behind = self.left_behind.iter().cloned().chain(new).collect();
        }
    }
}

/// A failure of a function rolls back to a save-point of it.
pub(super) fn roll_back_to(run: &mut Run, to: &[NodeIx], call: &CallPoint, cause: &Cause) -> Applied {
    const INPUT: &str = "a function is rolled back";
    run.course.require_running(INPUT)?;
    let at = run.plan().index_of(&call.node).filter(|at| to == [*at]);
    let at = at.ok_or_else(|| Illegal::by(INPUT)(RollbackError::OtherSteps))?;
    run.rollback.roll_back_within(&run.graph, at, cause.clone()).map_err(Illegal::by(INPUT))?;
    run.graph.change(INPUT, at, |state| roll_back_node(state, call, CallGoal::SavePoint))?;
    run.graph.wake_all();
    Ok(())
}

/// An operator resets the run: these nodes are rolled back, the function of one of them to a call.
pub(super) fn reset_to(run: &mut Run, nodes: &[NodeIx], call: &CallPoint, undo: (ResetMode, &Name)) -> Applied {
    const INPUT: &str = "a function is reset to a call";
    let at = run.plan().index_of(&call.node).filter(|at| nodes.contains(at));
    let at = at.ok_or_else(|| Illegal::by(INPUT)(RollbackError::OtherSteps))?;
    run.reset(nodes, undo.0, undo.1)?;
    run.graph.change(INPUT, at, |state| roll_back_node(state, call, CallGoal::Reset))
}

/// The whole run fails: no function continues from one of its calls.
pub(super) fn end_function_rollbacks(run: &mut Run) {
    let has_cut = |node: &BoundNode<'_>| node.function_work().is_some_and(|work| work.cut().is_some());
    let cut: Vec<NodeIx> = run.graph.nodes().filter(has_cut).map(|node| node.ix).collect();
    cut.into_iter().for_each(|ix| run.graph.keep(ix, end_rollback));
}

/// A function has continued as new, and its child runs are forgotten: their usage counts as that of the node. `leaves` is whether
/// side effects remain that have a compensation.
pub(crate) fn note_continued(run: &mut Run, ix: NodeIx, spent: Spending, leaves: bool) {
    if !spent.is_nothing() {
        run.graph.keep(ix, |state| keep_spent(state, spent));
    }
    let name = run.plan().name(ix);
    if leaves && !run.left_behind.contains(&name) {
        run.left_behind = run.left_behind.iter().cloned().chain([name]).collect();
    }
}

/// Whether side effects of a run remain that would have been compensated, had it been undone.
pub(crate) fn leaves_effects(run: &Run) -> bool {
    !run.residue().is_empty()
}
