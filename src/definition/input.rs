//! The declared inputs of a workflow: which fields the input of a run has, and which values they take.

use super::{Definition, type_name};
use crate::base::name::Name;
use crate::base::nearest::nearest;
use crate::base::payload::Payload;
use core::fmt;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

/// The most faults of an input that are listed.
const MOST: usize = 16;
/// The number of unknown fields with a suggestion, and of the declared ones that each is compared with.
const SUGGESTIONS: usize = 4;
const COMPARED: usize = 64;
/// The most characters of the name of an unknown field that are shown.
const SHOWN: usize = 64;

/// A declared field of the input of a run.
///
/// ```
/// use counterpoint::Payload;
/// use counterpoint::definition::{Definition, Input, InputType};
/// use serde_json::json;
///
/// let report = Definition::new("report")
///     .with_input("topic", Input::required(InputType::String))
///     .with_input("words", Input::optional(InputType::Integer).or(500));
/// assert!(report.check_input(&Payload::new(json!({"topic": "tea"}))).is_ok());
/// let faults = report.check_input(&Payload::new(json!({"words": "many", "topics": 2}))).unwrap_err();
/// let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
/// assert_eq!(lines, ["`topics` is no input, did you mean `topic`?", "`topic` is missing", "`words` is a string, expected an integer"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Input {
    /// The type of its values.
    #[serde(default, rename = "type", skip_serializing_if = "InputType::is_any")]
    pub kind: InputType,
    /// What holds for a run that does not give it.
    #[serde(default, skip_serializing_if = "Presence::is_optional")]
    pub presence: Presence,
}

/// What holds for a run that does not give an input.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Presence {
    /// The field is absent.
    #[default]
    Optional,
    /// The run is refused.
    Required,
    /// The field has this value.
    Default(Payload),
}

/// The type of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InputType {
    /// Any value.
    #[default]
    Any,
    /// A string.
    String,
    /// A number without a fraction, written without a decimal point, between -2^63 and 2^64 - 1.
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

/// A part of the input of a run that the workflow does not take.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InputFault {
    /// The input is no object, and the workflow declares its fields.
    #[error("expected an object with the inputs, found {found}")]
    NotAnObject {
        /// The type of the input, with an article.
        found: Box<str>,
    },
    /// A required input is missing.
    #[error("`{input}` is missing")]
    Missing {
        /// The input.
        input: Name,
    },
    /// An input is not declared.
    #[error("`{input}` is no input{}", suggestion(.nearest.as_ref()))]
    Unknown {
        /// The beginning of its name.
        input: Name,
        /// The declared input with the most similar name, if one is similar.
        nearest: Option<Name>,
    },
    /// The value of an input has another type.
    #[error("`{input}` is {found}, expected {expected}")]
    WrongType {
        /// The input.
        input: Name,
        /// The declared type.
        expected: InputType,
        /// The type of the value, with an article.
        found: Box<str>,
    },
}

impl Input {
    /// An input that a run may leave out.
    #[must_use]
    pub const fn optional(kind: InputType) -> Self {
        Self { kind, presence: Presence::Optional }
    }

    /// An input that a run must give.
    #[must_use]
    pub const fn required(kind: InputType) -> Self {
        Self { kind, presence: Presence::Required }
    }

    /// Sets the value for runs that do not give the input.
    #[must_use]
    pub fn or(mut self, default: impl Into<Value>) -> Self {
        self.presence = Presence::Default(Payload::new(default.into()));
        self
    }

    pub(crate) const fn default_value(&self) -> Option<&Payload> {
        match &self.presence {
            Presence::Default(value) => Some(value),
            Presence::Optional | Presence::Required => None,
        }
    }
}

impl Presence {
    const fn is_optional(&self) -> bool {
        matches!(self, Self::Optional)
    }
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

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    const fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }

    pub(crate) const fn text(self) -> &'static str {
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

impl InputFault {
    pub(crate) fn join(faults: &[Self]) -> String {
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for InputType {
    /// The type with an article, such as `an integer`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Definition {
    /// Declares a field of the input. As soon as one is declared, the input of a run is an object, or null, without other fields
    /// than the declared ones.
    #[must_use]
    pub fn with_input(mut self, field: impl Into<Name>, input: Input) -> Self {
        self.inputs.get_or_insert_default().insert(field.into(), input);
        self
    }

    /// Whether a run may be started with this input.
    ///
    /// # Errors
    ///
    /// The parts that are not as declared; at most 16 are listed.
    pub fn check_input(&self, input: &Payload) -> Result<(), Vec<InputFault>> {
        let Some(inputs) = &self.inputs else { return Ok(()) };
        let empty = Map::new();
        let given = match input.value() {
            Value::Object(fields) => fields,
            Value::Null => &empty,
            other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                return Err(vec![InputFault::NotAnObject { found: type_name(other).into() }]);
            }
        };
        let unknown = given.keys().filter(|name| !inputs.contains_key(name.as_str()));
        let unknown = unknown.enumerate().map(|(place, name)| {
            let input = beginning(name);
            let compared = if place < SUGGESTIONS { COMPARED } else { 0 };
            let nearest = nearest(input, inputs.keys().take(compared).map(Name::as_str)).map(Name::from);
            InputFault::Unknown { input: input.into(), nearest }
        });
        let wrong = inputs.iter().filter_map(|(name, input)| match given.get(name.as_str()) {
            None if input.presence == Presence::Required => Some(InputFault::Missing { input: name.clone() }),
            Some(value) if !input.kind.takes(value) => Some(InputFault::WrongType {
                input: name.clone(),
                expected: input.kind,
                found: type_name(value).into(),
            }),
            None | Some(_) => None,
        });
        let faults: Vec<InputFault> = unknown.chain(wrong).take(MOST).collect();
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// The input of a run with the defaults of the fields that it does not give; none if that is the input itself.
    pub(crate) fn completed(&self, input: &Payload) -> Option<Payload> {
        let defaults = || {
            let inputs = self.inputs.iter().flatten();
            inputs.filter_map(|(name, input)| Some((name.as_str(), input.default_value()?)))
        };
        let mut fields = match input.value() {
            Value::Null if self.inputs.is_some() => Map::new(),
            Value::Object(fields) if defaults().any(|(name, _)| !fields.contains_key(name)) => fields.clone(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                return None;
            }
        };
        for (name, default) in defaults() {
            if !fields.contains_key(name) {
                fields.insert(name.to_owned(), default.value().clone());
            }
        }
        Some(Payload::new(Value::Object(fields)))
    }
}

fn suggestion(nearest: Option<&Name>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

/// The beginning of a name that comes from outside.
fn beginning(name: &str) -> &str {
    name.char_indices().nth(SHOWN).map_or(name, |(end, _)| &name[..end])
}
