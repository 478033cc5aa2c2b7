//! The second flow style: one token that moves between named states.

use super::{Body, Condition, Expr, Work};
use crate::name::Name;
use serde::{Deserialize, Serialize};

/// States, between which one token moves along conditions. Cycles are allowed, with as many ways in and out as there are;
/// the steps are bounded. It is a node of a graph, and what a state does may be a graph again. (WCP 10, 21)
///
/// The token carries a value: the node's input at first, then what each state gave. A state without transitions is final:
/// the node ends with the token's value, and links can name the state it ended in ([`On::Case`](super::On::Case)).
///
/// ```
/// use counterpoint::definition::{Action, Body, Condition, Definition, Expr, Node, State, States, Work};
///
/// // A writer and a critic hand a text to each other until the critic is content.
/// let good = Condition::less(Expr::value(7), Expr::Item.at("/grade"));
/// let states = States::from("draft", 20)
///     .with(State::new("draft").doing(Work::new("write")).then("review"))
///     .with(State::new("review").doing(Work::new("criticise")).when(good, "done").then("draft"))
///     .with(State::new("done"));
/// let flow = Definition::new("essay").with_node(Node::new("write", Action::States(states)).with_input(Expr::Input));
/// assert!(counterpoint::workflow::validate(&flow, &counterpoint::Limits::default()).is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct States {
    /// Where the token begins.
    pub start: Name,
    /// The states.
    pub states: Vec<State>,
    /// How many states it enters at the most; after that the node fails, with the token's value as its output.
    pub most: u32,
}

impl States {
    /// States that begin with this one, of which at most so many are entered.
    #[must_use]
    pub fn from(start: impl Into<Name>, most: u32) -> Self {
        Self { start: start.into(), states: Vec::new(), most }
    }

    /// Adds a state.
    #[must_use]
    pub fn with(mut self, state: State) -> Self {
        self.states.push(state);
        self
    }
}

/// One of the states of [`States`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct State {
    /// Unique among the states.
    pub name: Name,
    /// What is done in it; nothing, if none: the token's value passes.
    #[serde(default, rename = "do", skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// What that is given: the token's value, as [`Expr::Item`], unless it says otherwise.
    #[serde(default = "item", skip_serializing_if = "is_item")]
    pub input: Expr,
    /// The task that undoes it, each time that it was done, the last first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Work>,
    /// Where the token goes from here: the first that holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<Transition>,
}

const fn item() -> Expr {
    Expr::Item
}

fn is_item(expr: &Expr) -> bool {
    *expr == Expr::Item
}

impl State {
    /// A state in which nothing is done, and from which nothing leads.
    #[must_use]
    pub fn new(name: impl Into<Name>) -> Self {
        Self { name: name.into(), body: None, input: Expr::Item, undo: None, next: Vec::new() }
    }

    /// Does this task in it.
    #[must_use]
    pub fn doing(mut self, work: Work) -> Self {
        self.body = Some(Body::Task(work));
        self
    }

    /// Does this in it.
    #[must_use]
    pub fn with_body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }

    /// Gives this to what is done in it.
    #[must_use]
    pub fn with_input(mut self, input: Expr) -> Self {
        self.input = input;
        self
    }

    /// Undoes what was done in it with this task.
    #[must_use]
    pub fn with_undo(mut self, undo: Work) -> Self {
        self.undo = Some(undo);
        self
    }

    /// Goes on to that state, if the condition holds of what this one gave, as [`Expr::Item`].
    #[must_use]
    pub fn when(mut self, when: Condition, to: impl Into<Name>) -> Self {
        self.next.push(Transition { to: to.into(), when, on_failure: false });
        self
    }

    /// Goes on to that state in any case.
    #[must_use]
    pub fn then(self, to: impl Into<Name>) -> Self {
        self.when(Condition::True, to)
    }

    /// Goes on to that state if what is done in this one fails. The token carries `{"failure": why}`.
    #[must_use]
    pub fn on_failure(mut self, to: impl Into<Name>) -> Self {
        self.next.push(Transition { to: to.into(), when: Condition::True, on_failure: true });
        self
    }
}

/// A way from one state to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Transition {
    /// Where it leads.
    pub to: Name,
    /// When it is gone, asked of the token's value as [`Expr::Item`].
    #[serde(default = "always", skip_serializing_if = "is_always")]
    pub when: Condition,
    /// Whether it is for when what is done in the state fails.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub on_failure: bool,
}

const fn always() -> Condition {
    Condition::True
}

fn is_always(condition: &Condition) -> bool {
    *condition == Condition::True
}
