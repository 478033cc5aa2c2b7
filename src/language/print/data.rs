//! Expressions, conditions and constants as data.

use super::Printed;
use super::{PrintError, PrintErrorKind};
use crate::base::name::Name;
use crate::definition::{Condition, Expr, Function, folded_list, folded_object};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The fields that make an object of data something else.
const SPECIAL: [&str; 3] = ["from", "literal", "first"];

/// The value of a field, in which null would mean that there is no field.
pub(super) fn field(expr: &Expr) -> Printed<Value> {
    let value = data(expr)?;
    Ok(if value.is_null() { json!("${null}") } else { value })
}

/// Data that is read as the expression.
pub(super) fn data(expr: &Expr) -> Printed<Value> {
    if let Expr::Const(value) = expr {
        return Ok(constant(value.value()));
    }
    if let Expr::List(parts) = expr
        && folded_list(parts.clone()) == *expr
    {
        return parts.iter().map(data).collect::<Printed<Vec<Value>>>().map(Value::Array);
    }
    if let Expr::Object(fields) = expr
        && is_plain(fields)
        && folded_object(fields.clone()) == *expr
    {
        let all: Printed<Map<String, Value>> =
            fields.iter().map(|(name, part)| Ok((name.as_str().to_owned(), data(part)?))).collect();
        return all.map(Value::Object);
    }
    computed(expr)
}

fn is_plain(fields: &BTreeMap<Name, Expr>) -> bool {
    fields.len() != 1 || !fields.keys().any(|name| SPECIAL.contains(&name.as_str()))
}

/// A string that is read as the expression, also where a constant would have another meaning.
pub(super) fn computed(expr: &Expr) -> Printed<Value> {
    let whole = expr.to_string();
    let wrapped = format!("${{{whole}}}");
    if let Some(text) = template(expr)
        && text.contains("${")
    {
        return Ok(Value::String(text));
    }
    if Expr::template(&wrapped).as_ref() == Ok(expr) {
        return Ok(Value::String(wrapped));
    }
    if whole.parse::<Expr>().as_ref() == Ok(expr) {
        return Ok(json!({"from": whole}));
    }
    if let Expr::First(parts) = expr {
        return Ok(json!({"first": parts.iter().map(data).collect::<Printed<Vec<Value>>>()?}));
    }
    Err(PrintError::new(PrintErrorKind::Expression(whole)))
}

/// Texts and expressions put together, as a text with expressions in it.
fn template(expr: &Expr) -> Option<String> {
    let Expr::Call(Function::Concat, parts) = expr else { return None };
    let mut text = String::new();
    for part in parts {
        if let Expr::Const(value) = part
            && let Some(known) = value.value().as_str()
        {
            text.push_str(known);
        } else {
            text.push_str(&format!("${{{part}}}"));
        }
    }
    (!text.starts_with("$$") && Expr::template(&text).as_ref() == Ok(expr)).then_some(text)
}

/// Data without expressions.
fn constant(value: &Value) -> Value {
    if is_literal(value) {
        return value.clone();
    }
    match value {
        Value::String(text) if text.starts_with('$') => Value::String(format!("${text}")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            json!({"literal": value})
        }
    }
}

/// Whether data stands for itself.
fn is_literal(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => !text.starts_with("$$") && !text.contains("${"),
        Value::Array(items) => items.iter().all(is_literal),
        Value::Object(fields) => {
            let special = fields.len() == 1 && fields.keys().any(|name| SPECIAL.contains(&name.as_str()));
            !special && fields.values().all(is_literal)
        }
    }
}

/// A condition: true, false, a text, or an object with an operator for what has no text.
pub(super) fn condition(condition: &Condition) -> Printed<Value> {
    if *condition == Condition::True {
        return Ok(json!(true));
    }
    if let Condition::Any(parts) = condition
        && parts.is_empty()
    {
        return Ok(json!(false));
    }
    let text = condition.to_string();
    let read =
        if text.contains("${") { Expr::template(&text).map(Expr::into_condition) } else { text.parse::<Condition>() };
    if read.as_ref() == Ok(condition) {
        return Ok(Value::String(text));
    }
    operator(condition)
}

fn operator(of: &Condition) -> Printed<Value> {
    let all = |parts: &[Condition]| parts.iter().map(condition).collect::<Printed<Vec<Value>>>();
    let two = |a: &Expr, b: &Expr| Ok(json!([data(a)?, data(b)?]));
    Ok(match of {
        Condition::True => json!(true),
        Condition::Is(of) => json!({"is": data(of)?}),
        Condition::Exists(of) => json!({"exists": data(of)?}),
        Condition::Equal(a, b) => json!({"equal": two(a, b)?}),
        Condition::Less(a, b) => json!({"less": two(a, b)?}),
        Condition::AtMost(a, b) => json!({"at_most": two(a, b)?}),
        Condition::In(a, b) => json!({"in": two(a, b)?}),
        Condition::Matches(of, pattern) => json!({"matches": [data(of)?, pattern]}),
        Condition::Predicate(name, of) => json!({"predicate": [name.as_str(), data(of)?]}),
        Condition::All(parts) => json!({"all": all(parts)?}),
        Condition::Any(parts) => json!({"any": all(parts)?}),
        Condition::Not(of) => json!({"not": condition(of)?}),
    })
}
