//! The timers of the scheduler: one timer wheel with at most one timer per alarm.

use super::ix::{AccountIx, KindIx};
use crate::base::id::{Incarnation, TaskId};
use crate::base::structure::{TimerKey, Wheel};
use crate::base::time::Time;

/// The purpose of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// A time limit of a task, its next attempt, or the time limit of its attempt.
    Task(TaskId),
    /// The lease of an agent expires.
    Lease(Incarnation),
    /// An attempt has run long enough to be preempted, see [`Preemption`](super::Preemption::least_run).
    Preemption,
    /// The next comparison of the agents' loads.
    Rebalance,
    /// A gate of an agent is evaluated again.
    Gate(Incarnation),
    /// The rate limit of an account allows the next attempt.
    Rate(AccountIx),
    /// The linger of a batch has elapsed.
    Linger(KindIx),
}

/// All timers that are set. The owner of a timer stores its key, by which the timer is moved or cancelled.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    wheel: Wheel<Alarm>,
    preemption: Option<(Time, TimerKey)>,
    rebalance: Option<TimerKey>,
}

impl Timers {
    /// A time that is not later than that of the first timer.
    pub(crate) fn next(&self) -> Option<Time> {
        self.wheel.next()
    }

    /// Removes and returns up to `most` timers that are due, in the order of their times.
    pub(crate) fn advance(&mut self, now: Time, most: usize) -> Vec<(Time, Alarm)> {
        let mut due = Vec::new();
        self.wheel.advance(now, most, &mut due);
        due
    }

    /// Moves a timer to `at`, or cancels it.
    pub(crate) fn set(&mut self, timer: &mut Option<TimerKey>, alarm: Alarm, at: Option<Time>) {
        self.cancel(timer, alarm);
        *timer = at.map(|at| self.wheel.insert(at, alarm));
    }

    pub(crate) fn cancel(&mut self, timer: &mut Option<TimerKey>, alarm: Alarm) {
        if let Some(key) = timer.take() {
            self.wheel.cancel(key, alarm);
        }
    }

    /// Sets the preemption timer to `at`, unless it is set to an earlier time.
    pub(crate) fn preempt_at(&mut self, at: Time) {
        if self.preemption.is_none_or(|(set, _)| at < set) {
            self.cancel_preemption();
            self.preemption = Some((at, self.wheel.insert(at, Alarm::Preemption)));
        }
    }

    /// Cancels the preemption timer. One may be set although another one has just fired.
    pub(crate) fn cancel_preemption(&mut self) {
        if let Some((_, key)) = self.preemption.take() {
            self.wheel.cancel(key, Alarm::Preemption);
        }
    }

    /// Sets the rebalancing timer, unless it is set.
    pub(crate) fn rebalance_at(&mut self, at: Time) {
        if self.rebalance.is_none() {
            self.rebalance = Some(self.wheel.insert(at, Alarm::Rebalance));
        }
    }

    /// Records that the rebalancing timer has fired.
    pub(crate) const fn rebalanced(&mut self) {
        self.rebalance = None;
    }

    /// Whether the number of set timers is `owned`, the number that owners store a key of, plus that of the scheduler's
    /// own.
    pub(crate) fn check(&self, owned: usize) -> Result<(), String> {
        let own = usize::from(self.preemption.is_some()) + usize::from(self.rebalance.is_some());
        if owned + own == self.wheel.len() {
            return Ok(());
        }
        Err(format!(
            "{} timers are set: {owned} owned and {own} of the scheduler itself are expected",
            self.wheel.len()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_timer_is_moved_and_cancelled_by_its_owner() {
        let (mut timers, mut timer) = (Timers::default(), None);
        let alarm = Alarm::Task(TaskId::new(1));
        timers.set(&mut timer, alarm, Some(at(5)));
        timers.set(&mut timer, alarm, Some(at(3)));
        assert_eq!(timers.check(1), Ok(()));
        assert_eq!(timers.advance(at(4), 8), [(at(3), alarm)]);
        timers.set(&mut timer, alarm, None);
        assert_eq!((timer, timers.check(0)), (None, Ok(())));
        assert!(timers.check(1).is_err());
    }

    #[test]
    fn the_preemption_timer_keeps_the_earliest_time() {
        let mut timers = Timers::default();
        [at(5), at(7), at(2)].into_iter().for_each(|time| timers.preempt_at(time));
        assert_eq!(timers.advance(at(9), 8), [(at(2), Alarm::Preemption)]);
        timers.cancel_preemption();
        assert_eq!(timers.check(0), Ok(()));
        timers.rebalance_at(at(10));
        timers.rebalance_at(at(11));
        assert_eq!(timers.advance(at(20), 8), [(at(10), Alarm::Rebalance)]);
        timers.rebalanced();
        assert_eq!(timers.check(0), Ok(()));
    }
}
