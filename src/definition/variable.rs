//! Variables: values of a run that its nodes write and read.

use super::Condition;
use crate::base::name::Name;
use crate::base::payload::Payload;
use core::cmp::Ordering;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// A variable of a run.
///
/// Nodes write to it ([`Write`]) and read it ([`Expr::Variable`](super::Expr::Variable)). **A node reads the writes of the
/// nodes that are causally before it** and no others; the output of the run includes all writes. The variable's [`Reducer`]
/// combines the writes in an order that the definition fixes: causally later nodes after earlier ones, and concurrent nodes
/// in the order of the definition. No write is lost, and the value does not depend on which node ended first. A node that
/// may start before all its links are decided (a counting join, some trigger rules) reads the writes that exist then.
///
/// Only nodes that succeed write. A nested workflow has variables of its own.
///
/// A variable may also accept **updates** from outside while the run goes on
/// ([`RunCommand::Update`](crate::RunCommand::Update)). They are combined after all writes of nodes, in the order of
/// arrival, and every later read includes them. If the reducer is a function of the host, a node reads the value as of its
/// start.
///
/// ```
/// use counterpoint::definition::{Action, Definition, Expr, Link, Node, Reducer, Variable};
///
/// let flow = Definition::new("collect")
///     .with_variable(Variable::new("found", Reducer::Append))
///     .with_node(Node::new("left", Action::task("search")).writing("found", "/hits"))
///     .with_node(Node::new("right", Action::task("search")).writing("found", "/hits"))
///     .with_output(Expr::variable("found"));
/// assert!(counterpoint::workflow::validate(&flow, &counterpoint::Limits::default()).is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Variable {
    /// The name, unique among the variables of the definition.
    pub name: Name,
    /// How writes are combined.
    #[serde(default)]
    pub reducer: Reducer,
    /// The initial value; null for none.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub initial: Payload,
    /// Which updates are accepted: a condition on the new value, given as [`Expr::Item`](super::Expr::Item). It reads nodes
    /// and variables as the output of the run does. Without a condition no update is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updates: Option<Condition>,
}

impl Variable {
    /// A variable without an initial value.
    #[must_use]
    pub fn new(name: impl Into<Name>, reducer: Reducer) -> Self {
        Self { name: name.into(), reducer, initial: Payload::NULL, updates: None }
    }

    /// Sets the initial value.
    #[must_use]
    pub fn with_initial(mut self, initial: impl Into<Value>) -> Self {
        self.initial = Payload::new(initial.into());
        self
    }

    /// Accepts updates that meet the condition.
    #[must_use]
    pub fn with_updates(mut self, when: Condition) -> Self {
        self.updates = Some(when);
        self
    }
}

/// How the writes to a variable are combined.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reducer {
    /// The last write wins. Two nodes that write must be causally ordered; [`validate`](crate::workflow::validate) rejects
    /// other definitions, because a write could be lost. For the same reason no node may write to such a variable if it
    /// accepts updates.
    #[default]
    Replace,
    /// A list. A list that is written adds its items; any other value is added as one item.
    Append,
    /// An object. Objects are merged field by field, recursively. If both have a field and it is not an object in both, the
    /// later write wins; this includes lists and null.
    Merge,
    /// The largest number.
    Max,
    /// The smallest number.
    Min,
    /// The sum of the numbers. Integers are added exactly; a sum that does not fit into 64 bits is a floating-point number.
    Sum,
    /// A reducer of the host with this name ([`Config::with_reducer`](crate::Config::with_reducer)), which gets the current
    /// value and the written one. Its result is recorded with the node that reads it; replay does not call it.
    Custom(Name),
}

impl Reducer {
    /// Whether concurrent writes can be combined.
    pub(crate) const fn combines_concurrent(&self) -> bool {
        !matches!(self, Self::Replace)
    }

    /// The type of value that can be written, in words, if this value is not of it.
    pub(crate) fn expected_type(&self, value: &Value) -> Option<&'static str> {
        match self {
            Self::Replace | Self::Append | Self::Custom(_) => None,
            Self::Merge => (!value.is_object()).then_some("an object"),
            Self::Max | Self::Min | Self::Sum => (!value.is_number()).then_some("a number"),
        }
    }

    /// Combines the current value and a written one. [`Self::Custom`] is combined by the host instead.
    pub(crate) fn reduce(&self, current: Value, written: &Value) -> Value {
        match (self, current) {
            (Self::Append, current) => append(current, written),
            (Self::Replace | Self::Custom(_), _) | (_, Value::Null) => written.clone(),
            (Self::Merge, mut current) => {
                merge(&mut current, written);
                current
            }
            (Self::Sum, current) => sum(&current, written),
            (Self::Max, current) => {
                if is_less(&current, written) {
                    written.clone()
                } else {
                    current
                }
            }
            (Self::Min, current) => {
                if is_less(written, &current) {
                    written.clone()
                } else {
                    current
                }
            }
        }
    }
}

fn append(current: Value, written: &Value) -> Value {
    let mut list = match current {
        Value::Array(list) => list,
        Value::Null => Vec::new(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => vec![other],
    };
    match written {
        Value::Array(items) => list.extend(items.iter().cloned()),
        one @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            list.push(one.clone());
        }
    }
    Value::Array(list)
}

/// Merges with a work list instead of recursion, since payloads may be as deep as the limits allow.
fn merge(current: &mut Value, written: &Value) {
    let mut work = Vec::new();
    match (current, written) {
        (Value::Object(current), Value::Object(written)) => work.push((current, written)),
        (current, written) => *current = written.clone(),
    }
    while let Some((current, written)) = work.pop() {
        for (name, more) in written {
            let both = more.is_object() && current.get(name).is_some_and(Value::is_object);
            if !both {
                current.insert(name.clone(), more.clone());
            }
        }
        for (name, value) in current.iter_mut() {
            if let (Value::Object(inner), Some(Value::Object(more))) = (value, written.get(name)) {
                work.push((inner, more));
            }
        }
    }
}

fn sum(a: &Value, b: &Value) -> Value {
    let (Value::Number(a), Value::Number(b)) = (a, b) else { return b.clone() };
    if let (Some(a), Some(b)) = (a.as_i128(), b.as_i128())
        && let Some(exact) = a.checked_add(b).and_then(Number::from_i128)
    {
        return Value::Number(exact);
    }
    let sum = a.as_f64().unwrap_or(0.0) + b.as_f64().unwrap_or(0.0);
    Number::from_f64(sum).map_or(Value::Null, Value::Number)
}

fn is_less(a: &Value, b: &Value) -> bool {
    let (Value::Number(a), Value::Number(b)) = (a, b) else { return false };
    super::expr::order(a, b) == Some(Ordering::Less)
}

/// A write of a node to a variable, made when the node succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Write {
    /// The variable.
    pub to: Name,
    /// A JSON pointer to the part of the output that is written; empty for all of it. If the pointer leads nowhere, nothing
    /// is written. A value that the reducer does not accept fails the node.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub at: String,
}

impl Write {
    /// Writes the part of the output at this pointer.
    #[must_use]
    pub fn new(to: impl Into<Name>, at: impl Into<String>) -> Self {
        Self { to: to.into(), at: at.into() }
    }

    /// The part of this output that is written; `None` if there is none.
    pub(crate) fn of<'v>(&self, output: &'v Value) -> Option<&'v Value> {
        output.pointer(&self.at).filter(|value| !value.is_null())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all(reducer: &Reducer, values: &[Value]) -> Value {
        values.iter().fold(Value::Null, |current, value| reducer.reduce(current, value))
    }

    #[test]
    fn reducers_put_writes_together() {
        assert_eq!(all(&Reducer::Replace, &[json!(1), json!(2)]), json!(2));
        assert_eq!(all(&Reducer::Append, &[json!([1, 2]), json!(3), json!([[4]])]), json!([1, 2, 3, [4]]));
        assert_eq!(all(&Reducer::Append, &[json!(3)]), json!([3]));
        assert_eq!(all(&Reducer::Max, &[json!(3), json!(7.5), json!(-1)]), json!(7.5));
        assert_eq!(all(&Reducer::Min, &[json!(3), json!(7.5), json!(-1)]), json!(-1));
        assert_eq!(all(&Reducer::Sum, &[json!(3), json!(-4), json!(10)]), json!(9));
        assert_eq!(all(&Reducer::Sum, &[json!(0.5), json!(1)]), json!(1.5));
        let beyond = all(&Reducer::Sum, &[json!(u64::MAX), json!(1)]);
        assert_eq!(beyond, json!(18_446_744_073_709_551_616.0));
    }

    #[test]
    fn objects_merge_field_by_field_and_the_later_counts_where_both_have_one() {
        let merged = all(
            &Reducer::Merge,
            &[
                json!({"a": {"x": 1, "y": [1]}, "b": 1}),
                json!({"a": {"y": [2], "z": {"n": null}}, "c": 3}),
                json!({"b": {"q": 1}}),
            ],
        );
        assert_eq!(merged, json!({"a": {"x": 1, "y": [2], "z": {"n": null}}, "b": {"q": 1}, "c": 3}));
        let deep = |leaf: &str| (0..500).fold(json!({leaf: 1}), |inner, _| json!({"in": inner}));
        let both = all(&Reducer::Merge, &[deep("a"), deep("b")]);
        assert_eq!(both.pointer(&format!("{}/a", "/in".repeat(500))), Some(&json!(1)));
        assert_eq!(both.pointer(&format!("{}/b", "/in".repeat(500))), Some(&json!(1)));
    }
}
