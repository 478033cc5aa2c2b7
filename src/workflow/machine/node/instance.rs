//! One instance of a node's work: a task or a child run, and its compensation. A run has as many as its nodes have begun, so
//! rare data is boxed.

use super::{Applied, Illegal, InstanceEnd};
use crate::base::id::{AttemptId, RunId, TaskId};
use crate::base::payload::Payload;
use crate::saga::Progress;
use crate::task::{Failure, SideEffects, Spending, Usage};
use serde::{Deserialize, Serialize};

/// The task or child run that performs an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Worker {
    Task(TaskId),
    Child(RunId),
}

impl Worker {
    pub(crate) const fn child(self) -> Option<RunId> {
        match self {
            Self::Child(run) => Some(run),
            Self::Task(_) => None,
        }
    }

    pub(crate) const fn task(self) -> Option<TaskId> {
        match self {
            Self::Task(task) => Some(task),
            Self::Child(_) => None,
        }
    }
}

/// Whether an instance can still be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Commitment {
    #[default]
    Withdrawable,
    /// An agent holds the task of a pivot, or the outcome of its last attempt is unknown; or a child run has passed its
    /// pivot.
    Committed,
}

/// Whether the cancellation of an instance was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cancellation {
    #[default]
    NotRequested,
    Requested,
}

/// One instance of a node's work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Instance {
    worker: Worker,
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    input: Payload,
    #[serde(default, skip_serializing_if = "is_default")]
    cancel: Cancellation,
    #[serde(default, skip_serializing_if = "is_default")]
    commitment: Commitment,
    /// The number of attempts that have begun.
    #[serde(default, skip_serializing_if = "is_default")]
    attempts: u32,
    /// The query of an unknown outcome is a task.
    #[serde(default, skip_serializing_if = "is_default")]
    progress: Progress<InstanceEnd, TaskId>,
    #[serde(default, skip_serializing_if = "is_default")]
    undo: InstanceUndo,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aside: Option<Box<Aside>>,
}

/// The state of the compensation of an instance.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InstanceUndo {
    #[default]
    Idle,
    Active(Worker),
    Undone,
    Failed(Box<Failure>),
}

/// Data that few instances have.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Aside {
    /// The index of the state that it performs, for a node with states; the number of the call from 1, for a function.
    #[serde(default, skip_serializing_if = "is_default")]
    state: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    bill: Bill,
}

/// The reservation of an instance, and the usage of its attempts and those of its compensation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Bill {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reserved: Option<Spending>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    used: Vec<(AttemptId, Usage)>,
}

/// The share of an instance in each budget that applies to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Claim {
    /// The part of the reservation that is not spent.
    pub(crate) reserved: Spending,
    pub(crate) spent: Spending,
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Reading.
impl Instance {
    pub(crate) const fn worker(&self) -> Worker {
        self.worker
    }

    pub(crate) const fn input(&self) -> &Payload {
        &self.input
    }

    /// Whether it has not ended.
    pub(crate) const fn is_active(&self) -> bool {
        !self.progress.is_ended()
    }

    pub(crate) const fn end(&self) -> Option<&InstanceEnd> {
        self.progress.end()
    }

    pub(crate) const fn undo(&self) -> &InstanceUndo {
        &self.undo
    }

    pub(crate) const fn is_undo_idle(&self) -> bool {
        matches!(self.undo, InstanceUndo::Idle)
    }

    /// Whether its outcome is unknown and is to be queried.
    pub(crate) const fn is_unknown(&self) -> bool {
        self.progress.is_unknown()
    }

    /// The task of the query for its outcome.
    pub(crate) fn query(&self) -> Option<TaskId> {
        self.progress.query().copied()
    }

    /// Whether a query is to be submitted.
    pub(crate) fn needs_query(&self) -> bool {
        self.is_unknown() && self.query().is_none()
    }

    pub(crate) fn is_cancelling(&self) -> bool {
        self.cancel == Cancellation::Requested
    }

    pub(crate) fn is_committed(&self) -> bool {
        self.commitment == Commitment::Committed
    }

    /// Whether it can be cancelled. A pivot under way cannot: its outcome, which decides whether the run goes forward, would be
    /// unknown.
    pub(crate) fn can_be_cancelled(&self) -> bool {
        matches!(self.progress, Progress::Active) && !self.is_cancelling() && !self.is_committed()
    }

    pub(crate) const fn side_effects(&self) -> &SideEffects {
        match self.end() {
            Some(end) => end.side_effects(),
            None => &SideEffects::None,
        }
    }

    pub(crate) fn had_effect(&self) -> bool {
        *self.side_effects() != SideEffects::None && self.undo != InstanceUndo::Undone
    }

    /// Whether there are side effects to compensate. A child run that failed has already compensated its own.
    pub(crate) fn has_something_to_undo(&self) -> bool {
        match self.worker {
            Worker::Child(_) => matches!(self.side_effects(), SideEffects::Done(_)) && self.had_effect(),
            Worker::Task(_) => self.had_effect(),
        }
    }

    /// Whether it is a child run with side effects that can no longer be withdrawn.
    pub(crate) fn is_irreversible(&self) -> bool {
        self.is_committed() && self.had_effect() && self.worker.child().is_some()
    }

    /// The output of an instance that succeeded, null otherwise: outputs of cancelled work are not used.
    pub(crate) fn output(&self) -> Payload {
        self.end().filter(|end| end.is_success()).map(InstanceEnd::output).unwrap_or_default()
    }

    /// The index of the state that it performs, for a node with states; the number of the call from 1, for a function.
    pub(crate) fn state(&self) -> u32 {
        self.aside.as_ref().map_or(0, |aside| aside.state)
    }

    pub(crate) const fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(crate) fn spent(&self) -> Spending {
        let used = self.aside.iter().flat_map(|aside| &aside.bill.used);
        used.fold(Spending::of(self.attempts.into(), Usage::default()), |sum, (_, usage)| sum + Spending::of(0, *usage))
    }

    pub(crate) fn claim(&self) -> Claim {
        let spent = self.spent();
        let reserved = self.aside.as_ref().and_then(|aside| aside.bill.reserved).filter(|_| self.is_active());
        Claim { reserved: reserved.map(|reserved| reserved.left_after(spent)).unwrap_or_default(), spent }
    }
}

/// Transitions.
impl Instance {
    pub(crate) fn new(worker: Worker, input: Payload, state: u32) -> Self {
        let aside = (state > 0).then(|| Box::new(Aside { state, ..Aside::default() }));
        Self {
            worker,
            input,
            cancel: Cancellation::NotRequested,
            commitment: Commitment::Withdrawable,
            attempts: 0,
            progress: Progress::Active,
            undo: InstanceUndo::Idle,
            aside,
        }
    }

    /// Its payloads.
    pub(super) fn each_payload(&mut self, mut change: impl FnMut(&mut Payload)) {
        change(&mut self.input);
        if let Progress::Ended(end) = &mut self.progress
            && let Some(output) = end.output_mut()
        {
            change(output);
        }
    }

    pub(crate) fn request_cancel(&mut self) -> Applied {
        self.active("the cancellation of an instance is requested")?;
        self.cancel = Cancellation::Requested;
        Ok(())
    }

    pub(crate) fn commit(&mut self, commitment: Commitment) -> Applied {
        self.active("the commitment of an instance changes")?;
        self.commitment = commitment;
        Ok(())
    }

    /// Records the end of its task or child run.
    pub(crate) fn finish(&mut self, end: InstanceEnd) -> Applied {
        self.progress.finish(end).map_err(Illegal::by("an instance ends"))
    }

    /// Records the end of its task with an unknown outcome, which is to be queried.
    pub(crate) fn finish_unknown(&mut self, end: InstanceEnd) -> Applied {
        self.progress.finish_unknown(end).map_err(Illegal::by("an instance ends with an unknown outcome"))
    }

    /// Records that the query was submitted.
    pub(crate) fn begin_query(&mut self, worker: Worker) -> Applied {
        const INPUT: &str = "an outcome is queried";
        let task = worker.task().ok_or(Illegal::new(INPUT, "the worker is a child run"))?;
        self.progress.begin_query(task).map_err(Illegal::by(INPUT))
    }

    /// The query has ended. `conclude` turns the end without it into the end with it.
    pub(crate) fn end_query(&mut self, conclude: impl FnOnce(InstanceEnd) -> InstanceEnd) -> Applied {
        self.progress.end_query(conclude).map_err(Illegal::by("a query ends"))
    }

    /// Its compensation begins: a task, or the compensation of the child run that performed it.
    pub(crate) fn begin_undo(&mut self, worker: Worker) -> Applied {
        self.change_undo("the compensation of an instance begins", |undo| {
            matches!(undo, InstanceUndo::Idle).then_some(InstanceUndo::Active(worker))
        })
    }

    pub(crate) fn end_undo(&mut self, end: &InstanceEnd) -> Applied {
        self.change_undo("the compensation of an instance ends", |undo| {
            matches!(undo, InstanceUndo::Active(_)).then(|| match end.is_success() {
                true => InstanceUndo::Undone,
                false => InstanceUndo::Failed(Box::new(end.failure_or("it was cancelled"))),
            })
        })
    }

    /// A failed compensation is retried. Other states do not change.
    pub(crate) fn retry_undo(&mut self) {
        if let InstanceUndo::Failed(_) = self.undo {
            self.undo = InstanceUndo::Idle;
        }
    }

    /// A failed compensation is not retried any more.
    pub(crate) fn settle_undo(&mut self) {
        if let InstanceUndo::Failed(_) = self.undo {
            self.undo = InstanceUndo::Undone;
        }
    }

    pub(crate) fn reserve(&mut self, reserved: Spending) {
        self.aside.get_or_insert_default().bill.reserved = Some(reserved);
    }

    pub(crate) fn begin_attempt(&mut self) -> Applied {
        let begun = self.attempts.checked_add(1);
        self.attempts = begun.ok_or(Illegal::new("an attempt begins", "there were as many as can be counted"))?;
        Ok(())
    }

    /// Uncounts an attempt that was given back.
    pub(crate) fn return_attempt(&mut self) -> Applied {
        let left = self.attempts.checked_sub(1);
        self.attempts = left.ok_or(Illegal::new("an attempt is given back", "none has begun"))?;
        Ok(())
    }

    /// Records the usage of an attempt so far. A later report replaces an earlier one.
    pub(crate) fn record_usage(&mut self, attempt: AttemptId, usage: Usage) {
        let used = &mut self.aside.get_or_insert_default().bill.used;
        match used.iter_mut().find(|(known, _)| *known == attempt) {
            Some((_, known)) => *known = usage,
            None => used.push((attempt, usage)),
        }
    }

    fn active(&self, input: &'static str) -> Applied {
        if self.is_active() { Ok(()) } else { Err(Illegal::by(input)(self.progress.illegal())) }
    }

    fn change_undo(
        &mut self,
        input: &'static str,
        change: impl FnOnce(&InstanceUndo) -> Option<InstanceUndo>,
    ) -> Applied {
        if self.is_active() {
            return Err(Illegal::by(input)(self.progress.illegal()));
        }
        match change(&self.undo) {
            Some(next) => self.undo = next,
            None => {
                let state = match self.undo {
                    InstanceUndo::Idle => "its compensation has not begun",
                    InstanceUndo::Active(_) => "its compensation is under way",
                    InstanceUndo::Undone => "it is compensated",
                    InstanceUndo::Failed(_) => "its compensation has failed",
                };
                return Err(Illegal::new(input, state));
            }
        }
        Ok(())
    }
}

const _: () = assert!(size_of::<Instance>() <= 80);

#[cfg(test)]
mod tests {
    use super::*;

    fn task(number: u64) -> Worker {
        Worker::Task(TaskId::new(number))
    }

    fn instance() -> Instance {
        Instance::new(task(1), Payload::NULL, 0)
    }

    fn done() -> InstanceEnd {
        InstanceEnd::succeeded(SideEffects::Done(Payload::NULL))
    }

    fn unknown() -> InstanceEnd {
        InstanceEnd::failed(SideEffects::Possible, Failure::permanent("lost"))
    }

    #[test]
    fn it_ends_once_and_is_undone_after_its_end() {
        let mut instance = instance();
        assert!(instance.begin_undo(task(2)).is_err());
        instance.finish(done()).unwrap();
        assert!(instance.finish(done()).is_err() && instance.request_cancel().is_err());
        assert!(instance.end_undo(&done()).is_err());
        instance.begin_undo(task(2)).unwrap();
        assert!(instance.begin_undo(task(3)).is_err());
        instance.end_undo(&unknown()).unwrap();
        assert!(matches!(instance.undo(), InstanceUndo::Failed(_)));
        instance.retry_undo();
        instance.begin_undo(task(4)).unwrap();
        instance.end_undo(&done()).unwrap();
        assert_eq!(*instance.undo(), InstanceUndo::Undone);
    }

    #[test]
    fn an_unknown_outcome_is_queried_once() {
        let mut instance = instance();
        assert!(instance.begin_query(task(2)).is_err());
        instance.finish_unknown(unknown()).unwrap();
        assert!(instance.needs_query() && instance.is_active() && !instance.can_be_cancelled());
        assert!(instance.end_query(|end| end).is_err() && instance.finish(done()).is_err());
        instance.begin_query(task(2)).unwrap();
        assert!(instance.begin_query(task(3)).is_err());
        instance.end_query(|end| end.found(Some(SideEffects::None))).unwrap();
        assert!(!instance.is_active() && !instance.had_effect());
    }

    #[test]
    fn what_is_committed_is_not_cancelled() {
        let mut instance = instance();
        instance.commit(Commitment::Committed).unwrap();
        assert!(!instance.can_be_cancelled());
        instance.commit(Commitment::Withdrawable).unwrap();
        assert!(instance.can_be_cancelled());
        instance.request_cancel().unwrap();
        assert!(!instance.can_be_cancelled());
    }

    #[test]
    fn a_claim_shrinks_as_it_is_spent() {
        let mut instance = instance();
        instance.reserve(Spending { attempts: 2, cost: 10, tokens: 0 });
        instance.begin_attempt().unwrap();
        let attempt = AttemptId::new(TaskId::new(1), 1);
        let usage = |cost| Usage { cost, ..Usage::default() };
        instance.record_usage(attempt, usage(3));
        instance.record_usage(attempt, usage(4));
        let claim = instance.claim();
        assert_eq!((claim.reserved.attempts, claim.reserved.cost, claim.spent.cost), (1, 6, 4));
        instance.finish(done()).unwrap();
        assert_eq!(instance.claim().reserved, Spending::NOTHING);
    }
}
