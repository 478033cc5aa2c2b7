//! Expressions, which give the inputs and outputs of nodes, and conditions on data. Both are data.
//!
//! Neither can loop: the cost of an evaluation is bounded by the size of the expression and its operands.

use super::pattern;
use crate::base::meter::Meter;
use crate::base::name::Name;
use crate::base::payload::{Payload, size};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// An expression that evaluates to a JSON value.
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
    /// `kind`, `code`, `message`, `details`, `path` and `cause`. Null as long as it has not ended.
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
    /// The part of a value at a JSON pointer (RFC 6901); null if there is none.
    At(Box<Self>, String),
    /// The first value that is not null.
    First(Vec<Self>),
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

    /// The direct sub-expressions.
    pub(crate) fn parts(&self) -> Box<dyn Iterator<Item = &Self> + '_> {
        match self {
            Self::Input | Self::Node(_) | Self::End(_) | Self::Variable(_) | Self::Item | Self::Const(_) => {
                Box::new(core::iter::empty())
            }
            Self::List(parts) | Self::First(parts) => Box::new(parts.iter()),
            Self::Object(fields) => Box::new(fields.values()),
            Self::At(of, _) => Box::new(core::iter::once(&**of)),
        }
    }

    /// Evaluates the expression. The size of a value is measured before anything is copied, so a wide expression over large
    /// data costs no more than the bound. The recursion is as deep as the expression, which validation bounds.
    ///
    /// # Errors
    /// [`TooWide`] if the value would be larger than the scope allows, or if the decision has exceeded its bound on
    /// evaluations, which its meter records.
    pub(crate) fn eval(&self, scope: &dyn Scope) -> Result<Payload, TooWide> {
        within(scope, scope.meter().evaluate(1))?;
        match self {
            Self::Input => Ok(scope.input()),
            Self::Node(name) => Ok(scope.node(name)),
            Self::End(name) => scope.end(name),
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
                self.value_in(scope, &mut Budget { used: 0, max: scope.max_bytes() }).map(Payload::new)
            }
        }
    }

    fn value_in(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<Value, TooWide> {
        match self {
            Self::List(parts) => {
                within(scope, scope.meter().evaluate(1))?;
                budget.take(2)?;
                let parts = parts.iter().map(|part| {
                    budget.take(1)?;
                    part.value_in(scope, budget)
                });
                parts.collect()
            }
            Self::Object(fields) => {
                within(scope, scope.meter().evaluate(1))?;
                budget.take(2)?;
                let fields = fields.iter().map(|(name, part)| {
                    budget.take(name.len().saturating_add(4))?;
                    Ok((name.as_str().to_owned(), part.value_in(scope, budget)?))
                });
                Ok(Value::Object(fields.collect::<Result<_, TooWide>>()?))
            }
            Self::At(of, pointer) => {
                let of = of.eval(scope)?;
                let part = of.value().pointer(pointer).unwrap_or(&Value::Null);
                let bytes = size(part);
                within(scope, scope.meter().read(pointer.len()) && scope.meter().copy(bytes))?;
                budget.take(bytes)?;
                Ok(part.clone())
            }
            Self::Input
            | Self::Node(_)
            | Self::End(_)
            | Self::Variable(_)
            | Self::Item
            | Self::Const(_)
            | Self::First(_) => {
                let value = self.eval(scope)?;
                budget.take(value.bytes() as usize)?;
                within(scope, scope.meter().copy(value.bytes() as usize))?;
                Ok(value.value().clone())
            }
        }
    }
}

/// The bytes that a value under construction has, and may have.
struct Budget {
    used: usize,
    max: u32,
}

impl Budget {
    fn take(&mut self, bytes: usize) -> Result<(), TooWide> {
        self.used = self.used.saturating_add(bytes);
        if self.used > self.max as usize {
            return Err(TooWide { bytes: u32::try_from(self.used).unwrap_or(u32::MAX) });
        }
        Ok(())
    }
}

/// The result of a step that the decision may still evaluate; otherwise an error, which the meter records, too.
fn within(scope: &dyn Scope, is_within: bool) -> Result<(), TooWide> {
    if is_within { Ok(()) } else { Err(TooWide { bytes: scope.max_bytes() }) }
}

/// A value would have at least this many bytes, more than the scope allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooWide {
    pub(crate) bytes: u32,
}

/// What an expression can read.
pub(crate) trait Scope {
    fn input(&self) -> Payload;
    fn node(&self, name: &str) -> Payload;
    /// How a node ended.
    fn end(&self, name: &str) -> Result<Payload, TooWide>;
    fn item(&self) -> Payload;
    fn variable(&self, name: &str) -> Result<Payload, TooWide>;
    /// Evaluates a predicate of the host.
    fn predicate(&self, predicate: &str, of: &Payload) -> bool;
    /// The largest size in bytes of a value that an expression constructs.
    fn max_bytes(&self) -> u32;
    /// Counts the work of evaluations.
    fn meter(&self) -> &Meter;
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
    /// The value is not null.
    Exists(Expr),
    /// The values are equal; numbers by value.
    Equal(Expr, Expr),
    /// The first is less than the second: two numbers, or two strings.
    Less(Expr, Expr),
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

    /// Evaluates the condition. The recursion is as deep as the condition, which validation bounds. False if the decision has
    /// exceeded its bound on evaluations, which its meter records.
    pub(crate) fn holds(&self, scope: &dyn Scope) -> bool {
        if !scope.meter().evaluate(1) {
            return false;
        }
        match self {
            Self::True => true,
            Self::Is(value) => operand(value, scope).value() == &Value::Bool(true),
            Self::Exists(value) => !operand(value, scope).is_null(),
            Self::Equal(a, b) => compare(scope, a, b, same),
            Self::Less(a, b) => compare(scope, a, b, less),
            Self::In(a, list) => {
                let list = operand(list, scope);
                match list.value() {
                    Value::Array(items) => {
                        let a = operand(a, scope);
                        scope.meter().read(list.bytes() as usize) && items.iter().any(|item| same(a.value(), item))
                    }
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => false,
                }
            }
            Self::Matches(of, pattern) => {
                let of = operand(of, scope);
                let step = || scope.meter().evaluate(1);
                of.value().as_str().is_some_and(|text| {
                    scope.meter().copy(pattern.len().saturating_add(text.len()))
                        && pattern::matches(pattern, text, step)
                })
            }
            Self::All(all) => all.iter().all(|one| one.holds(scope)),
            Self::Any(any) => any.iter().any(|one| one.holds(scope)),
            Self::Not(one) => !one.holds(scope),
            Self::Predicate(name, of) => {
                let of = operand(of, scope);
                scope.meter().read(of.bytes() as usize) && scope.predicate(name, &of)
            }
        }
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
            | Self::In(..)
            | Self::Matches(..)
            | Self::Predicate(..) => &[],
        }
    }

    /// The operands of the condition itself, without those of its sub-conditions.
    pub(crate) fn operands(&self) -> Vec<&Expr> {
        match self {
            Self::Is(a) | Self::Exists(a) | Self::Predicate(_, a) | Self::Matches(a, _) => vec![a],
            Self::Equal(a, b) | Self::Less(a, b) | Self::In(a, b) => vec![a, b],
            Self::True | Self::All(_) | Self::Any(_) | Self::Not(_) => Vec::new(),
        }
    }
}

/// Compares two operands. No comparison reads more than the smaller one.
fn compare(scope: &dyn Scope, a: &Expr, b: &Expr, compare: fn(&Value, &Value) -> bool) -> bool {
    let (a, b) = (operand(a, scope), operand(b, scope));
    scope.meter().read(a.bytes().min(b.bytes()) as usize) && compare(a.value(), b.value())
}

/// An operand of a condition. A value that is too large to be constructed counts as null.
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

/// Compares integers exactly, and other numbers as floating point.
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

        fn end(&self, _: &str) -> Result<Payload, TooWide> {
            Ok(Payload::new(json!({"status": "succeeded"})))
        }

        fn item(&self) -> Payload {
            Payload::new(json!("b"))
        }

        fn variable(&self, _: &str) -> Result<Payload, TooWide> {
            Ok(Payload::new(json!(9)))
        }

        fn predicate(&self, predicate: &str, of: &Payload) -> bool {
            predicate == "seven" && of.value() == &json!(7)
        }

        fn max_bytes(&self) -> u32 {
            64
        }

        fn meter(&self) -> &Meter {
            Box::leak(Box::default())
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
