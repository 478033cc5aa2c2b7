//! Links between nodes, and how many of them it takes.

use super::Trigger;
use crate::name::Name;
use serde::{Deserialize, Serialize};

/// A link from an earlier node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Link {
    /// Where it comes from.
    pub node: Name,
    /// When it is taken.
    #[serde(default)]
    pub on: On,
}

impl Link {
    /// Taken when `node` succeeds.
    #[must_use]
    pub fn success(node: impl Into<Name>) -> Self {
        Self { node: node.into(), on: On::Success }
    }

    /// Taken when `node` fails: the alternative path. A node with such a link does not fail the run.
    #[must_use]
    pub fn failure(node: impl Into<Name>) -> Self {
        Self { node: node.into(), on: On::Failure }
    }

    /// Taken however `node` ends, skipped included. It takes care of a failure, too: the run goes on.
    #[must_use]
    pub fn always(node: impl Into<Name>) -> Self {
        Self { node: node.into(), on: On::Always }
    }

    /// Taken with each piece of work of `node` that succeeds.
    #[must_use]
    pub fn each(node: impl Into<Name>) -> Self {
        Self { node: node.into(), on: On::Each }
    }

    /// Taken when the choice `node` takes this case.
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
    /// The node ended in any way, skipped included.
    Always,
    /// The choice took this case.
    Case(Name),
    /// Each piece of work of the node that succeeds, one after the other: each item of a map, each round of a repeat. Only
    /// for a node that starts more than once ([`Join::Each`], [`Join::Rounds`]).
    Each,
}

/// How many of a node's links must be taken for it to start. A node that cannot start any more is skipped, and the skip
/// travels on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Join {
    /// All of them. (WCP 3)
    #[default]
    All,
    /// At least one, once all are decided. (WCP 7, 37: after an inclusive choice it waits for exactly the branches taken)
    Any,
    /// So many; the node starts with the last of them, whatever the others do. (WCP 9, 30; with [`Rest::Cancel`] 29, 32)
    Count {
        /// How many.
        of: u32,
        /// What becomes of the nodes that the other links come from.
        #[serde(default)]
        rest: Rest,
    },
    /// By how the nodes that the links come from ended: the links say only which nodes, or which case of a choice.
    Trigger(Trigger),
    /// Once for each time that a link is taken. The node does its work so many times, each with what came over the link as
    /// [`Expr::Item`](super::Expr::Item), and gives the list of results in the order in which they came. Where more than one step follows, its
    /// work is a workflow. (WCP 8)
    Each,
    /// Once for each round: so many different links must be taken for it, and a second time over the same link is not
    /// another branch. The work is given the list of what came, in the order of the links, as [`Expr::Item`](super::Expr::Item), with null for
    /// those that are not there yet. The next round begins when the last of the links has been taken for this one, or can
    /// not be taken any more. (WCP 28, 31, 33, 41)
    Rounds {
        /// How many links.
        of: u32,
        /// What becomes of what comes over a link that was taken in this round already: [`Rest::Hold`] keeps it for the
        /// next, [`Rest::Ignore`] drops it.
        #[serde(default)]
        rest: Rest,
    },
}

impl Join {
    /// Whether a node with this join may start more than once.
    pub(crate) const fn repeats(self) -> bool {
        matches!(self, Self::Each | Self::Rounds { .. })
    }
}

/// What becomes of the branches that a join no longer needs: how it is made ready for another round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rest {
    /// They go on and their ends are ignored.
    #[default]
    Ignore,
    /// They are cancelled, with everything of theirs that leads nowhere else.
    Cancel,
    /// They go on, and what they bring is kept for the next round.
    Hold,
}
