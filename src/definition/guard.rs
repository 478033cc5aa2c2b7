//! Preconditions of nodes.

use super::Condition;
use serde::{Deserialize, Serialize};

/// The condition under which a node may start. It is evaluated once, when nothing else holds the node back, with the node's
/// input as [`Expr::Item`](super::Expr::Item).
///
/// The condition on the output of a node is its [`postcondition`](super::Node::postcondition).
///
/// ```
/// use counterpoint::definition::{Action, Condition, Expr, Node, Precondition};
///
/// let funded = Condition::less(Expr::value(0), Expr::Item.at("/cents"));
/// let charge = Node::new("charge", Action::task("charge"))
///     .with_input(Expr::Input)
///     .with_precondition(Precondition::new(funded).or_skip())
///     .with_postcondition(Condition::Exists(Expr::Item.at("/receipt")));
/// assert!(charge.postcondition.is_some());
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
