//! References, expressions and conditions.

use super::report::{Path, Report};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{Condition, Expr};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The operators of conditions; each is the only field of its object.
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

/// The names that data can refer to.
pub(super) struct Names<'d> {
    /// The declared inputs; none if the document declares none, and then any name is allowed.
    pub(super) inputs: Option<BTreeSet<&'d str>>,
    /// The tasks, with their indexes.
    pub(super) tasks: BTreeMap<&'d str, usize>,
    /// The variables.
    pub(super) variables: BTreeSet<&'d str>,
}

/// A value that can contain references.
pub(super) fn expression(value: &Value, path: &Path<'_>, names: &Names<'_>, report: &mut Report) -> Expr {
    match value {
        Value::String(text) => text_expression(text, path, names, report),
        Value::Array(items) => {
            let parts = items.iter().enumerate();
            let parts = parts.map(|(index, item)| expression(item, &path.item(index), names, report)).collect();
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
                    let read = |(index, part): (usize, &Value)| expression(part, &at.item(index), names, report);
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

/// A constant of the value if all its parts are constant. The parts are used instead of the value, since they can be literals.
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

fn text_expression(text: &str, path: &Path<'_>, names: &Names<'_>, report: &mut Report) -> Expr {
    if let Some(rest) = text.strip_prefix('$').filter(|rest| rest.starts_with('$')) {
        return Expr::value(rest);
    }
    if !text.contains("${") {
        return Expr::value(text);
    }
    match text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|rest| !rest.contains("${")) {
        Some(inner) => reference(inner.trim(), path, names, report),
        None => {
            report.invalid(
                path,
                "either plain text or a single reference: write \"${a.output}\", or $$ for a dollar sign",
                text,
            );
            Expr::default()
        }
    }
}

/// A reference: `inputs.x`, `item.x`, `task.output.x`. Further names and indexes lead into the value.
pub(super) fn reference(text: &str, path: &Path<'_>, names: &Names<'_>, report: &mut Report) -> Expr {
    let mut words = text.split('.');
    let head = words.next().unwrap_or_default();
    let rest: Vec<&str> = words.collect();
    if rest.iter().any(|word| word.is_empty()) {
        report.invalid(path, "a reference such as inputs.order or analyze.output.total", text);
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
            report.invalid(path, "a reference to a variable, such as context.found", text);
            Expr::default()
        }
        (task, _) if !names.tasks.contains_key(task) => {
            let known = names.tasks.keys().copied().chain(["inputs", "item", "context"]);
            report.unknown(path, "task", task, known);
            Expr::default()
        }
        (task, Some((&"output", rest))) => within(Expr::node(task), rest),
        (task, Some((&("status" | "attempts" | "failure"), _))) => within(Expr::end(task), &rest),
        _ => {
            report.invalid(path, "a reference such as inputs.order or analyze.output.total", text);
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

/// A condition: a boolean, a reference to a boolean, or an object with one operator.
pub(super) fn condition(value: &Value, path: &Path<'_>, names: &Names<'_>, report: &mut Report) -> Condition {
    let Value::Object(fields) = value else {
        return match value {
            Value::Bool(true) => Condition::True,
            Value::Bool(false) => Condition::Any(Vec::new()),
            Value::String(_) => Condition::Is(expression(value, path, names, report)),
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                report.wrong_type(path, "a condition", value);
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
        (Some((name, operand)), None) => operator(name, operand, &path.field(name), names, report),
        (Some(_), Some((other, _))) => {
            report.invalid(&path.field(other), "a single operator; combine several with `all` or `any`", other);
            Condition::True
        }
        (None, _) => {
            if fields.is_empty() {
                report.wrong_type(path, "a condition", value);
            }
            Condition::True
        }
    }
}

fn operator(name: &str, operand: &Value, path: &Path<'_>, names: &Names<'_>, report: &mut Report) -> Condition {
    match name {
        "all" | "any" => {
            let mut parts = Vec::new();
            for (index, part) in report.list(operand, path).iter().enumerate() {
                parts.push(condition(part, &path.item(index), names, report));
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
                    report.invalid(path, "a list of a value and a pattern", operand);
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
                    report.invalid(path, "a list of the name of a predicate and its argument", operand);
                }
                Condition::True
            }
        },
        _ => {
            let [a, b] = report.list(operand, path) else {
                if operand.is_array() {
                    report.invalid(path, "a list of two values", operand);
                }
                return Condition::True;
            };
            let a = expression(a, &path.item(0), names, report);
            let b = expression(b, &path.item(1), names, report);
            comparison(name, a, b)
        }
    }
}

/// "At least" is not the negation of "less": for values that cannot be compared, neither holds.
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
