//! One agent, as its guards see it.

use super::settings::{Concurrency, Settings};
use crate::id::{AgentId, Incarnation};
use crate::name::Name;
use crate::resilience::breaker::{Breaker, Outcome, Phase, Shift, Ticket, Trip};
use crate::resilience::concurrency::{self, Aimd, Gradient};
use crate::resilience::rate::Gcra;
use crate::structure::Random;
use crate::task::FailureKind;
use crate::time::Time;
use core::time::Duration;

/// What a guard wants of an agent: so many attempts at the most, until then. None if it has no objection.
pub(super) type Want = Option<(u32, Option<Time>)>;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Well,
    Badly(FailureKind),
    /// It says nothing about the agent.
    Neither,
}

/// An agent's life.
#[derive(Debug, Clone)]
pub(super) struct Ward {
    pub(super) by: Incarnation,
    pub(super) capacity: u32,
    breaker: Breaker,
    limit: Option<(Limit, concurrency::Rules)>,
    rate: Gcra,
    /// Attempts that it holds.
    held: u32,
    /// Why the breaker opened.
    why: Option<Trip>,
}

#[derive(Debug, Clone, Copy)]
enum Limit {
    Aimd(Aimd),
    Gradient(Gradient),
}

impl Ward {
    pub(super) fn new(by: Incarnation, capacity: u32, settings: &Settings) -> Self {
        let mut ward =
            Self { by, capacity, breaker: Breaker::default(), limit: None, rate: Gcra::default(), held: 0, why: None };
        ward.set_capacity(capacity, settings);
        ward
    }

    pub(super) const fn agent(&self) -> AgentId {
        self.by.agent()
    }

    /// The limit keeps what it has learned, within the new capacity.
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

    /// An attempt begins. Says whether any guard may want something else now.
    pub(super) fn began(&mut self, settings: &Settings, now: Time) -> (Option<Ticket>, bool) {
        self.held = self.held.saturating_add(1);
        let mut stirred = false;
        if let Some(rules) = settings.rate_of(self.agent()) {
            // What is beyond the rate was decided under other rules: it is a fact all the same.
            let _beyond = self.rate.take(rules, 1, now);
            stirred = self.rate.free_at(rules, 1).is_none_or(|at| at > now);
        }
        let ticket = settings.breaker.as_ref().and_then(|rules| self.breaker.admit(rules, now).ok());
        (ticket, stirred)
    }

    /// An attempt has ended. Says whether any guard may want something else now.
    pub(super) fn ended(
        &mut self,
        settings: &Settings,
        (ticket, since): (Option<Ticket>, Time),
        how: How,
        now: Time,
        random: &mut Random,
    ) -> bool {
        let in_flight = self.held;
        self.held = self.held.saturating_sub(1);
        let took = now.since(since);
        let outcome = match how {
            How::Well => Some(Outcome::Success(took)),
            How::Badly(FailureKind::Permanent) | How::Neither => None,
            How::Badly(FailureKind::Transient | FailureKind::Overloaded | FailureKind::Unknown) => {
                Some(Outcome::Failure(took))
            }
        };
        let mut stirred = false;
        if let (Some(rules), Some(ticket)) = (&settings.breaker, ticket) {
            match outcome {
                Some(outcome) => match self.breaker.record(rules, ticket, outcome, now, random) {
                    Some(Shift::Opened { why, .. }) => (self.why, stirred) = (Some(why), true),
                    Some(Shift::Closed) => (self.why, stirred) = (None, true),
                    None => {}
                },
                None => self.breaker.release(ticket),
            }
        }
        stirred | self.learn(how, in_flight, (since, now))
    }

    fn learn(&mut self, how: How, in_flight: u32, (since, now): (Time, Time)) -> bool {
        let Some((limit, rules)) = &mut self.limit else { return false };
        let before = limit.get();
        match (limit, how) {
            (Limit::Aimd(limit), How::Well) => limit.succeeded(rules, in_flight),
            (Limit::Aimd(limit), How::Badly(FailureKind::Overloaded)) => {
                limit.overloaded(rules, since, now);
            }
            (Limit::Gradient(limit), How::Well) => limit.took(rules, now.since(since).max(ATOM), in_flight),
            (Limit::Gradient(limit), How::Badly(FailureKind::Overloaded | FailureKind::Unknown)) => {
                limit.dropped(rules, since, now);
            }
            (_, How::Badly(FailureKind::Transient | FailureKind::Permanent | FailureKind::Unknown) | How::Neither) => {}
        }
        self.limit.as_ref().is_some_and(|(limit, _)| limit.get() != before)
    }

    /// An attempt goes on that began before this guard began to look.
    pub(super) fn carry(&mut self, settings: &Settings, now: Time) -> Option<Ticket> {
        self.held = self.held.saturating_add(1);
        let rules = settings.breaker.as_ref()?;
        self.breaker.admit(rules, now).ok()
    }

    /// What the breaker wants.
    pub(super) fn breaker(&self, settings: &Settings, now: Time) -> Want {
        let rules = settings.breaker.as_ref()?;
        match self.breaker.phase() {
            Phase::Closed => None,
            Phase::HalfOpen => Some((rules.config().probes, None)),
            Phase::Open => match self.breaker.next_wakeup(rules, now) {
                Some(until) => Some((0, Some(until))),
                None => Some((rules.config().probes, None)),
            },
        }
    }

    pub(super) fn why(&self) -> Option<Name> {
        Some(Name::from(match self.why? {
            Trip::Consecutive => "failures in a row",
            Trip::Failures => "the share of failures",
            Trip::Slow => "the share of slow attempts",
            Trip::Probe => "a probe failed",
            Trip::Told => "it was so before",
        }))
    }

    /// What adaptive concurrency wants.
    pub(super) fn limit(&self) -> Want {
        let limit = self.limit.as_ref()?.0.get();
        (limit < self.capacity).then_some((limit, None))
    }

    /// What the rate limit wants.
    pub(super) fn rate(&self, settings: &Settings, now: Time) -> Want {
        let free = self.rate.free_at(settings.rate_of(self.agent())?, 1)?;
        (free > now).then_some((0, Some(free)))
    }

    /// Goes on where the gates of a snapshot say that its guards stood.
    pub(super) fn recall_breaker(&mut self, until: Time) {
        let _opened = self.breaker.hold(until);
        self.why = Some(Trip::Told);
    }

    pub(super) fn recall_limit(&mut self, slots: u32) {
        if let Some((limit, rules)) = &mut self.limit {
            let config = rules.config();
            let begin = slots.clamp(config.least, config.most);
            if let Ok(begun) = concurrency::Rules::new(config.with_initial(begin)) {
                *limit = limit.anew(&begun);
            }
        }
    }

    /// The rate was used up then.
    pub(super) fn recall_rate(&mut self, settings: &Settings, at: Time) {
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

/// Nothing takes no time at all.
const ATOM: Duration = Duration::from_nanos(1);
