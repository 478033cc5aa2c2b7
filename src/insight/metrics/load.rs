//! How busy agents are, as an integral over time, and how evenly.

use super::snapshot::AgentFigures;
use crate::agent::Guard;
use crate::time::{Time, nanos_of};
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// What an agent did, while it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Agent {
    pub(super) attempts: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) holds: u64,
    pub(super) busy_nanos: u64,
    pub(super) cost: u64,
    /// Attempts that it may hold at once; 0 while it is away.
    capacity: u64,
    slot_nanos: u128,
    held_nanos: u128,
    trips: u64,
    ejections: u64,
    /// The guards that give it nothing, one bit for each.
    shut: u8,
    present_nanos: u128,
    shut_nanos: u128,
    at: Time,
}

impl Agent {
    /// Adds up what there was and what of it was held, until now.
    pub(super) fn advance(&mut self, now: Time) {
        let span = u128::from(nanos_of(now - self.at));
        self.at = self.at.max(now);
        if self.capacity > 0 {
            self.present_nanos = self.present_nanos.saturating_add(span);
            if self.shut != 0 {
                self.shut_nanos = self.shut_nanos.saturating_add(span);
            }
        }
        // An agent whose capacity was made smaller drains: for so long it has the places that it uses.
        let slots = self.capacity.max(self.holds);
        self.slot_nanos = self.slot_nanos.saturating_add(span.saturating_mul(u128::from(slots)));
        self.held_nanos = self.held_nanos.saturating_add(span.saturating_mul(u128::from(self.holds)));
    }

    pub(super) fn set_capacity(&mut self, capacity: u64, now: Time) {
        self.advance(now);
        self.capacity = capacity;
    }

    /// A guard allows so many attempts, or as many as there are places.
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

    /// A life of it begins or is over: guards bound lives.
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

/// How evenly work is spread over agents, next to how evenly chance would spread it.
///
/// Each agent's load is the attempts that it was given per second and place. `cv` is the coefficient of variation of these
/// loads: their standard deviation (of the whole fleet, not of a sample) divided by their mean. Even the fairest router does
/// not bring it to zero. If every place were given attempts at random at the same rate (Poisson), an agent with `s`
/// place-seconds would have a load with a variance of `rate / s`, and `floor` is the coefficient of variation that follows:
/// the root of the mean of `rate / s`, divided by `rate`. For agents alike that is `1 / sqrt(attempts per agent)`. A `cv`
/// near the floor is as good as chance; below it the router evens things out; far above it, it does not.
///
/// ```
/// use counterpoint::insight::{Metrics, Projection};
/// use counterpoint::{AgentEvent, AgentId, AgentSpec, AttemptId, Entry, Incarnation, Seq, TaskEvent, TaskId, Time};
///
/// let mut metrics = Metrics::default();
/// let mut say = |at, event| metrics.apply(&Entry { seq: Seq::new(1), at: Time::from_secs(at), event });
/// let lives = [1, 2].map(|agent| Incarnation::new(AgentId::new(agent), 1));
/// for by in lives {
///     say(0, AgentEvent::Registered { by, spec: AgentSpec::new(by.agent()).with_capacity(9).into() }.into());
/// }
/// for task in 0..8 {
///     let to = lives[usize::from(task >= 2)];
///     say(1, TaskEvent::Assigned { attempt: AttemptId::new(TaskId::new(task), 1), to }.into());
/// }
/// let spread = metrics.snapshot().load.expect("two agents");
/// assert_eq!((spread.agents, spread.cv, spread.floor), (2, 0.5, 0.5)); // 2 and 6 attempts, 4 on average
/// assert_eq!(spread.most, 1.5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoadSpread {
    /// Over how many agents.
    pub agents: u64,
    /// The coefficient of variation of their loads.
    pub cv: f64,
    /// What it would be by chance.
    pub floor: f64,
    /// The highest load by the mean.
    pub most: f64,
}

impl LoadSpread {
    /// None for fewer than two agents that had places, or without attempts.
    pub(super) fn over<'a>(agents: impl Iterator<Item = &'a AgentFigures>) -> Option<Self> {
        #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 may lose their last digits here")]
        let shares = agents.map(|agent| (agent.attempts as f64, agent.slot_time.as_secs_f64()));
        let shares: Vec<(f64, f64)> = shares.filter(|(_, seconds)| *seconds > 0.0).collect();
        #[expect(clippy::cast_precision_loss, reason = "there are not that many agents")]
        let count = shares.len() as f64;
        let attempts: f64 = shares.iter().map(|(attempts, _)| attempts).sum();
        let seconds: f64 = shares.iter().map(|(_, seconds)| seconds).sum();
        if shares.len() < 2 || attempts <= 0.0 {
            return None;
        }
        let loads: Vec<f64> = shares.iter().map(|(attempts, seconds)| attempts / seconds).collect();
        let mean = loads.iter().sum::<f64>() / count;
        let variance = loads.iter().map(|load| (load - mean) * (load - mean)).sum::<f64>() / count;
        let rate = attempts / seconds;
        let by_chance = shares.iter().map(|(_, seconds)| rate / seconds).sum::<f64>() / count;
        Some(Self {
            agents: u64::try_from(shares.len()).unwrap_or(u64::MAX),
            cv: variance.sqrt() / mean,
            floor: by_chance.sqrt() / rate,
            most: loads.iter().fold(0.0_f64, |most, load| most.max(*load)) / mean,
        })
    }
}
