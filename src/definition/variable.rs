//! The context of a run: variables that its nodes write and read.

use super::Condition;
use crate::name::Name;
use crate::payload::Payload;
use core::cmp::Ordering;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// A variable of a run.
///
/// Nodes write to it ([`Write`]) and read it ([`Expr::Variable`](super::Expr::Variable)). **Who reads sees what was written
/// by the nodes before it**, by the links that lead to it, and nothing else; the output of the run sees everything. Writes
/// are put together by the variable's [`Reducer`] in an order that the definition decides: a node after those that it
/// follows, and of nodes that do not follow each other the first in the definition first. So no update is lost, and what is
/// read does not depend on who was faster. A node that may start before all its links are decided (a counting join, some
/// trigger rules) sees what is written by then.
///
/// Only a node that succeeded has written. A workflow within has variables of its own.
///
/// A variable may also take **updates** from outside while the run goes on ([`RunCommand::Update`](crate::RunCommand::Update)),
/// if it says which. They count after all writes of nodes, in the order in which they came, and everybody sees them who reads
/// afterwards. Of a variable that a function of the host puts together, a node sees what there was when it began.
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
    /// Unique among the variables of the definition.
    pub name: Name,
    /// How writes are put together.
    #[serde(default)]
    pub reducer: Reducer,
    /// What it is before anything is written. Null: nothing.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub initial: Payload,
    /// Which updates it takes, asked of the value that is offered, as [`Expr::Item`](super::Expr::Item). Nodes and variables
    /// are seen as the output of the run sees them. If nothing is said: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updates: Option<Condition>,
}

impl Variable {
    /// A variable that is nothing before anything is written.
    #[must_use]
    pub fn new(name: impl Into<Name>, reducer: Reducer) -> Self {
        Self { name: name.into(), reducer, initial: Payload::NULL, updates: None }
    }

    /// Sets what it is before anything is written.
    #[must_use]
    pub fn with_initial(mut self, initial: impl Into<Value>) -> Self {
        self.initial = Payload::new(initial.into());
        self
    }

    /// Has it take updates from outside, of which this holds.
    #[must_use]
    pub fn with_updates(mut self, when: Condition) -> Self {
        self.updates = Some(when);
        self
    }
}

/// How what several nodes write to one variable is put together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reducer {
    /// The last write counts. Two nodes that could both write must follow each other: anything else is refused by
    /// [`validate`](crate::workflow::validate), because a write could be lost; so no node writes to one that takes updates.
    #[default]
    Replace,
    /// A list: a list that is written adds its items, anything else is added as an item.
    Append,
    /// An object: fields of objects are merged one by one, however deep; of a field that both have and that is no object in
    /// both, lists and null included, the later write counts.
    Merge,
    /// The largest number.
    Max,
    /// The smallest number.
    Min,
    /// The sum of the numbers. Whole numbers are added exactly; a sum beyond 64 bits is a floating-point number.
    Sum,
    /// By a function of the host of this name ([`Config::with_reducer`](crate::Config::with_reducer)), given what there is
    /// and what is written. What it gives is written down with the node that reads it; replay does not call it.
    Custom(Name),
}

impl Reducer {
    /// Whether writes that nothing orders can be put together.
    pub(crate) const fn takes_concurrent(&self) -> bool {
        !matches!(self, Self::Replace)
    }

    /// What a value must be to be written, in words; none if anything may.
    pub(crate) fn misfit(&self, value: &Value) -> Option<&'static str> {
        match self {
            Self::Replace | Self::Append | Self::Custom(_) => None,
            Self::Merge => (!value.is_object()).then_some("an object"),
            Self::Max | Self::Min | Self::Sum => (!value.is_number()).then_some("a number"),
        }
    }

    /// Puts what there is and what is written together. Not for [`Self::Custom`], which the host does.
    pub(crate) fn reduce(&self, there: Value, written: &Value) -> Value {
        match (self, there) {
            (Self::Append, there) => append(there, written),
            (Self::Replace | Self::Custom(_), _) | (_, Value::Null) => written.clone(),
            (Self::Merge, mut there) => {
                merge(&mut there, written);
                there
            }
            (Self::Sum, there) => sum(&there, written),
            (Self::Max, there) => {
                if is_less(&there, written) {
                    written.clone()
                } else {
                    there
                }
            }
            (Self::Min, there) => {
                if is_less(written, &there) {
                    written.clone()
                } else {
                    there
                }
            }
        }
    }
}

fn append(there: Value, written: &Value) -> Value {
    let mut list = match there {
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

/// By a work list: payloads are as deep as the limits allow.
fn merge(there: &mut Value, written: &Value) {
    let mut work = Vec::new();
    match (there, written) {
        (Value::Object(there), Value::Object(written)) => work.push((there, written)),
        (there, written) => *there = written.clone(),
    }
    while let Some((there, written)) = work.pop() {
        for (name, more) in written {
            let both = more.is_object() && there.get(name).is_some_and(Value::is_object);
            if !both {
                there.insert(name.clone(), more.clone());
            }
        }
        for (name, value) in there.iter_mut() {
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

/// What a node writes when it succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Write {
    /// To which variable.
    pub to: Name,
    /// Which part of its output, by a JSON pointer; all of it if nothing is said. A pointer that leads nowhere writes
    /// nothing. A value that the reducer cannot take fails the node.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub at: String,
}

impl Write {
    /// The part of the output that this pointer leads to.
    #[must_use]
    pub fn new(to: impl Into<Name>, at: impl Into<String>) -> Self {
        Self { to: to.into(), at: at.into() }
    }

    /// What is written of this output; none if nothing is.
    pub(crate) fn of<'v>(&self, output: &'v Value) -> Option<&'v Value> {
        output.pointer(&self.at).filter(|value| !value.is_null())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all(reducer: &Reducer, values: &[Value]) -> Value {
        values.iter().fold(Value::Null, |there, value| reducer.reduce(there, value))
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
