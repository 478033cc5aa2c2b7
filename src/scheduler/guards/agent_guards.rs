//! The guards of one agent.

use super::settings::{Concurrency, Settings};
use crate::base::id::{AgentId, Incarnation};
use crate::base::name::Name;
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::resilience::breaker::{Breaker, Outcome, Phase, Shift, Ticket, Trip};
use crate::resilience::concurrency::{self, Aimd, Gradient};
use crate::resilience::rate::Gcra;
use crate::task::FailureKind;
use core::time::Duration;

/// The bound that a guard computes for an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TargetBound {
    /// How many attempts the agent may hold.
    pub(super) slots: u32,
    /// When the guard evaluates the agent again.
    pub(super) until: Option<Time>,
}

impl TargetBound {
    const fn slots(slots: u32) -> Self {
        Self { slots, until: None }
    }

    /// No attempts until this time.
    pub(super) const fn none_until(until: Time) -> Self {
        Self { slots: 0, until: Some(until) }
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.slots == 0
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Success,
    Failure(FailureKind),
    /// In a way that shows nothing about the agent.
    Neutral,
}

/// The guards of one incarnation of an agent.
#[derive(Debug, Clone)]
pub(super) struct AgentGuards {
    pub(super) by: Incarnation,
    pub(super) capacity: u32,
    breaker: Breaker,
    limit: Option<(Limit, concurrency::Rules)>,
    rate: Gcra,
    /// The number of attempts that the agent holds.
    held: u32,
    /// The reason for which the breaker opened.
    why: Option<Trip>,
    /// The successes that the pool for outlier ejection does not count yet.
    pub(super) well: u32,
}

#[derive(Debug, Clone, Copy)]
enum Limit {
    Aimd(Aimd),
    Gradient(Gradient),
}

impl AgentGuards {
    pub(super) fn new(by: Incarnation, capacity: u32, settings: &Settings) -> Self {
        let mut guards = Self {
            by,
            capacity,
            breaker: Breaker::default(),
            limit: None,
            rate: Gcra::default(),
            held: 0,
            why: None,
            well: 0,
        };
        guards.set_capacity(capacity, settings);
        guards
    }

    pub(super) const fn agent(&self) -> AgentId {
        self.by.agent()
    }

    /// Updates the capacity. The learned concurrency limit is kept within it.
    pub(super) fn set_capacity(&mut self, capacity: u32, settings: &Settings) {
        self.capacity = capacity;
        let Some(concurrency) = &settings.concurrency else { return };
        let (Concurrency::Aimd(rules) | Concurrency::Gradient(rules)) = concurrency;
        let most = rules.config().most.min(capacity.max(1));
        let begin = self.limit.as_ref().map_or_else(|| rules.config().initial, |(limit, _)| limit.get());
        let config = rules.config().with_most(most).with_least(rules.config().least.min(most));
        let config = config.with_initial(begin.clamp(config.least, most));
        let Ok(rules) = concurrency::Rules::new(config) else { return };
        let limit = match concurrency {
            Concurrency::Aimd(_) => Limit::Aimd(Aimd::new(&rules)),
            Concurrency::Gradient(_) => Limit::Gradient(Gradient::new(&rules)),
        };
        self.limit = Some((limit, rules));
    }

    /// Observes the begin of an attempt. Returns the breaker's ticket, and whether the bound of a guard may have
    /// changed.
    pub(super) fn began(&mut self, settings: &Settings, now: Time) -> (Option<Ticket>, bool) {
        self.held = self.held.saturating_add(1);
        let mut dirty = false;
        if let Some(rules) = settings.rate_of(self.agent()) {
            // An attempt beyond the rate was decided under an earlier configuration and counts nevertheless.
            let _beyond = self.rate.take(rules, 1, now);
            dirty = self.rate.free_at(rules, 1).is_none_or(|at| at > now);
        }
        let ticket = settings.breaker.as_ref().and_then(|rules| self.breaker.admit(rules, now).ok());
        (ticket, dirty)
    }

    /// Observes the end of an attempt. Returns whether the bound of a guard may have changed.
    pub(super) fn ended(
        &mut self,
        settings: &Settings,
        (ticket, since): (Option<Ticket>, Time),
        ending: Ending,
        now: Time,
        random: &mut Random,
    ) -> bool {
        let in_flight = self.held;
        self.held = self.held.saturating_sub(1);
        let took = now.since(since);
        let outcome = match ending {
            Ending::Success => Some(Outcome::Success(took)),
            Ending::Failure(FailureKind::Permanent) | Ending::Neutral => None,
            Ending::Failure(FailureKind::Transient | FailureKind::Overloaded | FailureKind::Unknown) => {
                Some(Outcome::Failure(took))
            }
        };
        let mut dirty = false;
        if let (Some(rules), Some(ticket)) = (&settings.breaker, ticket) {
            match outcome {
                Some(outcome) => match self.breaker.record(rules, ticket, outcome, now, random) {
                    Some(Shift::Opened { why, .. }) => (self.why, dirty) = (Some(why), true),
                    Some(Shift::Closed) => (self.why, dirty) = (None, true),
                    None => {}
                },
                None => self.breaker.release(ticket),
            }
        }
        dirty | self.learn(ending, in_flight, (since, now))
    }

    fn learn(&mut self, ending: Ending, in_flight: u32, (since, now): (Time, Time)) -> bool {
        let Some((limit, rules)) = &mut self.limit else { return false };
        let before = limit.get();
        match (limit, ending) {
            (Limit::Aimd(limit), Ending::Success) => limit.succeeded(rules, in_flight),
            (Limit::Aimd(limit), Ending::Failure(FailureKind::Overloaded)) => {
                limit.overloaded(rules, since, now);
            }
            (Limit::Gradient(limit), Ending::Success) => limit.took(rules, now.since(since).max(ATOM), in_flight),
            (Limit::Gradient(limit), Ending::Failure(FailureKind::Overloaded | FailureKind::Unknown)) => {
                limit.dropped(rules, since, now);
            }
            (
                _,
                Ending::Failure(FailureKind::Transient | FailureKind::Permanent | FailureKind::Unknown)
                | Ending::Neutral,
            ) => {}
        }
        self.limit.as_ref().is_some_and(|(limit, _)| limit.get() != before)
    }

    /// Adds an attempt that began before these guards were created.
    pub(super) fn carry(&mut self, settings: &Settings, now: Time) -> Option<Ticket> {
        self.held = self.held.saturating_add(1);
        let rules = settings.breaker.as_ref()?;
        self.breaker.admit(rules, now).ok()
    }

    /// The bound of the circuit breaker.
    pub(super) fn breaker(&self, settings: &Settings, now: Time) -> Option<TargetBound> {
        let rules = settings.breaker.as_ref()?;
        match self.breaker.phase() {
            Phase::Closed => None,
            Phase::HalfOpen => Some(TargetBound::slots(rules.config().probes)),
            Phase::Open => match self.breaker.next_wakeup(rules, now) {
                Some(until) => Some(TargetBound::none_until(until)),
                None => Some(TargetBound::slots(rules.config().probes)),
            },
        }
    }

    pub(super) fn why(&self) -> Option<Name> {
        Some(Name::from(match self.why? {
            Trip::Consecutive => "consecutive failures",
            Trip::Failures => "the failure rate",
            Trip::Slow => "the rate of slow attempts",
            Trip::Probe => "a failed probe",
            Trip::Manual => "restored from a snapshot",
        }))
    }

    /// The bound of adaptive concurrency.
    pub(super) fn limit(&self) -> Option<TargetBound> {
        let limit = self.limit.as_ref()?.0.get();
        (limit < self.capacity).then_some(TargetBound::slots(limit))
    }

    /// The bound of the rate limit.
    pub(super) fn rate(&self, settings: &Settings, now: Time) -> Option<TargetBound> {
        let free = self.rate.free_at(settings.rate_of(self.agent())?, 1)?;
        (free > now).then_some(TargetBound::none_until(free))
    }

    /// Restores an open breaker from the gate of a snapshot.
    pub(super) fn restore_breaker(&mut self, until: Time) {
        let _opened = self.breaker.hold(until);
        self.why = Some(Trip::Manual);
    }

    pub(super) fn restore_limit(&mut self, slots: u32) {
        if let Some((limit, rules)) = &mut self.limit {
            let config = rules.config();
            let begin = slots.clamp(config.least, config.most);
            if let Ok(begun) = concurrency::Rules::new(config.with_initial(begin)) {
                *limit = limit.anew(&begun);
            }
        }
    }

    /// Restores an exhausted rate limit from the gate of a snapshot.
    pub(super) fn restore_rate(&mut self, settings: &Settings, at: Time) {
        if let Some(rules) = settings.rate_of(self.agent()) {
            let _taken = self.rate.take(rules, rules.config().burst, at);
        }
    }
}

impl Limit {
    fn get(&self) -> u32 {
        match self {
            Self::Aimd(limit) => limit.limit(),
            Self::Gradient(limit) => limit.limit(),
        }
    }

    fn anew(self, rules: &concurrency::Rules) -> Self {
        match self {
            Self::Aimd(_) => Self::Aimd(Aimd::new(rules)),
            Self::Gradient(_) => Self::Gradient(Gradient::new(rules)),
        }
    }
}

/// The shortest duration of an attempt: latency limits need positive durations.
const ATOM: Duration = Duration::from_nanos(1);
