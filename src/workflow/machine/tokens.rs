//! Joins that start more than once: what arrives at a node, and the rounds that it makes.
//!
//! A token is one arrival over one link. Tokens on different links meet; tokens on one link never stand for each other: a
//! second one on the same link is not another branch.

use crate::definition::{Join, Rest};
use crate::payload::Payload;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What has arrived at a node and is not used up.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Tokens {
    /// What waits for a round to come, by link.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    held: BTreeMap<u32, VecDeque<Payload>>,
    /// The links that have brought something in this round, with what, until it has started.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    here: BTreeMap<u32, Payload>,
    /// Whether this round has started, and only waits for the rest.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    started: bool,
    /// The links that bring nothing any more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    closed: BTreeSet<u32>,
    /// Rounds that have started and that nobody works on yet: what each is given.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    due: VecDeque<Payload>,
}

impl Tokens {
    /// Something arrives over a link.
    pub(super) fn arrive(&mut self, join: Join, links: u32, link: u32, value: Payload) {
        match join {
            Join::Each => self.due.push_back(value),
            Join::Rounds { rest: Rest::Ignore, .. } if self.here.contains_key(&link) => {}
            Join::Rounds { of, .. } => {
                self.held.entry(link).or_default().push_back(value);
                self.advance(of, links);
            }
            Join::All | Join::Any | Join::Count { .. } | Join::Trigger(_) => {}
        }
    }

    /// Nothing comes over a link any more.
    pub(super) fn close(&mut self, join: Join, links: u32, link: u32) {
        self.closed.insert(link);
        if let Join::Rounds { of, .. } = join {
            self.advance(of, links);
        }
    }

    /// What the next round is given, if one has started.
    pub(super) fn next(&self) -> Option<&Payload> {
        self.due.front()
    }

    /// The next round is worked on.
    pub(super) fn begin(&mut self) {
        self.due.pop_front();
    }

    /// Lets rounds start, end and follow each other as far as what is here allows.
    fn advance(&mut self, of: u32, links: u32) {
        loop {
            for link in 0..links {
                if self.here.contains_key(&link) {
                    continue;
                }
                let Some(queue) = self.held.get_mut(&link) else { continue };
                if let Some(value) = queue.pop_front() {
                    self.here.insert(link, if self.started { Payload::NULL } else { value });
                }
                if queue.is_empty() {
                    self.held.remove(&link);
                }
                if !self.started && self.here.len() >= of as usize {
                    self.start(links);
                }
            }
            let whole = (0..links).all(|link| self.here.contains_key(&link) || self.closed.contains(&link));
            if !(self.started && whole) {
                return;
            }
            self.started = false;
            self.here.clear();
        }
    }

    fn start(&mut self, links: u32) {
        let given: Value = (0..links)
            .map(|link| self.here.get(&link).map(|value| value.value().clone()).unwrap_or_default())
            .collect();
        self.due.push_back(Payload::new(given));
        self.started = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// The rounds, read off the whole history: an independent reading of the two policies for links that never close.
    fn rounds(arrivals: &[u32], links: u32, of: u32, hold: bool) -> Vec<Vec<Option<usize>>> {
        let mut rounds = Vec::new();
        if hold {
            // The k-th arrival on a link belongs to round k; the round starts with its `of`-th arrival, but not before the
            // round before is whole.
            let times = |link: u32| -> Vec<usize> {
                arrivals.iter().enumerate().filter(|(_, at)| **at == link).map(|(time, _)| time).collect()
            };
            let times: Vec<Vec<usize>> = (0..links).map(times).collect();
            for round in 0.. {
                let free = match round {
                    0 => Some(0),
                    _ => times
                        .iter()
                        .map(|times| times.get(round - 1).copied())
                        .collect::<Option<Vec<_>>>()
                        .and_then(|all| all.into_iter().max()),
                };
                let Some(free) = free else { break };
                // What arrived before the round was free counts from then, in the order of the links.
                let mut here: Vec<(usize, usize, usize)> = times
                    .iter()
                    .enumerate()
                    .filter_map(|(link, times)| times.get(round).map(|time| ((*time).max(free), link, *time)))
                    .collect();
                here.sort_unstable();
                here.truncate(of as usize);
                if here.len() < of as usize {
                    break;
                }
                let given = |link: usize| here.iter().find(|(_, at, _)| *at == link).map(|(.., time)| *time);
                rounds.push((0..links as usize).map(given).collect());
            }
            return rounds;
        }
        let mut here: Vec<Option<usize>> = vec![None; links as usize];
        let mut started = false;
        for (time, link) in arrivals.iter().enumerate() {
            let slot = here.get_mut(*link as usize).unwrap();
            if slot.is_some() {
                continue;
            }
            *slot = Some(time);
            let count = here.iter().flatten().count();
            if !started && count == of as usize {
                rounds.push(here.clone());
                started = true;
            }
            if started && count == links as usize {
                (here, started) = (vec![None; links as usize], false);
            }
        }
        rounds
    }

    proptest! {
        #[test]
        fn rounds_are_those_of_the_whole_history(
            links in 1_u32..5, of in 1_u32..5, hold: bool, arrivals in prop::collection::vec(0_u32..4, 0..30),
        ) {
            let of = of.min(links);
            let arrivals: Vec<u32> = arrivals.into_iter().map(|link| link % links).collect();
            let rest = if hold { Rest::Hold } else { Rest::Ignore };
            let mut tokens = Tokens::default();
            for (time, link) in arrivals.iter().enumerate() {
                tokens.arrive(Join::Rounds { of, rest }, links, *link, Payload::new(json!(time)));
            }
            let given: Vec<Value> = tokens.due.iter().map(|round| round.value().clone()).collect();
            let expected: Vec<Value> = rounds(&arrivals, links, of, hold).into_iter().map(|round| json!(round)).collect();
            prop_assert_eq!(given, expected);
        }
    }

    #[test]
    fn a_closed_link_holds_no_round_back() {
        let join = Join::Rounds { of: 1, rest: Rest::Hold };
        let mut tokens = Tokens::default();
        tokens.arrive(join, 2, 0, Payload::new(json!(1)));
        tokens.arrive(join, 2, 0, Payload::new(json!(2)));
        assert_eq!(tokens.due.len(), 1, "the second waits until the other link has brought something");
        tokens.close(join, 2, 1);
        assert_eq!(tokens.due.len(), 2);
    }
}
