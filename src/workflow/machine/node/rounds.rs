//! A node that starts more than once: the tokens that arrive at it, and its rounds. It performs its body once for each
//! round.
//!
//! A token is one arrival over one link. A round combines tokens of different links; two tokens of one link belong to
//! different rounds.

use super::Instances;
use super::instance::is_default;
use super::step::{Decided, Ending, Step, Surroundings, begin, cancel_then, first_failure};
use crate::base::payload::Payload;
use crate::definition::{Join, Remaining};
use crate::message::run::LimitReached;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The state of a node that starts more than once.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RoundsWork(Option<Box<Tokens>>);

/// The tokens that are not used yet.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Tokens {
    /// The tokens that wait for a later round, by link.
    #[serde(default, skip_serializing_if = "is_default")]
    held: BTreeMap<u32, VecDeque<Payload>>,
    /// The tokens of the current round, by link, until it starts.
    #[serde(default, skip_serializing_if = "is_default")]
    here: BTreeMap<u32, Payload>,
    #[serde(default, skip_serializing_if = "is_default")]
    round: Round,
    /// The links that are closed.
    #[serde(default, skip_serializing_if = "is_default")]
    closed: BTreeSet<u32>,
    /// The inputs of rounds that have started and have no instance yet.
    #[serde(default, skip_serializing_if = "is_default")]
    due: VecDeque<Payload>,
}

/// Whether the current round has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Round {
    #[default]
    Gathering,
    /// It has started and waits for the remaining links.
    Started,
}

/// An arrival over a link.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Arrival {
    Token(Payload),
    /// The link is closed: no further tokens arrive.
    Closed,
}

impl RoundsWork {
    /// Records an arrival over a link.
    pub(crate) fn arrive(&mut self, join: Join, links: u32, link: u32, arrival: Arrival) {
        let tokens = self.0.get_or_insert_default();
        match arrival {
            Arrival::Token(value) => tokens.arrive(join, links, link, value),
            Arrival::Closed => tokens.close(join, links, link),
        }
    }

    /// The input of the next round, if it has started.
    pub(crate) fn due(&self) -> Option<&Payload> {
        self.0.as_ref()?.due.front()
    }

    /// Records that the next round has an instance.
    pub(super) fn begin(&mut self) {
        if let Some(tokens) = &mut self.0 {
            tokens.due.pop_front();
        }
    }

    /// Resets the state after the end of the node.
    pub(super) fn reset(&mut self) {
        self.0 = None;
    }

    /// Begins an instance for each round that has started; ends the node when all links are closed.
    pub(crate) fn next(&self, inputs: Inflow, instances: &Instances, around: &dyn Surroundings) -> Decided {
        if instances.failed() > 0 {
            return Ok(cancel_then(instances, || first_failure(instances, "an item was cancelled")));
        }
        let most = around.limits().runs.map_items;
        Ok(match self.due() {
            Some(_) if instances.len() >= most => {
                let limit = LimitReached::Items { max: most };
                cancel_then(instances, || Ending::Limit { limit, partial: Payload::NULL })
            }
            Some(item) => begin(around.input_or_item(item.clone()), instances),
            None if instances.active() == 0 && inputs == Inflow::Over => Step::End(Ending::Succeeded),
            None => Step::Idle,
        })
    }
}

/// Whether all links of a node are decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inflow {
    Open,
    Over,
}

impl Tokens {
    fn arrive(&mut self, join: Join, links: u32, link: u32, value: Payload) {
        match join {
            Join::Each => self.due.push_back(value),
            Join::Rounds { remaining: Remaining::Ignore, .. } if self.here.contains_key(&link) => {}
            Join::Rounds { required: of, .. } => {
                self.held.entry(link).or_default().push_back(value);
                self.advance(of, links);
            }
            Join::All | Join::Any | Join::Count { .. } | Join::Trigger(_) => {}
        }
    }

    fn close(&mut self, join: Join, links: u32, link: u32) {
        self.closed.insert(link);
        if let Join::Rounds { required: of, .. } = join {
            self.advance(of, links);
        }
    }

    /// Starts and ends rounds as far as the tokens allow.
    fn advance(&mut self, of: u32, links: u32) {
        loop {
            for link in 0..links {
                if self.here.contains_key(&link) {
                    continue;
                }
                let Some(queue) = self.held.get_mut(&link) else { continue };
                if let Some(value) = queue.pop_front() {
                    let kept = if self.round == Round::Started { Payload::NULL } else { value };
                    self.here.insert(link, kept);
                }
                if queue.is_empty() {
                    self.held.remove(&link);
                }
                if self.round == Round::Gathering && self.here.len() >= of as usize {
                    self.start(links);
                }
            }
            let is_whole = (0..links).all(|link| self.here.contains_key(&link) || self.closed.contains(&link));
            if self.round == Round::Gathering || !is_whole {
                return;
            }
            self.round = Round::Gathering;
            self.here.clear();
        }
    }

    fn start(&mut self, links: u32) {
        let given: Value = (0..links)
            .map(|link| self.here.get(&link).map(|value| value.value().clone()).unwrap_or_default())
            .collect();
        self.due.push_back(Payload::new(given));
        self.round = Round::Started;
    }
}

#[cfg(test)]
mod tests {
    use super::super::step::fixture::{self, Alone, fail, payload};
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// The rounds computed from the whole history: an independent model of both policies, for links that are never
    /// closed.
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
            let rest = if hold { Remaining::Hold } else { Remaining::Ignore };
            let mut tokens = Tokens::default();
            for (time, link) in arrivals.iter().enumerate() {
                tokens.arrive(Join::Rounds { required: of, remaining: rest }, links, *link, Payload::new(json!(time)));
            }
            let given: Vec<Value> = tokens.due.iter().map(|round| round.value().clone()).collect();
            let expected: Vec<Value> = rounds(&arrivals, links, of, hold).into_iter().map(|round| json!(round)).collect();
            prop_assert_eq!(given, expected);
        }
    }

    #[test]
    fn a_closed_link_holds_no_round_back() {
        let join = Join::Rounds { required: 1, remaining: Remaining::Hold };
        let mut tokens = Tokens::default();
        tokens.arrive(join, 2, 0, Payload::new(json!(1)));
        tokens.arrive(join, 2, 0, Payload::new(json!(2)));
        assert_eq!(tokens.due.len(), 1, "the second waits until the other link has brought something");
        tokens.close(join, 2, 1);
        assert_eq!(tokens.due.len(), 2);
    }

    #[test]
    fn each_arrival_is_an_instance_and_the_last_ends_the_node() {
        let (around, mut work, mut instances) = (Alone::default(), RoundsWork::default(), Instances::default());
        assert!(matches!(work.next(Inflow::Open, &instances, &around), Ok(Step::Idle)));
        work.arrive(Join::Each, 1, 0, Arrival::Token(payload(json!(1))));
        assert!(matches!(work.next(Inflow::Open, &instances, &around), Ok(Step::Begin(item)) if item.value() == 1));
        let index = fixture::begin(&mut instances);
        work.begin();
        work.arrive(Join::Each, 1, 0, Arrival::Closed);
        assert!(matches!(work.next(Inflow::Over, &instances, &around), Ok(Step::Idle)));
        fail(&mut instances, index);
        assert!(matches!(work.next(Inflow::Over, &instances, &around), Ok(Step::End(Ending::Failed { .. }))));
        let none = Instances::default();
        assert!(matches!(work.next(Inflow::Over, &none, &around), Ok(Step::End(Ending::Succeeded))));
    }
}
