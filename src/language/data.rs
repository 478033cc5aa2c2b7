//! References, expressions and conditions.

use super::fault::DocumentFaultKind;
use super::report::{Path, Report};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{Condition, Expr, ExprError, Term, folded_list, folded_object};
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
    /// The tasks that are choices.
    pub(super) choices: BTreeSet<&'d str>,
    /// The variables.
    pub(super) variables: BTreeSet<&'d str>,
}

/// A value that can contain references.
pub(super) fn expression(value: &Value, path: &Path<'_>, names: &Names<'_>, report: &mut Report) -> Expr {
    match value {
        Value::String(text) => text_expression(text, path, names, report),
        Value::Array(items) => {
            let parts = items.iter().enumerate();
            folded_list(parts.map(|(index, item)| expression(item, &path.item(index), names, report)).collect())
        }
        Value::Object(fields) => {
            let mut only = fields.iter();
            match (only.next(), only.next()) {
                (Some((name, from)), None) if name == "from" => match report.text(from, &path.field("from")) {
                    Some(text) => whole_expression(text, &path.field("from"), names, report),
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
                _ => folded_object(
                    fields
                        .iter()
                        .map(|(name, part)| {
                            (Name::from(name.as_str()), expression(part, &path.field(name), names, report))
                        })
                        .collect(),
                ),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Expr::Const(Payload::new(value.clone())),
    }
}

/// A string in which `${...}` is an expression. One that begins with `$$` stands for itself without the first dollar sign.
fn text_expression(text: &str, path: &Path<'_>, names: &Names<'_>, report: &mut Report) -> Expr {
    if let Some(rest) = text.strip_prefix('$').filter(|rest| rest.starts_with('$')) {
        return Expr::value(rest);
    }
    parsed(text, Expr::template(text), path, names, report)
}

/// A string that is an expression as a whole.
pub(super) fn whole_expression(text: &str, path: &Path<'_>, names: &Names<'_>, report: &mut Report) -> Expr {
    parsed(text, text.parse(), path, names, report)
}

/// An expression whose names are known; null if there is a mistake, which is reported.
fn parsed(
    text: &str,
    parsed: Result<Expr, ExprError>,
    path: &Path<'_>,
    names: &Names<'_>,
    report: &mut Report,
) -> Expr {
    match parsed {
        Ok(expr) if names.know(&expr, path, report) => expr,
        Ok(_) => Expr::default(),
        Err(error) => {
            report.add(path, DocumentFaultKind::Expression { text: text.to_owned(), error });
            Expr::default()
        }
    }
}

impl Names<'_> {
    /// Whether all names in the expression are known. The first that is not is reported.
    fn know(&self, expr: &Expr, path: &Path<'_>, report: &mut Report) -> bool {
        Term::Expr(expr).all().all(|term| match term {
            Term::Expr(Expr::Node(task) | Expr::End(task)) if !self.tasks.contains_key(task.as_str()) => {
                let known = self.tasks.keys().copied().chain(["inputs", "item", "context", "run", "this"]);
                report.unknown(path, "task", task, known);
                false
            }
            Term::Expr(Expr::Variable(name)) if !self.variables.contains(name.as_str()) => {
                report.unknown(path, "variable", name, self.variables.iter().copied());
                false
            }
            Term::Expr(Expr::At(of, pointer)) if **of == Expr::Input => {
                let first = pointer.split('/').nth(1).unwrap_or_default().replace("~1", "/").replace("~0", "~");
                match &self.inputs {
                    Some(known) if !known.contains(first.as_str()) => {
                        report.unknown(path, "input", &first, known.iter().copied());
                        false
                    }
                    Some(_) | None => true,
                }
            }
            Term::Expr(_) | Term::Condition(_) => true,
        })
    }
}

/// The JSON pointer of a path.
pub(super) fn pointer(words: &[&str]) -> String {
    words.iter().map(|word| format!("/{}", word.replace('~', "~0").replace('/', "~1"))).collect()
}

/// A condition: a boolean, an expression as a string, or an object with one operator.
pub(super) fn condition(value: &Value, path: &Path<'_>, names: &Names<'_>, report: &mut Report) -> Condition {
    let Value::Object(fields) = value else {
        return match value {
            Value::Bool(true) => Condition::True,
            Value::Bool(false) => Condition::Any(Vec::new()),
            Value::String(text) if text.contains("${") => expression(value, path, names, report).into_condition(),
            Value::String(text) => whole_expression(text, path, names, report).into_condition(),
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                report.wrong_type(path, "a condition", value);
                Condition::True
            }
        };
    };
    if fields.contains_key("from") {
        return expression(value, path, names, report).into_condition();
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

fn comparison(name: &str, a: Expr, b: Expr) -> Condition {
    match name {
        "equal" => Condition::Equal(a, b),
        "less" => Condition::Less(a, b),
        "greater" => Condition::Less(b, a),
        "at_least" => Condition::AtMost(b, a),
        "at_most" => Condition::AtMost(a, b),
        _ => Condition::In(a, b),
    }
}
