//! Reputation of agents: trust computed from past outcomes, with decay.

use crate::base::error::BadConfig;
use crate::base::id::AgentId;
use crate::base::structure::decay;
use crate::base::time::{Time, nanos_of};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far each agent can be trusted: the beta reputation of Jøsang and Ismail (2002). Good and bad outcomes are
/// counted with decaying weights, and the expected share of good ones is `(good + a) / (good + a + bad + b)`, where `a`
/// and `b` are the prior of an unknown agent.
///
/// ```
/// use counterpoint::coordination::Reputation;
/// use counterpoint::{AgentId, Time};
/// use std::time::Duration;
///
/// let mut reputation = Reputation::new(Some(Duration::from_secs(3_600)), (1, 1))?;
/// let agent = AgentId::new(1);
/// assert_eq!(reputation.trust(agent, Time::ZERO), 500_000, "a stranger");
/// (0..8).for_each(|_| reputation.note(agent, true, Time::ZERO));
/// assert_eq!(reputation.trust(agent, Time::ZERO), 900_000, "9 of 10");
/// assert_eq!(reputation.trust(agent, Time::from_secs(3_600)), 833_333, "an hour later 5 of 6");
/// # Ok::<(), counterpoint::BadConfig>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reputation {
    #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
    half_life: Option<Duration>,
    prior: (u32, u32),
    records: BTreeMap<AgentId, Record>,
}

/// Outcomes with their decayed weights.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Record {
    good: f64,
    bad: f64,
    at: Time,
}

impl Default for Reputation {
    /// No decay, and a prior of one good and one bad outcome.
    fn default() -> Self {
        Self { half_life: None, prior: (1, 1), records: BTreeMap::new() }
    }
}

impl Reputation {
    /// The weight of an outcome halves after `half_life`, if there is one; `prior` is the number of good and bad
    /// outcomes that is assumed of every agent.
    ///
    /// # Errors
    ///
    /// Returns an error if the half-life is zero, or the prior has no outcomes.
    pub fn new(half_life: Option<Duration>, prior: (u32, u32)) -> Result<Self, BadConfig> {
        half_life.map_or(Ok(()), |span| BadConfig::unless_positive(nanos_of(span), "half_life"))?;
        BadConfig::unless_positive(u64::from(prior.0) + u64::from(prior.1), "prior")?;
        Ok(Self { half_life, prior, records: BTreeMap::new() })
    }

    /// Records an outcome of the agent.
    pub fn note(&mut self, agent: AgentId, good: bool, now: Time) {
        let mut record = self.record(agent, now);
        *(if good { &mut record.good } else { &mut record.bad }) += 1.0;
        record.at = record.at.max(now);
        self.records.insert(agent, record);
    }

    /// The expected share of good outcomes of the agent, from 0 to 1.
    #[must_use]
    pub fn expected(&self, agent: AgentId, now: Time) -> f64 {
        let Record { good, bad, .. } = self.record(agent, now);
        let (a, b) = (f64::from(self.prior.0), f64::from(self.prior.1));
        if good + a + bad + b > 0.0 { (good + a) / (good + a + bad + b) } else { 0.0 }
    }

    /// The expected share in millionths, as [`Bid::with_trust`](super::market::Bid::with_trust) expects it.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
    pub fn trust(&self, agent: AgentId, now: Time) -> u32 {
        (self.expected(agent, now) * 1e6).round() as u32
    }

    /// Removes an agent.
    pub fn forget(&mut self, agent: AgentId) {
        self.records.remove(&agent);
    }

    fn record(&self, agent: AgentId, now: Time) -> Record {
        let record = self.records.get(&agent).copied().unwrap_or_default();
        let kept = self.half_life.map_or(1.0, |half| decay(now.since(record.at), half));
        Record { good: record.good * kept, bad: record.bad * kept, at: record.at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        assert!(Reputation::new(Some(Duration::ZERO), (1, 1)).is_err());
        assert!(Reputation::new(None, (0, 0)).is_err());
    }

    proptest! {
        #[test]
        fn trust_is_a_share_and_grows_with_good_outcomes(outcomes in prop::collection::vec((any::<bool>(), 0_u64..100), 0..60)) {
            let mut reputation = Reputation::new(Some(Duration::from_secs(100)), (1, 1)).unwrap();
            let (agent, mut now) = (AgentId::new(1), Time::ZERO);
            for (good, wait) in outcomes {
                now = now + Duration::from_secs(wait);
                let before = reputation.expected(agent, now);
                reputation.note(agent, good, now);
                let after = reputation.expected(agent, now);
                prop_assert!((0.0..=1.0).contains(&after) && (after > before) == good);
            }
            // Long after, it is a stranger again.
            prop_assert_eq!(reputation.trust(agent, now + Duration::from_secs(10_000)), 500_000);
        }

    }
}
