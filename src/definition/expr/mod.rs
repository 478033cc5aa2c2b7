//! Expressions, which give the inputs and outputs of nodes, and conditions on data. Both are data, and both have a text form
//! (`parse`, `print`).
//!
//! Every evaluation ends: an expression cannot call itself, and only the items of lists are repeated over. Each step, each
//! byte that is read and each byte that is copied is counted, and an evaluation ends with an error at the limit.

mod call;
mod encoding;
mod eval;
mod function;
mod lists;
mod numbers;
mod objects;
mod parse;
mod print;
mod scan;
mod texts;
mod times;
mod values;
mod walk;
mod words;

pub(crate) use call::type_name;
pub(crate) use eval::{NoValue, Scope};
pub use function::Function;
pub use parse::ExprError;
pub(crate) use parse::{folded_list, folded_object};
pub(crate) use walk::{Term, TermMut};

use crate::base::name::Name;
use crate::base::payload::Payload;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// An expression that evaluates to a JSON value.
///
/// It has a text form, which [`FromStr`](core::str::FromStr) parses and [`Display`](core::fmt::Display) prints.
///
/// **Null and missing.** A path that leads nowhere is an error, unless [`First`](Self::First) or a condition catches it; a path
/// that leads to null gives null. A node without output, an input or an item that is not given is null.
///
/// **Errors.** An input of a node, the list of a map, a time and the output of a run fail with the error, as a failure of the
/// node or the run. In a condition, an operand with an error counts as absent: no comparison holds for it.
///
/// ```
/// use counterpoint::definition::Expr;
///
/// let expr: Expr = r#"if(inputs.total >= 100 && "vip" in inputs.tags, inputs.total * 0.9, inputs.total)"#.parse()?;
/// assert_eq!(expr.to_string().parse::<Expr>()?, expr);
/// # Ok::<(), counterpoint::definition::ExprError>(())
/// ```
///
/// ```
/// use counterpoint::definition::Expr;
///
/// let expr = Expr::object([("who", Expr::Input.at("/customer/name")), ("stock", Expr::node("reserve"))]);
/// let text = serde_json::to_string(&expr)?;
/// assert_eq!(text, r#"{"object":{"stock":{"node":"reserve"},"who":{"at":["input","/customer/name"]}}}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Expr {
    /// The input of the run.
    Input,
    /// The output of a node; null if it has none.
    Node(Name),
    /// How a node ended: an object with its `status`, the number of its `attempts` and, if it failed, its `failure` with
    /// `kind`, `code`, `message`, `details`, `path` and `cause`. Null as long as it has not ended. The attempts are those of
    /// the node as a whole if it has [retries](super::Node::retry) of its own, and else those of all of its tasks.
    End(Name),
    /// A variable of the run, with the writes of the nodes before (see [`Variable`](super::Variable)).
    Variable(Name),
    /// The value that the context provides: in a map the item, in a repeat the output of the round before, in a choice the
    /// node's input, in a precondition the node's input, in a postcondition the node's output, and in the input of a node
    /// with a postcondition the output that was rejected.
    Item,
    /// A constant.
    Const(Payload),
    /// A list of values.
    List(Vec<Self>),
    /// An object of values.
    Object(BTreeMap<Name, Self>),
    /// The part of a value at a JSON pointer (RFC 6901); an error if there is none.
    At(Box<Self>, String),
    /// The first value that is there and not null; null if there is none.
    First(Vec<Self>),
    /// Metadata of the run or the node.
    Meta(Meta),
    /// The item of an enclosing [`Each`] that has this name.
    Local(Name),
    /// Whether the condition holds.
    Test(Box<Condition>),
    /// The second if the condition holds, otherwise the third. The other one is not evaluated.
    If(Box<(Condition, Self, Self)>),
    /// The value of a function. The arguments are evaluated in order.
    Call(Function, Vec<Self>),
    /// The items of a list, each in turn.
    Each(Box<Each>),
}

/// A part of the metadata of the run or the node that an expression belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Meta {
    /// `run.id`: the id of the run, as text.
    RunId,
    /// `run.key`: the business key of the run; null if it has none.
    RunKey,
    /// `run.name`: the name of the workflow.
    RunName,
    /// `run.version`: the version of the workflow.
    RunVersion,
    /// `run.started`: the time at which the run started, in nanoseconds since the host's epoch, as a
    /// [`Time`](crate::Time).
    RunStarted,
    /// `this.name`: the name of the node; null where an expression belongs to no node, such as the output of the run.
    NodeName,
    /// `this.attempt`: in the input of a node that does its work once, one more than the attempts that it has used before; so
    /// 1 at first, and more after a postcondition that did not hold. Retries by the policy of a task do not evaluate its input
    /// again. Null elsewhere.
    Attempt,
    /// `this.index`: in the input of a node, how many instances it has begun before this one: in a map the index of the
    /// item, in a repeat the number of the rounds before. Null elsewhere.
    Index,
}

impl Meta {
    const ALL: [(Self, &'static str); 8] = [
        (Self::RunId, "run.id"),
        (Self::RunKey, "run.key"),
        (Self::RunName, "run.name"),
        (Self::RunVersion, "run.version"),
        (Self::RunStarted, "run.started"),
        (Self::NodeName, "this.name"),
        (Self::Attempt, "this.attempt"),
        (Self::Index, "this.index"),
    ];

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().map(|(meta, _)| meta)
    }

    /// The name in expressions.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(meta, _)| *meta == self).map_or("", |(_, name)| name)
    }
}

/// An expression over the items of a list: `filter(inputs.orders, order => order.total > 100)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Each {
    /// What is made of the items.
    pub kind: EachKind,
    /// The list. Another value is an error.
    pub over: Expr,
    /// The name of the item in the body ([`Expr::Local`]). It is not the name of a node.
    pub name: Name,
    /// Evaluated for each item. A value other than true counts as false.
    pub body: Expr,
}

impl Each {
    /// An expression over the items of a list.
    #[must_use]
    pub fn new(kind: EachKind, over: Expr, name: impl Into<Name>, body: Expr) -> Self {
        Self { kind, over, name: name.into(), body }
    }

    /// Whether an item can have this name.
    pub(crate) fn is_name(name: &str) -> bool {
        words::is_name(name) && !parse::RESERVED.contains(&name)
    }
}

/// What an [`Each`] makes of the items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EachKind {
    /// `map`: the list of the values of the body.
    Map,
    /// `filter`: the list of the items for which the body is true.
    Filter,
    /// `all`: whether the body is true for all items. It ends at the first for which it is not.
    All,
    /// `any`: whether the body is true for at least one item. It ends at the first.
    Any,
    /// `count`: the number of items for which the body is true.
    Count,
}

impl EachKind {
    const ALL: [(Self, &'static str); 5] =
        [(Self::Map, "map"), (Self::Filter, "filter"), (Self::All, "all"), (Self::Any, "any"), (Self::Count, "count")];

    /// The name in expressions.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known)| *known == name).map(|(kind, _)| kind)
    }
}

impl From<&str> for Expr {
    /// A constant.
    fn from(text: &str) -> Self {
        Self::value(text)
    }
}

impl Default for Expr {
    fn default() -> Self {
        Self::Const(Payload::NULL)
    }
}

impl Expr {
    /// The output of a node.
    #[must_use]
    pub fn node(name: impl Into<Name>) -> Self {
        Self::Node(name.into())
    }

    /// How a node ended.
    #[must_use]
    pub fn end(name: impl Into<Name>) -> Self {
        Self::End(name.into())
    }

    /// A variable of the run.
    #[must_use]
    pub fn variable(name: impl Into<Name>) -> Self {
        Self::Variable(name.into())
    }

    /// A constant.
    #[must_use]
    pub fn value(value: impl Into<Value>) -> Self {
        Self::Const(Payload::new(value.into()))
    }

    /// An object of values.
    #[must_use]
    pub fn object<N: Into<Name>>(fields: impl IntoIterator<Item = (N, Self)>) -> Self {
        Self::Object(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// The part of the value at a JSON pointer.
    #[must_use]
    pub fn at(self, pointer: impl Into<String>) -> Self {
        Self::At(Box::new(self), pointer.into())
    }

    /// Whether a condition holds.
    #[must_use]
    pub fn test(condition: Condition) -> Self {
        Self::Test(Box::new(condition))
    }

    /// The value of a function.
    #[must_use]
    pub fn call(function: Function, arguments: impl IntoIterator<Item = Self>) -> Self {
        Self::Call(function, arguments.into_iter().collect())
    }

    /// The condition directly within the expression.
    pub(crate) fn condition(&self) -> Option<&Condition> {
        match self {
            Self::Test(condition) => Some(condition),
            Self::If(choice) => Some(&choice.0),
            Self::Input
            | Self::Node(_)
            | Self::End(_)
            | Self::Variable(_)
            | Self::Meta(_)
            | Self::Item
            | Self::Local(_)
            | Self::Const(_)
            | Self::List(_)
            | Self::Object(_)
            | Self::At(..)
            | Self::First(_)
            | Self::Call(..)
            | Self::Each(_) => None,
        }
    }

    /// The direct sub-expressions, without those of its condition.
    pub(crate) fn parts(&self) -> Box<dyn Iterator<Item = &Self> + '_> {
        match self {
            Self::Input
            | Self::Node(_)
            | Self::End(_)
            | Self::Variable(_)
            | Self::Meta(_)
            | Self::Item
            | Self::Local(_)
            | Self::Const(_)
            | Self::Test(_) => Box::new(core::iter::empty()),
            Self::List(parts) | Self::First(parts) | Self::Call(_, parts) => Box::new(parts.iter()),
            Self::If(choice) => Box::new([&choice.1, &choice.2].into_iter()),
            Self::Each(each) => Box::new([&each.over, &each.body].into_iter()),
            Self::Object(fields) => Box::new(fields.values()),
            Self::At(of, _) => Box::new(core::iter::once(&**of)),
        }
    }
}

/// A condition on data. It always evaluates to true or false: values that cannot be compared are neither equal nor less.
///
/// ```
/// use counterpoint::definition::{Condition, Expr};
///
/// let large = Condition::less(Expr::value(1_000), Expr::Item.at("/total"));
/// let text = serde_json::to_string(&large)?;
/// assert_eq!(serde_json::from_str::<Condition>(&text)?, large);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Condition {
    /// Always true.
    True,
    /// The value is `true`.
    Is(Expr),
    /// There is a value: a path, or a part by a computed key, leads somewhere, even to null; any other expression gives
    /// something other than null.
    Exists(Expr),
    /// The values are equal; numbers by value.
    Equal(Expr, Expr),
    /// The first is less than the second: two numbers, or two strings.
    Less(Expr, Expr),
    /// The first is less than the second, or equal to it: two numbers, or two strings, or two equal values.
    AtMost(Expr, Expr),
    /// The first is an item of the second, which is a list.
    In(Expr, Expr),
    /// The value is a string that matches the pattern: `*` stands for any number of characters, `?` for one character, and a
    /// backslash for the next character itself.
    Matches(Expr, Box<str>),
    /// All of these hold.
    All(Vec<Self>),
    /// At least one of these holds.
    Any(Vec<Self>),
    /// This does not hold.
    Not(Box<Self>),
    /// A predicate of the host holds for the value ([`Config::with_predicate`](crate::Config::with_predicate)). It is
    /// evaluated when an event is decided, and the event records what follows from the result; replay does not evaluate it.
    Predicate(Name, Expr),
}

impl Condition {
    /// True if the first is less than the second.
    #[must_use]
    pub const fn less(a: Expr, b: Expr) -> Self {
        Self::Less(a, b)
    }

    /// True if the values are equal.
    #[must_use]
    pub const fn equal(a: Expr, b: Expr) -> Self {
        Self::Equal(a, b)
    }

    /// True if the value is a string that matches the pattern.
    ///
    /// ```
    /// use counterpoint::definition::{Condition, Expr};
    ///
    /// let sources = Condition::matches(Expr::Item.at("/file"), "src/*.rs");
    /// assert_eq!(serde_json::to_string(&sources)?, r#"{"matches":[{"at":["item","/file"]},"src/*.rs"]}"#);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn matches(of: Expr, pattern: impl Into<Box<str>>) -> Self {
        Self::Matches(of, pattern.into())
    }

    /// True if a predicate of the host holds for the value.
    #[must_use]
    pub fn predicate(name: impl Into<Name>, of: Expr) -> Self {
        Self::Predicate(name.into(), of)
    }

    /// The negation.
    #[must_use]
    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// The direct sub-conditions.
    pub(crate) fn parts(&self) -> &[Self] {
        match self {
            Self::All(parts) | Self::Any(parts) => parts,
            Self::Not(part) => core::slice::from_ref(part),
            Self::True
            | Self::Is(_)
            | Self::Exists(_)
            | Self::Equal(..)
            | Self::Less(..)
            | Self::AtMost(..)
            | Self::In(..)
            | Self::Matches(..)
            | Self::Predicate(..) => &[],
        }
    }

    /// The operands of the condition itself, without those of its sub-conditions.
    pub(crate) fn operands(&self) -> Vec<&Expr> {
        match self {
            Self::Is(a) | Self::Exists(a) | Self::Predicate(_, a) | Self::Matches(a, _) => vec![a],
            Self::Equal(a, b) | Self::Less(a, b) | Self::AtMost(a, b) | Self::In(a, b) => vec![a, b],
            Self::True | Self::All(_) | Self::Any(_) | Self::Not(_) => Vec::new(),
        }
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => order(a, b) == Some(core::cmp::Ordering::Equal),
        _ => a == b,
    }
}

fn less(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => order(a, b) == Some(core::cmp::Ordering::Less),
        (Value::String(a), Value::String(b)) => a < b,
        _ => false,
    }
}

/// Compares integers exactly, and other numbers as floating point.
pub(super) fn order(a: &serde_json::Number, b: &serde_json::Number) -> Option<core::cmp::Ordering> {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

#[cfg(test)]
mod tests;
