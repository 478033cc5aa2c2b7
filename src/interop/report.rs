//! What an import reports: mistakes, what cannot be carried over, and differences.

use crate::base::nearest::nearest;
use core::fmt;
use serde_json::Value;
use std::collections::BTreeSet;
use thiserror::Error;

/// The number of faults that are listed; further ones are only counted.
const MOST: usize = 100;

/// The number of faults up to which names are suggested, since each suggestion compares a name with all known ones.
const SUGGESTED: usize = 32;

/// The number of characters of a text that a message shows.
const SHOWN: usize = 64;

/// All faults of a document: its mistakes, and what it contains that cannot be carried over.
///
/// ```
/// use counterpoint::interop::asl::{Options, import};
/// use serde_json::json;
///
/// let document = json!({"StartAt": "Pay", "States": {
///     "Pay": {"Type": "Task", "Resource": "pay", "Next": "Shipp"},
///     "Ship": {"Type": "Wait", "Seconds": "ten", "End": true},
/// }});
/// let error = import(&document, &Options::named("order")).unwrap_err();
/// let lines: Vec<String> = error.faults().iter().map(ToString::to_string).collect();
/// assert_eq!(lines, [
///     "/States/Pay/Next: unknown state `Shipp`, did you mean `Ship`?",
///     "/States/Ship/Seconds: expected a number of seconds, found a string",
/// ]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ImportError {
    faults: Vec<ImportFault>,
    omitted: u64,
}

impl ImportError {
    /// A fault of the whole document.
    pub(super) fn unsound(message: String) -> Self {
        let kind = ImportFaultKind::Unsound { message };
        Self { faults: vec![ImportFault { place: String::new(), kind }], omitted: 0 }
    }

    /// The faults; never empty.
    #[must_use]
    pub fn faults(&self) -> &[ImportFault] {
        &self.faults
    }

    /// The number of further faults beyond the listed ones. The list is bounded.
    #[must_use]
    pub const fn omitted(&self) -> u64 {
        self.omitted
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{fault}", if index == 0 { "" } else { "; " })?;
        }
        if self.omitted > 0 {
            write!(f, "; and {} more", self.omitted)?;
        }
        Ok(())
    }
}

/// A fault of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportFault {
    /// The place in the document: a JSON pointer, or for XML the line, the column and the id of the element, as in
    /// `12:5 (ship)`.
    pub place: String,
    /// What is wrong.
    pub kind: ImportFaultKind,
}

impl fmt::Display for ImportFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.place.is_empty() { "/" } else { &self.place };
        write!(f, "{place}: {}", self.kind)
    }
}

/// What is wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ImportFaultKind {
    /// A value has the wrong type, or is not one of those that are allowed.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What is allowed.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A field is missing.
    #[error("`{field}` is missing")]
    Missing {
        /// The field, or the fields of which one must be there.
        field: String,
    },
    /// Two fields exclude each other.
    #[error("`{one}` and `{other}` exclude each other")]
    Exclusive {
        /// One of them.
        one: String,
        /// The other.
        other: String,
    },
    /// A name refers to nothing.
    #[error("unknown {what} `{name}`{}", suggested(.suggestion.as_deref()))]
    Unknown {
        /// What it should be.
        what: &'static str,
        /// The name.
        name: String,
        /// The most similar name that is known.
        suggestion: Option<String>,
    },
    /// The document cannot be read.
    #[error("{message}")]
    Syntax {
        /// The reason.
        message: String,
    },
    /// A path or a function is not well formed.
    #[error("{message}")]
    Expression {
        /// What is wrong.
        message: String,
    },
    /// The document is correct here, and there is no counterpart.
    #[error("{what} cannot be carried over: {reason}")]
    Unsupported {
        /// The construct.
        what: String,
        /// The reason.
        reason: &'static str,
    },
    /// The definition would be rejected.
    #[error("{message}")]
    Unsound {
        /// The fault of the definition.
        message: String,
    },
}

fn suggested(name: Option<&str>) -> String {
    name.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}

/// A construct that is carried over with a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// The place in the document, as in [`ImportFault`]; for an export, in the document that was written.
    pub place: String,
    /// The difference.
    pub message: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.place.is_empty() { "/" } else { &self.place }, self.message)
    }
}

/// A place in a document.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    Root,
    /// A place that is not in a JSON document.
    #[cfg(feature = "bpmn")]
    Text(&'a str),
    Field(&'a Self, &'a str),
    Item(&'a Self, usize),
}

impl Place<'_> {
    pub(super) const fn field<'a>(&'a self, name: &'a str) -> Place<'a> {
        Place::Field(self, name)
    }

    pub(super) const fn item(&self, index: usize) -> Place<'_> {
        Place::Item(self, index)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            #[cfg(feature = "bpmn")]
            Self::Text(text) => f.write_str(text),
            Self::Field(outer, name) => write!(f, "{outer}/{}", token(name)),
            Self::Item(outer, index) => write!(f, "{outer}/{index}"),
        }
    }
}

/// A name as a part of a JSON pointer.
pub(super) fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The beginning of a text.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The type of a value, with an article.
pub(super) const fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The fields of an object.
pub(super) type Fields = serde_json::Map<String, Value>;

/// The faults and notes so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    faults: Vec<ImportFault>,
    omitted: u64,
    notes: Vec<Note>,
    /// What is noted, so that nothing is noted twice.
    noted: BTreeSet<(String, String)>,
}

impl Report {
    pub(super) fn add(&mut self, place: &Place<'_>, kind: ImportFaultKind) {
        if self.faults.len() < MOST {
            self.faults.push(ImportFault { place: place.to_string(), kind });
        } else {
            self.omitted = self.omitted.saturating_add(1);
        }
    }

    pub(super) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    pub(super) fn expected(&mut self, place: &Place<'_>, expected: &str, found: &Value) {
        self.add(place, ImportFaultKind::Expected { expected: expected.to_owned(), found: type_of(found).to_owned() });
    }

    pub(super) fn invalid(&mut self, place: &Place<'_>, expected: &str, found: &str) {
        let found = format!("`{}`", shown(found));
        self.add(place, ImportFaultKind::Expected { expected: expected.to_owned(), found });
    }

    pub(super) fn missing(&mut self, place: &Place<'_>, field: &str) {
        self.add(place, ImportFaultKind::Missing { field: field.to_owned() });
    }

    pub(super) fn exclusive(&mut self, place: &Place<'_>, one: &str, other: &str) {
        self.add(place, ImportFaultKind::Exclusive { one: one.to_owned(), other: other.to_owned() });
    }

    pub(super) fn unsupported(&mut self, place: &Place<'_>, what: impl Into<String>, reason: &'static str) {
        self.add(place, ImportFaultKind::Unsupported { what: what.into(), reason });
    }

    pub(super) fn unknown<'n>(
        &mut self,
        place: &Place<'_>,
        what: &'static str,
        name: &str,
        known: impl Iterator<Item = &'n str>,
    ) {
        let is_early = self.faults.len() < SUGGESTED;
        let suggestion = if is_early { nearest(name, known).map(str::to_owned) } else { None };
        self.add(place, ImportFaultKind::Unknown { what, name: shown(name), suggestion });
    }

    /// Adds a note, unless the same was noted at the place before.
    pub(super) fn note(&mut self, place: &Place<'_>, message: impl Into<String>) {
        let note = Note { place: place.to_string(), message: message.into() };
        if self.noted.insert((note.place.clone(), note.message.clone())) {
            self.notes.push(note);
        }
    }

    /// The notes, if there are no faults.
    pub(super) fn finish(self) -> Result<Vec<Note>, ImportError> {
        if self.faults.is_empty() {
            Ok(self.notes)
        } else {
            Err(ImportError { faults: self.faults, omitted: self.omitted })
        }
    }

    pub(super) fn object<'v>(&mut self, value: &'v Value, place: &Place<'_>) -> Option<&'v Fields> {
        if !value.is_object() {
            self.expected(place, "an object", value);
        }
        value.as_object()
    }

    pub(super) fn list<'v>(&mut self, value: &'v Value, place: &Place<'_>) -> &'v [Value] {
        if !value.is_array() {
            self.expected(place, "an array", value);
        }
        value.as_array().map_or(&[], Vec::as_slice)
    }

    /// A text in a field; none if the field is not there.
    pub(super) fn text<'v>(&mut self, fields: &'v Fields, name: &str, place: &Place<'_>) -> Option<&'v str> {
        let value = fields.get(name)?;
        if !value.is_string() {
            self.expected(&place.field(name), "a string", value);
        }
        value.as_str()
    }

    /// A non-negative integer in a field; none if the field is not there.
    pub(super) fn integer(&mut self, fields: &Fields, name: &str, what: &str, place: &Place<'_>) -> Option<u32> {
        let value = fields.get(name)?;
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            let place = place.field(name);
            match value {
                Value::Number(number) => self.invalid(&place, what, &number.to_string()),
                Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                    self.expected(&place, what, value);
                }
            }
        }
        number
    }
}
