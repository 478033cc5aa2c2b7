//! The declared inputs of a document.

use super::fault::DocumentFaultKind;
use super::report::{Fields, Path, Report, get};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{Input, InputType, Presence, type_name};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const INPUT: &[&str] = &["type", "required", "default", "description"];

/// The names of the input types.
pub(super) const TYPES: &[(&str, InputType)] = &[
    ("any", InputType::Any),
    ("string", InputType::String),
    ("integer", InputType::Integer),
    ("number", InputType::Number),
    ("boolean", InputType::Boolean),
    ("array", InputType::Array),
    ("object", InputType::Object),
];

/// The declared inputs; none if the document has no `inputs`.
pub(super) fn declared(fields: &Fields, path: &Path<'_>, report: &mut Report) -> Option<BTreeMap<Name, Input>> {
    let value = get(fields, "inputs")?;
    let at = path.field("inputs");
    let Value::Object(inputs) = value else {
        report.wrong_type(&at, "an object", value);
        return None;
    };
    Some(
        inputs.iter().map(|(name, value)| (Name::from(&**name), input(name, value, &at.field(name), report))).collect(),
    )
}

fn input(name: &str, value: &Value, path: &Path<'_>, report: &mut Report) -> Input {
    let mut input = Input::optional(InputType::Any);
    if name.is_empty() || name.contains('.') {
        report.invalid(path, "the name of an input, without a dot", name);
    }
    if value.is_null() {
        return input;
    }
    let Some(fields) = report.object(value, path, INPUT) else { return input };
    report.text_at(fields, "description", path);
    input.kind = report.keyword_at(fields, "type", path, TYPES).unwrap_or_default();
    if report.bool_at(fields, "required", path) {
        input.presence = Presence::Required;
    }
    if let Some(default) = get(fields, "default") {
        if input.kind.takes(default) {
            // A run that does not give the input has this value, whether the input is required or not.
            input.presence = Presence::Default(Payload::new(default.clone()));
        } else {
            let kind = DocumentFaultKind::WrongType { expected: input.kind.text(), found: type_name(default) };
            report.add(path.field("default"), kind);
        }
    }
    input
}
