//! The state of a saga: the fold of its events. Nothing here decides.

use super::event::IllegalEvent;
use super::progress::Progress;
use super::rollback::{self, Rollback, Steps};
use super::{Compensation, CompensationEnd, CompensationState, SagaError, SagaEvent, SagaOutcome, StepSpec};
use crate::base::payload::Payload;
use crate::dag::{Dag, NodeIx, Topology};
use crate::definition::OnCompensationFailure;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// The state of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// A step before it has not completed.
    Waiting,
    /// It can begin, unless it is rolled back.
    Ready,
    /// It is under way.
    Active,
    /// Its outcome is unknown and is to be queried.
    QueryPending,
    /// Its outcome is being queried.
    Querying,
    /// It has completed.
    Completed,
    /// It has failed without side effects.
    Failed,
    /// It has failed, and may have had side effects.
    OutcomeUnknown,
    /// It is compensated.
    Compensated,
    /// Its compensation was abandoned: its side effects remain.
    Abandoned,
}

/// The phase of a saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SagaPhase {
    /// It goes forward.
    Running,
    /// A step failed or the saga was cancelled; the steps under way that a rollback concerns are awaited.
    Failing,
    /// Steps are compensated: all of them, or those after a save-point.
    Compensating,
    /// A compensation failed and waits for a remedy.
    CompensationFailed,
    /// It has ended.
    Ended,
}

/// A saga as a state machine: it decides which work is next and is notified of the results. It starts no threads and reads no
/// clock.
///
/// [`next`](Self::next) returns work to perform, [`answer`](Self::answer) accepts its result. Both append events. A host that
/// stores the events before it performs the work can [`restore`](Self::restore) the saga after a crash, and repeats the work
/// that was [outstanding](Self::outstanding). See the [module](super) for an example and the rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Saga {
    pub(super) steps: States,
    /// The steps that can begin or be queried, in the order in which they became ready.
    pub(super) queue: VecDeque<NodeIx>,
    /// The number of steps that have not completed.
    pub(super) open: usize,
    /// The failed steps that no rollback has reset yet.
    pub(super) failures: BTreeSet<NodeIx>,
    /// Whether the whole saga has failed.
    pub(super) is_failing: bool,
    pub(super) rollback: Rollback<()>,
    pub(super) outcome: Option<SagaOutcome>,
}

/// The steps with their graph.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct States {
    graph: Arc<Topology>,
    reversed: Arc<Topology>,
    specs: Arc<[StepSpec]>,
    policy: OnCompensationFailure,
    states: Vec<State>,
    /// The number of steps that are under way.
    busy: usize,
}

/// The state of a step.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct State {
    /// None until it begins.
    pub(super) progress: Option<Progress<StepEnd, ()>>,
    compensated: Option<CompensationEnd>,
    /// The number of steps before it that have not completed.
    missing: u32,
    /// How often it was restarted.
    pub(super) round: u32,
    /// How often the saga was rolled back to its end.
    rollbacks: u32,
}

/// The end of a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum StepEnd {
    Completed(Payload),
    Failed,
    OutcomeUnknown,
}

impl State {
    pub(super) fn stage(&self) -> Stage {
        match (&self.progress, self.compensated) {
            (_, Some(CompensationEnd::Abandoned)) => Stage::Abandoned,
            (_, Some(CompensationEnd::Compensated | CompensationEnd::Declared)) => Stage::Compensated,
            (None, _) if self.missing > 0 => Stage::Waiting,
            (None, _) => Stage::Ready,
            (Some(Progress::Active), _) => Stage::Active,
            (Some(progress @ Progress::Unknown(_)), _) if progress.query().is_none() => Stage::QueryPending,
            (Some(Progress::Unknown(_)), _) => Stage::Querying,
            (Some(Progress::Ended(StepEnd::Completed(_))), _) => Stage::Completed,
            (Some(Progress::Ended(StepEnd::Failed)), _) => Stage::Failed,
            (Some(Progress::Ended(StepEnd::OutcomeUnknown)), _) => Stage::OutcomeUnknown,
        }
    }

    fn end(&self) -> Option<&StepEnd> {
        self.progress.as_ref()?.end()
    }

    fn is_busy(&self) -> bool {
        self.progress.as_ref().is_some_and(|progress| !progress.is_ended())
    }

    pub(super) fn output(&self) -> &Payload {
        if let Some(StepEnd::Completed(output)) = self.end() { output } else { &Payload::NULL }
    }

    pub(super) fn has_completed(&self) -> bool {
        matches!(self.end(), Some(StepEnd::Completed(_)))
    }
}

impl rollback::Step for (StepSpec, &State) {
    fn is_pivot(&self) -> bool {
        self.0.pivot
    }

    fn is_compensable(&self) -> bool {
        self.0.compensable
    }

    fn is_save_point(&self) -> bool {
        self.has_succeeded() && self.1.rollbacks < self.0.max_rollbacks
    }

    fn is_busy(&self) -> bool {
        self.1.is_busy()
    }

    fn has_succeeded(&self) -> bool {
        self.1.compensated.is_none() && self.1.has_completed()
    }

    fn has_effects(&self) -> bool {
        matches!(self.1.end(), Some(StepEnd::Completed(_) | StepEnd::OutcomeUnknown))
    }

    fn has_compensable_effects(&self) -> bool {
        self.0.compensable && self.has_effects()
    }

    fn compensated(&self) -> Option<CompensationEnd> {
        self.1.compensated
    }
}

impl Steps for States {
    type Step<'a> = (StepSpec, &'a State);

    fn topology(&self) -> &Topology {
        &self.graph
    }

    fn reversed(&self) -> &Arc<Topology> {
        &self.reversed
    }

    fn policy(&self) -> OnCompensationFailure {
        self.policy
    }

    fn step(&self, step: NodeIx) -> Option<Self::Step<'_>> {
        Some((*self.specs.get(step.index())?, self.states.get(step.index())?))
    }

    fn is_idle(&self) -> bool {
        self.busy == 0
    }
}

impl States {
    pub(super) fn get(&self, step: NodeIx) -> Option<&State> {
        self.states.get(step.index())
    }

    fn get_mut(&mut self, step: NodeIx) -> Result<&mut State, IllegalEvent> {
        self.states.get_mut(step.index()).ok_or(IllegalEvent::UnknownStep(step))
    }

    /// The number of steps before another that have not completed.
    fn missing(&self, step: NodeIx) -> u32 {
        let before = self.graph.predecessors(step).iter();
        let open = before.filter(|before| !self.get(**before).is_some_and(State::has_completed));
        u32::try_from(open.count()).unwrap_or(u32::MAX)
    }
}

type Applied = Result<(), IllegalEvent>;

/// Construction and reading.
impl Saga {
    /// A saga that has not begun, over the steps of a graph. Takes time and space linear in the graph. Sagas over the same
    /// graph share it.
    #[must_use]
    pub fn new(steps: &Dag<StepSpec>) -> Self {
        let graph = Arc::clone(steps.topology());
        let (open, queue) = (graph.len(), graph.roots().iter().copied().collect());
        let states = vec![State::default(); open];
        let (reversed, specs, policy) = (graph.reversed(), steps.payloads().into(), OnCompensationFailure::Hold);
        let mut steps = States { graph, reversed, specs, policy, states, busy: 0 };
        let missing: Vec<u32> = steps.graph.nodes().map(|step| steps.missing(step)).collect();
        steps.states.iter_mut().zip(missing).for_each(|(state, missing)| state.missing = missing);
        let (failures, rollback) = (BTreeSet::new(), Rollback::default());
        Self { steps, queue, open, failures, is_failing: false, rollback, outcome: None }
    }

    /// Sets which compensations a failed one blocks; the default is [`OnCompensationFailure::Hold`]. Call it before the saga
    /// begins, and before [`follow`](Self::follow).
    #[must_use]
    pub const fn with_on_compensation_failure(mut self, policy: OnCompensationFailure) -> Self {
        self.steps.policy = policy;
        self
    }

    /// The saga with these events. Call [`resume`](Self::resume) before anything else, then repeat the work that is
    /// [outstanding](Self::outstanding).
    ///
    /// # Errors
    ///
    /// At the first event that does not follow from those before it.
    pub fn restore<'a>(
        steps: &Dag<StepSpec>,
        events: impl IntoIterator<Item = &'a SagaEvent>,
    ) -> Result<Self, SagaError> {
        Self::new(steps).follow(events)
    }

    /// The same for a saga with [settings](Self::with_on_compensation_failure).
    ///
    /// # Errors
    ///
    /// As [`restore`](Self::restore).
    pub fn follow<'a>(mut self, events: impl IntoIterator<Item = &'a SagaEvent>) -> Result<Self, SagaError> {
        for (index, event) in events.into_iter().enumerate() {
            self.apply(event).map_err(|reason| SagaError::Inconsistent { index, reason })?;
        }
        Ok(self)
    }

    /// The state of a step; none if there is no such step.
    #[must_use]
    pub fn stage(&self, step: NodeIx) -> Option<Stage> {
        self.steps.get(step).map(State::stage)
    }

    /// The state of the compensation of a step; none if the present rollback does not compensate it.
    #[must_use]
    pub fn compensation(&self, step: NodeIx) -> Option<CompensationState> {
        self.rollback.state(step)
    }

    /// The output of a step; null if it has none.
    #[must_use]
    pub fn output(&self, step: NodeIx) -> &Payload {
        self.steps.get(step).map_or(&Payload::NULL, State::output)
    }

    /// The phase.
    #[must_use]
    pub fn phase(&self) -> SagaPhase {
        match self.rollback.compensation() {
            _ if self.outcome.is_some() => SagaPhase::Ended,
            Some(compensation) if compensation.has_failed() => SagaPhase::CompensationFailed,
            Some(_) => SagaPhase::Compensating,
            None if self.is_failing || self.rollback.is_partial() => SagaPhase::Failing,
            None => SagaPhase::Running,
        }
    }

    /// The outcome, once it has ended.
    #[must_use]
    pub const fn outcome(&self) -> Option<&SagaOutcome> {
        self.outcome.as_ref()
    }

    /// The steps whose compensation failed and waits for a remedy.
    pub fn failed_compensations(&self) -> impl Iterator<Item = NodeIx> {
        self.rollback.compensation().into_iter().flat_map(Compensation::failed)
    }

    /// Whether a rollback prevents that a step begins.
    fn is_withdrawn(&self, step: NodeIx) -> bool {
        self.is_failing || self.rollback.concerns(step)
    }
}

/// The fold.
impl Saga {
    pub(super) fn apply(&mut self, event: &SagaEvent) -> Applied {
        if self.outcome.is_some() {
            return Err(IllegalEvent::Ended);
        }
        match event {
            SagaEvent::Began { step } => return self.begin(*step),
            SagaEvent::Completed { step, output } => return self.complete(*step, output),
            SagaEvent::Failed { step, outcome_unknown } => {
                self.end(*step, if *outcome_unknown { StepEnd::OutcomeUnknown } else { StepEnd::Failed })?;
                self.failures.insert(*step);
            }
            SagaEvent::OutcomeUnknown { step } => {
                let progress = self.steps.get_mut(*step)?.progress.as_mut().ok_or(IllegalEvent::Step(*step))?;
                progress.finish_unknown(StepEnd::OutcomeUnknown).map_err(IllegalEvent::step(*step))?;
                self.queue.push_back(*step);
            }
            SagaEvent::Failing if self.is_failing => return Err(IllegalEvent::Failing),
            SagaEvent::Failing => {
                self.is_failing = true;
                self.rollback.fail();
                self.withdraw();
            }
            SagaEvent::RolledBack { to } => {
                self.rollback.roll_back(&self.steps, to, ())?;
                for point in to {
                    self.steps.get_mut(*point)?.rollbacks += 1;
                }
                self.withdraw();
            }
            SagaEvent::Compensating { steps } => self.rollback.compensate(&self.steps, steps, self.is_failing)?,
            SagaEvent::Compensated { step, end } => {
                self.rollback.end(*step, *end)?;
                self.steps.get_mut(*step)?.compensated = Some(*end).filter(|end| *end != CompensationEnd::Failed);
            }
            SagaEvent::CompensationRetried { step } => self.rollback.retry(*step)?,
            SagaEvent::Restarted => return self.restart(),
            SagaEvent::Ended { outcome } => self.outcome = Some(outcome.clone()),
        }
        Ok(())
    }

    /// A step, its query or its compensation begins.
    fn begin(&mut self, step: NodeIx) -> Applied {
        if self.steps.get_mut(step)?.progress.as_ref().is_some_and(Progress::is_ended) {
            return Ok(self.rollback.begin(step)?);
        }
        let index = self.queue.iter().position(|queued| *queued == step);
        self.queue.remove(index.ok_or(IllegalEvent::Step(step))?);
        match &mut self.steps.get_mut(step)?.progress {
            Some(progress) => progress.begin_query(()).map_err(IllegalEvent::step(step))?,
            progress @ None => {
                *progress = Some(Progress::Active);
                self.steps.busy += 1;
            }
        }
        Ok(())
    }

    /// A step that is under way or queried ends.
    fn end(&mut self, step: NodeIx, end: StepEnd) -> Applied {
        let progress = self.steps.get_mut(step)?.progress.as_mut().ok_or(IllegalEvent::Step(step))?;
        let ended = if progress.is_unknown() { progress.end_query(|_| end) } else { progress.finish(end) };
        ended.map_err(IllegalEvent::step(step))?;
        self.steps.busy = self.steps.busy.saturating_sub(1);
        if let Some(ended) = self.steps.step(step) {
            self.rollback.step_ended(&ended);
        }
        Ok(())
    }

    fn complete(&mut self, step: NodeIx, output: &Payload) -> Applied {
        self.end(step, StepEnd::Completed(output.clone()))?;
        self.open = self.open.saturating_sub(1);
        let graph = Arc::clone(&self.steps.graph);
        for &next in graph.successors(step) {
            let state = self.steps.get_mut(next)?;
            state.missing = state.missing.saturating_sub(1);
            if state.missing == 0 && !self.is_withdrawn(next) {
                self.queue.push_back(next);
            }
        }
        Ok(())
    }

    /// Steps that a rollback concerns do not begin any more. Unknown outcomes are queried all the same.
    fn withdraw(&mut self) {
        let mut queue = core::mem::take(&mut self.queue);
        queue.retain(|step| !self.is_withdrawn(*step) || self.stage(*step) == Some(Stage::QueryPending));
        self.queue = queue;
    }

    /// The steps after the save-points stand as if they had never begun.
    fn restart(&mut self) -> Applied {
        let steps = self.rollback.restart(&self.steps)?.steps;
        for &step in &steps {
            self.failures.remove(&step);
            let state = self.steps.get_mut(step)?;
            self.open += usize::from(state.has_completed());
            *state = State { round: state.round + 1, ..State::default() };
        }
        for &step in &steps {
            let missing = self.steps.missing(step);
            self.steps.get_mut(step)?.missing = missing;
            if missing == 0 {
                self.queue.push_back(step);
            }
        }
        Ok(())
    }
}
