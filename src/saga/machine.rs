//! The state of a saga: the fold of its facts. Nothing here decides.

use super::{SagaError, SagaFact, SagaOutcome, Step, StepSpec, Unwinding};
use crate::base::payload::Payload;
use crate::dag::{Dag, NodeIx, Topology};
use crate::definition::OnCompensationFailure;
use core::fmt;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Where a step of a saga stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Stage {
    /// Something that it comes after is not done.
    #[default]
    Waiting,
    /// It can be done.
    Ready,
    /// It is being done.
    Doing,
    /// Nobody knows whether it has happened; that is to be asked.
    InDoubt,
    /// Somebody is finding out whether it has happened.
    Asking,
    /// It is done.
    Done,
    /// It was not done.
    Failed,
    /// Nobody knows whether it has happened, and nobody will tell.
    Unknown,
    /// It is undone.
    Undone,
    /// Its compensation was given up: what it did stays.
    Abandoned,
}

/// Which way a saga goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SagaPhase {
    /// Forward.
    Forward,
    /// Something failed; what is under way is awaited.
    Halting,
    /// What has happened is being undone: all of it, or what came after a save-point.
    Undoing,
    /// A compensation failed and waits for a word.
    Stuck,
    /// It is over.
    Ended,
}

/// A saga: a state machine that says what to do, is told how that went, and forgets nothing. No threads, no clock.
///
/// [`next`](Self::next) hands out work, [`answer`](Self::answer) takes what came of it. Both leave facts behind; whoever
/// writes them down before the work is done can [`restore`](Self::restore) the saga after a crash and do again what was
/// [outstanding](Self::outstanding). See the [module](super) for an example and the rules.
#[derive(Clone)]
pub struct Saga {
    pub(super) graph: Arc<Topology>,
    pub(super) reversed: Arc<Topology>,
    pub(super) specs: Arc<[StepSpec]>,
    pub(super) on_compensation_failure: OnCompensationFailure,
    pub(super) steps: Vec<State>,
    /// What can be handed out to be done or asked about.
    pub(super) queue: VecDeque<NodeIx>,
    /// How many steps are not done.
    pub(super) open: usize,
    /// The steps that failed or may have, and for which nothing has been done yet.
    pub(super) broken: BTreeSet<NodeIx>,
    /// Whether it was told to stop, and if so whether even without a way back.
    pub(super) cancelled: Option<bool>,
    pub(super) back: Option<Back>,
    pub(super) outcome: Option<SagaOutcome>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct State {
    pub(super) stage: Stage,
    pub(super) output: Payload,
    /// How many of the steps before it are not done.
    missing: u32,
    /// How often it was begun anew.
    pub(super) round: u32,
    /// Of a save-point: how often the saga went forward from it again.
    pub(super) used: u32,
}

impl State {
    pub(super) const fn is_under_way(&self) -> bool {
        matches!(self.stage, Stage::Doing | Stage::InDoubt | Stage::Asking)
    }

    pub(super) const fn has_happened(&self) -> bool {
        matches!(self.stage, Stage::Done | Stage::Unknown)
    }
}

/// A way back that has begun.
#[derive(Clone)]
pub(super) struct Back {
    /// The save-points; the beginning, if there are none.
    pub(super) to: Vec<NodeIx>,
    /// What goes back: all that comes after them.
    pub(super) inside: Vec<NodeIx>,
    /// How many of these are under way.
    pub(super) active: usize,
    pub(super) unwinding: Option<Unwinding>,
}

type Applied = Result<(), &'static str>;

impl Saga {
    /// A saga that has not begun, over the steps of a graph. Takes time and space linear in the graph; the graph itself is
    /// shared, so that many sagas can go over one.
    #[must_use]
    pub fn new(steps: &Dag<StepSpec>) -> Self {
        let graph = Arc::clone(steps.topology());
        let missing = |node| u32::try_from(graph.predecessors(node).len()).unwrap_or(u32::MAX);
        let states = graph.nodes().map(|node| match missing(node) {
            0 => State { stage: Stage::Ready, ..State::default() },
            missing => State { missing, ..State::default() },
        });
        Self {
            steps: states.collect(),
            queue: graph.roots().iter().copied().collect(),
            open: graph.len(),
            reversed: graph.reversed(),
            graph,
            specs: steps.payloads().into(),
            on_compensation_failure: OnCompensationFailure::Hold,
            broken: BTreeSet::new(),
            cancelled: None,
            back: None,
            outcome: None,
        }
    }

    /// Sets what a compensation that fails holds back. To be said before anything has begun, and again at a restore.
    #[must_use]
    pub const fn with_on_compensation_failure(mut self, policy: OnCompensationFailure) -> Self {
        self.on_compensation_failure = policy;
        self
    }

    /// The saga that these facts lead to. Call [`resume`](Self::resume) before anything else, then do again what is
    /// [outstanding](Self::outstanding).
    ///
    /// # Errors
    ///
    /// At the first fact that does not follow from those before it.
    pub fn restore<'a>(
        steps: &Dag<StepSpec>,
        facts: impl IntoIterator<Item = &'a SagaFact>,
    ) -> Result<Self, SagaError> {
        Self::new(steps).follow(facts)
    }

    /// The same for a saga that was [told more](Self::with_on_compensation_failure) before it began.
    ///
    /// # Errors
    ///
    /// As [`restore`](Self::restore).
    pub fn follow<'a>(mut self, facts: impl IntoIterator<Item = &'a SagaFact>) -> Result<Self, SagaError> {
        for (place, fact) in facts.into_iter().enumerate() {
            self.apply(fact).map_err(|why| SagaError::Misfit { place, why })?;
        }
        Ok(self)
    }

    /// Where a step stands; none if there is no such step.
    #[must_use]
    pub fn stage(&self, step: NodeIx) -> Option<Stage> {
        self.steps.get(step.index()).map(|state| state.stage)
    }

    /// Where the compensation of a step stands, if it is or was to be undone on the present way back.
    #[must_use]
    pub fn undo(&self, step: NodeIx) -> Option<Step> {
        self.unwinding()?.step(step)
    }

    /// What a step gave, as it was recorded; null if it gave nothing.
    #[must_use]
    pub fn output(&self, step: NodeIx) -> &Payload {
        self.steps.get(step.index()).map_or(&Payload::NULL, |state| &state.output)
    }

    /// Which way it goes.
    #[must_use]
    pub fn phase(&self) -> SagaPhase {
        match &self.back {
            _ if self.outcome.is_some() => SagaPhase::Ended,
            None => SagaPhase::Forward,
            Some(Back { unwinding: None, .. }) => SagaPhase::Halting,
            Some(Back { unwinding: Some(unwinding), .. }) if unwinding.stuck().next().is_some() => SagaPhase::Stuck,
            Some(_) => SagaPhase::Undoing,
        }
    }

    /// How it ended, if it has.
    #[must_use]
    pub const fn outcome(&self) -> Option<&SagaOutcome> {
        self.outcome.as_ref()
    }

    /// The steps whose compensation has failed and waits for a word.
    pub fn stuck(&self) -> impl Iterator<Item = NodeIx> {
        self.unwinding().into_iter().flat_map(Unwinding::stuck)
    }

    pub(super) fn unwinding(&self) -> Option<&Unwinding> {
        self.back.as_ref()?.unwinding.as_ref()
    }

    pub(super) fn spec(&self, step: NodeIx) -> StepSpec {
        self.specs.get(step.index()).copied().unwrap_or_default()
    }

    /// Whether a step that goes no way back has happened, or may have and cannot be undone.
    pub(super) fn is_passed_pivot(&self, step: NodeIx) -> bool {
        let spec = self.spec(step);
        match self.stage(step) {
            Some(Stage::Done) => spec.pivot,
            Some(Stage::Unknown) => spec.pivot && !spec.undoable,
            _ => false,
        }
    }

    pub(super) fn apply(&mut self, fact: &SagaFact) -> Applied {
        if self.outcome.is_some() {
            return Err("something happens after the end");
        }
        match fact {
            SagaFact::Began { step } => self.began(*step),
            SagaFact::Done { step, output } => self.done(*step, output),
            SagaFact::Failed { step, maybe } => {
                self.ends(*step, if *maybe { Stage::Unknown } else { Stage::Failed })?;
                self.broken.insert(*step);
                Ok(())
            }
            SagaFact::InDoubt { step } => {
                let state = self.state_mut(*step).filter(|state| state.stage == Stage::Doing);
                state.ok_or("a step is in doubt that was not being done")?.stage = Stage::InDoubt;
                self.queue.push_back(*step);
                Ok(())
            }
            SagaFact::Cancelled { anyway } => {
                self.cancelled = Some(*anyway);
                Ok(())
            }
            SagaFact::Halted { to } => self.halted(to),
            SagaFact::Unwinding { steps } => {
                let (reversed, policy) = (Arc::clone(&self.reversed), self.on_compensation_failure);
                let back = self.back.as_mut().filter(|back| back.active == 0 && back.unwinding.is_none());
                let back = back.ok_or("steps are undone while something is under way")?;
                let unwinding = Unwinding::along(&reversed, steps).map_err(|_| "an unknown step is undone")?;
                back.unwinding = Some(unwinding.with_policy(policy));
                Ok(())
            }
            SagaFact::Undone { step } => self.undoing(*step, Unwinding::undone, Some(Stage::Undone)),
            SagaFact::UndoFailed { step } => self.undoing(*step, Unwinding::failed, None),
            SagaFact::UndoRetried { step } => self.undoing(*step, Unwinding::retry, None),
            SagaFact::UndoSettled { step, abandoned } => {
                let stage = if *abandoned { Stage::Abandoned } else { Stage::Undone };
                self.undoing(*step, Unwinding::give_up, Some(stage))
            }
            SagaFact::Forward => self.forward(),
            SagaFact::Ended { outcome } => {
                self.outcome = Some(outcome.clone());
                Ok(())
            }
        }
    }

    fn state_mut(&mut self, step: NodeIx) -> Option<&mut State> {
        self.steps.get_mut(step.index())
    }

    fn began(&mut self, step: NodeIx) -> Applied {
        let stage = self.stage(step).ok_or("an unknown step begins")?;
        if !matches!(stage, Stage::Ready | Stage::InDoubt) {
            let unwinding = self.back.as_mut().and_then(|back| back.unwinding.as_mut());
            let begun = unwinding.ok_or("a step begins that is not ready")?.begin(step);
            return begun.map_err(|_| "a step is undone that is not ready for that");
        }
        if self.queue.front() == Some(&step) {
            self.queue.pop_front();
        } else {
            let place = self.queue.iter().position(|other| *other == step);
            self.queue.remove(place.ok_or("a step begins that is not ready")?);
        }
        if let Some(state) = self.state_mut(step) {
            state.stage = if stage == Stage::Ready { Stage::Doing } else { Stage::Asking };
        }
        Ok(())
    }

    /// A step that is being done, or asked about, has come to an end.
    fn ends(&mut self, step: NodeIx, stage: Stage) -> Applied {
        let state = self.state_mut(step).filter(|state| matches!(state.stage, Stage::Doing | Stage::Asking));
        state.ok_or("a step ends that was not under way")?.stage = stage;
        if let Some(back) = self.back.as_mut().filter(|back| back.inside.binary_search(&step).is_ok()) {
            back.active = back.active.saturating_sub(1);
        }
        Ok(())
    }

    fn done(&mut self, step: NodeIx, output: &Payload) -> Applied {
        self.ends(step, Stage::Done)?;
        if let Some(state) = self.state_mut(step) {
            state.output = output.clone();
        }
        self.open = self.open.saturating_sub(1);
        let graph = Arc::clone(&self.graph);
        for &next in graph.successors(step) {
            let inside = self.back.as_ref().is_some_and(|back| back.inside.binary_search(&next).is_ok());
            let Some(state) = self.state_mut(next) else { continue };
            state.missing = state.missing.saturating_sub(1);
            if state.missing == 0 && !inside {
                state.stage = Stage::Ready;
                self.queue.push_back(next);
            }
        }
        Ok(())
    }

    fn halted(&mut self, to: &[NodeIx]) -> Applied {
        let over = |back: &Back| !back.to.is_empty() && back.unwinding.as_ref().is_some_and(Unwinding::is_over);
        if self.back.as_ref().is_some_and(|back| !over(back)) {
            return Err("it turns back twice");
        }
        if to.iter().any(|point| self.stage(*point) != Some(Stage::Done)) {
            return Err("it turns back to a step that is not done");
        }
        let mut inside = match to {
            [] => self.graph.nodes().collect(),
            _ => self.graph.descendants(to),
        };
        inside.sort_unstable();
        for point in to {
            if let Some(state) = self.state_mut(*point) {
                state.used += 1;
            }
        }
        // What has not begun there does not begin any more; what is in doubt is asked about all the same.
        let steps = &self.steps;
        let stays = |step: &NodeIx| steps.get(step.index()).is_some_and(|state| state.stage == Stage::InDoubt);
        self.queue.retain(|step| inside.binary_search(step).is_err() || stays(step));
        let active = inside.iter().filter_map(|step| self.steps.get(step.index()));
        let active = active.filter(|state| state.is_under_way()).count();
        self.back = Some(Back { to: to.to_vec(), inside, active, unwinding: None });
        Ok(())
    }

    fn undoing(
        &mut self,
        step: NodeIx,
        change: impl FnOnce(&mut Unwinding, NodeIx) -> Result<(), super::UnwindError>,
        stage: Option<Stage>,
    ) -> Applied {
        let unwinding = self.back.as_mut().and_then(|back| back.unwinding.as_mut());
        let unwinding = unwinding.ok_or("a step is undone of a saga that goes forward")?;
        change(unwinding, step).map_err(|_| "the compensation of a step does not stand there")?;
        if let (Some(stage), Some(state)) = (stage, self.state_mut(step)) {
            state.stage = stage;
        }
        Ok(())
    }

    /// What came after the save-points stands as if it had never begun.
    fn forward(&mut self) -> Applied {
        let back = self.back.take().filter(|back| !back.to.is_empty()).ok_or("it goes forward from nowhere")?;
        if !back.unwinding.as_ref().is_some_and(Unwinding::is_over) {
            return Err("it goes forward before all is undone");
        }
        for step in &back.inside {
            self.broken.remove(step);
            if let Some(state) = self.state_mut(*step) {
                *state = State { round: state.round + 1, ..State::default() };
            }
        }
        for &step in &back.inside {
            let done = |before: &&NodeIx| self.stage(**before) == Some(Stage::Done);
            let before = self.graph.predecessors(step);
            let missing = before.len() - before.iter().filter(done).count();
            let Some(state) = self.steps.get_mut(step.index()) else { continue };
            state.missing = u32::try_from(missing).unwrap_or(u32::MAX);
            if missing == 0 {
                state.stage = Stage::Ready;
                self.queue.push_back(step);
            }
        }
        self.open = self.steps.iter().filter(|state| state.stage != Stage::Done).count();
        Ok(())
    }
}

impl PartialEq for Saga {
    /// Whether both stand where the same facts lead.
    fn eq(&self, other: &Self) -> bool {
        let undoing = |saga: &Self| saga.graph.nodes().map(|step| saga.undo(step)).collect::<Vec<_>>();
        self.graph == other.graph
            && self.specs == other.specs
            && self.steps == other.steps
            && self.queue == other.queue
            && (&self.broken, self.cancelled, &self.outcome) == (&other.broken, other.cancelled, &other.outcome)
            && self.back.as_ref().map(|back| &back.to) == other.back.as_ref().map(|back| &back.to)
            && undoing(self) == undoing(other)
    }
}

impl fmt::Debug for Saga {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages: Vec<Stage> = self.steps.iter().map(|state| state.stage).collect();
        f.debug_struct("Saga").field("phase", &self.phase()).field("stages", &stages).finish_non_exhaustive()
    }
}
