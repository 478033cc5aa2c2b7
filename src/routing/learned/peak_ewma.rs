//! Routing by latency.

use super::history::{Attempts, ByAgent, End, HALF, PENALTY, Record, Seen};
use crate::base::id::AgentId;
use crate::base::structure::{Random, decay};
use crate::base::time::Time;
use crate::message::event::Entry;
use crate::routing::{Candidate, Candidates, RoutingStrategy};
use crate::task::TaskSpec;
use core::time::Duration;

/// Draws two different candidates and picks the one with the smaller product of latency and attempts under way. The
/// latency is a moving average that follows increases at once and decays slowly (Finagle's peak EWMA, 2015).
///
/// Differences to the original: the product is divided by the square of the success rate times the mean rating, and a
/// failure counts as at least the penalty, so that an agent that fails fast does not attract work; the average decays by
/// time and not by count; and an agent without a record is assumed to have the recent median latency.
///
/// ```
/// use counterpoint::Config;
/// use counterpoint::routing::PeakEwma;
/// use std::time::Duration;
///
/// // For agents that take minutes: twenty times the mean service time.
/// let patient = PeakEwma::default().with_half_life(Duration::from_secs(1_200)).with_penalty(Duration::from_secs(300));
/// let config = Config::default().with_strategy_for("render", patient);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct PeakEwma {
    half: Duration,
    penalty: Duration,
    attempts: Attempts,
    agents: ByAgent<(Option<Peak>, Record)>,
    /// A running estimate of the median latency in seconds.
    middle: f64,
}

#[derive(Debug, Clone, Copy)]
struct Peak {
    seconds: f64,
    at: Time,
}

impl Default for PeakEwma {
    /// A half-life of ten seconds and a penalty of ten seconds.
    fn default() -> Self {
        Self {
            half: Duration::from_secs(10),
            penalty: PENALTY,
            attempts: Attempts::default(),
            agents: ByAgent::default(),
            middle: 0.0,
        }
    }
}

impl PeakEwma {
    /// Sets the half-life of observations.
    #[must_use]
    pub const fn with_half_life(mut self, span: Duration) -> Self {
        self.half = span;
        self
    }

    /// Sets the penalty: the minimal duration that is assumed for a failed attempt.
    #[must_use]
    pub const fn with_penalty(mut self, span: Duration) -> Self {
        self.penalty = span;
        self
    }

    /// The cost of assigning one more attempt to the agent.
    fn cost(&self, agent: &Candidate<'_>, now: Time) -> f64 {
        let (peak, record) = self.agents.get(agent.id()).copied().unwrap_or_default();
        // The average decays towards the median and not towards zero: an idle agent is not assumed to be fast.
        let seconds = peak.map_or(self.middle, |peak| {
            let kept = decay(now.since(peak.at), self.half);
            peak.seconds * kept + self.middle * (1.0 - kept)
        });
        // Squared, since otherwise a few failures would weigh less than the differences in latency between healthy
        // agents.
        let success = record.rate(1.0, 2.0) * record.rating(1.0, 2.0);
        seconds.max(1e-9) / (success * success).max(1e-9) * (f64::from(agent.in_flight()) + 1.0)
            / f64::from(agent.spec().capacity.max(1))
    }
}

impl RoutingStrategy for PeakEwma {
    fn name(&self) -> &'static str {
        "peak ewma"
    }

    fn pick(&mut self, _: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId> {
        let Some([one, other]) = among.two_random(random) else { return Some(among.first()?.id()) };
        let better = self.cost(&other, among.now()) < self.cost(&one, among.now());
        Some(if better { other.id() } else { one.id() })
    }

    fn observe(&mut self, entry: &Entry) {
        self.agents.note(entry);
        let (half, seen) = (self.half, self.attempts.note(entry));
        if let Some(Seen::Rated { agent, rating, .. }) = seen {
            self.agents.change(agent, |(_, record)| record.note_rating(entry.at, rating, half.max(HALF)));
        }
        let Some(Seen::Ended { agent, took, end, .. }) = seen else { return };
        let took = match end {
            End::Dropped => return,
            End::Succeeded => took,
            End::Failed => took.max(self.penalty),
        };
        let seconds = took.as_secs_f64();
        if self.middle == 0.0 {
            self.middle = seconds;
        } else {
            // Equal relative steps up and down converge to the median.
            self.middle *= if seconds > self.middle { 1.02 } else { 1.0 / 1.02 };
        }
        self.agents.change(agent, |(peak, record)| {
            record.note(entry.at, took, end == End::Succeeded, half.max(HALF));
            let seconds = match *peak {
                Some(old) if seconds < old.seconds => {
                    let kept = decay(entry.at.since(old.at), half);
                    old.seconds * kept + seconds * (1.0 - kept)
                }
                _ => seconds,
            };
            *peak = Some(Peak { seconds, at: entry.at });
        });
    }
}
