//! The counters of each agent, and the figures computed from them.

use super::rate::share;
use crate::base::time::{Time, nanos_of};
use crate::task::agent::Guard;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The counters of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Agent {
    pub(super) attempts: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) holds: u64,
    pub(super) busy_nanos: u64,
    pub(super) cost: u64,
    /// The capacity; 0 while the agent is offline.
    capacity: u64,
    slot_nanos: u128,
    held_nanos: u128,
    trips: u64,
    ejections: u64,
    /// The guards that block it, one bit each.
    shut: u8,
    present_nanos: u128,
    shut_nanos: u128,
    at: Time,
}

impl Agent {
    /// Integrates offered and held slots until now.
    pub(super) fn advance(&mut self, now: Time) {
        let span = u128::from(nanos_of(now - self.at));
        self.at = self.at.max(now);
        if self.capacity > 0 {
            self.present_nanos = self.present_nanos.saturating_add(span);
            if self.shut != 0 {
                self.shut_nanos = self.shut_nanos.saturating_add(span);
            }
        }
        // An agent whose capacity was reduced below its use drains: until then its used slots count.
        let slots = self.capacity.max(self.holds);
        self.slot_nanos = self.slot_nanos.saturating_add(span.saturating_mul(u128::from(slots)));
        self.held_nanos = self.held_nanos.saturating_add(span.saturating_mul(u128::from(self.holds)));
    }

    pub(super) fn set_capacity(&mut self, capacity: u64, now: Time) {
        self.advance(now);
        self.capacity = capacity;
    }

    /// Records that a guard allows this number of attempts, or as many as there are slots.
    pub(super) fn throttled(&mut self, guard: Guard, slots: Option<u32>, now: Time) {
        self.advance(now);
        let bit = 1 << (guard as u8);
        let shuts = slots == Some(0);
        if shuts && self.shut & bit == 0 {
            match guard {
                Guard::Breaker => self.trips = self.trips.saturating_add(1),
                Guard::Outlier => self.ejections = self.ejections.saturating_add(1),
                Guard::Concurrency | Guard::Rate => {}
            }
        }
        self.shut = if shuts { self.shut | bit } else { self.shut & !bit };
    }

    /// Lifts all guards when an incarnation begins or ends: guards bound one incarnation.
    pub(super) const fn unbound(&mut self) {
        self.shut = 0;
    }

    pub(super) fn takes(&mut self, now: Time) {
        self.advance(now);
        self.attempts = self.attempts.saturating_add(1);
        self.holds = self.holds.saturating_add(1);
    }

    pub(super) fn gives_back(&mut self, ran: Duration, cost: u64, now: Time) {
        self.advance(now);
        self.holds = self.holds.saturating_sub(1);
        self.busy_nanos = self.busy_nanos.saturating_add(nanos_of(ran));
        self.cost = self.cost.saturating_add(cost);
    }

    pub(super) fn figures(mut self, now: Time) -> AgentFigures {
        self.advance(now);
        AgentFigures {
            attempts: self.attempts,
            succeeded: self.succeeded,
            failed: self.failed,
            holds: self.holds,
            busy: Duration::from_nanos(self.busy_nanos),
            slot_time: duration(self.slot_nanos),
            held_time: duration(self.held_nanos),
            cost: self.cost,
            trips: self.trips,
            ejections: self.ejections,
            present: duration(self.present_nanos),
            shut: duration(self.shut_nanos),
        }
    }
}

fn duration(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The work of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentFigures {
    /// The number of assigned attempts.
    pub attempts: u64,
    /// The number of attempts that succeeded.
    pub succeeded: u64,
    /// The number of attempts that failed, including those that ended with the loss of the agent.
    pub failed: u64,
    /// The number of attempts that it holds now.
    pub holds: u64,
    /// The sum of the durations of its finished attempts; more than the elapsed time if it works on several at once.
    #[serde(with = "crate::base::time::span")]
    pub busy: Duration,
    /// The offered slot time: its capacity integrated over the time that it was online.
    #[serde(with = "crate::base::time::span", default)]
    pub slot_time: Duration,
    /// The part of the slot time that was held by attempts, including attempts under way.
    #[serde(with = "crate::base::time::span", default)]
    pub held_time: Duration,
    /// The cost of its attempts.
    #[serde(default)]
    pub cost: u64,
    /// The number of times that its circuit breaker opened.
    #[serde(default)]
    pub trips: u64,
    /// The number of times that it was ejected as an outlier.
    #[serde(default)]
    pub ejections: u64,
    /// The time that it was online.
    #[serde(with = "crate::base::time::span", default)]
    pub present: Duration,
    /// The part of that time in which guards assigned it no work.
    #[serde(with = "crate::base::time::span", default)]
    pub shut: Duration,
}

impl AgentFigures {
    /// The share of its finished attempts that failed; `None` before the first.
    #[must_use]
    pub fn error_rate(&self) -> Option<f64> {
        share(self.failed, self.failed.saturating_add(self.succeeded))
    }

    /// The share of its online time in which guards assigned it work, from 0 to 1; `None` if it was never online.
    #[must_use]
    pub fn availability(&self) -> Option<f64> {
        let present = self.present.as_secs_f64();
        (present > 0.0).then(|| (1.0 - self.shut.as_secs_f64() / present).max(0.0))
    }

    /// The mean duration of an attempt; `None` before the first end.
    #[must_use]
    pub fn mean_response(&self) -> Option<Duration> {
        let ends = u32::try_from(self.attempts.saturating_sub(self.holds)).unwrap_or(u32::MAX);
        self.busy.checked_div(ends)
    }

    /// Successes per second of online time; `None` if it was never online.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate of counts beyond 2^53 is precise enough")]
    pub fn throughput(&self) -> Option<f64> {
        let present = self.present.as_secs_f64();
        (present > 0.0).then(|| self.succeeded as f64 / present)
    }

    /// A health score from 0 to 1: the share of attempts that did not fail, times its availability; `None` while both
    /// are unknown.
    #[must_use]
    pub fn health(&self) -> Option<f64> {
        match (self.error_rate(), self.availability()) {
            (None, None) => None,
            (errors, available) => Some((1.0 - errors.unwrap_or(0.0)) * available.unwrap_or(1.0)),
        }
    }

    /// The share of its slot time that was in use, from 0 to 1; `None` if it never had a slot.
    #[must_use]
    pub fn utilisation(&self) -> Option<f64> {
        let slots = self.slot_time.as_secs_f64();
        (slots > 0.0).then(|| (self.held_time.as_secs_f64() / slots).min(1.0))
    }
}
