//! Leader election.

use crate::base::id::AgentId;
use core::cmp::Reverse;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Elects the candidate with the highest score, and among equal scores the one with the lowest id. The leader is
/// replaced when it leaves, or when another candidate exceeds its score by more than the margin, so that small changes
/// of scores do not change the leader.
///
/// Every change begins a term with a new number. Orders from an earlier term can be recognised and rejected.
///
/// ```
/// use counterpoint::AgentId;
/// use counterpoint::coordination::hierarchy::{Election, Why};
///
/// let [a, b] = [1, 2].map(AgentId::new);
/// let mut election = Election::new(10);
/// assert_eq!(election.set(a, 50).unwrap().why, Why::First);
/// assert_eq!(election.set(b, 60), None, "not better by more than 10");
/// assert_eq!(election.set(b, 61).unwrap().to, Some(b));
/// let change = election.remove(b).unwrap();
/// assert_eq!((change.to, change.why, change.term), (Some(a), Why::Left, 3));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "State", into = "State")]
pub struct Election {
    margin: u64,
    scores: BTreeMap<AgentId, u64>,
    order: BTreeSet<(u64, Reverse<AgentId>)>,
    leader: Option<AgentId>,
    term: u64,
}

/// A change of the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Change {
    /// The number of the new term.
    pub term: u64,
    /// The previous leader.
    pub from: Option<AgentId>,
    /// The new leader; none if there is no candidate.
    pub to: Option<AgentId>,
    /// The reason.
    pub why: Why,
}

/// The reason for a change of the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// There was no leader.
    First,
    /// The leader left.
    Left,
    /// The new leader's score is higher by more than the margin.
    Better {
        /// The difference of the scores.
        by: u64,
    },
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    margin: u64,
    scores: BTreeMap<AgentId, u64>,
    leader: Option<AgentId>,
    term: u64,
}

impl Election {
    /// An election without candidates, in which a leader is replaced only by a candidate whose score is higher by more
    /// than `margin`.
    #[must_use]
    pub const fn new(margin: u64) -> Self {
        Self { margin, scores: BTreeMap::new(), order: BTreeSet::new(), leader: None, term: 0 }
    }

    /// Sets the score of an agent, which becomes a candidate.
    pub fn set(&mut self, agent: AgentId, score: u64) -> Option<Change> {
        if let Some(old) = self.scores.insert(agent, score) {
            self.order.remove(&(old, Reverse(agent)));
        }
        self.order.insert((score, Reverse(agent)));
        self.settle()
    }

    /// Removes a candidate.
    pub fn remove(&mut self, agent: AgentId) -> Option<Change> {
        let old = self.scores.remove(&agent)?;
        self.order.remove(&(old, Reverse(agent)));
        self.settle()
    }

    /// The leader.
    #[must_use]
    pub const fn leader(&self) -> Option<AgentId> {
        self.leader
    }

    /// The number of the term, which is the number of changes of the leader.
    #[must_use]
    pub const fn term(&self) -> u64 {
        self.term
    }

    /// The score of an agent, if it is a candidate.
    #[must_use]
    pub fn score(&self, agent: AgentId) -> Option<u64> {
        self.scores.get(&agent).copied()
    }

    fn settle(&mut self) -> Option<Change> {
        let best = self.order.last().copied();
        let here = self.leader.map(|leader| (leader, self.scores.get(&leader).copied()));
        let (to, why) = match (here, best) {
            (None, None) => return None,
            (None, Some((_, Reverse(best)))) => (Some(best), Why::First),
            (Some((_, None)), best) => (best.map(|(_, Reverse(best))| best), Why::Left),
            (Some((_, Some(score))), Some((most, Reverse(best)))) if most > score.saturating_add(self.margin) => {
                (Some(best), Why::Better { by: most - score })
            }
            (Some((_, Some(_))), _) => return None,
        };
        let change = Change { term: self.term + 1, from: self.leader, to, why };
        (self.leader, self.term) = (to, change.term);
        Some(change)
    }
}

impl From<State> for Election {
    fn from(state: State) -> Self {
        let State { margin, scores, leader, term } = state;
        let order = scores.iter().map(|(agent, score)| (*score, Reverse(*agent))).collect();
        // A leader must be a candidate.
        let leader = leader.filter(|leader| scores.contains_key(leader));
        Self { margin, scores, order, leader, term }
    }
}

impl From<Election> for State {
    fn from(election: Election) -> Self {
        let Election { margin, scores, leader, term, .. } = election;
        Self { margin, scores, leader, term }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn there_is_a_leader_while_there_is_an_agent(
            margin in 0_u64..5, steps in prop::collection::vec((0_u64..6, prop::option::of(0_u64..20)), 0..80),
        ) {
            let mut election = Election::new(margin);
            let mut alive = BTreeMap::new();
            for (agent, score) in steps {
                let (before, agent) = (election.clone(), AgentId::new(agent));
                let change = match score {
                    Some(score) => {
                        alive.insert(agent, score);
                        election.set(agent, score)
                    }
                    None => {
                        alive.remove(&agent);
                        election.remove(agent)
                    }
                };
                prop_assert_eq!(election.leader().is_some(), !alive.is_empty());
                prop_assert_eq!(election.term(), before.term() + u64::from(change.is_some()));
                let best = alive.values().max().copied().unwrap_or(0);
                let good = before.leader().and_then(|leader| alive.get(&leader)).is_some_and(|score| score + margin >= best);
                prop_assert!(!good || change.is_none(), "who is good enough is not replaced");
                if let Some(leader) = election.leader() {
                    prop_assert!(alive.contains_key(&leader) && alive[&leader] + margin >= best);
                    if let Some(change) = change {
                        let first = alive.iter().find(|(_, score)| **score == best).map(|(agent, _)| *agent);
                        prop_assert_eq!((change.to, change.from), (first, before.leader()));
                    } else {
                        prop_assert_eq!(before.leader(), Some(leader), "who leads stays without a change");
                    }
                }
                let text = serde_json::to_string(&election).unwrap();
                prop_assert_eq!(serde_json::from_str::<Election>(&text).unwrap(), election.clone());
            }
        }
    }
}
