//! Expertise: weights for votes, learned from outcomes.
//!
//! | purpose | item | source |
//! |---|---|---|
//! | the optimal weight of a voter who is right with probability p | [`log_odds`] | Nitzan and Paroush 1982, Shapley
//! and Grofman 1984 |
//! | the probability that an agent is right | [`Expertise`] | Laplace's rule of succession |

use crate::base::id::AgentId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Probabilities are clamped to this distance from 0 and 1, so that no voter has an unbounded weight.
const MIN_DOUBT: f64 = 1e-6;

/// The weight of a voter who is right with probability `chance`, in millionths of the natural logarithm of the odds.
/// Zero for a probability of one half or less, and for NaN.
///
/// If voters err independently, the weighted majority with these weights is right more often than with any others.
///
/// ```
/// use counterpoint::coordination::expertise::log_odds;
///
/// assert_eq!([0.9, 0.6, 0.5, 0.2].map(log_odds), [2_197_225, 405_465, 0, 0]);
/// ```
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 13.9 million")]
pub fn log_odds(chance: f64) -> u64 {
    let chance = if chance.is_nan() { 0.5 } else { chance.clamp(0.5, 1.0 - MIN_DOUBT) };
    ((chance / (1.0 - chance)).ln() * 1e6).round() as u64
}

/// How often each agent was right, and the weight of its vote that results.
///
/// ```
/// use counterpoint::AgentId;
/// use counterpoint::coordination::expertise::Expertise;
///
/// let (mut expertise, expert) = (Expertise::default(), AgentId::new(1));
/// (0..9).for_each(|_| expertise.learn(expert, true));
/// // Ten to one: nine times right and none wrong, with one of each to begin with.
/// assert_eq!(expertise.weight(expert), 2_302_585);
/// assert_eq!(expertise.weight(AgentId::new(2)), 0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Expertise(BTreeMap<AgentId, (u32, u32)>);

impl Expertise {
    /// Records whether the agent was right.
    pub fn learn(&mut self, agent: AgentId, was_right: bool) {
        let (right, wrong) = self.0.entry(agent).or_default();
        let count = if was_right { right } else { wrong };
        *count = count.saturating_add(1);
    }

    /// The estimated probability that the agent is right: (right + 1) / (all + 2).
    #[must_use]
    pub fn chance(&self, agent: AgentId) -> f64 {
        let (right, wrong) = self.0.get(&agent).copied().unwrap_or_default();
        (f64::from(right) + 1.0) / (f64::from(right) + f64::from(wrong) + 2.0)
    }

    /// The weight of the agent's vote: [`log_odds`] of the estimated probability.
    #[must_use]
    pub fn weight(&self, agent: AgentId) -> u64 {
        log_odds(self.chance(agent))
    }

    /// The weights of all agents with recorded outcomes.
    pub fn weights(&self) -> impl Iterator<Item = (AgentId, u64)> + '_ {
        self.0.keys().map(|agent| (*agent, self.weight(*agent)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How often the weighted majority of two options is right, by enumeration; a tie is right half of the time.
    fn group_accuracy(voters: &[(f64, u64)]) -> f64 {
        let all: u64 = voters.iter().map(|(_, weight)| weight).sum();
        let mut right = 0.0;
        for case in 0_u32..1 << voters.len() {
            let (mut chance, mut weight) = (1.0, 0);
            for (place, (accuracy, its)) in voters.iter().enumerate() {
                let is_right = case >> place & 1 == 1;
                chance *= if is_right { *accuracy } else { 1.0 - *accuracy };
                weight += if is_right { *its } else { 0 };
            }
            right += match (2 * weight).cmp(&all) {
                core::cmp::Ordering::Greater => chance,
                core::cmp::Ordering::Equal => chance / 2.0,
                core::cmp::Ordering::Less => 0.0,
            };
        }
        right
    }

    #[test]
    fn groups_of_the_literature() {
        let near = |found: f64, known: f64| assert!((found - known).abs() < 5e-6, "{found} is not {known}");
        let chances = [0.9, 0.9, 0.6, 0.6, 0.6];
        let group = |weights: [u64; 5]| group_accuracy(&core::array::from_fn::<_, 5, _>(|n| (chances[n], weights[n])));
        near(group([1, 0, 0, 0, 0]), 0.9);
        near(group([1; 5]), 0.87696);
        near(group([3, 3, 1, 1, 1]), 0.92664);
        near(group(chances.map(log_odds)), 0.92664);
        near(group_accuracy(&[(0.6, 1); 5]), 0.68256);
        near(group_accuracy(&[(0.7, 1); 3]), 0.784);
        assert_eq!([1.0, f64::INFINITY, f64::NAN, -1.0].map(log_odds), [13_815_510, 13_815_510, 0, 0]);
    }

    #[test]
    fn weights_follow_the_record() {
        let mut expertise = Expertise::default();
        (0..2_000).for_each(|time| expertise.learn(AgentId::new(time % 2), time % 2 == 0 || time % 5 != 0));
        assert!(expertise.weight(AgentId::new(0)) > 3 * expertise.weight(AgentId::new(1)));
        expertise.learn(AgentId::new(3), false);
        assert_eq!(expertise.weights().last(), Some((AgentId::new(3), 0)));
    }

    proptest! {
        /// No other weights do better than the logarithm of the odds.
        #[test]
        fn log_odds_are_the_best_weights(voters in prop::collection::vec((0.5_f64..0.99, 0_u64..9), 1..7)) {
            let best: Vec<(f64, u64)> = voters.iter().map(|(chance, _)| (*chance, log_odds(*chance))).collect();
            prop_assert!(group_accuracy(&best) >= group_accuracy(&voters) - 1e-6);
        }
    }
}
