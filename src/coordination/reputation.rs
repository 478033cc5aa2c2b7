//! What agents are worth, by what they have done: reputation and skill, with forgetting.

use crate::error::BadConfig;
use crate::id::AgentId;
use crate::name::Name;
use crate::structure::decay;
use crate::time::{Time, nanos_of};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far each agent can be relied on: the beta reputation of Jøsang and Ismail (2002). Good and bad outcomes are counted,
/// old ones less and less, and the expected share of good ones is `(good + a) / (good + a + bad + b)`, where `a` and `b` are
/// what is assumed of a stranger.
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
    #[serde(with = "crate::time::span::option", default, skip_serializing_if = "Option::is_none")]
    half_life: Option<Duration>,
    prior: (u32, u32),
    records: BTreeMap<AgentId, Record>,
}

/// Outcomes of late.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Record {
    good: f64,
    bad: f64,
    at: Time,
}

impl Default for Reputation {
    /// Nothing is forgotten, and a stranger has done one thing well and one badly.
    fn default() -> Self {
        Self { half_life: None, prior: (1, 1), records: BTreeMap::new() }
    }
}

impl Reputation {
    /// An outcome counts half after `half_life`, if there is one; a stranger is taken for one with so many good and bad
    /// outcomes.
    ///
    /// # Errors
    ///
    /// When the half-life is zero, or a stranger has no outcomes at all.
    pub fn new(half_life: Option<Duration>, prior: (u32, u32)) -> Result<Self, BadConfig> {
        half_life.map_or(Ok(()), |span| BadConfig::unless_positive(nanos_of(span), "half_life"))?;
        BadConfig::unless_positive(u64::from(prior.0) + u64::from(prior.1), "prior")?;
        Ok(Self { half_life, prior, records: BTreeMap::new() })
    }

    /// The agent has done something well, or has not.
    pub fn note(&mut self, agent: AgentId, good: bool, now: Time) {
        let mut record = self.record(agent, now);
        *(if good { &mut record.good } else { &mut record.bad }) += 1.0;
        record.at = record.at.max(now);
        self.records.insert(agent, record);
    }

    /// The share of good outcomes that is expected of the agent, from 0 to 1.
    #[must_use]
    pub fn expected(&self, agent: AgentId, now: Time) -> f64 {
        let Record { good, bad, .. } = self.record(agent, now);
        let (a, b) = (f64::from(self.prior.0), f64::from(self.prior.1));
        if good + a + bad + b > 0.0 { (good + a) / (good + a + bad + b) } else { 0.0 }
    }

    /// The same in millionths, as [`Bid::with_trust`](super::market::Bid::with_trust) takes it.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
    pub fn trust(&self, agent: AgentId, now: Time) -> u32 {
        (self.expected(agent, now) * 1e6).round() as u32
    }

    /// How many outcomes that rests on, old ones counted for less.
    #[must_use]
    pub fn evidence(&self, agent: AgentId, now: Time) -> f64 {
        let record = self.record(agent, now);
        record.good + record.bad
    }

    /// Forgets an agent that has gone.
    pub fn forget(&mut self, agent: AgentId) {
        self.records.remove(&agent);
    }

    fn record(&self, agent: AgentId, now: Time) -> Record {
        let record = self.records.get(&agent).copied().unwrap_or_default();
        let kept = self.half_life.map_or(1.0, |half| decay(now.since(record.at), half));
        Record { good: record.good * kept, bad: record.bad * kept, at: record.at }
    }
}

/// How good each agent is at each skill, as in chess (Elo 1978): a piece of work has a rating, too, its difficulty, and an
/// agent that does well what was beyond it rises more than one that does what was easy.
///
/// Ratings are drawn back to where everybody begins while nothing is heard of them.
///
/// ```
/// use counterpoint::coordination::Ratings;
/// use counterpoint::{AgentId, Name, Time};
///
/// let mut ratings = Ratings::default();
/// let (agent, skill) = (AgentId::new(1), Name::from("paint"));
/// ratings.note(agent, &skill, 1_500.0, 1.0, Time::ZERO);
/// assert_eq!(ratings.rating(agent, &skill, Time::ZERO), 1_516.0, "half of 32 for what was even");
/// assert_eq!(ratings.level(agent, &skill, Time::ZERO), 7);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ratings {
    /// The most that one outcome moves a rating.
    pub step: f64,
    /// Where everybody begins.
    pub start: f64,
    /// How much a level is. Level 0 ends at this rating.
    pub per_level: f64,
    /// After this long without an outcome half of the distance from the start is gone; none: never.
    #[serde(with = "crate::time::span::option", default, skip_serializing_if = "Option::is_none")]
    pub half_life: Option<Duration>,
    ratings: BTreeMap<AgentId, BTreeMap<Name, (f64, Time)>>,
}

impl Default for Ratings {
    /// Steps of at most 32 from 1,500 on, 200 to a level, nothing forgotten.
    fn default() -> Self {
        Self { step: 32.0, start: 1_500.0, per_level: 200.0, half_life: None, ratings: BTreeMap::new() }
    }
}

/// The share of good outcomes that is expected of a rating at this difficulty: 1 in 11 for each 400 that are missing.
///
/// ```
/// use counterpoint::coordination::elo_expected;
///
/// assert_eq!(elo_expected(1_500.0, 1_500.0), 0.5);
/// assert!((elo_expected(1_900.0, 1_500.0) - 10.0 / 11.0).abs() < 1e-12);
/// ```
#[must_use]
pub fn elo_expected(rating: f64, difficulty: f64) -> f64 {
    1.0 / (1.0 + 10_f64.powf((difficulty - rating) / 400.0))
}

impl Ratings {
    /// Forgets half of every distance from the start in so long.
    #[must_use]
    pub const fn with_half_life(mut self, half_life: Duration) -> Self {
        self.half_life = Some(half_life);
        self
    }

    /// An outcome from 0 to 1 of an agent at work of this difficulty; returns how far the rating moved. What is no number
    /// moves nothing.
    pub fn note(&mut self, agent: AgentId, skill: &Name, difficulty: f64, outcome: f64, now: Time) -> f64 {
        if !difficulty.is_finite() || outcome.is_nan() {
            return 0.0;
        }
        let before = self.rating(agent, skill, now);
        let moved = self.step * (outcome.clamp(0.0, 1.0) - elo_expected(before, difficulty));
        let last = self.ratings.get(&agent).and_then(|skills| skills.get(skill)).map_or(now, |(_, at)| now.max(*at));
        self.ratings.entry(agent).or_default().insert(skill.clone(), (before + moved, last));
        moved
    }

    /// The agent's rating at a skill.
    #[must_use]
    pub fn rating(&self, agent: AgentId, skill: &Name, now: Time) -> f64 {
        let known = self.ratings.get(&agent).and_then(|skills| skills.get(skill));
        known.map_or(self.start, |(rating, at)| {
            let kept = self.half_life.map_or(1.0, |half| decay(now.since(*at), half));
            self.start + (rating - self.start) * kept
        })
    }

    /// The same as a level of a skill, for [`AgentSpec::skills`](crate::AgentSpec::skills).
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to a whole number saturates")]
    pub fn level(&self, agent: AgentId, skill: &Name, now: Time) -> u16 {
        (self.rating(agent, skill, now) / self.per_level).floor() as u16
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
        let mut ratings = Ratings::default();
        assert!(ratings.note(AgentId::new(1), &"x".into(), f64::NAN, 1.0, Time::ZERO).abs() < 1e-12);
        assert!(ratings.note(AgentId::new(1), &"x".into(), 1.0, f64::NAN, Time::ZERO).abs() < 1e-12);
    }

    #[test]
    fn ratings_find_the_true_skill_and_fade() {
        let mut ratings = Ratings { step: 16.0, ..Ratings::default() }.with_half_life(Duration::from_secs(1_000));
        let (agent, skill, mut random) = (AgentId::new(1), Name::from("paint"), crate::Random::new(1, 1));
        for _ in 0..2_000 {
            let difficulty = 1_200.0 + 800.0 * random.unit();
            let outcome = f64::from(u8::from(random.unit() < elo_expected(1_800.0, difficulty)));
            ratings.note(agent, &skill, difficulty, outcome, Time::ZERO);
        }
        let found = ratings.rating(agent, &skill, Time::ZERO);
        assert!((found - 1_800.0).abs() < 80.0, "{found}");
        assert_eq!(f64::from(ratings.level(agent, &skill, Time::ZERO)), (found / 200.0).floor());
        let later = ratings.rating(agent, &skill, Time::from_secs(1_000));
        assert!((later - (1_500.0 + (found - 1_500.0) / 2.0)).abs() < 1e-9);
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

        #[test]
        fn what_one_wins_the_other_loses(a in 1_000.0..2_000.0, b in 1_000.0..2_000.0) {
            prop_assert!((elo_expected(a, b) + elo_expected(b, a) - 1.0).abs() < 1e-12);
        }
    }
}
