//! The tally of a round.

use super::rules::{Config, Of};
use super::{Ballot, Electorate};
use crate::base::id::AgentId;
use crate::base::name::Name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The result of a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tally {
    /// The number of the round, from 1.
    pub round: u32,
    /// The weight of the votes for each option.
    pub options: BTreeMap<Name, u128>,
    /// The weight of the abstentions.
    pub abstained: u128,
    /// The weight of the agents that did not vote.
    pub absent: u128,
    /// The result.
    pub verdict: Verdict,
}

/// The result of a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// This option reached the required approval.
    Carried(Name),
    /// Too little weight took part.
    NoQuorum,
    /// No option reached the required approval.
    NoMajority,
    /// Two options reached the required approval with the same weight.
    Tied,
}

/// The sums of the ballots of a round.
pub(super) struct Count<'a> {
    options: BTreeMap<&'a Name, u128>,
    abstained: u128,
    rest: u128,
    eligible: u128,
}

impl<'a> Count<'a> {
    pub(super) fn of(electorate: &Electorate, ballots: &'a BTreeMap<AgentId, Ballot>) -> Self {
        let (mut options, mut abstained, mut voted) = (BTreeMap::new(), 0, 0);
        for (agent, ballot) in ballots {
            let weight = u128::from(electorate.get(agent).copied().unwrap_or(0));
            voted += weight;
            match ballot {
                Ballot::For(option) => *options.entry(option).or_insert(0) += weight,
                Ballot::Abstain => abstained += weight,
            }
        }
        let eligible: u128 = electorate.values().map(|weight| u128::from(*weight)).sum();
        Self { options, abstained, rest: eligible.saturating_sub(voted), eligible }
    }

    /// The result if no further ballot is cast.
    pub(super) fn verdict(&self, rules: &Config) -> Verdict {
        let Some((option, lead, second)) = self.lead() else {
            return if self.has_quorum(rules) { Verdict::NoMajority } else { Verdict::NoQuorum };
        };
        if !self.has_quorum(rules) {
            Verdict::NoQuorum
        } else if !rules.approval.is_reached(lead, self.base(rules, 0)) {
            Verdict::NoMajority
        } else if lead == second {
            Verdict::Tied
        } else {
            Verdict::Carried(option.clone())
        }
    }

    /// The result if it does not depend on the outstanding ballots; otherwise none.
    pub(super) fn certain(&self, rules: &Config) -> Option<Verdict> {
        if self.rest == 0 {
            return Some(self.verdict(rules));
        }
        let base = self.base(rules, self.rest);
        let (option, lead, second) =
            self.lead().map_or((None, 0, 0), |(option, lead, next)| (Some(option), lead, next));
        if !rules.approval.is_reached(lead + self.rest, base) {
            return Some(Verdict::NoMajority);
        }
        let ahead = lead > second + self.rest && rules.approval.is_reached(lead, base) && self.has_quorum(rules);
        option.filter(|_| ahead).map(|option| Verdict::Carried(option.clone()))
    }

    pub(super) fn tally(&self, round: u32, verdict: Verdict) -> Tally {
        let options = self.options.iter().map(|(option, weight)| ((*option).clone(), *weight)).collect();
        Tally { round, options, abstained: self.abstained, absent: self.rest, verdict }
    }

    /// The option with the most weight, its weight, and the weight of the next option.
    fn lead(&self) -> Option<(&'a Name, u128, u128)> {
        let mut best = None;
        for (option, weight) in &self.options {
            best = match best {
                None => Some((*option, *weight, 0)),
                Some((_, lead, _)) if *weight > lead => Some((*option, *weight, lead)),
                Some((leader, lead, second)) => Some((leader, lead, second.max(*weight))),
            };
        }
        // An option without weight cannot lead.
        best.filter(|(_, lead, _)| *lead > 0)
    }

    fn cast(&self) -> u128 {
        self.options.values().sum()
    }

    fn has_quorum(&self, rules: &Config) -> bool {
        let part = self.cast() + if rules.abstaining_counts { self.abstained } else { 0 };
        rules.participation.is_reached(part, self.eligible)
    }

    /// The weight that approval is a share of, if `more` weight is cast in addition.
    fn base(&self, rules: &Config, more: u128) -> u128 {
        match rules.of {
            Of::Eligible => self.eligible,
            Of::Cast => self.cast() + more,
        }
    }
}
