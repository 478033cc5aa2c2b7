//! Convergence of repeated rounds.

use crate::base::error::BadConfig;
use crate::base::structure::{rules, with};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// When rounds have converged, and when to give up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The largest distance at which a round counts as equal to the previous one, in units of the caller.
    pub near: f64,
    /// The number of consecutive equal rounds that count as converged.
    pub settled: u32,
    /// The largest number of rounds.
    pub rounds: u32,
    /// The number of rounds without a better score after which there is no progress; none to ignore scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u32>,
}

impl Default for Config {
    /// Two consecutive rounds within a millionth of each other, at most a hundred rounds.
    fn default() -> Self {
        Self { near: 1e-6, settled: 2, rounds: 100, patience: None }
    }
}

with! {
    with_near => near: f64,
    with_settled => settled: u32,
    with_rounds => rounds: u32,
    with_patience => patience: Option<u32>,
}

impl Config {
    fn check(&self) -> Result<(), BadConfig> {
        BadConfig::unless_positive(self.settled.into(), "settled")?;
        BadConfig::unless_positive(self.rounds.into(), "rounds")?;
        self.patience.map_or(Ok(()), |patience| BadConfig::unless_positive(patience.into(), "patience"))?;
        if self.near.is_finite() && self.near >= 0.0 { Ok(()) } else { Err(BadConfig::NotANumber { setting: "near" }) }
    }
}

rules! {
    /// A valid [`Config`].
    derive(Copy)
}

/// The reason to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stop {
    /// The rounds have converged.
    Converged,
    /// The results repeat in a cycle.
    Cycle {
        /// The length of the cycle in rounds.
        length: u32,
    },
    /// The score has not improved.
    NoProgress,
    /// The largest number of rounds is reached.
    Rounds,
}

/// The result of a round, in units of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Round {
    /// A fingerprint: equal for equal results.
    pub fingerprint: Option<u64>,
    /// The distance from the previous round.
    pub distance: Option<f64>,
    /// The score: higher is better.
    pub score: Option<f64>,
}

impl Round {
    /// A round with this fingerprint.
    #[must_use]
    pub const fn fingerprint(fingerprint: u64) -> Self {
        Self { fingerprint: Some(fingerprint), distance: None, score: None }
    }

    /// A round at this distance from the previous one.
    #[must_use]
    pub const fn distance(distance: f64) -> Self {
        Self { fingerprint: None, distance: Some(distance), score: None }
    }

    /// Sets the fingerprint.
    #[must_use]
    pub const fn with_fingerprint(mut self, fingerprint: u64) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// Sets the score.
    #[must_use]
    pub const fn with_score(mut self, score: f64) -> Self {
        self.score = Some(score);
        self
    }
}

/// Detects convergence of repeated rounds: of drafts and reviews, of opinions, of iterations.
///
#[cfg_attr(feature = "coordination", doc = "```")]
#[cfg_attr(not(feature = "coordination"), doc = "```ignore")]
/// use counterpoint::coordination::convergence::{Config, Convergence, Round, Rules, Stop};
///
/// let mut watch = Convergence::new(Rules::new(Config::default().with_settled(1))?);
/// assert_eq!(watch.round(Round::fingerprint(1)), None);
/// assert_eq!(watch.round(Round::fingerprint(2)), None);
/// assert_eq!(watch.round(Round::fingerprint(1)), Some(Stop::Cycle { length: 2 }));
/// # Ok::<(), counterpoint::BadConfig>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Convergence {
    rules: Rules,
    rounds: u32,
    near: u32,
    seen: BTreeMap<u64, u32>,
    best: Option<(f64, u32)>,
    stop: Option<Stop>,
}

impl Convergence {
    /// The state before the first round.
    #[must_use]
    pub const fn new(rules: Rules) -> Self {
        Self { rules, rounds: 0, near: 0, seen: BTreeMap::new(), best: None, stop: None }
    }

    /// Records a round. Returns the reason to stop, if there is one. A round is equal to the previous one if its
    /// distance is small enough or its fingerprint is the same.
    pub fn round(&mut self, round: Round) -> Option<Stop> {
        if self.stop.is_none() {
            self.rounds += 1;
            self.stop = self.look(round);
        }
        self.stop
    }

    /// The number of rounds.
    #[must_use]
    pub const fn rounds(&self) -> u32 {
        self.rounds
    }

    /// The reason to stop, if there is one.
    #[must_use]
    pub const fn stop(&self) -> Option<Stop> {
        self.stop
    }

    fn look(&mut self, round: Round) -> Option<Stop> {
        let config = *self.rules.config();
        let earlier = round.fingerprint.and_then(|print| self.seen.insert(print, self.rounds));
        let ago = earlier.map(|earlier| self.rounds - earlier);
        let near = ago == Some(1) || round.distance.is_some_and(|distance| distance <= config.near);
        self.near = if near { self.near + 1 } else { 0 };
        if self.near >= config.settled {
            return Some(Stop::Converged);
        }
        if let Some(length) = ago.filter(|ago| *ago > 1 && !near) {
            return Some(Stop::Cycle { length });
        }
        if let Some(score) = round.score.filter(|score| !score.is_nan())
            && self.best.is_none_or(|(best, _)| score > best)
        {
            self.best = Some((score, self.rounds));
        }
        let best_at = self.best.map_or(0, |(_, at)| at);
        if config.patience.is_some_and(|patience| self.rounds - best_at >= patience) {
            return Some(Stop::NoProgress);
        }
        (self.rounds >= config.rounds).then_some(Stop::Rounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(config: Config) -> Rules {
        Rules::new(config).unwrap()
    }

    #[test]
    fn the_fixed_point_of_the_cosine() {
        let (mut x, mut watch) = (1.0_f64, Convergence::new(rules(Config::default().with_near(1e-9))));
        loop {
            let next = x.cos();
            let distance = (next - x).abs();
            x = next;
            if let Some(stop) = watch.round(Round::distance(distance)) {
                assert_eq!(stop, Stop::Converged);
                break;
            }
        }
        assert!((x - 0.739_085_1).abs() < 1e-7, "{x}");
    }

    #[test]
    fn every_end_has_its_name() {
        let run = |config: Config, rounds: &[Round]| {
            let mut watch = Convergence::new(rules(config));
            rounds.iter().find_map(|round| watch.round(*round)).map(|stop| (stop, watch.rounds()))
        };
        let prints = |numbers: &[u64]| numbers.iter().map(|print| Round::fingerprint(*print)).collect::<Vec<_>>();
        assert_eq!(run(Config::default(), &prints(&[1, 2, 2, 2])), Some((Stop::Converged, 4)));
        assert_eq!(run(Config::default(), &prints(&[1, 2, 3, 1])), Some((Stop::Cycle { length: 3 }, 4)));
        assert_eq!(run(Config::default(), &prints(&[1, 1, 2, 3])), None, "once is not twice in a row");
        assert_eq!(run(Config::default().with_rounds(3), &prints(&[1, 2, 3])), Some((Stop::Rounds, 3)));
        let scores: Vec<Round> = [1.0, 3.0, 2.0, 3.0, 3.0].map(|score| Round::default().with_score(score)).to_vec();
        assert_eq!(run(Config::default().with_patience(Some(3)), &scores), Some((Stop::NoProgress, 5)));
        assert!(Rules::new(Config::default().with_settled(0)).is_err());
        assert!(Rules::new(Config::default().with_near(f64::NAN)).is_err());
    }

    proptest! {
        #[test]
        fn it_ends_and_stays_ended(rounds in prop::collection::vec((0_u64..6, 0.0_f64..1.0), 0..60), most in 1_u32..20) {
            let mut watch = Convergence::new(rules(Config::default().with_rounds(most)));
            let mut ended = None;
            for (print, distance) in rounds {
                let stop = watch.round(Round::distance(distance).with_fingerprint(print));
                prop_assert!(ended.is_none() || stop == ended);
                ended = stop;
                prop_assert!(watch.rounds() <= most && (watch.rounds() < most || ended.is_some()));
            }
        }
    }
}
