//! The rollback of a [`Saga`](super::Saga) or of a run of a workflow: which steps are compensated, after what, and where the
//! execution continues.
//!
//! A rollback is *partial*, from save-points on, or *whole*, from the beginning. Both go through the same states: the steps in
//! its scope that are under way end, those with side effects are compensated, and then a partial rollback restarts the steps in
//! its scope, or becomes a whole one if side effects remain that must not.

use super::{Compensation, CompensationEnd, CompensationError, CompensationState};
use crate::dag::{NodeIx, Topology};
use crate::definition::OnCompensationFailure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use thiserror::Error;

/// A step with its state, as far as a rollback depends on it.
pub(crate) trait Step {
    /// Whether it is a pivot.
    fn is_pivot(&self) -> bool;

    /// Whether it declares a compensation.
    fn is_compensable(&self) -> bool;

    /// Whether a failure may roll back to its end once more.
    fn is_save_point(&self) -> bool;

    /// Whether it, or a part of it, is under way.
    fn is_busy(&self) -> bool;

    fn has_succeeded(&self) -> bool;

    /// Whether its side effects are done or possible.
    fn has_effects(&self) -> bool;

    /// Whether it has side effects for which a compensation is declared.
    fn has_compensable_effects(&self) -> bool;

    /// Whether it has side effects that its own compensation must undo.
    fn has_effects_to_compensate(&self) -> bool {
        self.has_compensable_effects()
    }

    /// The end of its compensation.
    fn compensated(&self) -> Option<CompensationEnd>;

    /// Whether it is a pivot that took effect, or may have taken effect and has no compensation.
    fn is_passed_pivot(&self) -> bool {
        self.is_pivot() && (self.has_succeeded() || self.has_effects() && !self.is_compensable())
    }

    /// Whether it has side effects that nothing can undo any more.
    fn is_irreversible(&self) -> bool {
        self.is_passed_pivot()
    }

    fn needs_compensation(&self) -> bool {
        self.compensated().is_none() && self.has_effects_to_compensate()
    }

    /// Whether it needs compensation if a partial rollback becomes a whole one.
    fn needs_whole_compensation(&self) -> bool {
        self.needs_compensation()
    }

    /// Whether it has side effects that should have been compensated and were not.
    fn leaves_residue(&self) -> bool {
        match self.compensated() {
            Some(CompensationEnd::Abandoned) => true,
            Some(_) => false,
            None => self.is_pivot() && self.has_effects() || self.has_compensable_effects(),
        }
    }
}

/// The steps of a saga with their order and their states.
pub(crate) trait Steps {
    type Step<'a>: Step
    where
        Self: 'a;

    fn topology(&self) -> &Topology;

    /// The topology with its edges reversed.
    fn reversed(&self) -> &Arc<Topology>;

    fn policy(&self) -> OnCompensationFailure;

    fn step(&self, step: NodeIx) -> Option<Self::Step<'_>>;

    /// Whether no step is under way.
    fn is_idle(&self) -> bool;

    /// The steps that a rollback to the ends of these concerns: all that follow them, in ascending order.
    fn after(&self, steps: &[NodeIx]) -> Vec<NodeIx> {
        let mut after = self.topology().descendants(steps);
        after.sort_unstable();
        after
    }

    /// Whether a condition holds for a step.
    fn has(&self, step: NodeIx, condition: impl FnOnce(Self::Step<'_>) -> bool) -> bool {
        self.step(step).is_some_and(condition)
    }

    /// The steps that leave side effects which should have been compensated.
    fn residue(&self) -> Vec<NodeIx> {
        self.topology().nodes().filter(|step| self.has(*step, |step| step.leaves_residue())).collect()
    }

    /// The save-points to which the failure of a step rolls back: the last usable ones before it after which no pivot has been
    /// passed. Empty if there are none.
    fn save_points(&self, failed: NodeIx) -> Vec<NodeIx> {
        last_before(self.topology(), failed, |point| {
            let is_final = |step: NodeIx| self.has(step, |step| step.is_irreversible());
            self.has(point, |step| step.is_save_point()) && !self.after(&[point]).into_iter().any(is_final)
        })
    }
}

/// Of the ancestors of a step those for which `is_point` holds, without any that comes before another of them; ascending.
fn last_before(graph: &Topology, step: NodeIx, is_point: impl Fn(NodeIx) -> bool) -> Vec<NodeIx> {
    let (mut found, mut seen, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![step]);
    while let Some(step) = open.pop() {
        for &before in graph.predecessors(step).iter().filter(|before| seen.insert(**before)) {
            if is_point(before) {
                found.insert(before);
            } else {
                open.push(before);
            }
        }
    }
    let found: Vec<NodeIx> = found.into_iter().collect();
    let earlier: BTreeSet<NodeIx> = graph.ancestors(&found).into_iter().collect();
    found.into_iter().filter(|step| !earlier.contains(step)).collect()
}

/// The state of the rollback of a saga. `C` is the cause of a partial rollback.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rollback<C> {
    partial: Option<Box<Partial<C>>>,
    /// The compensation of the steps in scope, once no step in scope is under way. That of a whole rollback remains.
    compensation: Option<Box<Compensation>>,
    pivot: Pivot,
}

/// Whether a pivot was passed: then no whole rollback compensates anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pivot {
    #[default]
    Ahead,
    Passed,
}

/// The scope of a rollback after which the execution continues.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Partial<C> {
    /// The steps in scope, in ascending order, with all that follow them.
    pub(crate) steps: Vec<NodeIx>,
    pub(crate) goal: Goal,
    pub(crate) cause: C,
}

/// The point from which the execution continues after a partial rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// The ends of these steps.
    SavePoints(Vec<NodeIx>),
    /// A point within this step, from which the step itself continues.
    Within(NodeIx),
    /// A point that an operator chose.
    Reset(ResetMode),
    /// Nothing restarts: this step compensates others while the execution goes forward.
    Thrown(NodeIx),
}

/// What a reset does with the side effects of the steps in its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResetMode {
    Compensate,
    LeaveAsIs,
}

impl ResetMode {
    pub(crate) const fn new(compensate: bool) -> Self {
        if compensate { Self::Compensate } else { Self::LeaveAsIs }
    }
}

/// The next transition of a saga as far as its rollback decides it.
#[derive(Debug, PartialEq)]
pub(crate) enum Next<'a, C> {
    /// There is no rollback: the saga continues.
    Forward,
    /// Steps or compensations that are under way must end first.
    Wait,
    /// Compensate these steps.
    Compensate(Vec<NodeIx>),
    /// Side effects remain that a partial rollback must not leave: the whole saga fails.
    Fail(&'a C),
    /// Restart these steps.
    Restart(&'a [NodeIx]),
    /// Every compensation of the whole rollback is settled: the saga ends.
    End,
}

/// A transition of a rollback that is not possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RollbackError {
    /// A partial rollback is under way.
    #[error("a rollback is under way")]
    UnderWay,
    /// No rollback is under way.
    #[error("no rollback is under way")]
    NotUnderWay,
    /// Steps that the rollback concerns are under way, or their compensations are.
    #[error("steps or compensations are under way")]
    Busy,
    /// The steps are not those of the rollback.
    #[error("the rollback concerns other steps")]
    OtherSteps,
    /// The save-point has not completed.
    #[error("save-point {0} has not completed")]
    NotCompleted(NodeIx),
    /// The compensations of the rollback have begun.
    #[error("the compensation has begun")]
    Compensating,
    /// The compensations of the rollback have not begun.
    #[error("nothing is being compensated")]
    NotCompensating,
    /// The compensation of a step is in another state.
    #[error(transparent)]
    Compensation(#[from] CompensationError),
}

type Applied<T = ()> = Result<T, RollbackError>;

/// The data of a [`Rollback`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RollbackRecord<C> {
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    partial: Option<Partial<C>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compensation: Option<Vec<super::compensation::MemberRecord>>,
    pivot: Pivot,
}

impl<C> Default for RollbackRecord<C> {
    fn default() -> Self {
        Self { partial: None, compensation: None, pivot: Pivot::Ahead }
    }
}

impl<C> Default for Rollback<C> {
    fn default() -> Self {
        Self { partial: None, compensation: None, pivot: Pivot::Ahead }
    }
}

impl<C> Partial<C> {
    fn is_busy(&self, steps: &impl Steps) -> bool {
        self.steps.iter().any(|step| steps.has(*step, |step| step.is_busy()))
    }

    fn to_compensate(&self, steps: &impl Steps) -> Vec<NodeIx> {
        let is_irreversible = |step: &NodeIx| steps.has(*step, |step| step.is_irreversible());
        if self.goal == Goal::Reset(ResetMode::LeaveAsIs) || self.steps.iter().any(is_irreversible) {
            return Vec::new();
        }
        self.steps.iter().copied().filter(|step| steps.has(*step, |step| step.needs_compensation())).collect()
    }

    /// Whether side effects remain that prevent a restart. An operator may choose to leave abandoned ones.
    fn is_prevented<S: Steps>(&self, steps: &S) -> bool {
        let may_leave = matches!(self.goal, Goal::Reset(_));
        let remains = |step: S::Step<'_>| {
            step.is_irreversible() || !may_leave && step.compensated() == Some(CompensationEnd::Abandoned)
        };
        self.steps.iter().any(|step| steps.has(*step, remains))
    }

    /// The save-points from which the execution continues.
    pub(crate) fn save_points(&self) -> &[NodeIx] {
        match &self.goal {
            Goal::SavePoints(points) => points,
            Goal::Within(_) | Goal::Reset(_) | Goal::Thrown(_) => &[],
        }
    }
}

/// Reading.
impl<C> Rollback<C> {
    pub(crate) fn has_passed_pivot(&self) -> bool {
        self.pivot == Pivot::Passed
    }

    pub(crate) fn partial(&self) -> Option<&Partial<C>> {
        self.partial.as_deref()
    }

    pub(crate) fn compensation(&self) -> Option<&Compensation> {
        self.compensation.as_deref()
    }

    /// Whether nothing is rolled back or compensated.
    pub(crate) const fn is_idle(&self) -> bool {
        self.partial.is_none() && self.compensation.is_none()
    }

    /// Whether steps are rolled back while the execution of others continues.
    pub(crate) const fn is_partial(&self) -> bool {
        self.partial.is_some()
    }

    /// Whether a partial rollback concerns a step.
    pub(crate) fn concerns(&self, step: NodeIx) -> bool {
        self.partial().is_some_and(|partial| partial.steps.binary_search(&step).is_ok())
    }

    /// The step that compensates others while the execution goes forward.
    pub(crate) fn thrower(&self) -> Option<NodeIx> {
        match self.partial()?.goal {
            Goal::Thrown(by) => Some(by),
            Goal::SavePoints(_) | Goal::Within(_) | Goal::Reset(_) => None,
        }
    }

    /// The steps that a step compensates while the execution goes forward.
    pub(crate) fn thrown_by(&self, step: NodeIx) -> Option<&[NodeIx]> {
        (self.thrower()? == step).then(|| self.partial().map(|partial| &partial.steps[..]))?
    }

    /// Whether a step compensates others that are not all compensated.
    pub(crate) fn is_compensating_for(&self, step: NodeIx) -> bool {
        self.thrower() == Some(step) && !self.is_settled()
    }

    /// Whether every compensation has ended.
    fn is_settled(&self) -> bool {
        self.compensation().is_some_and(Compensation::is_settled)
    }

    pub(crate) const fn is_compensating(&self) -> bool {
        self.compensation.is_some()
    }

    /// The state of the compensation of a step; none if it is not compensated.
    pub(crate) fn state(&self, step: NodeIx) -> Option<CompensationState> {
        self.compensation()?.state(step)
    }

    /// The steps whose compensation can begin.
    pub(crate) fn ready(&self) -> impl Iterator<Item = NodeIx> {
        self.compensation().into_iter().flat_map(Compensation::ready)
    }

    /// Whether a compensation failed and waits for a remedy.
    pub(crate) fn has_failed(&self) -> bool {
        self.compensation().is_some_and(Compensation::has_failed)
    }

    /// Whether the compensation of a step is under way or can begin.
    pub(crate) fn may_compensate(&self, step: NodeIx) -> bool {
        self.compensation().is_some_and(|compensation| match compensation.state(step) {
            Some(CompensationState::Active) => true,
            Some(CompensationState::Ready) => !compensation.is_stopped(),
            Some(_) | None => false,
        })
    }

    /// The next transition. `is_failing`: the whole saga has failed.
    pub(crate) fn next<'a>(&'a self, steps: &impl Steps, is_failing: bool) -> Next<'a, C> {
        match (self.partial(), self.compensation()) {
            (_, Some(compensation)) if !compensation.is_settled() => Next::Wait,
            (None, Some(_)) => Next::End,
            (None, None) if !is_failing => Next::Forward,
            (Some(partial), None) if partial.is_busy(steps) => Next::Wait,
            (Some(partial), None) => Next::Compensate(partial.to_compensate(steps)),
            // The step that asked for it ends first.
            (Some(_), Some(_)) if !is_failing && self.thrower().is_some() => Next::Wait,
            (Some(partial), Some(_)) if !is_failing => {
                if partial.is_prevented(steps) {
                    Next::Fail(&partial.cause)
                } else {
                    Next::Restart(&partial.steps)
                }
            }
            (None, None) | (Some(_), Some(_)) if !steps.is_idle() => Next::Wait,
            (None, None) | (Some(_), Some(_)) => Next::Compensate(self.all_to_compensate(steps)),
        }
    }

    fn all_to_compensate(&self, steps: &impl Steps) -> Vec<NodeIx> {
        match self.pivot {
            Pivot::Passed => Vec::new(),
            Pivot::Ahead => {
                let needs = |step: &NodeIx| steps.has(*step, |step| step.needs_whole_compensation());
                steps.topology().nodes().filter(needs).collect()
            }
        }
    }
}

/// Transitions.
impl<C> Rollback<C> {
    /// A step has ended: it may have been a pivot.
    pub(crate) fn step_ended(&mut self, step: &impl Step) {
        if step.is_passed_pivot() {
            self.pivot = Pivot::Passed;
        }
    }

    /// A partial rollback begins: to the ends of these steps.
    pub(crate) fn roll_back(&mut self, steps: &impl Steps, to: &[NodeIx], cause: C) -> Applied {
        if let Some(point) = to.iter().find(|point| !steps.has(**point, |step| step.has_succeeded())) {
            return Err(RollbackError::NotCompleted(*point));
        }
        self.begin_partial(Partial { steps: steps.after(to), goal: Goal::SavePoints(to.to_vec()), cause })
    }

    /// A partial rollback begins: to a point within a step that has failed.
    pub(crate) fn roll_back_within(&mut self, steps: &impl Steps, at: NodeIx, cause: C) -> Applied {
        let mut scope = steps.after(&[at]);
        if let Err(place) = scope.binary_search(&at) {
            scope.insert(place, at);
        }
        self.begin_partial(Partial { steps: scope, goal: Goal::Within(at), cause })
    }

    /// A partial rollback begins: an operator chose these steps.
    pub(crate) fn reset(&mut self, nodes: &[NodeIx], mode: ResetMode, cause: C) -> Applied {
        self.begin_partial(Partial { steps: nodes.to_vec(), goal: Goal::Reset(mode), cause })
    }

    /// A step compensates others while the execution goes forward.
    pub(crate) fn throw(&mut self, by: NodeIx, steps: &[NodeIx], cause: C) -> Applied {
        self.begin_partial(Partial { steps: steps.to_vec(), goal: Goal::Thrown(by), cause })
    }

    /// The step that compensated others has ended. False if it was another one, or the compensations have not.
    pub(crate) fn end_throw(&mut self, by: NodeIx) -> bool {
        let ends = self.thrower() == Some(by) && self.is_settled();
        if ends {
            (self.partial, self.compensation) = (None, None);
        }
        ends
    }

    fn begin_partial(&mut self, partial: Partial<C>) -> Applied {
        if self.partial.is_some() {
            return Err(RollbackError::UnderWay);
        }
        self.partial = Some(Box::new(partial));
        Ok(())
    }

    /// The whole saga fails. A partial rollback whose compensations have begun completes them first.
    pub(crate) fn fail(&mut self) {
        if !self.is_compensating() {
            self.partial = None;
        }
    }

    /// No step in scope is under way: these are compensated.
    pub(crate) fn compensate(&mut self, steps: &impl Steps, nodes: &[NodeIx], is_failing: bool) -> Applied {
        let is_busy = match (self.partial(), self.compensation(), is_failing) {
            (Some(partial), None, false) => partial.is_busy(steps),
            (None, None, true) => !steps.is_idle(),
            (Some(_), Some(compensation), true) => !compensation.is_settled() || !steps.is_idle(),
            (None, None, false) => return Err(RollbackError::NotUnderWay),
            (_, _, _) => return Err(RollbackError::Compensating),
        };
        if is_busy {
            return Err(RollbackError::Busy);
        }
        self.compensation = Some(Box::new(Compensation::along(steps.reversed(), steps.policy(), nodes)?));
        self.partial.take_if(|_| is_failing);
        Ok(())
    }

    fn compensation_mut(&mut self) -> Applied<&mut Compensation> {
        self.compensation.as_deref_mut().ok_or(RollbackError::NotCompensating)
    }

    /// The compensation of a step begins.
    pub(crate) fn begin(&mut self, step: NodeIx) -> Applied {
        Ok(self.compensation_mut()?.begin(step)?)
    }

    /// The compensation of a step ends, or a failed one is settled by a decision.
    pub(crate) fn end(&mut self, step: NodeIx, end: CompensationEnd) -> Applied {
        Ok(self.compensation_mut()?.end(step, end)?)
    }

    /// A failed compensation is retried.
    pub(crate) fn retry(&mut self, step: NodeIx) -> Applied {
        Ok(self.compensation_mut()?.retry(step)?)
    }

    /// The execution continues: the steps in the scope of the partial rollback, which is returned, are restarted.
    pub(crate) fn restart(&mut self, steps: &impl Steps) -> Applied<Partial<C>> {
        let partial = self.partial().ok_or(RollbackError::NotUnderWay)?;
        if !self.compensation().is_some_and(Compensation::is_settled) || partial.is_busy(steps) {
            return Err(RollbackError::Busy);
        }
        self.compensation = None;
        self.partial.take().map(|partial| *partial).ok_or(RollbackError::NotUnderWay)
    }

    /// The execution continues after a whole rollback.
    pub(crate) fn reopen(&mut self) {
        self.compensation = None;
    }
}

/// Snapshots.
impl<C: Clone> Rollback<C> {
    pub(crate) fn record(&self) -> RollbackRecord<C> {
        let partial = self.partial().cloned();
        RollbackRecord { partial, compensation: self.compensation().map(Compensation::record), pivot: self.pivot }
    }

    /// The rollback after a migration, which requires that no step is rolled back.
    pub(crate) fn migrated(&self) -> Self {
        Self { partial: None, compensation: None, pivot: self.pivot }
    }

    /// The rollback with this data. None if it does not fit the steps.
    pub(crate) fn restored(record: &RollbackRecord<C>, steps: &impl Steps) -> Option<Self> {
        let compensation = match &record.compensation {
            Some(members) => Some(Box::new(Compensation::restored(steps.reversed(), steps.policy(), members).ok()?)),
            None => None,
        };
        Some(Self { partial: record.partial.clone().map(Box::new), compensation, pivot: record.pivot })
    }
}
