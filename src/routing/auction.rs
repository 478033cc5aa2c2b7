//! Auctions among agents.

use super::learned::{Attempts, End, Seen};
use super::{Candidate, Candidates, RoutingStrategy};
use crate::base::id::{AgentId, TaskId};
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::coordination::Reputation;
use crate::coordination::market::{self, Bid};
use crate::message::event::Entry;
use crate::task::TaskSpec;
use core::fmt;
use std::collections::VecDeque;

/// The source of bids in an [`Auction`]. Closures of this signature implement it.
pub trait Bidder: Send {
    /// The bid of the agent for the task, in millionths of the host's currency unit; none if it does not bid.
    fn bid(&mut self, task: &TaskSpec, agent: &Candidate<'_>, now: Time) -> Option<u64>;
}

impl<F: FnMut(&TaskSpec, &Candidate<'_>, Time) -> Option<u64> + Send> Bidder for F {
    fn bid(&mut self, task: &TaskSpec, agent: &Candidate<'_>, now: Time) -> Option<u64> {
        self(task, agent, now)
    }
}

/// A second-price auction among the candidates: the lowest bid wins and is paid the second lowest one, or the reserve
/// price if there is no other bid (Vickrey 1961). Bids above the reserve price are ignored. Ties are broken at random.
///
/// For agents of different owners: with second prices, a truthful bid is optimal for a single task and without
/// collusion between bidders. For agents of one owner it only minimises their declared cost. Without any bid the task
/// waits until an agent gets room or is updated.
///
/// With a [`Reputation`], bids are divided by the trust in their bidders: an agent that fails tasks must bid less to
/// win, and is paid the highest bid with which it would have won. Ties are then broken by id.
///
/// ```
/// use counterpoint::{Config, TaskSpec, Time};
/// use counterpoint::routing::{Auction, Candidate};
///
/// let by_load = |_: &TaskSpec, agent: &Candidate<'_>, _: Time| Some(100 * (u64::from(agent.in_flight()) + 1));
/// let config = Config::default().with_strategy(Auction::new(by_load).with_reserve(1_000));
/// ```
pub struct Auction {
    bidder: Box<dyn Bidder>,
    reserve: u64,
    reputation: Option<(Reputation, Attempts)>,
    awards: VecDeque<Award>,
}

/// The result of an auction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Award {
    /// When the auction took place.
    pub at: Time,
    /// The task.
    pub task: TaskId,
    /// The winner.
    pub agent: AgentId,
    /// The winning bid.
    pub bid: u64,
    /// The price that the winner is paid: the second lowest bid, or the reserve price.
    pub price: u64,
    /// The number of bids.
    pub bids: u32,
}

/// The number of awards that are kept.
const KEPT: usize = 1_024;

impl Auction {
    /// An auction with the bids of this bidder.
    #[must_use]
    pub fn new(bidder: impl Bidder + 'static) -> Self {
        Self { bidder: Box::new(bidder), reserve: u64::MAX, reputation: None, awards: VecDeque::new() }
    }

    /// Sets the reserve price: the most that is paid.
    #[must_use]
    pub const fn with_reserve(mut self, most: u64) -> Self {
        self.reserve = most;
        self
    }

    /// Weights bids by the reputation of their bidders, which is updated when attempts end and when results are rated: a rating
    /// of at least a half is a good result, and a lower one counts as two bad ones.
    #[must_use]
    pub fn with_reputation(mut self, reputation: Reputation) -> Self {
        self.reputation = Some((reputation, Attempts::default()));
        self
    }

    /// The reputation of the bidders, if bids are weighted by it.
    #[must_use]
    pub fn reputation(&self) -> Option<&Reputation> {
        self.reputation.as_ref().map(|(reputation, _)| reputation)
    }

    /// The last awards, the oldest first.
    pub fn awards(&self) -> impl Iterator<Item = &Award> {
        self.awards.iter()
    }
}

impl Auction {
    /// An auction by bids alone.
    fn plain(&mut self, task: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<Award> {
        let (mut best, mut second, mut bids, mut equals) = (None::<(u64, AgentId)>, self.reserve, 0_u32, 1);
        for agent in among.iter() {
            let bid = self.bidder.bid(task, &agent, among.now()).filter(|bid| *bid <= self.reserve);
            let Some(bid) = bid else { continue };
            bids += 1;
            match best {
                Some((low, _)) if bid > low => second = second.min(bid),
                Some((low, _)) if bid == low => {
                    second = low;
                    equals += 1;
                    if random.below(equals) == 0 {
                        best = Some((bid, agent.id()));
                    }
                }
                _ => {
                    second = best.map_or(second, |(low, _)| low);
                    equals = 1;
                    best = Some((bid, agent.id()));
                }
            }
        }
        let (bid, agent) = best?;
        Some(Award { at: among.now(), task: task.id, agent, bid, price: second, bids })
    }

    /// An auction by bids divided by trust.
    fn weighted(&mut self, task: &TaskSpec, among: &Candidates<'_>) -> Option<Award> {
        let (now, mut bids) = (among.now(), Vec::new());
        for agent in among.iter() {
            if let Some(amount) = self.bidder.bid(task, &agent, now).filter(|bid| *bid <= self.reserve) {
                let trust =
                    self.reputation.as_ref().map_or(market::FULL_TRUST, |(known, _)| known.trust(agent.id(), now));
                bids.push(Bid::new(agent.id(), amount).with_trust(trust));
            }
        }
        let rules = market::Rules::new(market::Config::default().with_reserve(Some(self.reserve))).ok()?;
        let won = *market::hold(&rules, &bids).ok()?.first()?;
        let bids = u32::try_from(bids.len()).unwrap_or(u32::MAX);
        Some(Award { at: now, task: task.id, agent: won.to, bid: won.bid, price: won.price, bids })
    }
}

impl RoutingStrategy for Auction {
    fn name(&self) -> &'static str {
        "auction"
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId> {
        let award = match &self.reputation {
            None => self.plain(task, among, random),
            Some(_) => self.weighted(task, among),
        }?;
        if self.awards.len() >= KEPT {
            self.awards.pop_front();
        }
        self.awards.push_back(award);
        Some(award.agent)
    }

    fn observe(&mut self, entry: &Entry) {
        let Some((reputation, attempts)) = &mut self.reputation else { return };
        match attempts.note(entry) {
            Some(Seen::Ended { agent, end: End::Succeeded, .. }) => reputation.note(agent, true, entry.at),
            Some(Seen::Ended { agent, end: End::Failed, .. }) => reputation.note(agent, false, entry.at),
            Some(Seen::Rated { agent, rating, .. }) => {
                // A bad rating also takes back the good result that the end of the task was.
                let times = if rating >= 0.5 { 1 } else { 2 };
                (0..times).for_each(|_| reputation.note(agent, rating >= 0.5, entry.at));
            }
            Some(Seen::Ended { .. } | Seen::Began { .. }) | None => {}
        }
    }

    fn explain(&self) -> Option<String> {
        let last = self.awards.back()?;
        let Award { task, agent, bid, price, bids, .. } = last;
        Some(format!("{task} was assigned to {agent} for a bid of {bid} at a price of {price} ({bids} bids)"))
    }
}

impl fmt::Debug for Auction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auction").field("reserve", &self.reserve).field("awards", &self.awards.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Roster;
    use super::*;
    use crate::message::event::{Next, TaskEvent};
    use crate::task::Needs;
    use crate::task::agent::AgentSpec;
    use proptest::prelude::*;

    #[test]
    fn an_agent_that_fails_what_it_won_bids_less() {
        let mut roster = Roster::default();
        (1..3).for_each(|id| roster.add(AgentSpec::new(AgentId::new(id))));
        let class = roster.class(&Needs::nothing());
        // Agent 1 bids 10 and fails every task, agent 2 bids 15.
        let bidder = |_: &TaskSpec, agent: &Candidate<'_>, _: Time| Some(5 + 5 * agent.id().get());
        let mut auction = Auction::new(bidder).with_reputation(Reputation::default());
        let (mut seq, mut winners) = (0, Vec::new());
        for id in (1..=4).map(TaskId::new) {
            let task = TaskSpec::new(id, "any");
            let winner =
                auction.pick(&task, &roster.among(class, Time::ZERO).unwrap(), &mut Random::new(1, 1)).unwrap();
            winners.push((winner.get(), auction.awards().last().unwrap().price));
            let (attempt, by) = (crate::task::AttemptNumber::FIRST, crate::Incarnation::new(winner, 1));
            let failure = crate::Failure::permanent("no");
            let ended = if winner.get() == 1 {
                let (outcome_unknown, beyond_budget) = (false, false);
                TaskEvent::AttemptFailed {
                    attempt,
                    by,
                    failure: Box::new(failure),
                    next: Next::Fail,
                    outcome_unknown,
                    beyond_budget,
                }
            } else {
                TaskEvent::Succeeded { attempt, by, output: crate::Payload::NULL }
            };
            for event in [
                TaskEvent::Submitted { spec: std::sync::Arc::new(task), replays: None, expected: None },
                TaskEvent::Assigned { attempt, to: by },
                ended,
            ] {
                seq += 1;
                auction.observe(&Entry { seq: crate::Seq::new(seq), at: Time::ZERO, event: event.of(id) });
            }
        }
        // After the failure agent 1 is trusted a third and its 10 count as 30; agent 2 could ask for 15, 20, 22 ...
        assert_eq!(winners, [(1, 15), (2, 15), (2, 20), (2, 22)]);
    }

    proptest! {
        #[test]
        fn the_lowest_wins_and_is_owed_the_second(bids in prop::collection::vec(prop::option::of(0_u64..20), 1..12), reserve in 0_u64..25, seed: u64) {
            let mut roster = Roster::default();
            (0..bids.len() as u64).for_each(|id| roster.add(AgentSpec::new(AgentId::new(id))));
            let class = roster.class(&Needs::nothing());
            let all = bids.clone();
            let bidder = move |_: &TaskSpec, agent: &Candidate<'_>, _: Time| all[usize::try_from(agent.id().get()).unwrap()];
            let mut auction = Auction::new(bidder).with_reserve(reserve);
            let task = TaskSpec::new(TaskId::new(1), "any");
            let winner = auction.pick(&task, &roster.among(class, Time::ZERO).unwrap(), &mut Random::new(seed, 0));
            let mut valid: Vec<u64> = bids.iter().flatten().copied().filter(|bid| *bid <= reserve).collect();
            valid.sort_unstable();
            prop_assert_eq!(winner.is_some(), !valid.is_empty());
            if let Some(winner) = winner {
                let award = auction.awards().last().unwrap();
                prop_assert_eq!(bids[usize::try_from(winner.get()).unwrap()], Some(valid[0]));
                prop_assert_eq!(award.price, valid.get(1).copied().unwrap_or(reserve));
                prop_assert!(award.price >= award.bid);
            }
        }
    }
}
