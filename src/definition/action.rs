//! What a node does, and the templates of tasks.

use super::{
    Call, Condition, Definition, Delegate, DurableFunction, Expr, Fail, Map, RaceOption, Repeat, SendSignal, States,
};
use crate::base::name::Name;
use crate::task::{Needs, Policy, Tier, Usage};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The action of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Executes a task, a nested workflow or a called workflow once.
    Do(Body),
    /// Chooses branches by conditions on the node's input.
    Choose {
        /// Whether one branch is taken or several.
        #[serde(default)]
        pick: Pick,
        /// The branches, in the order in which their conditions are evaluated.
        cases: Vec<Case>,
        /// The branch that is taken when no condition holds. Without one, the node fails in that case.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        otherwise: Option<Name>,
    },
    /// Executes its body for each item of a list.
    Map(Map),
    /// Executes its body in rounds until a condition holds.
    Repeat(Repeat),
    /// Executes a task whose agent may delegate parts of it.
    Delegate(Delegate),
    /// Executes a durable function: a task that requests calls in turns.
    Function(DurableFunction),
    /// Waits for a signal, a timer, or the first of both. The output is the content of the signal, or null if the timer
    /// fired first. (WCP 16, 24)
    Wait {
        /// The name of the signal. A signal that arrives before the node waits is kept for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<Name>,
        /// The longest time to wait.
        #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
        timer: Option<Duration>,
    },
    /// Waits for the first of several options. When the first one occurs, the others are withdrawn together with their
    /// timers and subscriptions. Links name the option that occurred ([`On::Case`](super::On::Case)). The output is the
    /// content of a signal, null for a timer, and `{"by", "option", "note"}` for a decision. (WCP 16)
    Race {
        /// The options.
        options: Vec<RaceOption>,
    },
    /// Passes its input through as its output: a point where branches meet.
    Pass,
    /// Sends a signal to runs.
    Send(SendSignal),
    /// Moves one token between states, which may form cycles. (WCP 10)
    States(States),
    /// Compensates nodes while the run goes forward: those of these names, or all if there are none, that have ended with side effects
    /// which a compensation can undo, in the order of a rollback, the last first. What is compensated counts as not done: a
    /// later failure does not undo it again. Nodes under way and nodes that have not begun are left as they are; once a pivot has
    /// succeeded, nothing is compensated. The output is the list of the names of the compensated nodes. The node fails with
    /// the code `cp.compensation` if a compensation was abandoned.
    ///
    /// ```
    /// use counterpoint::definition::{Action, Definition, Link, Node, Work};
    ///
    /// // The seat is given back, and the run goes on with the train.
    /// let seat = Node::new("seat", Action::task("reserve")).with_undo(Work::new("release"));
    /// let back = Node::new("back", Action::Compensate { of: vec!["seat".into()] }).with_link(Link::success("seat"));
    /// let train = Node::new("train", Action::task("train")).with_link(Link::success("back"));
    /// let trip = Definition::new("trip").with_node(seat).with_node(back).with_node(train);
    /// assert!(counterpoint::workflow::validate(&trip, &counterpoint::Limits::default()).is_ok());
    /// ```
    Compensate {
        /// The nodes; all if there are none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        of: Vec<Name>,
    },
    /// Ends the run successfully, with the node's input as the output of the run. All nodes that have not ended are
    /// cancelled. (WCP 43)
    Stop,
    /// Fails: the end of a branch that must not be taken.
    Fail(Fail),
}

impl Action {
    /// A task of this kind.
    #[must_use]
    pub fn task(kind: impl Into<Name>) -> Self {
        Self::Do(Body::Task(Work::new(kind)))
    }

    /// A nested workflow.
    #[must_use]
    pub fn flow(definition: Definition) -> Self {
        Self::Do(Body::Flow(Arc::new(definition)))
    }
}

/// What an action executes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Body {
    /// One task for an agent.
    Task(Work),
    /// A nested workflow, as a child run.
    Flow(Arc<Definition>),
    /// A workflow that is registered with the engine, as a child run.
    Call(Call),
}

/// The template of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Work {
    /// The task's kind.
    pub kind: Name,
    /// The needs of the task. Without any, the task needs the skill that its kind is named after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
    /// The tier of the task. Without one, the task has the tier of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Retries and timeouts.
    #[serde(default, skip_serializing_if = "Policy::is_default")]
    pub policy: Policy,
    /// The expected usage of one attempt, at most [`Usage::MAX`]. A [`Budget`](super::Budget) reserves that much for each attempt.
    #[serde(default, skip_serializing_if = "Usage::is_nothing")]
    pub estimate: Usage,
    /// Settings from data: an object that can contain `tier`, `attempts`, `attempt_timeout`, `heartbeat_timeout`,
    /// `queue_timeout` and `total_timeout`, evaluated when a task begins, with its input as [`Expr::Item`]. A value in it
    /// takes the place of the one above; null leaves it. A duration is a string such as `30s` or a number of nanoseconds.
    /// Another value fails the node. Compensations and queries have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Expr>,
}

impl Work {
    /// A task of this kind.
    #[must_use]
    pub fn new(kind: impl Into<Name>) -> Self {
        Self {
            kind: kind.into(),
            needs: None,
            tier: None,
            policy: Policy::default(),
            estimate: Usage::default(),
            overrides: None,
        }
    }

    /// Sets the needs.
    #[must_use]
    pub fn with_needs(mut self, needs: Needs) -> Self {
        self.needs = Some(needs);
        self
    }

    /// Sets the tier.
    #[must_use]
    pub const fn with_tier(mut self, tier: Tier) -> Self {
        self.tier = Some(tier);
        self
    }

    /// Sets the expected usage of one attempt.
    #[must_use]
    pub const fn with_estimate(mut self, usage: Usage) -> Self {
        self.estimate = usage;
        self
    }

    /// Sets retries and timeouts.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the settings from data.
    ///
    /// ```
    /// use counterpoint::definition::Work;
    ///
    /// // The customer decides how long the task may take; a large order is attempted more often.
    /// let pack = Work::new("pack")
    ///     .overridden_by("{total_timeout: inputs.within ?? null, attempts: if(item.total > 1000, 10, 3)}".parse()?);
    /// # Ok::<(), counterpoint::definition::ExprError>(())
    /// ```
    #[must_use]
    pub fn overridden_by(mut self, overrides: Expr) -> Self {
        self.overrides = Some(overrides);
        self
    }
}

/// Whether one branch is taken or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pick {
    /// The first branch whose condition holds. (WCP 4)
    #[default]
    First,
    /// Every branch whose condition holds. (WCP 6)
    Every,
}

/// A branch of an [`Action::Choose`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Case {
    /// The name by which links refer to the branch.
    pub name: Name,
    /// The condition under which the branch is taken, with the node's input as [`Expr::Item`](super::Expr::Item).
    pub when: Condition,
}

impl Case {
    /// A branch that is taken when the condition holds.
    #[must_use]
    pub fn new(name: impl Into<Name>, when: Condition) -> Self {
        Self { name: name.into(), when }
    }
}
