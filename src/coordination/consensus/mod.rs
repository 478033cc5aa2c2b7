//! A group decides: weighted votes, two quorums, rounds, and what is done when the group cannot agree.
//!
//! The electorate and its weights are fixed when the vote opens. A round ends when the ballots that are out cannot change
//! its result, when its time is over, or when the host closes it; a round without a decision is followed by the next, in
//! which everybody votes anew. After the last one what [`Config::otherwise`] names is tried in order. A decision is final:
//! whatever comes later is refused and changes nothing.
//!
//! Everything is counted in whole numbers, so the same ballots give the same decision everywhere, in any order.
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
//! // Two of three are less than 67 %, so the expert decides.
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

/// Who may vote, with what weight.
pub type Electorate = BTreeMap<AgentId, u64>;

/// So many may vote at most, so that no sum overflows.
pub const MOST_VOTERS: usize = 1 << 16;

/// What an agent says in a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ballot {
    /// It is for this option.
    For(Name),
    /// It takes part, and is for nothing.
    Abstain,
}

/// What has happened in a vote, for records and for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record {
    /// A round has ended.
    Counted(Tally),
    /// The next one has begun.
    Opened {
        /// Which, from 1.
        round: u32,
        /// When it ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        closes: Option<Time>,
    },
    /// A person is asked.
    Escalated,
    /// The group, its experts or a person has decided.
    Decided(Decision),
    /// There is no decision, and there will be none.
    Undecided,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Decision {
    /// The option.
    pub option: Name,
    /// By what.
    pub by: Means,
    /// In which round, or after which.
    pub round: u32,
    /// Who was for something else, and for what.
    pub dissent: BTreeMap<AgentId, Name>,
    /// Who abstained.
    pub abstained: BTreeSet<AgentId>,
    /// Who said nothing.
    pub absent: BTreeSet<AgentId>,
}

/// By what a decision came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Means {
    /// By the approval of the group.
    Approval,
    /// By the expertise of those who were for it.
    Expertise,
    /// By the word of this person.
    Person(Name),
}

/// Where a vote stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Standing {
    /// A round is under way.
    Open,
    /// A person is asked.
    Escalated,
    /// It is decided.
    Decided(Decision),
    /// It is over without a decision.
    Undecided,
}

/// A ballot or call that is refused; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VoteError {
    /// Nobody may vote, or nobody's vote weighs anything.
    #[error("nobody's vote would count")]
    NoElectorate,
    /// More may vote than [`MOST_VOTERS`].
    #[error("{voters} voters are more than {MOST_VOTERS}")]
    TooManyVoters {
        /// How many.
        voters: usize,
    },
    /// An agent is in the electorate twice.
    #[error("{agent} is in the electorate twice")]
    Twice {
        /// Who.
        agent: AgentId,
    },
    /// The agent may not vote.
    #[error("{agent} is not in the electorate")]
    NotEligible {
        /// Who.
        agent: AgentId,
    },
    /// The option is none of those that were declared.
    #[error("`{option}` is not among the options")]
    UnknownOption {
        /// What was voted for.
        option: Name,
    },
    /// The ballot is for another round than the one under way.
    #[error("the ballot is for round {ballot}, and this is round {round}")]
    OtherRound {
        /// The ballot's round.
        ballot: u32,
        /// The round under way.
        round: u32,
    },
    /// The round's time is over.
    #[error("the round closed at {closed}")]
    Late {
        /// When.
        closed: Time,
    },
    /// The agent has voted in this round, and the first ballot counts.
    #[error("{agent} has voted in this round")]
    VotedAlready {
        /// Who.
        agent: AgentId,
    },
    /// The vote is over, or a person is asked.
    #[error("no round is under way")]
    NotOpen,
    /// No person is asked.
    #[error("nobody has been asked for a ruling")]
    NotEscalated,
}

/// A vote: the state of it, which serialises.
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
    /// When nobody's vote would count, an agent is named twice, or there are more than [`MOST_VOTERS`].
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
            if members.len() > MOST_VOTERS {
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
    /// [`Expertise`](super::expertise::Expertise); who is not named has none.
    #[must_use]
    pub fn with_expertise(mut self, weights: impl IntoIterator<Item = (AgentId, u64)>) -> Self {
        self.expertise = weights.into_iter().filter(|(agent, _)| self.electorate.contains_key(agent)).collect();
        self
    }

    /// Allows votes for these options only.
    #[must_use]
    pub fn with_options<N: Into<Name>>(mut self, options: impl IntoIterator<Item = N>) -> Self {
        self.options = Some(options.into_iter().map(Into::into).collect());
        self
    }

    /// Takes a ballot for a round, and says what followed.
    ///
    /// # Errors
    ///
    /// When it does not count: from outside the electorate, for another round, too late, a second one where the first
    /// counts, for no option, or after the end.
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

    /// Lets time pass: ends the round if its time is over.
    pub fn tick(&mut self, now: Time) -> Vec<Record> {
        if self.is_open() && self.closes.is_some_and(|closes| now >= closes) { self.count(now) } else { Vec::new() }
    }

    /// Ends the round now, with the ballots that are in.
    ///
    /// # Errors
    ///
    /// When no round is under way.
    pub fn close(&mut self, now: Time) -> Result<Vec<Record>, VoteError> {
        if self.is_open() { Ok(self.count(now)) } else { Err(VoteError::NotOpen) }
    }

    /// Takes the word of a person who was asked. It may be for an option that nobody has voted for.
    ///
    /// # Errors
    ///
    /// When nobody was asked, or the option is none of those declared.
    pub fn rule(&mut self, person: impl Into<Name>, option: impl Into<Name>) -> Result<Vec<Record>, VoteError> {
        let option = option.into();
        if self.standing != Standing::Escalated {
            return Err(VoteError::NotEscalated);
        }
        self.is_option(&option)?;
        Ok(vec![self.decide(option, Means::Person(person.into()))])
    }

    /// Where it stands.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// What was decided, if it was.
    #[must_use]
    pub const fn decision(&self) -> Option<&Decision> {
        match &self.standing {
            Standing::Decided(decision) => Some(decision),
            Standing::Open | Standing::Escalated | Standing::Undecided => None,
        }
    }

    /// Which round is under way, or was last; from 1.
    #[must_use]
    pub const fn round(&self) -> u32 {
        self.round
    }

    /// When the round ends by itself, while one is under way.
    #[must_use]
    pub fn closes(&self) -> Option<Time> {
        self.closes.filter(|_| self.is_open())
    }

    /// The results of the rounds that are over.
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

    /// Whether those who have not voted have a word in what is done when the group cannot agree.
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

    /// What is done when the group could not agree.
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

    /// The option with the most expertise behind it, if one has.
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
