//! The results of delegated parts: their combination, and the end of rounds.

use super::parts::{Part, Parts};
use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::coordination::aggregate::{median, reciprocal_rank_fusion, vote};
use crate::coordination::convergence::{self, Convergence, Stop};
use crate::definition::{Delegate, Gather, Reducer};
use crate::message::run::LastRound;
use serde_json::Value;
use std::collections::BTreeMap;

/// The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009).
const FUSION: f64 = 60.0;

/// The combined result of a round.
///
/// # Errors
///
/// When a result does not have the type that the combination requires.
pub(super) fn combine(gather: &Gather, results: &[Option<&Payload>]) -> Result<Value, String> {
    let done = || results.iter().flatten().map(|result| result.value());
    match gather {
        Gather::List | Gather::Work(_) => {
            Ok(results.iter().map(|one| one.map(|one| one.value().clone()).unwrap_or_default()).collect())
        }
        Gather::Reduce(reducer) => reduced(reducer, done()),
        Gather::Vote => {
            let votes: BTreeMap<AgentId, Payload> = (1..)
                .map(AgentId::new)
                .zip(results)
                .filter_map(|(voter, result)| Some((voter, (*result)?.clone())))
                .collect();
            Ok(vote(&votes, &BTreeMap::new()).map(|voted| voted.answer.value().clone()).unwrap_or_default())
        }
        Gather::Median => {
            let numbers: Option<Vec<f64>> = done().map(Value::as_f64).collect();
            let numbers = numbers.ok_or("a result is not a number, which the median requires")?;
            Ok(median(&numbers).map(Value::from).unwrap_or_default())
        }
        Gather::Ranks => {
            let ranking = |value: &Value| serde_json::from_value::<Vec<Name>>(value.clone()).ok();
            let rankings: Option<Vec<Vec<Name>>> = done().map(ranking).collect();
            let rankings = rankings.ok_or("a result is not a list of names, which a ranking requires")?;
            let fused = reciprocal_rank_fusion(&rankings, FUSION);
            Ok(fused.into_iter().map(|(name, _)| Value::from(name.as_str())).collect())
        }
    }
}

fn reduced<'v>(reducer: &Reducer, results: impl Iterator<Item = &'v Value>) -> Result<Value, String> {
    let mut whole = Value::Null;
    for result in results {
        if let Some(wanted) = reducer.expected_type(result) {
            return Err(format!("a result is not {wanted}, which the reducer requires"));
        }
        whole = reducer.reduce(whole, result);
    }
    Ok(whole)
}

/// The reason for which the last round of a part was the final one; none if it was not.
pub(super) fn last_round(delegate: &Delegate, parts: &Parts, part: &Part) -> Option<LastRound> {
    let rules = &delegate.rounds;
    let config = convergence::Config::default()
        .with_near(rules.tolerance)
        .with_settled(rules.stable_rounds)
        .with_rounds(rules.max_rounds);
    let mut watch = Convergence::new(convergence::Rules::new(config).unwrap_or_default());
    let rounds: Vec<Vec<Option<&Payload>>> = part.rounds().iter().map(|round| parts.results(round).collect()).collect();
    let mut stop = None;
    for (index, results) in rounds.iter().enumerate() {
        let first = rounds.iter().position(|other| other == results).unwrap_or(index);
        let mut round = convergence::Round::fingerprint(first as u64);
        let before = index.checked_sub(1).and_then(|before| rounds.get(before));
        round.distance = before.and_then(|before| distance(before, results));
        stop = watch.round(round);
    }
    stop.map(|stop| match stop {
        Stop::Converged => LastRound::Converged,
        Stop::Cycle { length } => LastRound::Cycle { length },
        Stop::NoProgress | Stop::Rounds => LastRound::Limit,
    })
}

/// The largest difference of two numbers at the same path; none if anything else differs. Without recursion: results can be as
/// deep as payloads.
fn distance(a: &[Option<&Payload>], b: &[Option<&Payload>]) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    let mut work: Vec<(&Value, &Value)> = Vec::new();
    for (a, b) in a.iter().zip(b) {
        match (a, b) {
            (Some(a), Some(b)) => work.push((a.value(), b.value())),
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => return None,
        }
    }
    let mut most = 0.0_f64;
    while let Some(pair) = work.pop() {
        match pair {
            (Value::Number(a), Value::Number(b)) => most = most.max((a.as_f64()? - b.as_f64()?).abs()),
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => work.extend(a.iter().zip(b)),
            (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
                for (name, value) in a {
                    work.push((value, b.get(name)?));
                }
            }
            (a, b) if a == b => {}
            _ => return None,
        }
    }
    Some(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn payloads(values: &[Value]) -> Vec<Payload> {
        values.iter().cloned().map(Payload::new).collect()
    }

    #[test]
    fn results_are_combined_by_the_rule_of_the_node() {
        for (gather, results, combined) in [
            (Gather::List, vec![json!(1), json!("a")], Ok(json!([1, "a"]))),
            (Gather::Median, vec![json!(3), json!(1), json!(2)], Ok(json!(2.0))),
            (Gather::Vote, vec![json!("b"), json!("a"), json!("b")], Ok(json!("b"))),
            (Gather::Reduce(Reducer::Sum), vec![json!(1), json!("a")], Err(())),
            (Gather::Ranks, vec![json!(1)], Err(())),
        ] {
            let payloads = payloads(&results);
            let made = combine(&gather, &payloads.iter().map(Some).collect::<Vec<_>>());
            assert_eq!(made.map_err(|_| ()), combined, "{gather:?}");
        }
    }

    #[test]
    fn the_distance_of_results_is_that_of_their_numbers() {
        let [a, b, c] = [json!({ "x": [1, 2] }), json!({ "x": [1, 4] }), json!({ "x": ["1", 2] })].map(Payload::new);
        assert_eq!(distance(&[Some(&a)], &[Some(&b)]), Some(2.0));
        assert_eq!(distance(&[Some(&a)], &[Some(&c)]), None);
        assert_eq!(distance(&[None], &[None]), Some(0.0));
    }
}
