//! Aggregation of results: votes, medians, rankings.
//!
//! | results | function | source |
//! |---|---|---|
//! | answers | [`vote`] | weighted plurality, with dissent |
//! | numbers | [`median`] | - |
//! | rankings | [`reciprocal_rank_fusion`] | Cormack, Clarke and Büttcher 2009 |

use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure;
use std::collections::{BTreeMap, BTreeSet};

/// The result of a vote over answers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Voted {
    /// The answer with the most weight; among equals the one of the agent with the lowest id.
    pub answer: Payload,
    /// The weight of the answer.
    pub weight: u128,
    /// The weight of all answers.
    pub of: u128,
    /// The agents that gave other answers, with their answers.
    pub dissent: BTreeMap<AgentId, Payload>,
}

/// The answer with the most weight; agents without a weight have weight 1. Answers are equal if their data is equal,
/// regardless of the order of fields. `None` without answers.
///
/// For quorums, rounds and escalation see [`consensus`](super::consensus).
///
#[cfg_attr(feature = "coordination", doc = "```")]
#[cfg_attr(not(feature = "coordination"), doc = "```ignore")]
/// use counterpoint::coordination::aggregate::vote;
/// use counterpoint::{AgentId, Payload};
/// use std::collections::BTreeMap;
///
/// let answers = [(1, 42), (2, 41), (3, 42)].map(|(by, answer)| (AgentId::new(by), Payload::new(answer.into())));
/// let found = vote(&BTreeMap::from(answers), &BTreeMap::new()).unwrap();
/// assert_eq!((found.answer.value().as_u64(), found.weight, found.of), (Some(42), 2, 3));
/// assert_eq!(found.dissent.len(), 1);
/// ```
#[must_use]
pub fn vote(answers: &BTreeMap<AgentId, Payload>, weights: &BTreeMap<AgentId, u64>) -> Option<Voted> {
    let weight = |agent: &AgentId| u128::from(weights.get(agent).copied().unwrap_or(1));
    // JSON objects keep their fields in order, so equal data has equal text.
    let mut behind: BTreeMap<String, (u128, AgentId)> = BTreeMap::new();
    for (agent, answer) in answers {
        behind.entry(answer.to_string()).or_insert((0, *agent)).0 += weight(agent);
    }
    let (weight_of_best, first) = behind.values().copied().reduce(|best, other| {
        let better = other.0 > best.0 || (other.0 == best.0 && other.1 < best.1);
        if better { other } else { best }
    })?;
    let answer = answers.get(&first)?.clone();
    let others = answers.iter().filter(|(_, other)| **other != answer);
    let dissent = others.map(|(agent, other)| (*agent, other.clone())).collect();
    Some(Voted { answer, weight: weight_of_best, of: answers.keys().map(weight).sum(), dissent })
}

/// The middle value, or the mean of the two middle values. It stays within the range of the correct values if fewer
/// than half are wrong. `None` without numbers.
///
#[cfg_attr(feature = "coordination", doc = "```")]
#[cfg_attr(not(feature = "coordination"), doc = "```ignore")]
/// assert_eq!(counterpoint::coordination::aggregate::median(&[1.0, 900.0, 3.0, 2.0]), Some(2.5));
/// ```
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    structure::median(values)
}

/// Ranks by the sum of 1 / (k + rank) over all rankings, with ranks from 1; k = 60 in the literature. Suitable for
/// lists of different lengths and sources, whose scores cannot be compared. The best first; equal scores are ordered by
/// name.
///
#[cfg_attr(feature = "coordination", doc = "```")]
#[cfg_attr(not(feature = "coordination"), doc = "```ignore")]
/// use counterpoint::coordination::aggregate::reciprocal_rank_fusion;
///
/// let lists = [vec!["a".into(), "b".into()], vec!["b".into(), "c".into()]];
/// let found = reciprocal_rank_fusion(&lists, 60.0);
/// assert_eq!(found[0].0, "b");
/// assert!((found[0].1 - (1.0 / 62.0 + 1.0 / 61.0)).abs() < 1e-12);
/// ```
#[must_use]
pub fn reciprocal_rank_fusion(rankings: &[Vec<Name>], k: f64) -> Vec<(Name, f64)> {
    let mut scores: BTreeMap<&Name, f64> = BTreeMap::new();
    for ranking in rankings {
        for (name, rank) in firsts(ranking) {
            #[expect(clippy::cast_precision_loss, reason = "a place in a list")]
            let rank = (rank + 1) as f64;
            *scores.entry(name).or_insert(0.0) += 1.0 / (k + rank);
        }
    }
    let mut order: Vec<(Name, f64)> = scores.into_iter().map(|(name, score)| (name.clone(), score)).collect();
    order.sort_by(|(a, of_a), (b, of_b)| of_b.total_cmp(of_a).then(a.cmp(b)));
    order
}

/// Each name with the index of its first occurrence.
fn firsts(ranking: &[Name]) -> impl Iterator<Item = (&Name, usize)> {
    let mut seen = BTreeSet::new();
    ranking.iter().enumerate().filter(move |(_, name)| seen.insert(*name)).map(|(rank, name)| (name, rank))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn without_answers_nothing_is_decided() {
        assert_eq!(vote(&BTreeMap::new(), &BTreeMap::new()), None);
    }

    proptest! {
        #[test]
        fn a_vote_counts_each_voter_once(answers in prop::collection::btree_map(0_u64..9, (0_u8..3, 0_u64..5), 1..9)) {
            let given = answers.iter().map(|(by, (answer, _))| (AgentId::new(*by), Payload::new(json!({"a": answer})))).collect();
            let weights = answers.iter().map(|(by, (_, weight))| (AgentId::new(*by), *weight)).collect();
            let found = vote(&given, &weights).unwrap();
            let behind = |wanted: &Payload| given.iter().filter(|(_, answer)| *answer == wanted).map(|(by, _)| u128::from(weights[by])).sum::<u128>();
            prop_assert_eq!(found.weight, behind(&found.answer));
            prop_assert!(given.values().all(|answer| behind(answer) <= found.weight));
            let agree = given.values().filter(|answer| **answer == found.answer).count();
            prop_assert_eq!(found.dissent.len() + agree, given.len());
        }

        #[test]
        fn a_shared_ranking_is_the_aggregate(mut ranking in Just((0..9).map(|n| Name::from(n.to_string())).collect::<Vec<_>>()).prop_shuffle(), times in 1_usize..4) {
            let lists = vec![ranking.clone(); times];
            let names = |order: Vec<Name>| order;
            prop_assert_eq!(names(reciprocal_rank_fusion(&lists, 60.0).into_iter().map(|(name, _)| name).collect()), ranking.clone());
            // A name that comes twice counts once.
            ranking.push(ranking[0].clone());
            prop_assert_eq!(reciprocal_rank_fusion(&[ranking], 60.0).len(), 9);
        }
    }
}
