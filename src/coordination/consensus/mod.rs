//! Consensus: weighted votes with quorums for participation and approval, in rounds, with fallbacks if no round leads to
//! a decision.
//!
//! The electorate and its weights are fixed when the vote opens. A round ends when the outstanding ballots cannot
//! change its result, when its time is over, or when the host closes it. A round without a decision is followed by
//! another round, in which all agents vote again. After the last round the fallbacks of [`Config::otherwise`] are tried
//! in order. A decision is final: later ballots are rejected.
//!
//! All sums are integers, so the same ballots give the same decision on every machine, in any order.
//!
//! ```
//! use counterpoint::coordination::consensus::{Ballot, Config, Consensus, Means, Otherwise, Rules};
//! use counterpoint::{AgentId, Time};
//!
//! let rules = Rules::new(Config::default().with_otherwise(vec![Otherwise::Expertise]))?;
//! let [a, b, c] = [1, 2, 3].map(AgentId::new);
//! let mut vote = Consensus::open(rules, [(a, 1), (b, 1), (c, 1)], Time::ZERO)?.with_expertise([(a, 5), (b, 1), (c, 1)]);
//! vote.cast(a, 1, Ballot::For("ship".into()), Time::ZERO)?;
//! vote.cast(b, 1, Ballot::For("wait".into()), Time::ZERO)?;
//! vote.cast(c, 1, Ballot::For("wait".into()), Time::ZERO)?;
//! // Two of three are less than 67 %, so expertise decides.
//! let decision = vote.decision().unwrap();
//! assert_eq!((&*decision.option, decision.by.clone()), ("ship", Means::Expertise));
//! assert_eq!(decision.dissent.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod rules;
mod tally;
#[cfg(test)]
mod tests;

pub use rules::{Again, Config, Of, Otherwise, Rules};
pub use tally::{Tally, Verdict};

use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::base::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tally::Count;
use thiserror::Error;

/// The agents that may vote, with their weights.
pub type Electorate = BTreeMap<AgentId, u64>;

/// The largest electorate; it bounds the sums so that none can overflow.
pub const MAX_VOTERS: usize = 1 << 16;

/// The vote of an agent in a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ballot {
    /// A vote for this option.
    For(Name),
    /// Participation without a vote for an option.
    Abstain,
}

/// A record of what happened in a vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record {
    /// A round ended.
    Counted(Tally),
    /// The next round began.
    Opened {
        /// The number of the round, from 1.
        round: u32,
        /// The deadline of the round.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        closes: Option<Time>,
    },
    /// A person is asked to decide.
    Escalated,
    /// The vote ended with a decision.
    Decided(Decision),
    /// The vote ended without a decision.
    Undecided,
}

/// The decision of a vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Decision {
    /// The chosen option.
    pub option: Name,
    /// How the decision was made.
    pub by: Means,
    /// The number of the round in which, or after which, it was made.
    pub round: u32,
    /// The agents that voted for other options, with their options.
    pub dissent: BTreeMap<AgentId, Name>,
    /// The agents that abstained.
    pub abstained: BTreeSet<AgentId>,
    /// The agents that did not vote.
    pub absent: BTreeSet<AgentId>,
}

/// How a decision was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Means {
    /// By the approval of the electorate.
    Approval,
    /// By the expertise behind the option.
    Expertise,
    /// By this person.
    Person(Name),
}

/// The state of a vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Standing {
    /// A round is under way.
    Open,
    /// A person is asked to decide.
    Escalated,
    /// The vote ended with a decision.
    Decided(Decision),
    /// The vote ended without a decision.
    Undecided,
}

/// A rejected ballot or call. The vote is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VoteError {
    /// The electorate is empty, or all weights are zero.
    #[error("the electorate has no weight")]
    NoElectorate,
    /// The electorate is larger than [`MAX_VOTERS`].
    #[error("the electorate has {voters} agents, more than {MAX_VOTERS}")]
    TooManyVoters {
        /// The number of agents.
        voters: usize,
    },
    /// An agent is in the electorate twice.
    #[error("{agent} is in the electorate twice")]
    Twice {
        /// The agent.
        agent: AgentId,
    },
    /// The agent is not in the electorate.
    #[error("{agent} is not in the electorate")]
    NotEligible {
        /// The agent.
        agent: AgentId,
    },
    /// The option is not one of the declared options.
    #[error("`{option}` is not a declared option")]
    UnknownOption {
        /// The option.
        option: Name,
    },
    /// The ballot is for a round that is not under way.
    #[error("the ballot is for round {ballot}, but round {round} is under way")]
    OtherRound {
        /// The round of the ballot.
        ballot: u32,
        /// The round under way.
        round: u32,
    },
    /// The time of the round is over.
    #[error("the round closed at {closed}")]
    Late {
        /// The deadline of the round.
        closed: Time,
    },
    /// The agent has voted in this round, and a second ballot is not accepted.
    #[error("{agent} has already voted in this round")]
    VotedAlready {
        /// The agent.
        agent: AgentId,
    },
    /// No round is under way: the vote has ended, or a person is asked to decide.
    #[error("no round is under way")]
    NotOpen,
    /// No person was asked to decide.
    #[error("no person was asked to decide")]
    NotEscalated,
}

/// The state of a vote. It can be serialized.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consensus {
    rules: Rules,
    electorate: Electorate,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    expertise: BTreeMap<AgentId, u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    options: Option<BTreeSet<Name>>,
    round: u32,
    closes: Option<Time>,
    ballots: BTreeMap<AgentId, Ballot>,
    tallies: Vec<Tally>,
    standing: Standing,
}

impl Consensus {
    /// Opens the first round for these agents with their weights.
    ///
    /// # Errors
    ///
    /// Returns an error if the electorate has no weight, contains an agent twice, or is larger than [`MAX_VOTERS`].
    pub fn open(
        rules: Rules,
        electorate: impl IntoIterator<Item = (AgentId, u64)>,
        now: Time,
    ) -> Result<Self, VoteError> {
        let mut members = Electorate::new();
        for (agent, weight) in electorate {
            if members.insert(agent, weight).is_some() {
                return Err(VoteError::Twice { agent });
            }
            if members.len() > MAX_VOTERS {
                return Err(VoteError::TooManyVoters { voters: members.len() });
            }
        }
        if members.values().all(|weight| *weight == 0) {
            return Err(VoteError::NoElectorate);
        }
        let closes = rules.config().lasts.map(|lasts| now + lasts);
        Ok(Self {
            rules,
            electorate: members,
            expertise: BTreeMap::new(),
            options: None,
            round: 1,
            closes,
            ballots: BTreeMap::new(),
            tallies: Vec::new(),
            standing: Standing::Open,
        })
    }

    /// Sets the weights by which [`Otherwise::Expertise`] decides, such as those of
    /// [`Expertise`](super::expertise::Expertise). Agents without an entry have weight zero.
    #[must_use]
    pub fn with_expertise(mut self, weights: impl IntoIterator<Item = (AgentId, u64)>) -> Self {
        self.expertise = weights.into_iter().filter(|(agent, _)| self.electorate.contains_key(agent)).collect();
        self
    }

    /// Restricts votes to these options.
    #[must_use]
    pub fn with_options<N: Into<Name>>(mut self, options: impl IntoIterator<Item = N>) -> Self {
        self.options = Some(options.into_iter().map(Into::into).collect());
        self
    }

    /// Casts a ballot in a round. Returns records of what followed.
    ///
    /// # Errors
    ///
    /// Returns an error if the ballot does not count: the agent is not in the electorate, the round is another one or
    /// over, a second ballot is not accepted, the option is not declared, or the vote has ended.
    pub fn cast(&mut self, by: AgentId, round: u32, ballot: Ballot, now: Time) -> Result<Vec<Record>, VoteError> {
        self.may_cast(by, round, &ballot, now)?;
        self.ballots.insert(by, ballot);
        match self.rules.config().again {
            Again::Replaces => Ok(Vec::new()),
            Again::Refused => {
                let certain = Count::of(&self.electorate, &self.ballots).certain(self.rules.config());
                let certain = certain.filter(|verdict| matches!(verdict, Verdict::Carried(_)) || !self.waits_for_all());
                Ok(certain.map_or_else(Vec::new, |verdict| self.end_round(verdict, now)))
            }
        }
    }

    /// Advances the time: ends the round if its time is over.
    pub fn tick(&mut self, now: Time) -> Vec<Record> {
        if self.is_open() && self.closes.is_some_and(|closes| now >= closes) { self.count(now) } else { Vec::new() }
    }

    /// Ends the round with the ballots cast so far.
    ///
    /// # Errors
    ///
    /// Returns an error if no round is under way.
    pub fn close(&mut self, now: Time) -> Result<Vec<Record>, VoteError> {
        if self.is_open() { Ok(self.count(now)) } else { Err(VoteError::NotOpen) }
    }

    /// Records the decision of the person who was asked. The option may be one without votes.
    ///
    /// # Errors
    ///
    /// Returns an error if no person was asked, or the option is not declared.
    pub fn rule(&mut self, person: impl Into<Name>, option: impl Into<Name>) -> Result<Vec<Record>, VoteError> {
        let option = option.into();
        if self.standing != Standing::Escalated {
            return Err(VoteError::NotEscalated);
        }
        self.is_option(&option)?;
        Ok(vec![self.decide(option, Means::Person(person.into()))])
    }

    /// The state of the vote.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The decision, if there is one.
    #[must_use]
    pub const fn decision(&self) -> Option<&Decision> {
        match &self.standing {
            Standing::Decided(decision) => Some(decision),
            Standing::Open | Standing::Escalated | Standing::Undecided => None,
        }
    }

    /// The number of the round under way, or of the last one; from 1.
    #[must_use]
    pub const fn round(&self) -> u32 {
        self.round
    }

    /// The deadline of the round under way.
    #[must_use]
    pub fn closes(&self) -> Option<Time> {
        self.closes.filter(|_| self.is_open())
    }

    /// The tallies of the rounds that have ended.
    #[must_use]
    pub fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    /// The ballots of the round under way, or of the last one.
    #[must_use]
    pub const fn ballots(&self) -> &BTreeMap<AgentId, Ballot> {
        &self.ballots
    }

    fn is_open(&self) -> bool {
        self.standing == Standing::Open
    }

    /// Whether outstanding ballots can affect the fallback after the last round.
    fn waits_for_all(&self) -> bool {
        let config = self.rules.config();
        let experts = self.round >= config.rounds && config.otherwise.contains(&Otherwise::Expertise);
        experts && self.ballots.len() < self.electorate.len()
    }

    fn is_option(&self, option: &Name) -> Result<(), VoteError> {
        let known = self.options.as_ref().is_none_or(|options| options.contains(option));
        if known { Ok(()) } else { Err(VoteError::UnknownOption { option: option.clone() }) }
    }

    fn may_cast(&self, by: AgentId, round: u32, ballot: &Ballot, now: Time) -> Result<(), VoteError> {
        if !self.is_open() {
            return Err(VoteError::NotOpen);
        }
        if !self.electorate.contains_key(&by) {
            return Err(VoteError::NotEligible { agent: by });
        }
        if round != self.round {
            return Err(VoteError::OtherRound { ballot: round, round: self.round });
        }
        if let Some(closed) = self.closes.filter(|closes| now >= *closes) {
            return Err(VoteError::Late { closed });
        }
        if self.rules.config().again == Again::Refused && self.ballots.contains_key(&by) {
            return Err(VoteError::VotedAlready { agent: by });
        }
        match ballot {
            Ballot::For(option) => self.is_option(option),
            Ballot::Abstain => Ok(()),
        }
    }

    fn count(&mut self, now: Time) -> Vec<Record> {
        let verdict = Count::of(&self.electorate, &self.ballots).verdict(self.rules.config());
        self.end_round(verdict, now)
    }

    fn end_round(&mut self, verdict: Verdict, now: Time) -> Vec<Record> {
        let tally = Count::of(&self.electorate, &self.ballots).tally(self.round, verdict.clone());
        self.tallies.push(tally.clone());
        let mut records = vec![Record::Counted(tally)];
        records.push(match verdict {
            Verdict::Carried(option) => self.decide(option, Means::Approval),
            Verdict::NoQuorum | Verdict::NoMajority | Verdict::Tied if self.round < self.rules.config().rounds => {
                self.round += 1;
                self.ballots.clear();
                self.closes = self.rules.config().lasts.map(|lasts| now + lasts);
                Record::Opened { round: self.round, closes: self.closes }
            }
            Verdict::NoQuorum | Verdict::NoMajority | Verdict::Tied => self.resolve(),
        });
        records
    }

    /// Applies the fallbacks after the last round.
    fn resolve(&mut self) -> Record {
        for way in self.rules.config().otherwise.clone() {
            match way {
                Otherwise::Expertise => {
                    if let Some(option) = self.expert_choice() {
                        return self.decide(option, Means::Expertise);
                    }
                }
                Otherwise::Escalate => {
                    self.standing = Standing::Escalated;
                    return Record::Escalated;
                }
            }
        }
        self.standing = Standing::Undecided;
        Record::Undecided
    }

    /// The option with the most expertise behind it, if there is exactly one.
    fn expert_choice(&self) -> Option<Name> {
        let count = Count::of(&self.expertise, &self.ballots);
        let any = Config { participation: super::Share::NONE, approval: super::Share::NONE, ..Config::default() };
        match count.verdict(&any) {
            Verdict::Carried(option) => Some(option),
            Verdict::NoQuorum | Verdict::NoMajority | Verdict::Tied => None,
        }
    }

    fn decide(&mut self, option: Name, by: Means) -> Record {
        let mut decision = Decision {
            option,
            by,
            round: self.round,
            dissent: BTreeMap::new(),
            abstained: BTreeSet::new(),
            absent: BTreeSet::new(),
        };
        for agent in self.electorate.keys() {
            match self.ballots.get(agent) {
                Some(Ballot::For(other)) if *other != decision.option => {
                    decision.dissent.insert(*agent, other.clone());
                }
                Some(Ballot::For(_)) => {}
                Some(Ballot::Abstain) => {
                    decision.abstained.insert(*agent);
                }
                None => {
                    decision.absent.insert(*agent);
                }
            }
        }
        self.standing = Standing::Decided(decision.clone());
        Record::Decided(decision)
    }
}
