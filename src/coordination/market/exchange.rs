//! A market of several contracts with one budget, in which bids are weighted by reputation.

use super::contract_net::{ContractError, ContractNet, Message, Rules, Standing};
use super::sealed::{Award, Bid};
use crate::base::id::{AgentId, TaskId};
use crate::base::time::Time;
use crate::coordination::{Budget, Overdrawn, Reputation};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// The manager's side of a market: each task is a [`ContractNet`], its highest price is reserved from a budget when it
/// is announced, and bids are weighted by the reputation of the bidder. An agent that fails after an award loses
/// reputation for all later bids.
///
/// ```
/// use counterpoint::coordination::market::{ContractConfig, ContractRules, Exchange};
/// use counterpoint::coordination::{Budget, Reputation};
/// use counterpoint::{AgentId, TaskId, Time};
///
/// let rules = ContractRules::new(ContractConfig::default().with_reserve(60))?;
/// let mut market = Exchange::new(Budget::new(100), Reputation::default());
/// let (work, a, b) = (TaskId::new(1), AgentId::new(1), AgentId::new(2));
/// market.announce(work, rules, [a, b], Time::ZERO)?;
/// assert!(market.announce(TaskId::new(2), rules, [a, b], Time::ZERO).is_err(), "60 of 100 are reserved");
/// market.bid(work, a, 20, Time::ZERO)?;
/// market.bid(work, b, 30, Time::ZERO)?;
/// market.done(work, a, Time::ZERO)?;
/// assert_eq!((market.budget().spent(), market.budget().left()), (30, 70));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    budget: Budget,
    reputation: Reputation,
    contracts: BTreeMap<TaskId, (ContractNet, u64)>,
}

/// A rejected call. The market is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The task is announced already.
    #[error("{task} is already announced")]
    Known {
        /// The task.
        task: TaskId,
    },
    /// There is no active contract for the task.
    #[error("there is no active contract for {task}")]
    Unknown {
        /// The task.
        task: TaskId,
    },
    /// The budget does not cover the highest price.
    #[error("the budget does not cover the highest price: {0}")]
    Budget(#[from] Overdrawn),
    /// The contract rejects the call.
    #[error(transparent)]
    Contract(#[from] ContractError),
}

impl Exchange {
    /// A market with this budget and the reputation of agents known so far.
    #[must_use]
    pub const fn new(budget: Budget, reputation: Reputation) -> Self {
        Self { budget, reputation, contracts: BTreeMap::new() }
    }

    /// Announces a task, and reserves its highest price.
    ///
    /// # Errors
    ///
    /// Returns an error if the task is announced already, there are no agents, or the budget does not cover the highest
    /// price.
    pub fn announce(
        &mut self,
        task: TaskId,
        rules: Rules,
        agents: impl IntoIterator<Item = AgentId>,
        now: Time,
    ) -> Result<Vec<Message>, ExchangeError> {
        if self.contracts.contains_key(&task) {
            return Err(ExchangeError::Known { task });
        }
        let (contract, calls) = ContractNet::call(rules, agents, now)?;
        let reserve = rules.config().reserve;
        self.budget.reserve(reserve)?;
        self.contracts.insert(task, (contract, reserve));
        Ok(calls)
    }

    /// Submits a bid, weighted by the bidder's reputation.
    ///
    /// # Errors
    ///
    /// Returns an error if the task accepts no bids now, or not from this agent.
    pub fn bid(&mut self, task: TaskId, by: AgentId, amount: u64, now: Time) -> Result<Vec<Message>, ExchangeError> {
        let bid = Bid::new(by, amount).with_trust(self.reputation.trust(by, now));
        let said = self.contract(task)?.bid(bid, now)?;
        self.close(task);
        Ok(said)
    }

    /// Declines a task for an agent.
    ///
    /// # Errors
    ///
    /// Returns an error if the agent was not called, or has answered.
    pub fn refuse(&mut self, task: TaskId, by: AgentId, now: Time) -> Result<Vec<Message>, ExchangeError> {
        let said = self.contract(task)?.refuse(by, now)?;
        self.close(task);
        Ok(said)
    }

    /// Records that the winner has performed the task, and pays it.
    ///
    /// # Errors
    ///
    /// Returns an error if the task was not awarded to this agent.
    pub fn done(&mut self, task: TaskId, by: AgentId, now: Time) -> Result<Award, ExchangeError> {
        let award = self.contract(task)?.done(by)?;
        self.reputation.note(by, true, now);
        self.close(task);
        Ok(award)
    }

    /// Records that the winner has failed. It is not paid, and loses reputation.
    ///
    /// # Errors
    ///
    /// Returns an error if the task was not awarded to this agent.
    pub fn failed(&mut self, task: TaskId, by: AgentId, now: Time) -> Result<Vec<Message>, ExchangeError> {
        let said = self.contract(task)?.failed(by, now)?;
        self.reputation.note(by, false, now);
        self.close(task);
        Ok(said)
    }

    /// Cancels a task.
    ///
    /// # Errors
    ///
    /// Returns an error if it has no active contract.
    pub fn cancel(&mut self, task: TaskId) -> Result<Vec<Message>, ExchangeError> {
        let said = self.contract(task)?.cancel()?;
        self.close(task);
        Ok(said)
    }

    /// Advances the time of every contract. Returns the messages to send, with their tasks. A winner that exceeds its
    /// time has failed.
    pub fn tick(&mut self, now: Time) -> Vec<(TaskId, Message)> {
        let due = |contract: &ContractNet| contract.due().is_some_and(|due| due <= now);
        let tasks: Vec<TaskId> =
            self.contracts.iter().filter(|(_, (one, _))| due(one)).map(|(task, _)| *task).collect();
        let mut said = Vec::new();
        for task in tasks {
            let Some((contract, _)) = self.contracts.get_mut(&task) else { continue };
            let before = contract.standing();
            said.extend(contract.tick(now).into_iter().map(|message| (task, message)));
            if let Standing::Awarded { award, .. } = before {
                self.reputation.note(award.to, false, now);
            }
            self.close(task);
        }
        said
    }

    /// The time of the next [`tick`](Self::tick) with an effect.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        self.contracts.values().filter_map(|(contract, _)| contract.due()).min()
    }

    /// An active contract.
    #[must_use]
    pub fn get(&self, task: TaskId) -> Option<&ContractNet> {
        self.contracts.get(&task).map(|(contract, _)| contract)
    }

    /// The budget.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The reputation of the agents.
    #[must_use]
    pub const fn reputation(&self) -> &Reputation {
        &self.reputation
    }

    fn contract(&mut self, task: TaskId) -> Result<&mut ContractNet, ExchangeError> {
        self.contracts.get_mut(&task).map(|(contract, _)| contract).ok_or(ExchangeError::Unknown { task })
    }

    /// Settles the budget of a contract that has ended: the price is spent, the rest of the reservation is released.
    fn close(&mut self, task: TaskId) {
        let Some((contract, reserve)) = self.contracts.get(&task) else { return };
        let price = match contract.standing() {
            Standing::Bidding { .. } | Standing::Awarded { .. } => return,
            Standing::Done { award } => award.price,
            Standing::Failed { .. } | Standing::Cancelled => 0,
        };
        // No price exceeds the reserve price, which was reserved.
        if self.budget.settle(*reserve, price).is_ok() {
            self.contracts.remove(&task);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract_net::Config;
    use super::*;

    #[test]
    fn an_agent_that_fails_after_an_award_loses_reputation() {
        let rules = Rules::new(Config::default().with_reserve(100)).unwrap();
        let mut market = Exchange::new(Budget::new(1_000), Reputation::default());
        let (cheap, honest) = (AgentId::new(1), AgentId::new(2));
        let mut failures = 0;
        for task in (1..=10).map(TaskId::new) {
            market.announce(task, rules, [cheap, honest], Time::ZERO).unwrap();
            market.bid(task, cheap, 10, Time::ZERO).unwrap();
            let said = market.bid(task, honest, 15, Time::ZERO).unwrap();
            if matches!(said[0], Message::Accept { of, .. } if of == cheap) {
                failures += 1;
                market.failed(task, cheap, Time::ZERO).unwrap();
                market.bid(task, honest, 15, Time::ZERO).unwrap();
            }
            market.done(task, honest, Time::ZERO).unwrap();
            assert_eq!((market.budget().reserved(), market.get(task)), (0, None));
        }
        assert_eq!(failures, 1, "at half the trust it is not the cheaper one any more");
        assert!(market.reputation().trust(cheap, Time::ZERO) < market.reputation().trust(honest, Time::ZERO));
    }

    #[test]
    fn what_is_promised_is_there_and_what_is_not_spent_comes_back() {
        let rules =
            Rules::new(Config::default().with_reserve(60).with_performing(Some(core::time::Duration::from_secs(5))))
                .unwrap();
        let mut market = Exchange::new(Budget::new(100), Reputation::default());
        let (task, other, agent) = (TaskId::new(1), TaskId::new(2), AgentId::new(1));
        market.announce(task, rules, [agent], Time::ZERO).unwrap();
        let broke = market.announce(other, rules, [agent], Time::ZERO);
        assert!(matches!(broke, Err(ExchangeError::Budget(_))), "{broke:?}");
        assert_eq!(market.announce(task, rules, [agent], Time::ZERO), Err(ExchangeError::Known { task }));
        market.bid(task, agent, 7, Time::ZERO).unwrap();
        assert_eq!(market.due(), Some(Time::from_secs(5)));
        assert_eq!(market.tick(Time::from_secs(5)), [(task, Message::Cancel { to: agent })]);
        assert_eq!((market.budget().left(), market.due()), (100, None));
        assert!(market.reputation().trust(agent, Time::ZERO) < 500_000, "who lets time pass has failed");
        assert_eq!(market.done(task, agent, Time::ZERO), Err(ExchangeError::Unknown { task }));
        market.announce(other, rules, [agent], Time::ZERO).unwrap();
        assert_eq!(market.cancel(other).unwrap(), [Message::Cancel { to: agent }]);
        assert_eq!(market.budget().left(), 100);
    }
}
