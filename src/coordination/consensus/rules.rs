//! How a group decides.

use super::super::share::Share;
use crate::base::error::BadConfig;
use crate::base::structure::{rules, with};
use crate::base::time::nanos_of;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// How a group decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The share of the electorate's weight that has to take part.
    pub participation: Share,
    /// The share that an option has to reach.
    pub approval: Share,
    /// What it is a share of.
    pub of: Of,
    /// Whether who abstains has taken part.
    pub abstaining_counts: bool,
    /// What a second ballot of an agent in a round is.
    pub again: Again,
    /// How many rounds there are at most. Every round has the electorate of the first.
    pub rounds: u32,
    /// How long a round lasts at most.
    #[serde(with = "crate::base::time::span::option", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Duration>,
    /// What is tried, in this order, when no round has brought a decision.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub otherwise: Vec<Otherwise>,
}

impl Default for Config {
    /// 67 % of the electorate take part, and 67 % of it agree; one round without end, and no decision otherwise.
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
    /// A [`Config`] that was checked.
    derive(Eq)
}

/// What approval is a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Of {
    /// The weight of all who may vote: who stays away or abstains is against. The safe one.
    #[default]
    Eligible,
    /// The weight of those who voted for an option.
    Cast,
}

/// What a second ballot of an agent in a round is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Again {
    /// Refused: the first counts. A round ends as soon as the ballots that are out cannot change its result, nor what experts
    /// decide after it.
    #[default]
    Refused,
    /// The last counts. As every ballot can still change, a round ends at its deadline or when it is closed.
    Replaces,
}

/// What is tried when the rounds have brought no decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Otherwise {
    /// The option of the last round with the most expertise behind it, see
    /// [`with_expertise`](super::Consensus::with_expertise); not if there is none, or two have the same.
    Expertise,
    /// A person is asked, see [`rule`](super::Consensus::rule).
    Escalate,
}
