//! Work with several instances: for each item of a list, or in rounds.

use super::{Body, Condition, Expr};
use crate::base::payload::Payload;
use serde::{Deserialize, Serialize};

/// Executes a body for each item of a list. The output of the node is the list of results in the order of the items, with
/// null for items that failed or were not awaited. (WCP 12 to 15, 34 to 36)
///
/// ```
/// use counterpoint::definition::{Body, Completion, Expr, Map, Work};
///
/// // Asks all, takes the first three answers and cancels the rest; a tenth of the items may fail.
/// let ask = Map::over(Expr::Input, Body::Task(Work::new("ask")))
///     .with_completion(Completion::after(3).cancel_rest())
///     .tolerate_percent(10);
/// assert_eq!(ask.tolerated(50), 5);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Map {
    /// The list.
    pub over: Expr,
    /// What is executed for each item. Its input is [`Expr::Item`] unless the node sets another.
    pub body: Body,
    /// The largest number of items under way at a time; bounded only by the agents if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u32>,
    /// How many items may fail before the node fails. The result of a failed item is null.
    #[serde(default)]
    pub tolerate: u32,
    /// The share of the items that may fail, in percent. The larger of both bounds applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerate_percent: Option<u32>,
    /// The bounds from data: an object that can contain `max_concurrent`, `tolerate` and `tolerate_percent`, evaluated when
    /// the map opens. A number in it takes the place of the one above; null leaves it. Another value fails the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Expr>,
    /// When the node may end before all items have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion: Option<Completion>,
    /// Whether items can be added while others are under way ([`RunCommand::Add`](crate::RunCommand::Add)). The node does
    /// not end before it is closed, even if all its items have ended. (WCP 15)
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub open: bool,
}

impl Map {
    /// Executes `body` for each item of the list.
    #[must_use]
    pub const fn over(over: Expr, body: Body) -> Self {
        Self {
            over,
            body,
            max_concurrent: None,
            tolerate: 0,
            tolerate_percent: None,
            bounds: None,
            completion: None,
            open: false,
        }
    }

    /// Bounds the number of items under way at a time.
    #[must_use]
    pub fn max_concurrent(mut self, items: impl Into<Option<u32>>) -> Self {
        self.max_concurrent = items.into();
        self
    }

    /// Sets how many items may fail.
    #[must_use]
    pub const fn tolerate(mut self, items: u32) -> Self {
        self.tolerate = items;
        self
    }

    /// Sets the share of the items that may fail, in percent.
    #[must_use]
    pub const fn tolerate_percent(mut self, percent: u32) -> Self {
        self.tolerate_percent = Some(percent);
        self
    }

    /// Sets the bounds from data.
    ///
    /// ```
    /// use counterpoint::definition::{Body, Expr, Map, Work};
    ///
    /// let each = Map::over(Expr::Input.at("/orders"), Body::Task(Work::new("ship")));
    /// let each = each.bounded_by("{max_concurrent: inputs.trucks, tolerate: length(inputs.orders) / 2}".parse()?);
    /// # Ok::<(), counterpoint::definition::ExprError>(())
    /// ```
    #[must_use]
    pub fn bounded_by(mut self, bounds: Expr) -> Self {
        self.bounds = Some(bounds);
        self
    }

    /// Lets the node end before all items have ended.
    #[must_use]
    pub fn with_completion(mut self, completion: Completion) -> Self {
        self.completion = Some(completion);
        self
    }

    /// Accepts further items until the node is closed.
    #[must_use]
    pub const fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// How many of this many items may fail.
    #[must_use]
    pub fn tolerated(&self, items: u32) -> u32 {
        MapBounds::default().tolerated(self, items)
    }
}

/// The bounds that a map got from data when it opened ([`Map::bounds`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MapBounds {
    /// In place of [`Map::max_concurrent`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u32>,
    /// In place of [`Map::tolerate`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerate: Option<u32>,
    /// In place of [`Map::tolerate_percent`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerate_percent: Option<u32>,
}

impl MapBounds {
    /// The bounds in a value; the fault, in words, if it contains others.
    pub(crate) fn read(value: &Payload) -> Result<Self, String> {
        let bounds = value.to::<Self>().map_err(|_| "are not an object of integers".to_owned())?;
        if bounds.max_concurrent == Some(0) { Err("let no item run".to_owned()) } else { Ok(bounds) }
    }

    /// How many items may be under way at a time.
    pub(crate) fn max_concurrent(self, map: &Map) -> Option<u32> {
        self.max_concurrent.or(map.max_concurrent)
    }

    /// How many of this many items may fail.
    pub(crate) fn tolerated(self, map: &Map, items: u32) -> u32 {
        let percent = self.tolerate_percent.or(map.tolerate_percent).unwrap_or(0);
        let share = u64::from(percent).saturating_mul(items.into()) / 100;
        self.tolerate.unwrap_or(map.tolerate).max(u32::try_from(share).unwrap_or(u32::MAX))
    }
}

/// When a [`Map`] may end before all its items have ended.
///
/// ```
/// use counterpoint::definition::{Condition, Completion, Expr};
///
/// let good = Completion::when(Condition::less(Expr::value(7), Expr::Item.at("/last/grade"))).cancel_rest();
/// assert!(good.cancel_rest);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Completion {
    /// The condition, evaluated after each item that succeeds on `{"done", "failed", "items", "last"}` as [`Expr::Item`]:
    /// the number of items that succeeded, that failed and that exist so far, and the result of the last one. Once it has
    /// held, it stays true.
    pub when: Condition,
    /// Whether the remaining items are cancelled. If not, those that have begun go on; their results are ignored, and the
    /// run does not end before them.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub cancel_rest: bool,
    /// Whether the node ends once all items have begun, without awaiting any. (WCP 12)
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub on_start: bool,
}

impl Completion {
    /// Ends the map when the condition holds.
    #[must_use]
    pub const fn when(when: Condition) -> Self {
        Self { when, cancel_rest: false, on_start: false }
    }

    /// Ends the map when this many items have succeeded.
    #[must_use]
    pub fn after(items: u32) -> Self {
        Self::when(Condition::less(Expr::Item.at("/done"), Expr::value(items)).negated())
    }

    /// Ends the map when all items have begun.
    #[must_use]
    pub fn when_started() -> Self {
        Self { when: Condition::Any(Vec::new()), cancel_rest: false, on_start: true }
    }

    /// Cancels the remaining items.
    #[must_use]
    pub const fn cancel_rest(mut self) -> Self {
        self.cancel_rest = true;
        self
    }
}

/// Executes a body in rounds. (WCP 21)
///
/// If the body is a nested workflow, a [`Stop`](super::Action::Stop) in it ends the round early (continue). The output that
/// it gives can be what `until` asks for (break).
///
/// ```
/// use counterpoint::definition::{Body, Condition, Expr, Repeat, Work};
///
/// let poll = Body::Task(Work::new("poll"));
/// let counting = Repeat::while_(poll.clone(), Condition::less(Expr::Item, Expr::value(3)), 10);
/// let polling = Repeat::until(poll, Condition::Is(Expr::Item), 10);
/// assert!(polling.while_.is_none() && counting.while_.is_some());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Repeat {
    /// The body. In the node's input, [`Expr::Item`] is the output of the round before, null in the first round.
    pub body: Body,
    /// Evaluated on the output of each round: whether that was the last round.
    #[serde(default = "never", skip_serializing_if = "is_never")]
    pub until: Condition,
    /// Evaluated before each round on the output of the round before, null in the first round: whether there is another
    /// round. If it does not hold at first, there is no round, and the output of the node is null.
    #[serde(default, rename = "while", skip_serializing_if = "Option::is_none")]
    pub while_: Option<Condition>,
    /// The largest number of rounds. If the loop has not ended after it, the node fails with the output of the last round as
    /// its output, unless it [`finishes`](Self::finishes).
    pub max_rounds: u32,
    /// Whether the node succeeds with the output of the last round if the loop has not ended after the largest number of
    /// rounds.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub finishes: bool,
}

const fn never() -> Condition {
    Condition::Any(Vec::new())
}

fn is_never(condition: &Condition) -> bool {
    *condition == never()
}

impl Repeat {
    /// Repeats the body until the condition holds for its output.
    #[must_use]
    pub const fn until(body: Body, until: Condition, max_rounds: u32) -> Self {
        Self { body, until, while_: None, max_rounds, finishes: false }
    }

    /// Repeats the body while the condition holds for its output.
    #[must_use]
    pub const fn while_(body: Body, while_: Condition, max_rounds: u32) -> Self {
        Self { body, until: never(), while_: Some(while_), max_rounds, finishes: false }
    }

    /// Lets the node succeed with the output of the last round if the loop has not ended after the largest number of rounds.
    #[must_use]
    pub const fn finishing(mut self) -> Self {
        self.finishes = true;
        self
    }
}
