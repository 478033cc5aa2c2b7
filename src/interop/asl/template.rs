//! Payload templates: `{"id.$": "$.order.id", "kind": "book"}`.

#![expect(clippy::wildcard_enum_match_arm, reason = "only some forms of expressions are those of a document")]

use super::context::Context;
use super::intrinsic::{self, expression};
use super::path::BadPath;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{Expr, folded_list, folded_object};
use crate::interop::report::{Fields, ImportFaultKind, Place, Report};
use serde_json::Value;
use std::collections::BTreeMap;

/// Reports a path or a function that is not valid.
pub(super) fn report_bad(report: &mut Report, place: &Place<'_>, bad: BadPath) {
    match bad {
        BadPath::Malformed(message) => report.add(place, ImportFaultKind::Expression { message }),
        BadPath::Unsupported { what, reason } => report.unsupported(place, what, reason),
    }
}

/// The value of a path or a function in a text.
pub(super) fn read(text: &str, context: &Context<'_>, place: &Place<'_>, report: &mut Report) -> Expr {
    expression(text, context).unwrap_or_else(|bad| {
        report_bad(report, place, bad);
        Expr::default()
    })
}

/// The value of a path in a field; none if the field is not there.
pub(super) fn path_in(
    fields: &Fields,
    name: &str,
    context: &Context<'_>,
    place: &Place<'_>,
    report: &mut Report,
) -> Option<Expr> {
    let text = report.text(fields, name, place)?;
    Some(read(text, context, &place.field(name), report))
}

/// The value of a template.
pub(super) fn template(value: &Value, context: &Context<'_>, place: &Place<'_>, report: &mut Report) -> Expr {
    match value {
        Value::Array(items) => {
            let parts = items.iter().enumerate();
            folded_list(parts.map(|(index, item)| template(item, context, &place.item(index), report)).collect())
        }
        Value::Object(fields) => {
            let mut parts: BTreeMap<Name, Expr> = BTreeMap::new();
            for (key, value) in fields {
                let at = place.field(key);
                let (name, part) = match (key.strip_suffix(".$"), value) {
                    (Some(name), Value::String(text)) => (name, read(text, context, &at, report)),
                    (Some(_), other) => {
                        report.expected(&at, "a string with a path or a function", other);
                        continue;
                    }
                    (None, value) => (key.as_str(), template(value, context, &at, report)),
                };
                if parts.insert(name.into(), part).is_some() {
                    report.exclusive(place, name, &format!("{name}.$"));
                }
            }
            folded_object(parts)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Expr::Const(Payload::new(value.clone())),
    }
}

/// The template that gives an expression; none if there is no such template.
pub(super) fn print(expr: &Expr, context: &Context<'_>) -> Option<Value> {
    match expr {
        Expr::Const(value) => is_literal(value.value()).then(|| value.value().clone()),
        Expr::List(parts) => parts.iter().map(|part| print(part, context)).collect(),
        Expr::Object(fields) => {
            let fields = fields.iter().map(|(name, part)| match print(part, context) {
                Some(value) if !name.ends_with(".$") => Some((name.to_string(), value)),
                _ => Some((format!("{name}.$"), Value::String(intrinsic::print(part, context)?))),
            });
            Some(Value::Object(fields.collect::<Option<_>>()?))
        }
        _ => None,
    }
}

/// Whether a template with this value gives it as it is.
fn is_literal(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().all(|(name, value)| !name.ends_with(".$") && is_literal(value)),
        Value::Array(items) => items.iter().all(is_literal),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
