//! Links between nodes, and the joins where links meet.

use super::Trigger;
use crate::base::name::Name;
use serde::{Deserialize, Serialize};

/// A link from an earlier node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Link {
    /// The node that the link comes from.
    pub node: Name,
    /// When the link is taken.
    #[serde(default)]
    pub on: On,
}

impl Link {
    /// A link that is taken when `node` succeeds.
    #[must_use]
    pub fn success(node: impl Into<Name>) -> Self {
        Self { node: node.into(), on: On::Success }
    }

    /// A link that is taken when `node` fails: the alternative path. The failure of a node with such a link does not fail
    /// the run.
    #[must_use]
    pub fn failure(node: impl Into<Name>) -> Self {
        Self { node: node.into(), on: On::Failure }
    }

    /// A link that is taken however `node` ends, skipping included. The failure of a node with such a link does not fail the
    /// run.
    #[must_use]
    pub fn always(node: impl Into<Name>) -> Self {
        Self { node: node.into(), on: On::Always }
    }

    /// A link that is taken for each instance of `node` that succeeds.
    #[must_use]
    pub fn each(node: impl Into<Name>) -> Self {
        Self { node: node.into(), on: On::Each }
    }

    /// A link that is taken when `node`, a choice, takes this case.
    #[must_use]
    pub fn case(node: impl Into<Name>, case: impl Into<Name>) -> Self {
        Self { node: node.into(), on: On::Case(case.into()) }
    }
}

/// When a link is taken.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum On {
    /// The node succeeded.
    #[default]
    Success,
    /// The node failed.
    Failure,
    /// The node ended in any way, skipping included.
    Always,
    /// The choice took this case, the race ended with this option, or the handler of this name matched.
    Case(Name),
    /// An instance of the node's work succeeded: an item of a map, a round of a repeat. Taken once for each of them. Allowed
    /// only if the node that the link leads to starts more than once ([`Join::Each`], [`Join::Rounds`]).
    Each,
}

impl On {
    /// Whether a link is taken because its source failed, or although it failed, with these handlers that matched.
    pub(crate) fn follows_failure(&self, took: &[Name]) -> bool {
        match self {
            Self::Failure => took.is_empty(),
            Self::Always => true,
            Self::Case(case) => took.contains(case),
            Self::Success | Self::Each => false,
        }
    }
}

/// How many of a node's links must be taken for it to start. A node that can no longer start is skipped, and its own links
/// are decided accordingly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Join {
    /// All links. (WCP 3)
    #[default]
    All,
    /// At least one link, after all links are decided. After an inclusive choice this waits for exactly the branches that
    /// were taken. (WCP 7, 37)
    Any,
    /// A number of links. The node starts with the last of them, whatever the others do. (WCP 9, 30; with [`Remaining::Cancel`]
    /// 29, 32)
    Count {
        /// The number of links.
        required: u32,
        /// What happens to the branches of the remaining links.
        #[serde(default)]
        remaining: Remaining,
    },
    /// A rule on how the source nodes of the links ended. The links only name the nodes, or the case of a choice.
    Trigger(Trigger),
    /// Once for each time that a link is taken. The node executes its body that many times, each time with the value that
    /// came over the link as [`Expr::Item`](super::Expr::Item). Its output is the list of results in the order of arrival. A
    /// sequence of steps per value is a nested workflow. (WCP 8)
    Each,
    /// Once for each round. A round is complete when a number of different links have been taken; a second value over the
    /// same link does not count for the same round. The body gets the list of values in the order of the links as
    /// [`Expr::Item`](super::Expr::Item), with null for links that are not taken yet. The next round begins when the last
    /// link has been taken for this one or can no longer be taken. (WCP 28, 31, 33, 41)
    Rounds {
        /// The number of links.
        required: u32,
        /// What happens to a second value over a link that was already taken in the round: [`Remaining::Hold`] keeps it for the
        /// next round, [`Remaining::Ignore`] drops it.
        #[serde(default)]
        remaining: Remaining,
    },
}

impl Join {
    /// Whether a node with this join may start more than once.
    pub(crate) const fn repeats(self) -> bool {
        matches!(self, Self::Each | Self::Rounds { .. })
    }
}

/// What happens to the branches that a join no longer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Remaining {
    /// They go on, and their results are ignored.
    #[default]
    Ignore,
    /// They are cancelled, with all nodes that lead nowhere else.
    Cancel,
    /// They go on, and their results are kept for the next round.
    Hold,
}
