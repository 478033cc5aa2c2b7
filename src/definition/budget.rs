//! Budgets: bounds on the resources that a run or a node may use.

use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The resources that a run or a node, including its child runs, may use. A measure without a bound is not limited.
///
/// Before a task is submitted, its expected usage is **reserved** from every budget that applies to it: that of its node, of
/// its run, and of the parent runs. Reserved are as many attempts as the task's policy allows, each with the
/// [`estimate`](super::Work::estimate) of the work. If the budget covers only some of these attempts, the task gets fewer.
/// If it covers none, the task waits while reservations are held that may be returned; otherwise its node fails with
/// [`LimitReached::Budget`](crate::message::LimitReached::Budget). When the task ends, its actual usage is spent and the rest of the
/// reservation is returned.
///
/// An agent may use more than was reserved. The budget is then overdrawn, and no further work begins under it.
/// Compensations, and work that is attempted until its outcome is known, are never held back, but their usage counts.
///
/// Time is measured from the start of the run or node. A node whose time is over is cancelled and fails. A run whose time is
/// over fails with [`Cause::Limit`](crate::message::Cause::Limit), unless its pivot has succeeded.
///
/// ```
/// use counterpoint::task::Usage;
/// use counterpoint::definition::{Action, Body, Budget, Definition, Node, Work};
/// use std::time::Duration;
///
/// let answer = Work::new("answer").with_estimate(Usage::default().with_tokens(2_000));
/// let flow = Definition::new("chat")
///     .with_budget(Budget::default().with_tokens(50_000).with_time(Duration::from_secs(60)))
///     .with_node(Node::new("answer", Action::Do(Body::Task(answer))).with_budget(Budget::default().with_attempts(5)));
/// assert!(counterpoint::workflow::validate(&flow, &counterpoint::Limits::default()).is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Budget {
    /// Attempts, not counting compensations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u64>,
    /// Time since the start.
    #[serde(with = "crate::base::time::span::option", skip_serializing_if = "Option::is_none")]
    pub time: Option<Duration>,
    /// Cost, in millionths of the host's currency unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
    /// Tokens of language models, input and output together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}

impl Budget {
    /// Bounds the attempts.
    #[must_use]
    pub const fn with_attempts(mut self, attempts: u64) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Bounds the time.
    #[must_use]
    pub const fn with_time(mut self, span: Duration) -> Self {
        self.time = Some(span);
        self
    }

    /// Bounds the cost, in millionths of the host's currency unit.
    #[must_use]
    pub const fn with_cost(mut self, millionths: u64) -> Self {
        self.cost = Some(millionths);
        self
    }

    /// Bounds the tokens.
    #[must_use]
    pub const fn with_tokens(mut self, tokens: u64) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// The smaller bound of each measure.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        }
        Self {
            attempts: least(self.attempts, other.attempts),
            time: least(self.time, other.time),
            cost: least(self.cost, other.cost),
            tokens: least(self.tokens, other.tokens),
        }
    }

    /// Whether a measure other than time is bounded.
    pub(crate) const fn counts(&self) -> bool {
        self.attempts.is_some() || self.cost.is_some() || self.tokens.is_some()
    }
}
