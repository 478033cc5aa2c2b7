//! Preconditions and postconditions of nodes.

use super::Condition;
use serde::{Deserialize, Serialize};

/// The conditions of a node.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Guards {
    /// The condition under which the node may start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precondition: Option<Precondition>,
    /// The condition that the output must meet, with the output as [`Expr::Item`](super::Expr::Item). An output that does not
    /// meet it is discarded. Work that is not repeated by its action is then submitted again as a new task, as long as
    /// attempts of its policy are left, with `{"output"}`, the rejected output, as [`Expr::Item`](super::Expr::Item) in its
    /// input; after that the node fails. The rejected work has taken effect, and is compensated like any other if the run
    /// fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcondition: Option<Condition>,
}

impl Guards {
    /// Whether the node has no conditions.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.precondition.is_none() && self.postcondition.is_none()
    }
}

/// The condition under which a node may start. It is evaluated once, when nothing else holds the node back, with the node's
/// input as [`Expr::Item`](super::Expr::Item).
///
/// The condition on the output of a node is its [`postcondition`](Guards::postcondition).
///
/// ```
/// use counterpoint::definition::{Action, Condition, Expr, Node, Precondition};
///
/// let funded = Condition::less(Expr::value(0), Expr::Item.at("/cents"));
/// let charge = Node::new("charge", Action::task("charge"))
///     .with_input(Expr::Input)
///     .with_precondition(Precondition::new(funded).or_skip())
///     .with_postcondition(Condition::Exists(Expr::Item.at("/receipt")));
/// assert!(charge.guards.postcondition.is_some());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Precondition {
    /// The condition.
    pub when: Condition,
    /// What happens to the node if the condition does not hold.
    #[serde(default)]
    pub otherwise: OnUnmet,
}

/// What happens to a node whose precondition does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnUnmet {
    /// The node fails.
    #[default]
    Fail,
    /// The node is skipped.
    Skip,
}

impl Precondition {
    /// The node fails unless the condition holds.
    #[must_use]
    pub const fn new(when: Condition) -> Self {
        Self { when, otherwise: OnUnmet::Fail }
    }

    /// Skips the node instead of failing it.
    #[must_use]
    pub const fn or_skip(mut self) -> Self {
        self.otherwise = OnUnmet::Skip;
        self
    }
}
