//! What a saga does next, and what it is told.

use super::machine::{Back, State};
use super::{Saga, SagaError, SagaFact, SagaOutcome, Stage, Step, Unwinding, last_save_points};
use crate::base::payload::Payload;
use crate::dag::NodeIx;

/// Something to be done for a saga.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Work {
    /// For which step.
    pub step: NodeIx,
    /// What.
    pub kind: WorkKind,
}

/// What is to be done for a step. All of it is asked for at least once: after a crash what was outstanding is asked for
/// again, with the same step, kind and round, by which whoever does it can recognise it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum WorkKind {
    /// The step itself.
    Do {
        /// How often it was begun anew from a save-point: another round may do it another way.
        round: u32,
    },
    /// Whether the step has happened.
    Ask {
        /// The round that is asked about.
        round: u32,
    },
    /// The step's compensation.
    Undo {
        /// The round that is undone.
        round: u32,
        /// What the step gave, as it was recorded; null if it is not known.
        output: Payload,
        /// Whether it is certain that the step has happened.
        certain: bool,
    },
}

/// What came of a piece of work.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// It was done, and gave this. To a question: the step has happened, and gave this. To a compensation: it is undone.
    Done(Payload),
    /// It was not done, and has had no effect. To a question: the step has not happened. To a compensation: it could not be
    /// undone. Whoever does the work has tried as often as is worth it.
    Failed,
    /// Nobody knows. To a question: there is no answer. To a compensation: as if it could not be undone.
    Unknown,
}

/// What becomes of a compensation that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Settle {
    /// It is tried again.
    Retry,
    /// It has been undone by other means.
    Declare,
    /// It is given up: what the step did stays. A saga on its way to a save-point does not go forward again from there.
    Abandon,
}

impl Saga {
    /// Hands out the next piece of work, if there is one now: steps in the order in which they became ready, compensations in
    /// the order of the graph. Work that was handed out and is not answered is under way; any amount of it may be.
    pub fn next(&mut self, facts: &mut Vec<SagaFact>) -> Option<Work> {
        self.resume(facts);
        if self.outcome.is_some() {
            return None;
        }
        let undo = || self.unwinding()?.ready().next();
        let step = self.queue.front().copied().or_else(undo)?;
        self.state(SagaFact::Began { step }, facts);
        self.work(step)
    }

    /// What was handed out and is not answered: to be done again after a [restore](Self::restore).
    #[must_use]
    pub fn outstanding(&self) -> Vec<Work> {
        self.graph.nodes().filter_map(|step| self.work(step)).collect()
    }

    /// Of what is under way: the steps that are not wanted any more, since the saga turns back. They may be told to stop; they
    /// are awaited in any case.
    pub fn unwanted(&self) -> impl Iterator<Item = NodeIx> {
        let back = self.back.iter().filter(|back| back.unwinding.is_none());
        let inside = back.flat_map(|back| back.inside.iter().copied());
        inside.filter(|step| self.stage(*step) == Some(Stage::Doing))
    }

    /// Takes what came of a piece of work.
    ///
    /// # Errors
    ///
    /// When nothing is under way for the step: the answer was given before, or comes too late to matter.
    pub fn answer(&mut self, step: NodeIx, answer: Answer, facts: &mut Vec<SagaFact>) -> Result<(), SagaError> {
        let stage = self.stage(step).ok_or(SagaError::UnknownStep(step))?;
        let fact = match (stage, answer) {
            (Stage::Doing | Stage::Asking, Answer::Done(output)) => SagaFact::Done { step, output },
            (Stage::Doing | Stage::Asking, Answer::Failed) => SagaFact::Failed { step, maybe: false },
            (Stage::Doing, Answer::Unknown) if self.spec(step).query => SagaFact::InDoubt { step },
            (Stage::Doing | Stage::Asking, Answer::Unknown) => SagaFact::Failed { step, maybe: true },
            (_, answer) if self.undo(step) == Some(Step::Undoing) => match answer {
                Answer::Done(_) => SagaFact::Undone { step },
                Answer::Failed | Answer::Unknown => SagaFact::UndoFailed { step },
            },
            _ => return Err(SagaError::NotUnderWay(step)),
        };
        self.state(fact, facts);
        self.resume(facts);
        Ok(())
    }

    /// Tells it to go no further: what has happened is undone. What is being undone already is undone first.
    ///
    /// # Errors
    ///
    /// When it is over, was told before, is undoing everything already, or a pivot has been passed: then it goes forward to
    /// its end.
    pub fn cancel(&mut self, facts: &mut Vec<SagaFact>) -> Result<(), SagaError> {
        if self.outcome.is_none() && self.graph.nodes().any(|step| self.is_passed_pivot(step)) {
            return Err(SagaError::PastPivot);
        }
        self.stop(false, facts)
    }

    /// The same even past a pivot: then nothing is undone, and all that has happened is the residue.
    ///
    /// # Errors
    ///
    /// When it is over, was told before, or is undoing everything already.
    pub fn abort(&mut self, facts: &mut Vec<SagaFact>) -> Result<(), SagaError> {
        self.stop(true, facts)
    }

    fn stop(&mut self, anyway: bool, facts: &mut Vec<SagaFact>) -> Result<(), SagaError> {
        if self.outcome.is_some() {
            return Err(SagaError::Over);
        }
        if self.cancelled.is_some() || self.back.as_ref().is_some_and(|back| back.to.is_empty()) {
            return Err(SagaError::TurnsBack);
        }
        self.state(SagaFact::Cancelled { anyway }, facts);
        self.resume(facts);
        Ok(())
    }

    /// Says what becomes of a compensation that failed.
    ///
    /// # Errors
    ///
    /// When none of that step has.
    pub fn settle(&mut self, step: NodeIx, settle: Settle, facts: &mut Vec<SagaFact>) -> Result<(), SagaError> {
        if self.undo(step) != Some(Step::Failed) {
            return Err(SagaError::NothingToSettle(step));
        }
        self.state(
            match settle {
                Settle::Retry => SagaFact::UndoRetried { step },
                Settle::Declare => SagaFact::UndoSettled { step, abandoned: false },
                Settle::Abandon => SagaFact::UndoSettled { step, abandoned: true },
            },
            facts,
        );
        self.resume(facts);
        Ok(())
    }

    /// Finishes what the last call before a crash had begun: states the facts that follow from those that are there.
    pub fn resume(&mut self, facts: &mut Vec<SagaFact>) {
        while let Some(fact) = self.owed() {
            self.state(fact, facts);
        }
    }

    fn state(&mut self, fact: SagaFact, facts: &mut Vec<SagaFact>) {
        let applied = self.apply(&fact);
        debug_assert_eq!(applied, Ok(()), "the saga decided {fact:?}, which does not follow");
        facts.push(fact);
    }

    /// What was handed out for a step.
    fn work(&self, step: NodeIx) -> Option<Work> {
        let state = self.steps.get(step.index())?;
        let round = state.round;
        let kind = if state.stage == Stage::Doing {
            WorkKind::Do { round }
        } else if state.stage == Stage::Asking {
            WorkKind::Ask { round }
        } else if self.undo(step) == Some(Step::Undoing) {
            WorkKind::Undo { round, output: state.output.clone(), certain: state.stage == Stage::Done }
        } else {
            return None;
        };
        Some(Work { step, kind })
    }

    /// The fact that follows from the state, if there is one.
    fn owed(&self) -> Option<SagaFact> {
        if self.outcome.is_some() {
            return None;
        }
        let Some(back) = &self.back else {
            if self.cancelled.is_some() {
                return Some(SagaFact::Halted { to: Vec::new() });
            }
            return match self.broken.first() {
                Some(broken) => Some(SagaFact::Halted { to: self.way_back(*broken) }),
                None => (self.open == 0).then_some(SagaFact::Ended { outcome: SagaOutcome::Completed }),
            };
        };
        match &back.unwinding {
            None => (back.active == 0).then(|| SagaFact::Unwinding { steps: self.to_undo(back) }),
            Some(unwinding) if !unwinding.is_over() => None,
            Some(_) if back.to.is_empty() => Some(SagaFact::Ended { outcome: self.end() }),
            Some(_) if self.cancelled.is_none() && self.is_clear(back) => Some(SagaFact::Forward),
            Some(_) => Some(SagaFact::Halted { to: Vec::new() }),
        }
    }

    /// The save-points to which a failure leads back: the last ones before it from which the saga may go forward again, and
    /// after which no pivot has happened.
    fn way_back(&self, broken: NodeIx) -> Vec<NodeIx> {
        last_save_points(&self.graph, broken, |point| {
            let state = self.steps.get(point.index());
            let open = state.is_some_and(|state| state.stage == Stage::Done && state.used < self.spec(point).again);
            open && !self.graph.descendants(&[point]).into_iter().any(|step| self.is_passed_pivot(step))
        })
    }

    fn to_undo(&self, back: &Back) -> Vec<NodeIx> {
        if back.inside.iter().any(|step| self.is_passed_pivot(*step)) {
            return Vec::new();
        }
        let happened = |step: &NodeIx| self.steps.get(step.index()).is_some_and(State::has_happened);
        let wanted = |step: &&NodeIx| happened(step) && self.spec(**step).undoable;
        back.inside.iter().filter(wanted).copied().collect()
    }

    /// Whether nothing of what came after the save-points is left.
    fn is_clear(&self, back: &Back) -> bool {
        let stays = |step: &NodeIx| self.is_passed_pivot(*step) || self.stage(*step) == Some(Stage::Abandoned);
        !back.inside.iter().any(stays)
    }

    fn end(&self) -> SagaOutcome {
        let stays = |step: &NodeIx| {
            let spec = self.spec(*step);
            match self.stage(*step) {
                Some(Stage::Abandoned) => true,
                Some(Stage::Done | Stage::Unknown) => spec.pivot || spec.undoable,
                _ => false,
            }
        };
        let residue: Vec<NodeIx> = self.graph.nodes().filter(stays).collect();
        let undone = self.unwinding().is_some_and(|unwinding| Unwinding::members(unwinding).next().is_some());
        let undone = undone || self.steps.iter().any(|state| state.stage == Stage::Undone);
        if undone && residue.is_empty() { SagaOutcome::Compensated } else { SagaOutcome::Failed { residue } }
    }
}
