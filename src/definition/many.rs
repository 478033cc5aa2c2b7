//! Work that is done several times: for each item, or again and again.

use super::{Body, Condition, Expr};
use serde::{Deserialize, Serialize};

/// A piece of work for each item of a list. The node gives the list of results in the order of the items, with null for
/// those that failed or were not awaited. (WCP 12 to 15, 34 to 36)
///
/// ```
/// use counterpoint::definition::{Body, Enough, Expr, Map, Work};
///
/// // Ask all, take the first three answers, let nobody work for nothing; a tenth of them may fail.
/// let ask = Map::over(Expr::Input, Body::Task(Work::new("ask")))
///     .enough(Enough::of(3).cancel_rest())
///     .tolerate_percent(10);
/// assert_eq!(ask.tolerated(50), 5);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Map {
    /// The list.
    pub over: Expr,
    /// The work; its input is [`Expr::Item`] unless the node says otherwise.
    pub body: Body,
    /// How many at once; no bound but the agents' if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// How many items may fail before the node fails. Their results are null.
    #[serde(default)]
    pub tolerate: u32,
    /// What share of the items may fail, in percent, if that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerate_percent: Option<u32>,
    /// When the node need not wait for the others any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enough: Option<Enough>,
    /// Whether items may be added while others are done ([`RunCommand::Add`](crate::RunCommand::Add)): the node does not
    /// end before it is closed, even if all that it has is done. (WCP 15)
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub open: bool,
}

impl Map {
    /// This work for each item of this list.
    #[must_use]
    pub const fn over(over: Expr, body: Body) -> Self {
        Self { over, body, at_once: None, tolerate: 0, tolerate_percent: None, enough: None, open: false }
    }

    /// Does at most so many at a time.
    #[must_use]
    pub fn at_once(mut self, items: impl Into<Option<u32>>) -> Self {
        self.at_once = items.into();
        self
    }

    /// Lets so many fail.
    #[must_use]
    pub const fn tolerate(mut self, items: u32) -> Self {
        self.tolerate = items;
        self
    }

    /// Lets this share fail.
    #[must_use]
    pub const fn tolerate_percent(mut self, percent: u32) -> Self {
        self.tolerate_percent = Some(percent);
        self
    }

    /// Need not wait for all.
    #[must_use]
    pub fn enough(mut self, enough: Enough) -> Self {
        self.enough = Some(enough);
        self
    }

    /// Takes more items until it is closed.
    #[must_use]
    pub const fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// How many of so many items may fail.
    #[must_use]
    pub fn tolerated(&self, items: u32) -> u32 {
        let share = u64::from(self.tolerate_percent.unwrap_or(0)).saturating_mul(items.into()) / 100;
        self.tolerate.max(u32::try_from(share).unwrap_or(u32::MAX))
    }
}

/// When a map need not wait for more of its items.
///
/// ```
/// use counterpoint::definition::{Condition, Enough, Expr};
///
/// let good = Enough::when(Condition::less(Expr::value(7), Expr::Item.at("/last/grade"))).cancel_rest();
/// assert!(good.cancels);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Enough {
    /// Asked after each item that succeeds, of `{"done", "failed", "items", "last"}` as [`Expr::Item`]: how many have
    /// succeeded and failed, how many there are so far, and what the last one gave. Once it has held, that stays so.
    pub when: Condition,
    /// Whether the others are cancelled. If not, those that have begun go on, and what they give does not matter any more;
    /// the run ends after them.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub cancels: bool,
    /// Whether it is enough that all have begun: the node awaits none. (WCP 12)
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub begun: bool,
}

impl Enough {
    /// When this holds.
    #[must_use]
    pub const fn when(when: Condition) -> Self {
        Self { when, cancels: false, begun: false }
    }

    /// When so many have succeeded.
    #[must_use]
    pub fn of(items: u32) -> Self {
        Self::when(Condition::less(Expr::Item.at("/done"), Expr::value(items)).negated())
    }

    /// When all have begun.
    #[must_use]
    pub fn begun() -> Self {
        Self { when: Condition::Any(Vec::new()), cancels: false, begun: true }
    }

    /// Cancels the others.
    #[must_use]
    pub const fn cancel_rest(mut self) -> Self {
        self.cancels = true;
        self
    }
}

/// A piece of work that is done again and again, in rounds. (WCP 21)
///
/// A round whose work is a workflow can end early by a [`Stop`](super::Action::Stop) of its own, which goes on with the next
/// round (continue); what it gives can be what `until` asks for (break).
///
/// ```
/// use counterpoint::definition::{Body, Condition, Expr, Repeat, Work};
///
/// let poll = Body::Task(Work::new("poll"));
/// let until = Repeat::until(poll.clone(), Condition::Is(Expr::Item), 10);
/// let whilst = Repeat::whilst(poll, Condition::less(Expr::Item, Expr::value(3)), 10);
/// assert!(until.whilst.is_none() && whilst.whilst.is_some());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Repeat {
    /// The work; in the node's input, [`Expr::Item`] is the output of the round before, null at first.
    pub body: Body,
    /// Asked of each output: whether that was the last round.
    #[serde(default = "never", skip_serializing_if = "is_never")]
    pub until: Condition,
    /// Asked before each round, of the output of the one before, null at first: whether there is one more. If it does not
    /// hold at first, there is no round, and the node gives null.
    #[serde(default, rename = "while", skip_serializing_if = "Option::is_none")]
    pub whilst: Option<Condition>,
    /// How many rounds at the most; if it is not done after that, the node fails, with what the last round gave as its
    /// output.
    pub most: u32,
}

const fn never() -> Condition {
    Condition::Any(Vec::new())
}

fn is_never(condition: &Condition) -> bool {
    *condition == never()
}

impl Repeat {
    /// This work until the condition holds of what it gave.
    #[must_use]
    pub const fn until(body: Body, until: Condition, most: u32) -> Self {
        Self { body, until, whilst: None, most }
    }

    /// This work while the condition holds of what it gave.
    #[must_use]
    pub const fn whilst(body: Body, whilst: Condition, most: u32) -> Self {
        Self { body, until: never(), whilst: Some(whilst), most }
    }
}
