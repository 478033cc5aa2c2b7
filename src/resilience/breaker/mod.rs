//! A circuit breaker with the states closed, open and half-open.
//!
//! A closed breaker counts results; if too many calls fail or are slow, it opens. An open breaker rejects calls for a time
//! that grows with the number of openings. It is then half-open and admits a few *probes*: enough successes close it, one
//! failure opens it again.
//!
//! This implementation avoids three common faults of circuit breakers:
//! - **Late results change the state.** Every admission carries its generation. A result of an earlier generation is only counted,
//!   so a success from before the opening does not close the breaker.
//! - **A lost probe blocks the half-open state.** A probe is a lease, which expires.
//! - **The half-open state admits every call.** There are never more live probes than [`Config::probes`].
//!
//! ```
//! use counterpoint::resilience::breaker::{Breaker, Config, Outcome, Phase, Rules};
//! use counterpoint::{Random, Time};
//! use std::time::Duration;
//!
//! let rules = Rules::new(Config::default().with_consecutive(2).with_probes(1).with_close_after(1))?;
//! let mut breaker = Breaker::default();
//! let mut random = Random::new(42, 0);
//! let failed = Outcome::Failure(Duration::from_millis(3));
//!
//! for second in 0..2 {
//!     let now = Time::from_secs(second);
//!     let ticket = breaker.admit(&rules, now)?;
//!     breaker.record(&rules, ticket, failed, now, &mut random);
//! }
//! assert_eq!(breaker.phase(), Phase::Open);
//!
//! let until = breaker.admit(&rules, Time::from_secs(1)).unwrap_err().until;
//! let probe = breaker.admit(&rules, until)?;
//! assert!(breaker.admit(&rules, until).is_err(), "one probe, no more");
//! breaker.record(&rules, probe, Outcome::Success(Duration::from_millis(3)), until, &mut random);
//! assert_eq!(breaker.phase(), Phase::Closed);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod window;

use super::shortened;
use crate::base::error::BadConfig;
use crate::base::structure::{Random, rules, with};
use crate::base::time::{Time, nanos_of};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use window::{Tally, Window};

/// The parameters of a circuit breaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The number of consecutive failures that opens it; 0 disables this rule.
    pub consecutive: u32,
    /// The share of failed calls in the window that opens it, in thousandths; 0 disables this rule.
    pub failure_permille: u16,
    /// The share of slow calls in the window that opens it, in thousandths; 0 disables this rule.
    pub slow_permille: u16,
    /// The duration from which on a call is slow.
    #[serde(with = "crate::base::time::span")]
    pub slow_after: Duration,
    /// The least number of calls in the window for shares to count.
    pub min_calls: u32,
    /// The length of the window, in ten steps.
    #[serde(with = "crate::base::time::span")]
    pub window: Duration,
    /// The duration of the first opening; the second takes twice as long, the third three times.
    #[serde(with = "crate::base::time::span")]
    pub open_for: Duration,
    /// The limit on the duration of an opening.
    #[serde(with = "crate::base::time::span")]
    pub open_cap: Duration,
    /// The limit on the random shortening of an opening, in thousandths, so that breakers do not close together.
    pub jitter_permille: u16,
    /// The time in the closed state after which one opening is forgiven.
    #[serde(with = "crate::base::time::span")]
    pub forgive_after: Duration,
    /// The limit on concurrent calls in the half-open state.
    pub probes: u32,
    /// The number of successful probes that closes it.
    pub close_after: u32,
    /// The time after which a probe without a result frees its slot.
    #[serde(with = "crate::base::time::span")]
    pub probe_lease: Duration,
}

impl Default for Config {
    /// Five consecutive failures, or half of at least 20 calls within 10 s; open for 5 s, 10 s and so on up to 5 minutes; three probes.
    fn default() -> Self {
        Self {
            consecutive: 5,
            failure_permille: 500,
            slow_permille: 0,
            slow_after: Duration::from_secs(60),
            min_calls: 20,
            window: Duration::from_secs(10),
            open_for: Duration::from_secs(5),
            open_cap: Duration::from_secs(300),
            jitter_permille: 200,
            forgive_after: Duration::from_secs(60),
            probes: 3,
            close_after: 3,
            probe_lease: Duration::from_secs(30),
        }
    }
}

with! {
    with_consecutive => consecutive: u32,
    with_failure_permille => failure_permille: u16,
    with_slow_permille => slow_permille: u16,
    with_slow_after => slow_after: Duration,
    with_min_calls => min_calls: u32,
    with_window => window: Duration,
    with_open_for => open_for: Duration,
    with_open_cap => open_cap: Duration,
    with_jitter_permille => jitter_permille: u16,
    with_forgive_after => forgive_after: Duration,
    with_probes => probes: u32,
    with_close_after => close_after: u32,
    with_probe_lease => probe_lease: Duration,
}

impl Config {
    fn check(&self) -> Result<(), BadConfig> {
        BadConfig::unless_permille(self.failure_permille, "failure_permille")?;
        BadConfig::unless_permille(self.slow_permille, "slow_permille")?;
        BadConfig::unless_permille(self.jitter_permille, "jitter_permille")?;
        BadConfig::unless_positive(self.min_calls.into(), "min_calls")?;
        BadConfig::unless_positive(nanos_of(self.window) / window::STEPS, "window")?;
        BadConfig::unless_span(self.open_for, "open_for")?;
        BadConfig::unless_ordered((self.open_for, "open_for"), (self.open_cap, "open_cap"))?;
        BadConfig::unless_span(self.forgive_after, "forgive_after")?;
        BadConfig::unless_positive(self.probes.into(), "probes")?;
        BadConfig::unless_positive(self.close_after.into(), "close_after")?;
        BadConfig::unless_span(self.probe_lease, "probe_lease")?;
        let blind = self.consecutive == 0 && self.failure_permille == 0 && self.slow_permille == 0;
        if blind { Err(BadConfig::Zero { setting: "consecutive" }) } else { Ok(()) }
    }
}

rules! {
    /// A validated [`Config`], shared by any number of breakers.
    derive(Eq)
}

/// The state of a breaker.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Breaker {
    state: State,
    generation: u64,
    openings: u32,
    closed_at: Time,
    late: u64,
    window: Window,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Closed { in_a_row: u32 },
    Open { until: Time },
    HalfOpen { probes: Vec<Probe>, next: u32, successes: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Probe {
    serial: u32,
    until: Time,
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { in_a_row: 0 }
    }
}

/// The admission of one call, to be returned with its result or by [`release`](Breaker::release).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    generation: u64,
    /// The number of the probe; 0 for other calls.
    probe: u32,
}

/// The error for a call that is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the breaker refuses until {until}")]
#[non_exhaustive]
pub struct Refused {
    /// The time of the next attempt. A probe that ends before it can free a slot earlier.
    pub until: Time,
}

/// The result of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Outcome {
    /// A success, with its duration.
    Success(Duration),
    /// A failure of the agent, with its duration. A rejection of invalid input is not one.
    Failure(Duration),
}

/// The phase of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a breaker has these three")]
pub enum Phase {
    /// Calls are admitted and counted.
    Closed,
    /// Calls are refused.
    Open,
    /// A few calls are admitted as probes.
    HalfOpen,
}

/// The reason why a breaker opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trip {
    /// Consecutive failures.
    Consecutive,
    /// The share of failures.
    Failures,
    /// The share of slow calls.
    Slow,
    /// A failed probe.
    Probe,
    /// A call of [`hold`](Breaker::hold).
    Manual,
}

/// A change of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Shift {
    /// It opened.
    Opened {
        /// The end of the opening.
        until: Time,
        /// The reason.
        why: Trip,
    },
    /// It closed.
    Closed,
}

impl Breaker {
    /// Asks for the admission of a call. An open breaker whose time is over becomes half-open.
    ///
    /// # Errors
    ///
    /// [`Refused`] while it is open, and in the half-open state while all probes are under way.
    #[inline]
    pub fn admit(&mut self, rules: &Rules, now: Time) -> Result<Ticket, Refused> {
        match &mut self.state {
            State::Closed { .. } => Ok(Ticket { generation: self.generation, probe: 0 }),
            State::Open { until } if now < *until => Err(Refused { until: *until }),
            State::Open { .. } => {
                self.enter(State::HalfOpen { probes: Vec::new(), next: 1, successes: 0 });
                self.probe(rules, now)
            }
            State::HalfOpen { .. } => self.probe(rules, now),
        }
    }

    /// Records a result. Returns the change if the state changed.
    #[inline]
    pub fn record(
        &mut self,
        rules: &Rules,
        ticket: Ticket,
        outcome: Outcome,
        now: Time,
        random: &mut Random,
    ) -> Option<Shift> {
        if ticket.generation != self.generation {
            self.late = self.late.saturating_add(1);
            return None;
        }
        let (failed, took) = match outcome {
            Outcome::Success(took) => (false, took),
            Outcome::Failure(took) => (true, took),
        };
        let slow = rules.0.slow_permille > 0 && took >= rules.0.slow_after;
        match &mut self.state {
            State::Closed { in_a_row } => {
                *in_a_row = if failed { in_a_row.saturating_add(1) } else { 0 };
                let in_a_row = *in_a_row;
                let tally = self.window.add(Tally::one(failed, slow), now, rules.0.window);
                if tally.is_good() {
                    return None;
                }
                let why = trip(&rules.0, in_a_row, tally)?;
                Some(self.open(rules, why, now, random))
            }
            State::HalfOpen { .. } => self.probed(rules, ticket, failed || slow, now, random),
            // An open breaker issues no tickets of its own generation.
            State::Open { .. } => None,
        }
    }

    /// Returns the admission of a call without a result that concerns the agent: not made, cancelled, rejected for its input.
    pub fn release(&mut self, ticket: Ticket) {
        if ticket.generation == self.generation
            && let State::HalfOpen { probes, .. } = &mut self.state
        {
            probes.retain(|probe| probe.serial != ticket.probe);
        }
    }

    /// Opens it until a given time, for an operator or a health check. Results under way are ignored.
    pub fn hold(&mut self, until: Time) -> Shift {
        self.enter(State::Open { until });
        Shift::Opened { until, why: Trip::Manual }
    }

    /// Closes it and clears its history. Results under way are ignored.
    pub fn reset(&mut self, now: Time) -> Shift {
        self.openings = 0;
        self.close(now)
    }

    /// The current phase. An open breaker stays open until a call is attempted after its time.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self.state {
            State::Closed { .. } => Phase::Closed,
            State::Open { .. } => Phase::Open,
            State::HalfOpen { .. } => Phase::HalfOpen,
        }
    }

    /// The time at which it would admit a call without further results; none while it admits calls.
    #[must_use]
    pub fn next_wakeup(&self, rules: &Rules, now: Time) -> Option<Time> {
        match &self.state {
            State::Closed { .. } => None,
            State::Open { until } => Some(*until).filter(|until| *until > now),
            State::HalfOpen { probes, .. } if live(probes, now) < places(rules) => None,
            State::HalfOpen { probes, .. } => first_end(probes, now),
        }
    }

    /// The number of state changes.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The number of openings that are not yet forgiven.
    #[must_use]
    pub const fn openings(&self) -> u32 {
        self.openings
    }

    /// The number of results that came too late to count.
    #[must_use]
    pub const fn late(&self) -> u64 {
        self.late
    }

    fn probe(&mut self, rules: &Rules, now: Time) -> Result<Ticket, Refused> {
        let generation = self.generation;
        let State::HalfOpen { probes, next, .. } = &mut self.state else { return Err(Refused { until: now }) };
        probes.retain(|probe| probe.until > now);
        if probes.len() >= places(rules) {
            return Err(Refused { until: first_end(probes, now).unwrap_or(now) });
        }
        let serial = *next;
        *next = next.checked_add(1).unwrap_or(1);
        probes.push(Probe { serial, until: now + rules.0.probe_lease });
        Ok(Ticket { generation, probe: serial })
    }

    fn probed(&mut self, rules: &Rules, ticket: Ticket, bad: bool, now: Time, random: &mut Random) -> Option<Shift> {
        let State::HalfOpen { probes, successes, .. } = &mut self.state else { return None };
        let before = probes.len();
        probes.retain(|probe| probe.serial != ticket.probe && probe.until > now);
        let held = probes.len() < before;
        if !held || ticket.probe == 0 {
            self.late = self.late.saturating_add(1);
            return None;
        }
        if bad {
            return Some(self.open(rules, Trip::Probe, now, random));
        }
        *successes = successes.saturating_add(1);
        (*successes >= rules.0.close_after).then(|| self.close(now))
    }

    fn open(&mut self, rules: &Rules, why: Trip, now: Time, random: &mut Random) -> Shift {
        if matches!(self.state, State::Closed { .. }) {
            let good = nanos_of(now - self.closed_at) / nanos_of(rules.0.forgive_after).max(1);
            self.openings = self.openings.saturating_sub(u32::try_from(good).unwrap_or(u32::MAX));
        }
        self.openings = self.openings.saturating_add(1);
        let span = rules.0.open_for.saturating_mul(self.openings).min(rules.0.open_cap);
        let until = now + shortened(span, rules.0.jitter_permille, random);
        self.enter(State::Open { until });
        Shift::Opened { until, why }
    }

    fn close(&mut self, now: Time) -> Shift {
        self.closed_at = now;
        self.window = Window::default();
        self.enter(State::default());
        Shift::Closed
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.generation = self.generation.saturating_add(1);
    }
}

fn trip(rules: &Config, in_a_row: u32, tally: Tally) -> Option<Trip> {
    let beyond = |part: u32, permille: u16| {
        permille > 0
            && tally.calls >= rules.min_calls
            && u64::from(part) * 1_000 >= u64::from(tally.calls) * u64::from(permille)
    };
    if rules.consecutive > 0 && in_a_row >= rules.consecutive {
        Some(Trip::Consecutive)
    } else if beyond(tally.failures, rules.failure_permille) {
        Some(Trip::Failures)
    } else {
        beyond(tally.slow, rules.slow_permille).then_some(Trip::Slow)
    }
}

fn places(rules: &Rules) -> usize {
    usize::try_from(rules.0.probes).unwrap_or(usize::MAX)
}

fn live(probes: &[Probe], now: Time) -> usize {
    probes.iter().filter(|probe| probe.until > now).count()
}

fn first_end(probes: &[Probe], now: Time) -> Option<Time> {
    probes.iter().map(|probe| probe.until).filter(|until| *until > now).min()
}

#[cfg(test)]
mod tests;
