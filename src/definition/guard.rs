//! What is asked before a node starts.

use super::Condition;
use serde::{Deserialize, Serialize};

/// What must hold for a node to start. It is asked once, when nothing else holds the node back; in it,
/// [`Expr::Item`](super::Expr::Item) is what the node is given.
///
/// What must hold after a node is its [`postcondition`](super::Node::postcondition).
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
    /// What must hold.
    pub when: Condition,
    /// What becomes of the node if it does not.
    #[serde(default)]
    pub otherwise: Otherwise,
}

/// What becomes of a node whose precondition does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Otherwise {
    /// It fails.
    #[default]
    Fail,
    /// The run goes around it.
    Skip,
}

impl Precondition {
    /// The node fails unless this holds.
    #[must_use]
    pub const fn new(when: Condition) -> Self {
        Self { when, otherwise: Otherwise::Fail }
    }

    /// The run goes around the node instead.
    #[must_use]
    pub const fn or_skip(mut self) -> Self {
        self.otherwise = Otherwise::Skip;
        self
    }
}
