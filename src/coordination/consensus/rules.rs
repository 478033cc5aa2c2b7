//! The rules of a vote.

use super::super::share::Share;
use crate::base::error::BadConfig;
use crate::base::structure::{rules, with};
use crate::base::time::nanos_of;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The rules of a vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The share of the electorate's weight that must take part.
    pub participation: Share,
    /// The share that an option must reach.
    pub approval: Share,
    /// The weight that approval is a share of.
    pub of: Of,
    /// Whether abstentions count as participation.
    pub abstaining_counts: bool,
    /// How a second ballot of an agent in a round is treated.
    pub again: Again,
    /// The largest number of rounds. All rounds have the same electorate.
    pub rounds: u32,
    /// The longest duration of a round.
    #[serde(with = "crate::base::time::span::option", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Duration>,
    /// The fallbacks after the last round, in the order in which they are tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub otherwise: Vec<Otherwise>,
}

impl Default for Config {
    /// 67 % of the electorate must take part and 67 % of it must approve; one round without a deadline, and no
    /// fallback.
    fn default() -> Self {
        Self {
            participation: Share::percent(67),
            approval: Share::percent(67),
            of: Of::Eligible,
            abstaining_counts: true,
            again: Again::Refused,
            rounds: 1,
            lasts: None,
            otherwise: Vec::new(),
        }
    }
}

with! {
    with_participation => participation: Share,
    with_approval => approval: Share,
    with_of => of: Of,
    with_abstaining_counts => abstaining_counts: bool,
    with_again => again: Again,
    with_rounds => rounds: u32,
    with_lasts => lasts: Option<Duration>,
    with_otherwise => otherwise: Vec<Otherwise>,
}

impl Config {
    fn check(&self) -> Result<(), BadConfig> {
        BadConfig::unless_positive(self.rounds.into(), "rounds")?;
        BadConfig::unless_positive(u64::from(!self.approval.is_none()), "approval")?;
        self.lasts.map_or(Ok(()), |lasts| BadConfig::unless_positive(nanos_of(lasts), "lasts"))
    }
}

rules! {
    /// A valid [`Config`].
    derive(Eq)
}

/// The weight that approval is a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Of {
    /// The weight of the whole electorate: absence and abstention count against an option. The conservative choice.
    #[default]
    Eligible,
    /// The weight of the votes for options.
    Cast,
}

/// How a second ballot of an agent in a round is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Again {
    /// It is rejected. A round ends as soon as the outstanding ballots cannot change its result, nor that of a
    /// fallback.
    #[default]
    Refused,
    /// It replaces the first. As every ballot can still change, a round ends at its deadline or when it is closed.
    Replaces,
}

/// A fallback when the rounds have brought no decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Otherwise {
    /// Chooses the option of the last round with the most expertise behind it, see
    /// [`with_expertise`](super::Consensus::with_expertise). Skipped if no option has any, or two have the same.
    Expertise,
    /// Asks a person to decide, see [`rule`](super::Consensus::rule).
    Escalate,
}
