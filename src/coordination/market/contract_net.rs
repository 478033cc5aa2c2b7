//! The contract net: a manager calls for bids, awards the task to the best bidder, and calls again if it fails.

use super::sealed::{self, Award, Bid, Price, Side};
use crate::base::error::BadConfig;
use crate::base::id::AgentId;
use crate::base::structure::{rules, with};
use crate::base::time::{Time, nanos_of};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// The terms of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The pricing rule.
    pub price: Price,
    /// The highest price.
    pub reserve: u64,
    /// The time for bids.
    #[serde(with = "crate::base::time::span")]
    pub bidding: Duration,
    /// The time that the winner has; after it, the winner has failed. None for no limit.
    #[serde(with = "crate::base::time::span::option", skip_serializing_if = "Option::is_none")]
    pub performing: Option<Duration>,
    /// The largest number of calls. An agent that has failed is not called again.
    pub rounds: u32,
}

impl Default for Config {
    /// Ten seconds for bids, second price, at most a million, three calls.
    fn default() -> Self {
        Self { price: Price::Second, reserve: 1_000_000, bidding: Duration::from_secs(10), performing: None, rounds: 3 }
    }
}

with! {
    with_price => price: Price,
    with_reserve => reserve: u64,
    with_bidding => bidding: Duration,
    with_performing => performing: Option<Duration>,
    with_rounds => rounds: u32,
}

impl Config {
    fn check(&self) -> Result<(), BadConfig> {
        BadConfig::unless_positive(self.rounds.into(), "rounds")?;
        BadConfig::unless_positive(nanos_of(self.bidding), "bidding")?;
        self.performing.map_or(Ok(()), |span| BadConfig::unless_positive(nanos_of(span), "performing"))
    }
}

rules! {
    /// A valid [`Config`].
    derive(Copy, Eq)
}

/// A message of the manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Message {
    /// A call for bids.
    Call {
        /// The recipient.
        to: AgentId,
        /// The number of the call, from 1.
        round: u32,
        /// The deadline for bids.
        until: Time,
    },
    /// The bid is accepted.
    Accept {
        /// The bidder.
        of: AgentId,
        /// The price.
        price: u64,
    },
    /// The bid is rejected.
    Reject {
        /// The bidder.
        of: AgentId,
    },
    /// The contract is over; the participant need not bid or perform the task.
    Cancel {
        /// The recipient.
        to: AgentId,
    },
}

/// The state of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Standing {
    /// Bids are accepted.
    Bidding {
        /// The deadline for bids.
        until: Time,
    },
    /// The winner performs the task.
    Awarded {
        /// The winner and the price.
        award: Award,
        /// The deadline for the winner.
        until: Option<Time>,
    },
    /// The task is done.
    Done {
        /// The winner and the price.
        award: Award,
    },
    /// No agent has performed the task.
    Failed {
        /// The reason.
        why: WhyFailed,
    },
    /// The manager has cancelled the contract.
    Cancelled,
}

/// Why no agent has performed the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhyFailed {
    /// No agent has bid, or no bid was within the highest price.
    NoBids,
    /// All agents that could be called have failed.
    NoAgentsLeft,
    /// The largest number of calls is reached.
    Rounds,
}

/// The answer of an agent to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Silent,
    Bid(Bid),
    Refused,
}

/// A rejected call. The contract is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ContractError {
    /// There are no agents to call.
    #[error("there are no agents to call")]
    NoAgents,
    /// The agent was not called.
    #[error("{agent} was not called")]
    NotCalled {
        /// The agent.
        agent: AgentId,
    },
    /// Bids are not accepted at present.
    #[error("the contract does not accept bids at present")]
    NotBidding,
    /// The agent has already answered this call.
    #[error("{agent} has already answered this call")]
    AnsweredAlready {
        /// The agent.
        agent: AgentId,
    },
    /// The task was not awarded to this agent.
    #[error("the task was not awarded to {agent}")]
    NotTheContractor {
        /// The agent.
        agent: AgentId,
    },
    /// The contract has ended.
    #[error("the contract has ended")]
    Over,
}

/// The state of a contract from the first call to its end. It can be serialized. Each call that changes it returns the
/// messages that the manager must send.
///
/// Every bidder of a round gets exactly one message: accept or reject, or cancel if the manager cancels.
///
/// ```
/// use counterpoint::coordination::market::{Bid, ContractConfig, ContractNet, ContractRules, Message};
/// use counterpoint::{AgentId, Time};
///
/// let [a, b] = [1, 2].map(AgentId::new);
/// let rules = ContractRules::new(ContractConfig::default().with_reserve(50))?;
/// let (mut contract, calls) = ContractNet::call(rules, [a, b], Time::ZERO)?;
/// assert_eq!(calls.len(), 2);
/// contract.bid(Bid::new(a, 30), Time::from_secs(1))?;
/// let said = contract.bid(Bid::new(b, 20), Time::from_secs(2))?; // all have answered
/// assert_eq!(said, [Message::Accept { of: b, price: 30 }, Message::Reject { of: a }]);
/// // The winner fails: the manager calls again, without the winner.
/// let said = contract.failed(b, Time::from_secs(3))?;
/// assert!(matches!(said[..], [Message::Call { to, round: 2, .. }] if to == a));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractNet {
    rules: Rules,
    round: u32,
    answers: BTreeMap<AgentId, Answer>,
    failed: BTreeSet<AgentId>,
    standing: Standing,
}

impl ContractNet {
    /// Calls these agents for bids.
    ///
    /// # Errors
    ///
    /// Returns an error if there are none.
    pub fn call(
        rules: Rules,
        agents: impl IntoIterator<Item = AgentId>,
        now: Time,
    ) -> Result<(Self, Vec<Message>), ContractError> {
        let answers: BTreeMap<AgentId, Answer> = agents.into_iter().map(|agent| (agent, Answer::Silent)).collect();
        if answers.is_empty() {
            return Err(ContractError::NoAgents);
        }
        let standing = Standing::Bidding { until: now };
        let mut contract = Self { rules, round: 0, answers, failed: BTreeSet::new(), standing };
        let calls = contract.call_again(now);
        Ok((contract, calls))
    }

    /// Submits a bid.
    ///
    /// # Errors
    ///
    /// Returns an error if bids are not accepted now, or not from this agent.
    pub fn bid(&mut self, bid: Bid, now: Time) -> Result<Vec<Message>, ContractError> {
        let bid = bid.with_trust(bid.trust);
        self.answer(bid.by, Answer::Bid(bid), now)
    }

    /// Declines the task for an agent.
    ///
    /// # Errors
    ///
    /// Returns an error if the agent was not called, or has answered.
    pub fn refuse(&mut self, by: AgentId, now: Time) -> Result<Vec<Message>, ContractError> {
        self.answer(by, Answer::Refused, now)
    }

    /// Advances the time: ends the bidding, or the time of the winner.
    pub fn tick(&mut self, now: Time) -> Vec<Message> {
        match self.standing {
            Standing::Bidding { until } if now >= until => self.award(now),
            Standing::Awarded { award, until: Some(until) } if now >= until => {
                let mut said = vec![Message::Cancel { to: award.to }];
                said.append(&mut self.call_without(award.to, now));
                said
            }
            Standing::Bidding { .. }
            | Standing::Awarded { .. }
            | Standing::Done { .. }
            | Standing::Failed { .. }
            | Standing::Cancelled => Vec::new(),
        }
    }

    /// Records that the winner has performed the task.
    ///
    /// # Errors
    ///
    /// Returns an error if the task was not awarded to this agent.
    pub fn done(&mut self, by: AgentId) -> Result<Award, ContractError> {
        let award = self.contractor(by)?;
        self.standing = Standing::Done { award };
        Ok(award)
    }

    /// Records that the winner has failed or left: the manager calls again, without the winner.
    ///
    /// # Errors
    ///
    /// Returns an error if the task was not awarded to this agent.
    pub fn failed(&mut self, by: AgentId, now: Time) -> Result<Vec<Message>, ContractError> {
        self.contractor(by)?;
        Ok(self.call_without(by, now))
    }

    /// Cancels the contract.
    ///
    /// # Errors
    ///
    /// Returns an error if it has ended.
    pub fn cancel(&mut self) -> Result<Vec<Message>, ContractError> {
        let told: Vec<AgentId> = match self.standing {
            Standing::Bidding { .. } => {
                self.answers.iter().filter(|(_, answer)| **answer != Answer::Refused).map(|(agent, _)| *agent).collect()
            }
            Standing::Awarded { award, .. } => vec![award.to],
            Standing::Done { .. } | Standing::Failed { .. } | Standing::Cancelled => return Err(ContractError::Over),
        };
        self.standing = Standing::Cancelled;
        Ok(told.into_iter().map(|to| Message::Cancel { to }).collect())
    }

    /// The state of the contract.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// The number of calls so far.
    #[must_use]
    pub const fn round(&self) -> u32 {
        self.round
    }

    /// The agents to which the task was awarded and that failed.
    #[must_use]
    pub const fn failures(&self) -> &BTreeSet<AgentId> {
        &self.failed
    }

    /// The time of the next [`tick`](Self::tick) with an effect.
    #[must_use]
    pub const fn due(&self) -> Option<Time> {
        match self.standing {
            Standing::Bidding { until } => Some(until),
            Standing::Awarded { until, .. } => until,
            Standing::Done { .. } | Standing::Failed { .. } | Standing::Cancelled => None,
        }
    }

    fn answer(&mut self, by: AgentId, answer: Answer, now: Time) -> Result<Vec<Message>, ContractError> {
        let Standing::Bidding { until } = self.standing else { return Err(ContractError::NotBidding) };
        if now >= until {
            return Err(ContractError::NotBidding);
        }
        let slot = self.answers.get_mut(&by).ok_or(ContractError::NotCalled { agent: by })?;
        if *slot != Answer::Silent {
            return Err(ContractError::AnsweredAlready { agent: by });
        }
        *slot = answer;
        let all = self.answers.values().all(|answer| *answer != Answer::Silent);
        Ok(if all { self.award(now) } else { Vec::new() })
    }

    fn contractor(&self, by: AgentId) -> Result<Award, ContractError> {
        match self.standing {
            Standing::Awarded { award, .. } if award.to == by => Ok(award),
            Standing::Bidding { .. } | Standing::Awarded { .. } => Err(ContractError::NotTheContractor { agent: by }),
            Standing::Done { .. } | Standing::Failed { .. } | Standing::Cancelled => Err(ContractError::Over),
        }
    }

    /// Accepts the best bid and answers every bidder.
    fn award(&mut self, now: Time) -> Vec<Message> {
        let config = self.rules.config();
        let bids: Vec<Bid> = self.answers.values().filter_map(Answer::bid).collect();
        let auction =
            sealed::Config { side: Side::Procurement, price: config.price, reserve: Some(config.reserve), items: 1 };
        // The bids are from different agents, with at most full trust each, so they are valid.
        let won = sealed::Rules::new(auction).ok().and_then(|rules| sealed::hold(&rules, &bids).ok());
        let award = won.and_then(|awards| awards.first().copied());
        self.standing = match award {
            Some(award) => Standing::Awarded { award, until: config.performing.map(|span| now + span) },
            None => Standing::Failed { why: WhyFailed::NoBids },
        };
        let accept = award.map(|award| Message::Accept { of: award.to, price: award.price });
        let winner = award.map(|award| award.to);
        let losers = bids.iter().map(|bid| bid.by).filter(|by| Some(*by) != winner);
        accept.into_iter().chain(losers.map(|of| Message::Reject { of })).collect()
    }

    fn call_without(&mut self, failed: AgentId, now: Time) -> Vec<Message> {
        self.failed.insert(failed);
        self.answers.remove(&failed);
        let why = if self.answers.is_empty() { WhyFailed::NoAgentsLeft } else { WhyFailed::Rounds };
        if why == WhyFailed::NoAgentsLeft || self.round >= self.rules.config().rounds {
            self.standing = Standing::Failed { why };
            return Vec::new();
        }
        self.call_again(now)
    }

    fn call_again(&mut self, now: Time) -> Vec<Message> {
        let until = now + self.rules.config().bidding;
        self.round += 1;
        self.standing = Standing::Bidding { until };
        self.answers.values_mut().for_each(|answer| *answer = Answer::Silent);
        self.answers.keys().map(|to| Message::Call { to: *to, round: self.round, until }).collect()
    }
}

impl Answer {
    fn bid(&self) -> Option<Bid> {
        match self {
            Self::Bid(bid) => Some(*bid),
            Self::Silent | Self::Refused => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn agent(id: u64) -> AgentId {
        AgentId::new(id)
    }

    #[test]
    fn late_bids_and_strangers_are_refused() {
        let (mut contract, _) = ContractNet::call(Rules::default(), [agent(1), agent(2)], Time::ZERO).unwrap();
        let before = contract.clone();
        assert_eq!(contract.bid(Bid::new(agent(3), 1), Time::ZERO), Err(ContractError::NotCalled { agent: agent(3) }));
        assert_eq!(contract.bid(Bid::new(agent(1), 1), Time::from_secs(10)), Err(ContractError::NotBidding));
        assert_eq!(contract.done(agent(1)), Err(ContractError::NotTheContractor { agent: agent(1) }));
        assert_eq!(contract, before);
        contract.refuse(agent(1), Time::ZERO).unwrap();
        assert_eq!(
            contract.bid(Bid::new(agent(1), 1), Time::ZERO),
            Err(ContractError::AnsweredAlready { agent: agent(1) })
        );
        assert_eq!(contract.tick(Time::from_secs(10)), []);
        assert_eq!(contract.standing(), Standing::Failed { why: WhyFailed::NoBids });
        assert_eq!(contract.cancel(), Err(ContractError::Over));
        assert_eq!(ContractNet::call(Rules::default(), [], Time::ZERO).unwrap_err(), ContractError::NoAgents);
    }

    #[test]
    fn a_contractor_past_its_deadline_has_failed() {
        let rules = Rules::new(Config::default().with_performing(Some(Duration::from_secs(5))).with_rounds(2)).unwrap();
        let (mut contract, _) = ContractNet::call(rules, [agent(1), agent(2), agent(3)], Time::ZERO).unwrap();
        for by in 1..=3 {
            contract.bid(Bid::new(agent(by), by), Time::ZERO).unwrap();
        }
        assert_eq!(contract.due(), Some(Time::from_secs(5)));
        let said = contract.tick(Time::from_secs(5));
        assert_eq!((said.len(), said[0]), (3, Message::Cancel { to: agent(1) }));
        assert_eq!(contract.done(agent(1)), Err(ContractError::NotTheContractor { agent: agent(1) }), "too late");
        contract.bid(Bid::new(agent(2), 4), Time::from_secs(6)).unwrap();
        contract.tick(Time::from_secs(15));
        contract.failed(agent(2), Time::from_secs(16)).unwrap();
        assert_eq!(contract.standing(), Standing::Failed { why: WhyFailed::Rounds });
    }

    proptest! {
        /// In any order of messages: one award at a time, to a bidder that has not failed before, and one answer for
        /// every bid.
        #[test]
        fn every_bid_is_answered_once(
            agents in 1_u64..5, words in prop::collection::vec((0_u8..6, 0_u64..6, 0_u64..9, 0_u64..4), 0..80),
        ) {
            let rules = Rules::new(Config::default().with_performing(Some(Duration::from_secs(7))).with_reserve(6)).unwrap();
            let (mut contract, mut said) = ContractNet::call(rules, (0..agents).map(agent), Time::ZERO).unwrap();
            let (mut now, mut open, mut round) = (Time::ZERO, BTreeMap::new(), 1);
            for (word, by, amount, wait) in words {
                now = now + Duration::from_secs(wait);
                let before = contract.clone();
                let verdict = match word {
                    0 | 1 => contract.bid(Bid::new(agent(by), amount), now),
                    2 => contract.refuse(agent(by), now),
                    3 => contract.done(agent(by)).map(|_| Vec::new()),
                    4 => contract.failed(agent(by), now),
                    _ => Ok(contract.tick(now)),
                };
                if word < 2 && verdict.is_ok() {
                    prop_assert_eq!(open.insert(agent(by), amount), None);
                }
                prop_assert!(verdict.is_ok() || contract == before);
                said = verdict.unwrap_or_default();
                for message in &said {
                    match message {
                        Message::Accept { of, price } => {
                            let bid = open.remove(of);
                            prop_assert!(bid.is_some_and(|bid| bid <= *price) && *price <= 6);
                            prop_assert!(!contract.failures().contains(of));
                        }
                        Message::Reject { of } => prop_assert!(open.remove(of).is_some()),
                        Message::Call { to, round: this, .. } => {
                            prop_assert!(open.is_empty() && *this > round && !contract.failures().contains(to));
                        }
                        Message::Cancel { to } => prop_assert!(contract.failures().contains(to)),
                    }
                }
                round = contract.round();
                prop_assert!(matches!(contract.standing(), Standing::Bidding { .. }) || open.is_empty(), "{said:?}");
                let text = serde_json::to_string(&contract).unwrap();
                prop_assert_eq!(&serde_json::from_str::<ContractNet>(&text).unwrap(), &contract);
            }
            drop(said);
        }
    }
}
