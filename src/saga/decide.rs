//! The decisions of a saga and the calls of its host.

use super::event::{SagaError, SagaEvent, SagaOutcome};
use super::rollback::{Next, Step as _, Steps as _};
use super::{CompensationEnd, CompensationState, Saga, Stage};
use crate::base::payload::Payload;
use crate::dag::NodeIx;

/// Work to perform for a saga.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Work {
    /// The step.
    pub step: NodeIx,
    /// What to perform for it.
    pub kind: WorkKind,
}

/// The kind of work for a step. Each is delivered at least once: work that was outstanding at a crash is repeated with the
/// same step, kind and round, which identify it within its saga; a key for other systems must identify the saga, too.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum WorkKind {
    /// Perform the step.
    Do {
        /// How often the step was restarted from a save-point.
        round: u32,
    },
    /// Find out whether the step completed.
    Query {
        /// The round that is queried.
        round: u32,
    },
    /// Compensate the step.
    Compensate {
        /// The round that is compensated.
        round: u32,
        /// The recorded output of the step; null if it is not known.
        output: Payload,
        /// Whether the step is certain to have completed.
        certain: bool,
    },
}

/// The result of work.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// A step has completed with this output; a query found that the step has; or a compensation has succeeded.
    Done(Payload),
    /// A step has failed without side effects; a query found that the step has; or a compensation has failed. Retries are
    /// over.
    Failed,
    /// The outcome is unknown. For a query: it found nothing out. For a compensation: the same as a failure.
    Unknown,
}

/// A decision about a failed compensation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Remedy {
    /// Execute it again.
    Retry,
    /// The step was compensated by other means.
    Declare,
    /// The side effects of the step remain. A saga that rolls back to a save-point then fails as a whole.
    Abandon,
}

impl Saga {
    /// Returns the next work that can begin, if there is any: steps in the order in which they became ready, compensations in
    /// the reverse order of the graph. Any amount of work may be under way at once.
    pub fn next(&mut self, events: &mut Vec<SagaEvent>) -> Option<Work> {
        self.resume(events);
        if self.outcome.is_some() {
            return None;
        }
        let step = self.queue.front().copied().or_else(|| self.rollback.ready().next())?;
        self.record(SagaEvent::Began { step }, events);
        self.work(step)
    }

    /// The work that is under way: after a [restore](Self::restore) it is to be repeated.
    #[must_use]
    pub fn outstanding(&self) -> Vec<Work> {
        self.steps.topology().nodes().filter_map(|step| self.work(step)).collect()
    }

    /// The steps under way whose result a rollback discards. The host may cancel them; they are awaited in any case.
    pub fn unwanted(&self) -> impl Iterator<Item = NodeIx> {
        let is_unwanted = |step: &NodeIx| {
            let is_concerned = self.is_failing || self.rollback.concerns(*step);
            is_concerned && self.stage(*step) == Some(Stage::Active)
        };
        self.steps.topology().nodes().filter(is_unwanted)
    }

    /// Accepts the result of work.
    ///
    /// # Errors
    ///
    /// When no work is under way for the step: its result was accepted before.
    pub fn answer(&mut self, step: NodeIx, answer: Answer, events: &mut Vec<SagaEvent>) -> Result<(), SagaError> {
        let (stage, has_query) = match self.steps.step(step) {
            Some((spec, state)) => (state.stage(), spec.query),
            None => return Err(SagaError::UnknownStep(step)),
        };
        let event = match (stage, answer) {
            (Stage::Active | Stage::Querying, Answer::Done(output)) => SagaEvent::Completed { step, output },
            (Stage::Active | Stage::Querying, Answer::Failed) => SagaEvent::Failed { step, outcome_unknown: false },
            (Stage::Active, Answer::Unknown) if has_query => SagaEvent::OutcomeUnknown { step },
            (Stage::Active | Stage::Querying, Answer::Unknown) => SagaEvent::Failed { step, outcome_unknown: true },
            (_, answer) if self.compensation(step) == Some(CompensationState::Active) => {
                let has_succeeded = matches!(answer, Answer::Done(_));
                let end = if has_succeeded { CompensationEnd::Compensated } else { CompensationEnd::Failed };
                SagaEvent::Compensated { step, end }
            }
            _ => return Err(SagaError::NotUnderWay(step)),
        };
        self.record(event, events);
        self.resume(events);
        Ok(())
    }

    /// Cancels the saga: no further step begins, and completed ones are compensated.
    ///
    /// # Errors
    ///
    /// When the saga has ended or failed, or has passed a pivot.
    pub fn cancel(&mut self, events: &mut Vec<SagaEvent>) -> Result<(), SagaError> {
        if self.outcome.is_none() && self.rollback.has_passed_pivot() {
            return Err(SagaError::PastPivot);
        }
        self.abort(events)
    }

    /// Cancels the saga even after a pivot; then nothing is compensated, and all side effects remain.
    ///
    /// # Errors
    ///
    /// When the saga has ended or failed.
    pub fn abort(&mut self, events: &mut Vec<SagaEvent>) -> Result<(), SagaError> {
        match self.outcome {
            Some(_) => return Err(SagaError::Ended),
            None if self.is_failing => return Err(SagaError::Failing),
            None => {}
        }
        self.record(SagaEvent::Failing, events);
        self.resume(events);
        Ok(())
    }

    /// Decides about a failed compensation.
    ///
    /// # Errors
    ///
    /// When the compensation of the step has not failed.
    pub fn settle(&mut self, step: NodeIx, remedy: Remedy, events: &mut Vec<SagaEvent>) -> Result<(), SagaError> {
        if self.compensation(step) != Some(CompensationState::Failed) {
            return Err(SagaError::NothingToSettle(step));
        }
        let event = match remedy {
            Remedy::Retry => SagaEvent::CompensationRetried { step },
            Remedy::Declare => SagaEvent::Compensated { step, end: CompensationEnd::Declared },
            Remedy::Abandon => SagaEvent::Compensated { step, end: CompensationEnd::Abandoned },
        };
        self.record(event, events);
        self.resume(events);
        Ok(())
    }

    /// Records the events that follow from the state: the last call before a crash may not have recorded them all.
    pub fn resume(&mut self, events: &mut Vec<SagaEvent>) {
        while let Some(event) = self.due() {
            self.record(event, events);
        }
    }

    fn record(&mut self, event: SagaEvent, events: &mut Vec<SagaEvent>) {
        let applied = self.apply(&event);
        debug_assert_eq!(applied, Ok(()), "the saga decided {event:?}, which its state does not allow");
        events.push(event);
    }

    /// The work for a step that is under way.
    fn work(&self, step: NodeIx) -> Option<Work> {
        let state = self.steps.get(step)?;
        let round = state.round;
        let is_compensated = self.compensation(step) == Some(CompensationState::Active);
        let stage = state.stage();
        let kind = if stage == Stage::Active {
            WorkKind::Do { round }
        } else if stage == Stage::Querying {
            WorkKind::Query { round }
        } else if is_compensated {
            WorkKind::Compensate { round, output: state.output().clone(), certain: state.has_completed() }
        } else {
            return None;
        };
        Some(Work { step, kind })
    }

    /// The event that follows from the state, if there is one.
    fn due(&self) -> Option<SagaEvent> {
        if self.outcome.is_some() {
            return None;
        }
        Some(match self.rollback.next(&self.steps, self.is_failing) {
            Next::Wait => return None,
            Next::Compensate(steps) => SagaEvent::Compensating { steps },
            Next::Fail(()) => SagaEvent::Failing,
            Next::Restart(_) => SagaEvent::Restarted,
            Next::End => SagaEvent::Ended { outcome: self.failure() },
            Next::Forward => match self.failures.first().map(|failed| self.steps.save_points(*failed)) {
                Some(to) if to.is_empty() => SagaEvent::Failing,
                Some(to) => SagaEvent::RolledBack { to },
                None if self.open == 0 => SagaEvent::Ended { outcome: SagaOutcome::Completed },
                None => return None,
            },
        })
    }

    /// The outcome of a saga that failed and whose compensations are settled.
    fn failure(&self) -> SagaOutcome {
        let residue = self.steps.residue();
        let is_compensated = |step: NodeIx| self.steps.has(step, |step| step.compensated().is_some());
        if residue.is_empty() && self.steps.topology().nodes().any(is_compensated) {
            SagaOutcome::Compensated
        } else {
            SagaOutcome::Failed { residue }
        }
    }
}
