//! Where a node's data comes from, and conditions on data: small, total, and data themselves.
//!
//! Nothing here can loop, and every evaluation ends within the size of the expression and its operands.

use super::pattern;
use crate::name::Name;
use crate::payload::{Payload, size};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Where a value comes from.
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
    /// The run's input.
    Input,
    /// A node's output; null if it has none.
    Node(Name),
    /// A variable of the run: what the nodes before have written to it (see [`Variable`](super::Variable)).
    Variable(Name),
    /// In a map the item, in a repeat the output of the round before, in a choice its input; in a precondition what the
    /// node is given, in a postcondition what it gave, and in the input of a node with a postcondition what was refused.
    Item,
    /// This value.
    Const(Payload),
    /// The values, as a list.
    List(Vec<Self>),
    /// The values, as an object.
    Object(BTreeMap<Name, Self>),
    /// The part of a value that a JSON pointer (RFC 6901) leads to; null if it leads nowhere.
    At(Box<Self>, String),
    /// The first value that is not null.
    First(Vec<Self>),
}

impl Default for Expr {
    fn default() -> Self {
        Self::Const(Payload::NULL)
    }
}

impl Expr {
    /// A node's output.
    #[must_use]
    pub fn node(name: impl Into<Name>) -> Self {
        Self::Node(name.into())
    }

    /// A variable of the run.
    #[must_use]
    pub fn variable(name: impl Into<Name>) -> Self {
        Self::Variable(name.into())
    }

    /// This value.
    #[must_use]
    pub fn value(value: impl Into<Value>) -> Self {
        Self::Const(Payload::new(value.into()))
    }

    /// An object of values.
    #[must_use]
    pub fn object<N: Into<Name>>(fields: impl IntoIterator<Item = (N, Self)>) -> Self {
        Self::Object(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// The part that a JSON pointer leads to.
    #[must_use]
    pub fn at(self, pointer: impl Into<String>) -> Self {
        Self::At(Box::new(self), pointer.into())
    }

    /// The expressions directly within.
    pub(crate) fn parts(&self) -> Box<dyn Iterator<Item = &Self> + '_> {
        match self {
            Self::Input | Self::Node(_) | Self::Variable(_) | Self::Item | Self::Const(_) => {
                Box::new(core::iter::empty())
            }
            Self::List(parts) | Self::First(parts) => Box::new(parts.iter()),
            Self::Object(fields) => Box::new(fields.values()),
            Self::At(of, _) => Box::new(core::iter::once(&**of)),
        }
    }

    /// Evaluates it, unless the value would be larger than the scope allows: it is measured before anything is copied, so
    /// that a wide expression over large data costs no more than that. Recursion is as deep as the expression, which
    /// validation bounds.
    pub(crate) fn eval(&self, scope: &dyn Scope) -> Result<Payload, TooWide> {
        match self {
            Self::Input => Ok(scope.input()),
            Self::Node(name) => Ok(scope.node(name)),
            Self::Variable(name) => scope.variable(name),
            Self::Item => Ok(scope.item()),
            Self::Const(value) => Ok(value.clone()),
            Self::First(parts) => {
                for part in parts {
                    let value = part.eval(scope)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Ok(Payload::NULL)
            }
            Self::List(_) | Self::Object(_) | Self::At(..) => {
                self.value_in(scope, &mut Room { made: 0, most: scope.most() }).map(Payload::new)
            }
        }
    }

    fn value_in(&self, scope: &dyn Scope, room: &mut Room) -> Result<Value, TooWide> {
        match self {
            Self::List(parts) => {
                room.take(2)?;
                let parts = parts.iter().map(|part| {
                    room.take(1)?;
                    part.value_in(scope, room)
                });
                parts.collect()
            }
            Self::Object(fields) => {
                room.take(2)?;
                let fields = fields.iter().map(|(name, part)| {
                    room.take(name.len().saturating_add(4))?;
                    Ok((name.as_str().to_owned(), part.value_in(scope, room)?))
                });
                Ok(Value::Object(fields.collect::<Result<_, TooWide>>()?))
            }
            Self::At(of, pointer) => {
                let of = of.eval(scope)?;
                let part = of.value().pointer(pointer).unwrap_or(&Value::Null);
                room.take(size(part))?;
                Ok(part.clone())
            }
            Self::Input | Self::Node(_) | Self::Variable(_) | Self::Item | Self::Const(_) | Self::First(_) => {
                let value = self.eval(scope)?;
                room.take(value.bytes() as usize)?;
                Ok(value.value().clone())
            }
        }
    }
}

/// What a value may still grow by.
struct Room {
    made: usize,
    most: u32,
}

impl Room {
    fn take(&mut self, bytes: usize) -> Result<(), TooWide> {
        self.made = self.made.saturating_add(bytes);
        if self.made > self.most as usize {
            return Err(TooWide { bytes: u32::try_from(self.made).unwrap_or(u32::MAX) });
        }
        Ok(())
    }
}

/// A value would have at least so many bytes, which are more than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooWide {
    pub(crate) bytes: u32,
}

/// What an expression can see.
pub(crate) trait Scope {
    fn input(&self) -> Payload;
    fn node(&self, name: &str) -> Payload;
    fn item(&self) -> Payload;
    fn variable(&self, name: &str) -> Result<Payload, TooWide>;
    /// What a predicate of the host says.
    fn asks(&self, predicate: &str, of: &Payload) -> bool;
    /// How many bytes a value may have that is put together.
    fn most(&self) -> u32;
}

/// A condition on data. It always has an answer: what cannot be compared is not equal and not less.
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
    /// Always.
    True,
    /// The value is `true`.
    Is(Expr),
    /// The value is not null.
    Exists(Expr),
    /// The values are equal; numbers by value.
    Equal(Expr, Expr),
    /// The first is less than the second: two numbers, or two texts.
    Less(Expr, Expr),
    /// The first is among the items of the second, a list.
    In(Expr, Expr),
    /// The value is a text that is as the pattern says: `*` stands for any letters or none, `?` for one letter, and a backslash
    /// takes the next sign as it is.
    Matches(Expr, Box<str>),
    /// All of these.
    All(Vec<Self>),
    /// One of these.
    Any(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// What a predicate of the host says of the value ([`Config::with_predicate`](crate::Config::with_predicate)). It is
    /// asked when a fact is decided, and what follows from its answer is in that fact; replay does not ask.
    Predicate(Name, Expr),
}

impl Condition {
    /// The first is less than the second.
    #[must_use]
    pub const fn less(a: Expr, b: Expr) -> Self {
        Self::Less(a, b)
    }

    /// The values are equal.
    #[must_use]
    pub const fn equal(a: Expr, b: Expr) -> Self {
        Self::Equal(a, b)
    }

    /// The value is a text that is as the pattern says.
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

    /// What a predicate of the host says.
    #[must_use]
    pub fn predicate(name: impl Into<Name>, of: Expr) -> Self {
        Self::Predicate(name.into(), of)
    }

    /// Not this.
    #[must_use]
    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Whether it holds. Recursion is as deep as the condition, which validation bounds.
    pub(crate) fn holds(&self, scope: &dyn Scope) -> bool {
        match self {
            Self::True => true,
            Self::Is(value) => operand(value, scope).value() == &Value::Bool(true),
            Self::Exists(value) => !operand(value, scope).is_null(),
            Self::Equal(a, b) => same(operand(a, scope).value(), operand(b, scope).value()),
            Self::Less(a, b) => less(operand(a, scope).value(), operand(b, scope).value()),
            Self::In(a, list) => match operand(list, scope).value() {
                Value::Array(items) => {
                    let a = operand(a, scope);
                    items.iter().any(|item| same(a.value(), item))
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => false,
            },
            Self::Matches(of, pattern) => {
                operand(of, scope).value().as_str().is_some_and(|text| pattern::matches(pattern, text))
            }
            Self::All(all) => all.iter().all(|one| one.holds(scope)),
            Self::Any(any) => any.iter().any(|one| one.holds(scope)),
            Self::Not(one) => !one.holds(scope),
            Self::Predicate(name, of) => scope.asks(name, &operand(of, scope)),
        }
    }

    /// The conditions directly within.
    pub(crate) fn parts(&self) -> &[Self] {
        match self {
            Self::All(parts) | Self::Any(parts) => parts,
            Self::Not(part) => core::slice::from_ref(part),
            Self::True
            | Self::Is(_)
            | Self::Exists(_)
            | Self::Equal(..)
            | Self::Less(..)
            | Self::In(..)
            | Self::Matches(..)
            | Self::Predicate(..) => &[],
        }
    }

    /// The expressions that it asks directly.
    pub(crate) fn operands(&self) -> Vec<&Expr> {
        match self {
            Self::Is(a) | Self::Exists(a) | Self::Predicate(_, a) | Self::Matches(a, _) => vec![a],
            Self::Equal(a, b) | Self::Less(a, b) | Self::In(a, b) => vec![a, b],
            Self::True | Self::All(_) | Self::Any(_) | Self::Not(_) => Vec::new(),
        }
    }
}

/// What a condition asks about; what is too large to be put together is not there.
fn operand(expr: &Expr, scope: &dyn Scope) -> Payload {
    expr.eval(scope).unwrap_or_default()
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

/// Whole numbers exactly, others as floating point.
pub(super) fn order(a: &serde_json::Number, b: &serde_json::Number) -> Option<core::cmp::Ordering> {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Fixed;

    impl Scope for Fixed {
        fn input(&self) -> Payload {
            Payload::new(json!({"n": 3, "tags": ["a", "b"]}))
        }

        fn node(&self, name: &str) -> Payload {
            if name == "done" { Payload::new(json!(7)) } else { Payload::NULL }
        }

        fn item(&self) -> Payload {
            Payload::new(json!("b"))
        }

        fn variable(&self, _: &str) -> Result<Payload, TooWide> {
            Ok(Payload::new(json!(9)))
        }

        fn asks(&self, predicate: &str, of: &Payload) -> bool {
            predicate == "seven" && of.value() == &json!(7)
        }

        fn most(&self) -> u32 {
            64
        }
    }

    #[test]
    fn expressions_reach_data() {
        let expr = Expr::object([
            ("n", Expr::Input.at("/n")),
            ("none", Expr::Input.at("/x/y")),
            ("first", Expr::First(vec![Expr::node("skipped"), Expr::node("done")])),
        ]);
        assert_eq!(expr.eval(&Fixed).unwrap().value(), &json!({"n": 3, "none": null, "first": 7}));
    }

    #[test]
    fn what_would_be_too_large_is_measured_before_it_is_made() {
        let wide = Expr::List(vec![Expr::Input; 1_000_000]);
        assert_eq!(wide.eval(&Fixed), Err(TooWide { bytes: 2 + 3 * (1 + Fixed.input().bytes()) }));
        let parts = Expr::List(vec![Expr::Input.at("/tags"); 1_000_000]);
        assert!(parts.eval(&Fixed).is_err_and(|wide| wide.bytes < 100));
        let nested = Expr::List(vec![Expr::First(vec![Expr::Input]); 2]);
        assert_eq!(nested.eval(&Fixed).unwrap().bytes(), 2 + 2 * (1 + Fixed.input().bytes()));
        assert!(!Condition::Exists(wide).holds(&Fixed));
    }

    #[test]
    fn conditions_are_total() {
        let holds = |condition: Condition| condition.holds(&Fixed);
        assert!(holds(Condition::less(Expr::value(2.5), Expr::Input.at("/n"))));
        assert!(holds(Condition::equal(Expr::value(3.0), Expr::Input.at("/n"))));
        assert!(!holds(Condition::less(Expr::value("x"), Expr::value(1))));
        assert!(holds(Condition::In(Expr::Item, Expr::Input.at("/tags"))));
        assert!(!holds(Condition::In(Expr::Item, Expr::Input)));
        assert!(holds(Condition::Exists(Expr::node("skipped")).negated()));
        assert!(holds(Condition::less(Expr::node("done"), Expr::variable("x"))));
        assert!(holds(Condition::predicate("seven", Expr::node("done"))));
        assert!(!holds(Condition::predicate("eight", Expr::node("done"))));
        assert!(holds(Condition::matches(Expr::Item, "?")) && !holds(Condition::matches(Expr::Item, "b?")));
        assert!(!holds(Condition::matches(Expr::node("done"), "*")), "a number is no text");
        assert!(holds(Condition::All(vec![])) && !holds(Condition::Any(vec![])));
    }
}
