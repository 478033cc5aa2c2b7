//! The inputs of a workflow: declared in its document, checked before a run starts.

use super::fault::{DocumentError, DocumentFaultKind};
use super::marks::Mark;
use super::report::{Fields, Path, Report, get};
use crate::definition::{Definition, Expr, Node, Parts, Term, type_name};
use serde_json::{Map, Value};
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

/// A declared input of a workflow.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: InputType,
    /// Whether a run must give it.
    pub required: bool,
    /// Its value if a run does not give it.
    pub default: Option<Value>,
}

/// The type of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum InputType {
    /// Any value.
    #[default]
    Any,
    /// A string.
    String,
    /// An integer.
    Integer,
    /// A number.
    Number,
    /// A boolean.
    Boolean,
    /// A list.
    Array,
    /// An object.
    Object,
}

impl InputType {
    /// Whether a value is of this type.
    #[must_use]
    pub fn takes(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Any => "a value",
            Self::String => "a string",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::Array => "a list",
            Self::Object => "an object",
        }
    }
}

/// The declared inputs; none if the document has no `inputs`.
pub(super) fn declared(fields: &Fields, path: &Path<'_>, report: &mut Report) -> Option<Vec<Input>> {
    let value = get(fields, "inputs")?;
    let at = path.field("inputs");
    let Value::Object(inputs) = value else {
        report.wrong_type(&at, "an object", value);
        return None;
    };
    Some(inputs.iter().map(|(name, value)| input(name, value, &at.field(name), report)).collect())
}

/// The inputs that a definition has defaults for or reads.
pub(super) fn found(definition: &Definition) -> Vec<Input> {
    let mut names: BTreeMap<String, Option<Value>> = BTreeMap::new();
    let of_nodes = definition.nodes.iter().map(Node::parts);
    for term in core::iter::once(definition.parts()).chain(of_nodes).flat_map(Parts::terms) {
        if let Term::Expr(Expr::At(of, pointer)) = term
            && **of == Expr::Input
            && let Some(name) = pointer.split('/').nth(1)
        {
            names.insert(name.replace("~1", "/").replace("~0", "~"), None);
        }
    }
    let defaults = definition.defaults.iter();
    names.extend(defaults.map(|(name, value)| (name.as_str().to_owned(), Some(value.value().clone()))));
    let input = |(name, default)| Input { name, kind: InputType::Any, required: false, default };
    names.into_iter().map(input).collect()
}

fn input(name: &str, value: &Value, path: &Path<'_>, report: &mut Report) -> Input {
    let mut input = Input { name: name.to_owned(), kind: InputType::Any, required: false, default: None };
    if name.is_empty() || name.contains('.') {
        report.invalid(path, "the name of an input, without a dot", name);
    }
    if value.is_null() {
        return input;
    }
    let Some(fields) = report.object(value, path, INPUT) else { return input };
    report.text_at(fields, "description", path);
    input.kind = report.keyword_at(fields, "type", path, TYPES).unwrap_or_default();
    input.required = report.bool_at(fields, "required", path);
    input.default = get(fields, "default").cloned();
    if let Some(default) = &input.default {
        takes(input.kind, default, &path.field("default"), report);
    }
    input
}

fn takes(kind: InputType, value: &Value, path: &Path<'_>, report: &mut Report) {
    if !kind.takes(value) {
        report.add(path, DocumentFaultKind::WrongType { expected: kind.text(), found: type_name(value) });
    }
}

/// The input of a run, checked and completed with defaults.
pub(super) fn filled(inputs: &[Input], given: Value) -> Result<Value, DocumentError> {
    let mut report = Report::default();
    let root = Path::Root;
    let at = root.field("inputs");
    let mut given = match given {
        Value::Object(fields) => fields,
        Value::Null => Map::new(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            report.wrong_type(&at, "an object", &other);
            return report.finish(Value::Null, &Mark::default());
        }
    };
    for name in given.keys().filter(|name| !inputs.iter().any(|input| input.name == **name)) {
        report.unknown(&at.field(name), "input", name, inputs.iter().map(|input| input.name.as_str()));
    }
    for input in inputs {
        match (get(&given, &input.name), &input.default) {
            (Some(value), _) => takes(input.kind, value, &at.field(&input.name), &mut report),
            (None, Some(default)) => drop(given.insert(input.name.clone(), default.clone())),
            (None, None) if input.required => report.add(at, DocumentFaultKind::Missing { field: input.name.clone() }),
            (None, None) => {}
        }
    }
    report.finish(Value::Object(given), &Mark::default())
}
