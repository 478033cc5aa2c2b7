//! Many results become one: votes, means, ranks, trees.
//!
//! | results are | with | source |
//! |---|---|---|
//! | answers to choose from | [`vote`] | plurality by weight, dissent kept |
//! | numbers | [`median`], [`trimmed_mean`] | - |
//! | rankings | [`borda`], [`reciprocal_rank_fusion`] | Borda 1784; Cormack, Clarke and Büttcher 2009 |
//! | parts to be put together | [`reduce_tree`], [`Merge`] | - |

use crate::id::AgentId;
use crate::name::Name;
use crate::payload::Payload;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a vote over answers has come to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Voted {
    /// The answer with the most weight behind it; among equals the one that the lowest agent gave.
    pub answer: Payload,
    /// The weight behind it.
    pub weight: u128,
    /// The weight of all answers.
    pub of: u128,
    /// Who gave another answer, and which.
    pub dissent: BTreeMap<AgentId, Payload>,
}

/// The answer with the most weight behind it; agents without a weight have 1. Answers are the same if their data is, in
/// whatever order fields stand. None if there are no answers.
///
/// For quorums, rounds and escalation see [`consensus`](super::consensus).
///
/// ```
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

/// The middle one, or the mean of the two in the middle: up to half of the values may be anything without it going astray.
/// None if there are no numbers.
///
/// ```
/// assert_eq!(counterpoint::coordination::aggregate::median(&[1.0, 900.0, 3.0, 2.0]), Some(2.5));
/// ```
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    let lower = if sorted.len().is_multiple_of(2) { *sorted.get(middle.checked_sub(1)?)? } else { upper };
    Some(f64::midpoint(lower, upper))
}

/// The mean without so many of the lowest and as many of the highest. None if nothing is left.
///
/// ```
/// assert_eq!(counterpoint::coordination::aggregate::trimmed_mean(&[1.0, 900.0, 3.0, 2.0], 1), Some(2.5));
/// ```
#[must_use]
pub fn trimmed_mean(values: &[f64], trimmed: usize) -> Option<f64> {
    let sorted = sorted(values);
    let kept = sorted.get(trimmed..sorted.len().checked_sub(trimmed)?).filter(|kept| !kept.is_empty())?;
    #[expect(clippy::cast_precision_loss, reason = "how many numbers there are")]
    Some(kept.iter().sum::<f64>() / kept.len() as f64)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Ranks by points: in a ranking of n the first gets n, the second n - 1, and so on; what a ranking does not name gets nothing
/// from it. The best first, by name among equals.
///
/// ```
/// use counterpoint::coordination::aggregate::borda;
///
/// let found = borda(&[["a", "b", "c"], ["b", "c", "a"]].map(|ranking| ranking.map(Into::into).to_vec()));
/// assert_eq!(found[0], ("b".into(), 5));
/// ```
#[must_use]
pub fn borda(rankings: &[Vec<Name>]) -> Vec<(Name, u64)> {
    let mut points: BTreeMap<&Name, u64> = BTreeMap::new();
    for ranking in rankings {
        for (name, rank) in firsts(ranking) {
            *points.entry(name).or_insert(0) += (ranking.len() - rank) as u64;
        }
    }
    let mut order: Vec<(Name, u64)> = points.into_iter().map(|(name, points)| (name.clone(), points)).collect();
    order.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then(a.cmp(b)));
    order
}

/// Ranks by the sum of 1 / (k + rank) over all rankings, with ranks from 1; k = 60 in the literature. Good for lists of
/// different lengths and sources, whose scores cannot be compared. The best first, by name among equals.
///
/// ```
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

/// Each name with the first of its places, from 0.
fn firsts(ranking: &[Name]) -> impl Iterator<Item = (&Name, usize)> {
    let mut seen = BTreeSet::new();
    ranking.iter().enumerate().filter(move |(_, name)| seen.insert(*name)).map(|(rank, name)| (name, rank))
}

/// Combines up to `width` neighbours at a time until one is left: what is put together in a tree of so many levels may be done
/// by as many agents, and nobody has to read everything. The result and the number of levels; none of nothing. A width below
/// two counts as two.
///
/// ```
/// use counterpoint::coordination::aggregate::reduce_tree;
///
/// let (text, levels) = reduce_tree((0..9).map(|n| n.to_string()).collect(), 3, |parts| format!("({})", parts.concat())).unwrap();
/// assert_eq!((&*text, levels), ("((012)(345)(678))", 2));
/// ```
pub fn reduce_tree<T>(parts: Vec<T>, width: usize, mut combine: impl FnMut(Vec<T>) -> T) -> Option<(T, u32)> {
    let (mut level, mut levels) = (parts, 0);
    while level.len() > 1 {
        let mut next = Vec::with_capacity(level.len().div_ceil(width.max(2)));
        let mut rest = level.into_iter();
        loop {
            let mut group: Vec<T> = rest.by_ref().take(width.max(2)).collect();
            match group.len() {
                0 => break,
                1 => next.append(&mut group),
                _ => next.push(combine(group)),
            }
        }
        (level, levels) = (next, levels + 1);
    }
    level.pop().map(|whole| (whole, levels))
}

/// How two values become one. Where several agents write the same, one of these has to be declared.
///
/// [`Reducer`](crate::definition::Reducer) is the like for variables of workflows, and another type for a reason: what a
/// variable is must follow from the definition whatever is written, so it never fails (a sum beyond 64 bits becomes a float, what
/// does not fit is refused when it is written), has functions of the host, and has nothing that depends on who was faster. A
/// merge is a board's: it may ([`Last`](Self::Last), [`First`](Self::First)), and says so when values do not go together. Both
/// are words of journals, so neither can take over the other's meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Merge {
    /// The later one.
    Last,
    /// The earlier one.
    First,
    /// A list of both; a list is continued.
    Append,
    /// The same without what is there already.
    Union,
    /// The sum of numbers; whole ones exactly.
    Sum,
    /// The smaller number.
    Min,
    /// The larger number.
    Max,
    /// Objects field by field, and fields that both have in the same way; of anything else the later one.
    Deep,
}

/// Two values that cannot be merged so: a sum of what is no number, or one that is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{with:?} takes numbers, and sums that can be told")]
#[non_exhaustive]
pub struct NotMerged {
    /// How they should have been.
    pub with: Merge,
}

impl Merge {
    /// Merges a value into what is there; nothing there, it is the value itself (in a list, where lists are made).
    ///
    /// ```
    /// use counterpoint::coordination::aggregate::Merge;
    /// use serde_json::json;
    ///
    /// let both = Merge::Deep.apply(&json!({"a": 1, "b": {"c": 2}}), &json!({"b": {"d": 3}}))?;
    /// assert_eq!(both, json!({"a": 1, "b": {"c": 2, "d": 3}}));
    /// # Ok::<(), counterpoint::coordination::aggregate::NotMerged>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When numbers are asked for and there are none, or their sum is too large.
    pub fn apply(self, old: &Value, new: &Value) -> Result<Value, NotMerged> {
        let none = NotMerged { with: self };
        match self {
            Self::Last => Ok(new.clone()),
            Self::First => Ok(if old.is_null() { new.clone() } else { old.clone() }),
            Self::Append => Ok(Value::Array(list(old).into_iter().chain(list(new)).collect())),
            Self::Union => {
                let mut all = list(old);
                for item in list(new) {
                    if !all.contains(&item) {
                        all.push(item);
                    }
                }
                Ok(Value::Array(all))
            }
            Self::Sum | Self::Min | Self::Max if old.is_null() && new.is_number() => Ok(new.clone()),
            Self::Sum => sum(old, new).ok_or(none),
            Self::Min | Self::Max => {
                let (Value::Number(a), Value::Number(b)) = (old, new) else { return Err(none) };
                let newer = match (a.as_i128(), b.as_i128()) {
                    (Some(a), Some(b)) => b.cmp(&a),
                    _ => b.as_f64().ok_or(none)?.total_cmp(&a.as_f64().ok_or(none)?),
                };
                let takes_new = if self == Self::Max { newer.is_gt() } else { newer.is_lt() };
                Ok(if takes_new { new.clone() } else { old.clone() })
            }
            Self::Deep => Ok(deep(old, new)),
        }
    }
}

fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.clone(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => vec![value.clone()],
    }
}

fn sum(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Number(a), Value::Number(b)) = (old, new) else { return None };
    if let (Some(a), Some(b)) = (a.as_i128(), b.as_i128()) {
        let sum = a.checked_add(b)?;
        return i64::try_from(sum).map(Value::from).or_else(|_| u64::try_from(sum).map(Value::from)).ok();
    }
    serde_json::Number::from_f64(a.as_f64()? + b.as_f64()?).map(Value::Number)
}

fn deep(old: &Value, new: &Value) -> Value {
    let mut whole = old.clone();
    let mut work = vec![(&mut whole, new)];
    while let Some((there, new)) = work.pop() {
        match (there, new) {
            (Value::Object(fields), Value::Object(more)) => {
                for (name, value) in more {
                    if !fields.contains_key(name) {
                        fields.insert(name.clone(), value.clone());
                    }
                }
                let both = fields.iter_mut().filter_map(|(name, there)| more.get(name).map(|value| (there, value)));
                work.extend(both);
            }
            (there, new) => *there = new.clone(),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn values_merge_as_declared() {
        let cases = [
            (Merge::Last, json!(1), json!(2), json!(2)),
            (Merge::First, json!(1), json!(2), json!(1)),
            (Merge::First, json!(null), json!(2), json!(2)),
            (Merge::Append, json!([1]), json!(1), json!([1, 1])),
            (Merge::Union, json!([1]), json!([1, 2, 2]), json!([1, 2])),
            (Merge::Sum, json!(null), json!(2), json!(2)),
            (Merge::Sum, json!(u64::MAX - 1), json!(1), json!(u64::MAX)),
            (Merge::Sum, json!(1), json!(0.5), json!(1.5)),
            (Merge::Min, json!(1), json!(0.5), json!(0.5)),
            (
                Merge::Max,
                json!(9_007_199_254_740_993_u64),
                json!(9_007_199_254_740_992_u64),
                json!(9_007_199_254_740_993_u64),
            ),
            (
                Merge::Deep,
                json!({"a": {"b": 1}, "c": 1}),
                json!({"a": {"b": 2, "d": 3}}),
                json!({"a": {"b": 2, "d": 3}, "c": 1}),
            ),
            (
                Merge::Deep,
                json!({"a": {"b": 1, "e": 4}}),
                json!({"a": {"b": 2}, "f": 5}),
                json!({"a": {"b": 2, "e": 4}, "f": 5}),
            ),
        ];
        for (merge, old, new, expected) in cases {
            assert_eq!(merge.apply(&old, &new), Ok(expected), "{merge:?} of {old} and {new}");
        }
        assert!(Merge::Sum.apply(&json!(u64::MAX), &json!(1)).is_err());
        assert!(Merge::Max.apply(&json!("a"), &json!(1)).is_err());
    }

    #[test]
    fn numbers_without_the_outliers() {
        assert_eq!((median(&[]), median(&[f64::NAN])), (None, None));
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(trimmed_mean(&[1.0, 2.0], 1), None);
        assert_eq!(reduce_tree(Vec::<u8>::new(), 2, |_| 0), None);
        assert_eq!(vote(&BTreeMap::new(), &BTreeMap::new()), None);
    }

    proptest! {
        #[test]
        fn a_vote_counts_everybody_once(answers in prop::collection::btree_map(0_u64..9, (0_u8..3, 0_u64..5), 1..9)) {
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
        fn a_tree_keeps_order_and_loses_nothing(count in 1_usize..60, width in 0_usize..6) {
            let parts: Vec<Vec<usize>> = (0..count).map(|n| vec![n]).collect();
            let (whole, levels) = reduce_tree(parts, width, |parts| parts.concat()).unwrap();
            prop_assert_eq!(whole, (0..count).collect::<Vec<_>>());
            prop_assert!(width.max(2).pow(levels) >= count, "{levels} levels");
            prop_assert!(levels == 0 || width.max(2).pow(levels - 1) < count);
        }

        #[test]
        fn everybody_agrees_with_a_ranking_that_all_share(mut ranking in Just((0..9).map(|n| Name::from(n.to_string())).collect::<Vec<_>>()).prop_shuffle(), times in 1_usize..4) {
            let lists = vec![ranking.clone(); times];
            let names = |order: Vec<Name>| order;
            prop_assert_eq!(names(borda(&lists).into_iter().map(|(name, _)| name).collect()), ranking.clone());
            prop_assert_eq!(names(reciprocal_rank_fusion(&lists, 60.0).into_iter().map(|(name, _)| name).collect()), ranking.clone());
            // A name that comes twice counts once.
            ranking.push(ranking[0].clone());
            prop_assert_eq!(borda(&[ranking]).len(), 9);
        }
    }
}
