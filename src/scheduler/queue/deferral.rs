//! Which waiting tasks are put out of line while more work waits than the discipline has patience for.
//!
//! To drop the longest task whenever the tasks in line cannot all be in time makes the fewest of them late (Moore 1968,
//! Hodgson). Here a task that is dropped is not refused but moved behind the others, within a bound.

use super::discipline::{Arrival, Discipline};
use crate::base::id::Seq;
use crate::base::time::{Time, nanos_of};
use crate::scheduler::inconsistent::{Applied, InconsistentEvent};
use crate::scheduler::ix::TaskIx;
use crate::task::Tier;
use core::time::Duration;
use std::collections::BTreeSet;

/// The virtual deadline of a deferred task is that of its tier plus this multiple of the patience: one patience behind the long
/// tasks that arrive when it does, and one behind those that arrive within a patience.
const DEFERRED: u32 = 3;

/// How often tasks were deferred. Part of the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct DeferralCount {
    /// The number of tasks that were submitted under the discipline.
    pub(crate) submitted: u64,
    /// The number of tasks that were deferred.
    pub(crate) deferred: u64,
}

/// The rules of the discipline.
#[derive(Debug, Clone, Copy)]
struct Rules {
    long: Duration,
    patience: Duration,
    one_in: u32,
}

/// The expected work of the queued tasks, and those of them that may be deferred.
#[derive(Debug, Default)]
pub(crate) struct Deferrals {
    rules: Option<Rules>,
    pub(crate) count: DeferralCount,
    /// The sum of the expected durations of the queued tasks, in nanoseconds.
    work: u128,
    /// The number of queued tasks with an expected duration.
    estimated: u64,
    /// By expected duration: of equal ones the last that was submitted is the first to be deferred.
    candidates: BTreeSet<(u64, Seq, TaskIx)>,
}

const MISCOUNTED: InconsistentEvent = InconsistentEvent("a task that leaves its queue was not counted in its work");

impl Deferrals {
    pub(super) fn new(discipline: Discipline) -> Self {
        let rules = match discipline {
            Discipline::Deferring { long, patience, one_in } => Some(Rules { long, patience, one_in }),
            Discipline::Strict
            | Discipline::EarliestVirtualDeadline
            | Discipline::WeightedFair
            | Discipline::ShortestExpected { .. } => None,
        };
        Self { rules, ..Self::default() }
    }

    /// Counts a submit.
    pub(crate) fn submitted(&mut self) {
        self.count.submitted = self.count.submitted.saturating_add(u64::from(self.rules.is_some()));
    }

    /// Counts a deferral.
    pub(crate) fn deferred(&mut self) {
        self.count.deferred = self.count.deferred.saturating_add(1);
    }

    /// Counts a task that is queued.
    pub(super) fn enter(&mut self, arrival: &Arrival, task: TaskIx) {
        let (Some(rules), Some(expected)) = (self.rules, arrival.expected) else { return };
        self.work = self.work.saturating_add(nanos_of(expected).into());
        self.estimated = self.estimated.saturating_add(1);
        if rules.may_defer(arrival) {
            self.candidates.insert((nanos_of(expected), arrival.seq, task));
        }
    }

    /// Counts a task that leaves its queue.
    pub(super) fn leave(&mut self, arrival: &Arrival, task: TaskIx) -> Applied {
        let (Some(rules), Some(expected)) = (self.rules, arrival.expected) else { return Ok(()) };
        self.work = self.work.checked_sub(nanos_of(expected).into()).ok_or(MISCOUNTED)?;
        self.estimated = self.estimated.checked_sub(1).ok_or(MISCOUNTED)?;
        if rules.may_defer(arrival) && !self.candidates.remove(&(nanos_of(expected), arrival.seq, task)) {
            return Err(MISCOUNTED);
        }
        Ok(())
    }

    /// The task to defer if the queued tasks are more work than this number of slots performs within the patience: the longest,
    /// if its expected duration is above the mean of those that wait.
    pub(crate) fn next(&self, slots: u64) -> Option<TaskIx> {
        let rules = self.rules?;
        let due = self.count.deferred.saturating_add(1).saturating_mul(rules.one_in.max(1).into());
        let (longest, _, task) = *self.candidates.last()?;
        let above = u128::from(longest).saturating_mul(self.estimated.into()) > self.work;
        let overdue = self.work > rules.patience.as_nanos().saturating_mul(slots.max(1).into());
        (above && overdue && due <= self.count.submitted).then_some(task)
    }

    /// The virtual deadline of a task that is deferred; none if the discipline defers no task.
    pub(crate) fn until(&self, arrival: &Arrival) -> Option<Time> {
        let delay = self.rules?.patience.saturating_mul(DEFERRED);
        Some(arrival.submitted + arrival.tier.latency_target() + delay)
    }

    /// Compares the sums with those of these queued tasks.
    pub(crate) fn check(&self, queued: impl Iterator<Item = (Arrival, TaskIx)>) -> Result<(), String> {
        let mut other = Self { rules: self.rules, ..Self::default() };
        for (arrival, task) in queued {
            other.enter(&arrival, task);
        }
        if (other.work, other.estimated, &other.candidates) != (self.work, self.estimated, &self.candidates) {
            return Err(format!(
                "{} tasks with {} ns of work wait, but {} with {} ns are counted",
                other.estimated, other.work, self.estimated, self.work
            ));
        }
        Ok(())
    }
}

impl Rules {
    fn may_defer(&self, arrival: &Arrival) -> bool {
        arrival.deferred.is_none() && is_deferrable(arrival) && arrival.expected > Some(self.long)
    }
}

/// Whether the place of a task may be that of a deferred one: not if it has a deadline or an urgent tier.
pub(super) const fn is_deferrable(arrival: &Arrival) -> bool {
    arrival.deadline.is_none() && matches!(arrival.tier, Tier::Normal | Tier::Low)
}
