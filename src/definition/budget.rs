//! How much a run or a node may use up.

use core::time::Duration;
use serde::{Deserialize, Serialize};

/// How much a run or a node may use up, everything within it included; what is not said is not bounded.
///
/// Before work is handed to an agent, what it may use up is **put aside** from every budget that it is under: its node's, its
/// run's, and those of the runs around: as many attempts as its policy allows, each with the
/// [`estimate`](super::Work::estimate) of the work. If not all of these are there, there are fewer attempts. If there is
/// nothing for even one, the work waits while anything is put aside that may come back, and otherwise its node fails with
/// [`LimitReached::Budget`](crate::LimitReached::Budget). When the work ends, what it used up counts as spent and the rest comes
/// back.
///
/// An agent may use up more than was put aside: then the budget is overdrawn, and nothing new begins. Compensations and
/// work that is tried until its outcome is known are never held back, but they count.
///
/// The time is from the beginning of the run or node, on the clock. A node whose time is over fails and is stopped; a run
/// turns back ([`Cause::Limit`](crate::Cause::Limit)), unless its pivot has been passed.
///
/// ```
/// use counterpoint::Usage;
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
    /// Attempts at tasks, compensations not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u64>,
    /// From the beginning on.
    #[serde(with = "crate::time::span::option", skip_serializing_if = "Option::is_none")]
    pub time: Option<Duration>,
    /// In millionths of whatever the host counts in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
    /// Tokens of language models, both ways.
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

    /// Bounds the cost, in millionths of whatever the host counts in.
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

    /// Of each the smaller.
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

    /// Whether anything but the time is bounded.
    pub(crate) const fn counts(&self) -> bool {
        self.attempts.is_some() || self.cost.is_some() || self.tokens.is_some()
    }
}
