//! References, expressions and conditions.

use super::report::{Path, Report};
use crate::definition::{Condition, Expr};
use crate::name::Name;
use crate::payload::Payload;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a condition may ask; each is the only field of its object.
pub(super) const CONDITIONS: &[&str] = &[
    "all",
    "any",
    "not",
    "is",
    "exists",
    "equal",
    "less",
    "greater",
    "at_least",
    "at_most",
    "in",
    "matches",
    "predicate",
];

/// What data may refer to.
pub(super) struct Names<'d> {
    /// What is declared; none if nothing is, and then anything goes.
    pub(super) inputs: Option<BTreeSet<&'d str>>,
    /// The tasks, with their places.
    pub(super) tasks: BTreeMap<&'d str, usize>,
    /// The variables.
    pub(super) variables: BTreeSet<&'d str>,
}

/// A value with references in it.
pub(super) fn expression(value: &Value, path: &Path<'_>, names: &Names<'_>, report: &mut Report) -> Expr {
    match value {
        Value::String(text) => text_of(text, path, names, report),
        Value::Array(items) => {
            let parts = items.iter().enumerate();
            let parts = parts.map(|(place, item)| expression(item, &path.item(place), names, report)).collect();
            constant(value, parts).unwrap_or_else(Expr::List)
        }
        Value::Object(fields) => {
            let mut only = fields.iter();
            match (only.next(), only.next()) {
                (Some((name, from)), None) if name == "from" => match report.text(from, &path.field("from")) {
                    Some(text) => reference(text, &path.field("from"), names, report),
                    None => Expr::default(),
                },
                (Some((name, literal)), None) if name == "literal" => Expr::Const(Payload::new(literal.clone())),
                (Some((name, list)), None) if name == "first" => {
                    let at = path.field("first");
                    let parts = report.list(list, &at).iter().enumerate();
                    let parts: Vec<(usize, &Value)> = parts.collect();
                    let read = |(place, part): (usize, &Value)| expression(part, &at.item(place), names, report);
                    Expr::First(parts.into_iter().map(read).collect())
                }
                _ => {
                    let parts = fields.iter().map(|(name, part)| expression(part, &path.field(name), names, report));
                    let keys = fields.keys().map(|name| Name::from(name.as_str()));
                    constant(value, parts.collect()).unwrap_or_else(|parts| Expr::Object(keys.zip(parts).collect()))
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Expr::Const(Payload::new(value.clone())),
    }
}

/// The value as it stands if it only holds constants: a literal in it would be one, too, and stands otherwise.
fn constant(value: &Value, parts: Vec<Expr>) -> Result<Expr, Vec<Expr>> {
    if !parts.iter().all(|part| matches!(part, Expr::Const(_))) {
        return Err(parts);
    }
    let mut parts = parts
        .into_iter()
        .map(|part| if let Expr::Const(payload) = part { payload.value().clone() } else { Value::Null });
    let value = match value {
        Value::Object(fields) => Value::Object(fields.keys().cloned().zip(parts).collect()),
        Value::Array(_) => Value::Array(parts.collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => parts.next().unwrap_or_default(),
    };
    Ok(Expr::Const(Payload::new(value)))
}

fn text_of(text: &str, path: &Path<'_>, names: &Names<'_>, report: &mut Report) -> Expr {
    if let Some(rest) = text.strip_prefix('$').filter(|rest| rest.starts_with('$')) {
        return Expr::value(rest);
    }
    if !text.contains("${") {
        return Expr::value(text);
    }
    match text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|rest| !rest.contains("${")) {
        Some(inner) => reference(inner.trim(), path, names, report),
        None => {
            report.meaningless(
                path,
                "text alone and no reference alone: write \"${a.output}\", or $$ for a dollar",
                text,
            );
            Expr::default()
        }
    }
}

/// `inputs.x`, `item.x`, `task.output.x`; further names and numbers lead into the value.
pub(super) fn reference(text: &str, path: &Path<'_>, names: &Names<'_>, report: &mut Report) -> Expr {
    let mut words = text.split('.');
    let head = words.next().unwrap_or_default();
    let rest: Vec<&str> = words.collect();
    if rest.iter().any(|word| word.is_empty()) {
        report.meaningless(path, "reference such as inputs.order or analyze.output.total", text);
        return Expr::default();
    }
    match (head, rest.split_first()) {
        ("inputs", first) => {
            if let (Some(known), Some((name, _))) = (&names.inputs, first)
                && !known.contains(name)
            {
                report.unknown(path, "input", name, known.iter().copied());
            }
            within(Expr::Input, &rest)
        }
        ("item", _) => within(Expr::Item, &rest),
        ("context", Some((name, rest))) => {
            if !names.variables.contains(name) {
                report.unknown(path, "variable", name, names.variables.iter().copied());
                return Expr::default();
            }
            within(Expr::variable(*name), rest)
        }
        ("context", None) => {
            report.meaningless(path, "reference to a variable such as context.found", text);
            Expr::default()
        }
        (task, _) if !names.tasks.contains_key(task) => {
            let known = names.tasks.keys().copied().chain(["inputs", "item", "context"]);
            report.unknown(path, "task", task, known);
            Expr::default()
        }
        (task, Some((&"output", rest))) => within(Expr::node(task), rest),
        _ => {
            report.meaningless(path, "reference such as inputs.order or analyze.output.total", text);
            Expr::default()
        }
    }
}

pub(super) fn within(expr: Expr, words: &[&str]) -> Expr {
    if words.is_empty() {
        return expr;
    }
    let pointer = words.iter().map(|word| format!("/{}", word.replace('~', "~0").replace('/', "~1")));
    expr.at(pointer.collect::<String>())
}

/// A condition: true, false, a reference to what is true or not, or one question.
pub(super) fn condition(value: &Value, path: &Path<'_>, names: &Names<'_>, report: &mut Report) -> Condition {
    let Value::Object(fields) = value else {
        return match value {
            Value::Bool(true) => Condition::True,
            Value::Bool(false) => Condition::Any(Vec::new()),
            Value::String(_) => Condition::Is(expression(value, path, names, report)),
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                report.sort(path, "a condition", value);
                Condition::True
            }
        };
    };
    if fields.contains_key("from") {
        return Condition::Is(expression(value, path, names, report));
    }
    report.object(value, path, CONDITIONS);
    let mut only = fields.iter().filter(|(name, _)| CONDITIONS.contains(&name.as_str()));
    match (only.next(), only.next()) {
        (Some((name, operand)), None) => question(name, operand, &path.field(name), names, report),
        (Some(_), Some((other, _))) => {
            report.meaningless(
                &path.field(other),
                "place for it: one question at a time, several in `all` or `any`",
                other,
            );
            Condition::True
        }
        (None, _) => {
            if fields.is_empty() {
                report.sort(path, "a condition", value);
            }
            Condition::True
        }
    }
}

fn question(name: &str, operand: &Value, path: &Path<'_>, names: &Names<'_>, report: &mut Report) -> Condition {
    match name {
        "all" | "any" => {
            let mut parts = Vec::new();
            for (place, part) in report.list(operand, path).iter().enumerate() {
                parts.push(condition(part, &path.item(place), names, report));
            }
            if name == "all" { Condition::All(parts) } else { Condition::Any(parts) }
        }
        "not" => condition(operand, path, names, report).negated(),
        "is" => Condition::Is(expression(operand, path, names, report)),
        "exists" => Condition::Exists(expression(operand, path, names, report)),
        "matches" => match report.list(operand, path) {
            [of, pattern] => {
                let of = expression(of, &path.item(0), names, report);
                Condition::matches(of, report.text(pattern, &path.item(1)).unwrap_or_default())
            }
            _ => {
                if operand.is_array() {
                    report.meaningless(path, "list of what is asked about and a pattern", operand);
                }
                Condition::True
            }
        },
        "predicate" => match report.list(operand, path) {
            [name, of] => {
                let name = report.text(name, &path.item(0)).unwrap_or_default();
                Condition::predicate(name, expression(of, &path.item(1), names, report))
            }
            _ => {
                if operand.is_array() {
                    report.meaningless(path, "list of the predicate's name and what it is asked of", operand);
                }
                Condition::True
            }
        },
        _ => {
            let [a, b] = report.list(operand, path) else {
                if operand.is_array() {
                    report.meaningless(path, "list of the two that are compared", operand);
                }
                return Condition::True;
            };
            let a = expression(a, &path.item(0), names, report);
            let b = expression(b, &path.item(1), names, report);
            comparison(name, a, b)
        }
    }
}

/// "At least" is not the opposite of "less": of what cannot be compared, neither holds.
fn comparison(name: &str, a: Expr, b: Expr) -> Condition {
    match name {
        "equal" => Condition::Equal(a, b),
        "less" => Condition::Less(a, b),
        "greater" => Condition::Less(b, a),
        "at_least" => Condition::Any(vec![Condition::Less(b.clone(), a.clone()), Condition::Equal(a, b)]),
        "at_most" => Condition::Any(vec![Condition::Less(a.clone(), b.clone()), Condition::Equal(a, b)]),
        _ => Condition::In(a, b),
    }
}
