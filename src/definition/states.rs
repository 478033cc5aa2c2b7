//! State machines: one token that moves between named states.

use super::{Body, Condition, Expr, Work};
use crate::base::name::Name;
use crate::task::{Failures, Retry};
use serde::{Deserialize, Serialize};

/// A state machine as the action of a node: one token moves between states along transitions. Cycles are allowed; the number
/// of steps is bounded. The body of a state may be a nested workflow. (WCP 10, 21)
///
/// The token carries a value: the node's input at first, and then the output of each state. A state without transitions is
/// final: the node ends with the token's value as its output, and links can name the final state
/// ([`On::Case`](super::On::Case)).
///
/// ```
/// use counterpoint::definition::{Action, Body, Condition, Definition, Expr, Node, State, States, Work};
///
/// // A writer and a critic alternate until the grade is above 7.
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
    /// The initial state.
    pub start: Name,
    /// The states.
    pub states: Vec<State>,
    /// The largest number of states that the token enters. After that the node fails, with the token's value as its output.
    pub max_steps: u32,
}

impl States {
    /// A state machine that begins in `start` and enters at most `max_steps` states.
    #[must_use]
    pub fn from(start: impl Into<Name>, max_steps: u32) -> Self {
        Self { start: start.into(), states: Vec::new(), max_steps }
    }

    /// Adds a state.
    #[must_use]
    pub fn with(mut self, state: State) -> Self {
        self.states.push(state);
        self
    }
}

/// One state of [`States`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct State {
    /// The name, unique among the states.
    pub name: Name,
    /// What is executed in the state. Without a body, the token's value passes through.
    #[serde(default, rename = "do", skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// The input of the body; the token's value, as [`Expr::Item`], by default.
    #[serde(default = "item", skip_serializing_if = "is_item")]
    pub input: Expr,
    /// The value of the token after the state, from `{"input", "result"}` as [`Expr::Item`]: the token's value before, and the
    /// output of the body. Without it, the output of the body is the value. If it has no value, the state fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Expr>,
    /// The task that undoes the body. It is executed for each time that the token was in the state, in reverse order. For a
    /// workflow it takes the place of the compensations in it, as [`Node::undo`](super::Node::undo) does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Work>,
    /// The retries of a body that is a nested or a called workflow. A child run that fails is compensated first, and the next one
    /// starts with the same input; transitions after a failure apply to that of the last child run. They count anew each time
    /// that the token enters the state. The retries of a task are in [`Work::policy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The transitions. The token takes the first one whose condition holds.
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
    /// A final state without a body.
    #[must_use]
    pub fn new(name: impl Into<Name>) -> Self {
        Self {
            name: name.into(),
            body: None,
            input: Expr::Item,
            output: None,
            undo: None,
            retry: None,
            next: Vec::new(),
        }
    }

    /// Executes this task in the state.
    #[must_use]
    pub fn doing(mut self, work: Work) -> Self {
        self.body = Some(Body::Task(work));
        self
    }

    /// Executes this body in the state.
    #[must_use]
    pub fn with_body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }

    /// Sets the input of the body.
    #[must_use]
    pub fn with_input(mut self, input: Expr) -> Self {
        self.input = input;
        self
    }

    /// Sets the value of the token after the state, from `{"input", "result"}` as [`Expr::Item`].
    ///
    /// ```
    /// use counterpoint::definition::{State, Work};
    ///
    /// // The price is added to the order, which stays as it was.
    /// let price = State::new("price").doing(Work::new("price"));
    /// let price = price.with_output("put(item.input, '/price', item.result.cents)".parse()?).then("pay");
    /// // A failure is added to the order, too.
    /// let price = price.on_failure("refuse").carrying("put(item.input, '/why', item.failure.message)".parse()?);
    /// # let _ = price;
    /// # Ok::<(), counterpoint::definition::ExprError>(())
    /// ```
    #[must_use]
    pub fn with_output(mut self, output: Expr) -> Self {
        self.output = Some(output);
        self
    }

    /// Sets the task that undoes the body.
    #[must_use]
    pub fn with_undo(mut self, undo: Work) -> Self {
        self.undo = Some(undo);
        self
    }

    /// Sets the retries of a body that is a nested or a called workflow.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Adds a transition that is taken if the condition holds for the state's output, given as [`Expr::Item`].
    #[must_use]
    pub fn when(mut self, when: Condition, to: impl Into<Name>) -> Self {
        self.next.push(Transition { to: to.into(), when, on_failure: None, output: None });
        self
    }

    /// Adds a transition without a condition.
    #[must_use]
    pub fn then(self, to: impl Into<Name>) -> Self {
        self.when(Condition::True, to)
    }

    /// Adds a transition that is taken if the body fails, or if its input or the output of the state has no value. The token's
    /// value is then `{"failure": why}`, with the fields of [`Failure`](crate::Failure).
    #[must_use]
    pub fn on_failure(self, to: impl Into<Name>) -> Self {
        self.on_failures(Failures::any(), to)
    }

    /// Adds a transition that is taken if the body fails with one of these failures.
    #[must_use]
    pub fn on_failures(mut self, failures: impl Into<Failures>, to: impl Into<Name>) -> Self {
        self.next.push(Transition {
            to: to.into(),
            when: Condition::True,
            on_failure: Some(failures.into()),
            output: None,
        });
        self
    }

    /// Sets what the token carries along the transition that was added last ([`Transition::output`]).
    #[must_use]
    pub fn carrying(mut self, output: Expr) -> Self {
        if let Some(last) = self.next.last_mut() {
            last.output = Some(output);
        }
        self
    }
}

/// A transition from one state to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Transition {
    /// The state that it leads to.
    pub to: Name,
    /// The condition on the token's value, given as [`Expr::Item`].
    #[serde(default = "always", skip_serializing_if = "is_always")]
    pub when: Condition,
    /// The failures of the body with which the transition is taken. Without, it is taken when the body succeeds. The failure of
    /// a body that was cancelled has the code `cp.cancelled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Failures>,
    /// The value of the token after the transition, from `{"input", "result"}` or `{"input", "failure"}` as [`Expr::Item`]: the
    /// token's value before the state, and the output of the state or why it failed. Without it, the value is the output of
    /// the state, or `{"failure": why}`. If it has no value, the node fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Expr>,
}

const fn always() -> Condition {
    Condition::True
}

fn is_always(condition: &Condition) -> bool {
    *condition == Condition::True
}
