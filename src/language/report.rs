//! Typed access to a tree: errors are collected with their paths, and reading continues.

use super::fault::{DocumentError, DocumentFault, DocumentFaultKind};
use super::marks::Mark;
use crate::base::nearest::nearest;
use crate::definition::type_name;
use core::fmt;
use core::time::Duration;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The limit on listed errors; further ones are only counted.
const MAX_FAULTS: usize = 100;

/// The limit on suggestions, since each compares a name with all known ones.
const MAX_SUGGESTIONS: usize = 32;

pub(super) type Fields = Map<String, Value>;

/// A path in the document, formatted only for errors.
#[derive(Clone, Copy)]
pub(super) enum Path<'p> {
    Root,
    Field(&'p Self, &'p str),
    Item(&'p Self, usize),
}

impl Path<'_> {
    pub(super) const fn field<'p>(&'p self, name: &'p str) -> Path<'p> {
        Path::Field(self, name)
    }

    pub(super) const fn item(&self, index: usize) -> Path<'_> {
        Path::Item(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => f.write_str(name),
            Path::Field(of, name) => write!(f, "{of}.{name}"),
            Path::Item(of, index) => write!(f, "{of}[{index}]"),
        }
    }
}

#[derive(Default)]
pub(super) struct Report {
    faults: Vec<DocumentFault>,
    omitted: u64,
    /// The kinds of tasks that the document declares; any kind is known if it declares none.
    kinds: Option<BTreeSet<String>>,
}

impl Report {
    /// The value, if there is no mistake. Mistakes get their places.
    pub(super) fn finish<T>(mut self, good: T, marks: &Mark) -> Result<T, DocumentError> {
        if self.faults.is_empty() {
            return Ok(good);
        }
        for fault in &mut self.faults {
            fault.at = marks.find(&fault.path, fault.kind.aspect());
        }
        Err(DocumentError::new(self.faults, self.omitted))
    }

    /// The number of mistakes so far.
    pub(super) fn count(&self) -> u64 {
        (self.faults.len() as u64).saturating_add(self.omitted)
    }

    /// Reads the kinds of tasks that the document declares.
    pub(super) fn kinds(&mut self, fields: &Fields, path: &Path<'_>) {
        let kinds = self.words(fields, "kinds", path).into_iter().map(|(_, kind)| kind.to_owned()).collect();
        self.kinds = get(fields, "kinds").is_some().then_some(kinds);
    }

    /// Checks that the kind of a task is declared, if kinds are.
    pub(super) fn kind(&mut self, kind: &str, path: &Path<'_>) {
        if let Some(known) = self.kinds.clone().filter(|known| !known.contains(kind)) {
            self.unknown(path, "kind", kind, known.iter().map(String::as_str));
        }
    }

    /// Adds a mistake. A field that is missing because its name was misspelt is one mistake.
    pub(super) fn add(&mut self, path: impl fmt::Display, kind: DocumentFaultKind) {
        let path = path.to_string();
        if let DocumentFaultKind::Missing { field } = &kind
            && self.faults.iter().any(|fault| is_misspelt(fault, &path, field))
        {
            return;
        }
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(DocumentFault { path, at: None, kind });
        } else {
            self.omitted = self.omitted.saturating_add(1);
        }
    }

    pub(super) fn unknown<'n>(
        &mut self,
        path: &Path<'_>,
        what: &'static str,
        name: &str,
        known: impl Iterator<Item = &'n str>,
    ) {
        let wanted = self.faults.len() < MAX_SUGGESTIONS;
        let suggestion = if wanted { nearest(name, known).map(str::to_owned) } else { None };
        self.add(path, DocumentFaultKind::Unknown { what, name: name.to_owned(), suggestion });
    }

    pub(super) fn invalid(&mut self, path: &Path<'_>, expected: &'static str, text: impl fmt::Display) {
        self.add(path, DocumentFaultKind::InvalidValue { expected, text: text.to_string() });
    }

    pub(super) fn wrong_type(&mut self, path: &Path<'_>, expected: &'static str, value: &Value) {
        self.add(path, DocumentFaultKind::WrongType { expected, found: type_name(value) });
    }

    /// An object with no other fields than the known ones.
    pub(super) fn object<'v>(&mut self, value: &'v Value, path: &Path<'_>, known: &[&str]) -> Option<&'v Fields> {
        let Value::Object(fields) = value else {
            self.wrong_type(path, "an object", value);
            return None;
        };
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
            self.unknown(&path.field(name), "field", name, known.iter().copied());
        }
        Some(fields)
    }

    pub(super) fn text<'v>(&mut self, value: &'v Value, path: &Path<'_>) -> Option<&'v str> {
        let text = value.as_str();
        if text.is_none() {
            self.wrong_type(path, "a string", value);
        }
        text
    }

    /// A string or a list of strings, each with its place in the list.
    pub(super) fn words<'v>(
        &mut self,
        fields: &'v Fields,
        name: &str,
        path: &Path<'_>,
    ) -> Vec<(Option<usize>, &'v str)> {
        let at = path.field(name);
        match get(fields, name) {
            None => Vec::new(),
            Some(Value::String(text)) => vec![(None, text)],
            Some(list) => {
                let mut words = Vec::new();
                for (index, word) in self.list(list, &at).iter().enumerate() {
                    words.extend(self.text(word, &at.item(index)).map(|word| (Some(index), word)));
                }
                words
            }
        }
    }

    pub(super) fn list<'v>(&mut self, value: &'v Value, path: &Path<'_>) -> &'v [Value] {
        let Value::Array(items) = value else {
            self.wrong_type(path, "a list", value);
            return &[];
        };
        items
    }

    pub(super) fn text_at<'v>(&mut self, fields: &'v Fields, name: &str, path: &Path<'_>) -> Option<&'v str> {
        get(fields, name).and_then(|value| self.text(value, &path.field(name)))
    }

    pub(super) fn integer_at(&mut self, fields: &Fields, name: &str, path: &Path<'_>) -> Option<u32> {
        get(fields, name).and_then(|value| self.integer(value, &path.field(name)))
    }

    /// An integer that fits into 64 bits.
    pub(super) fn amount_at(&mut self, fields: &Fields, name: &str, path: &Path<'_>) -> Option<u64> {
        let value = get(fields, name)?;
        let amount = value.as_u64();
        match (amount, value) {
            (None, Value::Number(number)) => {
                self.invalid(&path.field(name), "an integer of at least 0", number);
            }
            (None, _) => self.wrong_type(&path.field(name), "an integer", value),
            (Some(_), _) => {}
        }
        amount
    }

    pub(super) fn integer(&mut self, value: &Value, path: &Path<'_>) -> Option<u32> {
        let Value::Number(number) = value else {
            self.wrong_type(path, "an integer", value);
            return None;
        };
        let integer = number.as_u64().and_then(|number| u32::try_from(number).ok());
        if integer.is_none() {
            self.invalid(path, "an integer from 0 to 4294967295", number);
        }
        integer
    }

    pub(super) fn bool_at(&mut self, fields: &Fields, name: &str, path: &Path<'_>) -> bool {
        let Some(value) = get(fields, name) else { return false };
        if !value.is_boolean() {
            self.wrong_type(&path.field(name), "a boolean", value);
        }
        *value == Value::Bool(true)
    }

    pub(super) fn span_at(&mut self, fields: &Fields, name: &str, path: &Path<'_>) -> Option<Duration> {
        let text = self.text_at(fields, name, path)?;
        let span = humantime::parse_duration(text).ok().filter(|span| span.as_nanos() <= u128::from(u64::MAX));
        if span.is_none() {
            self.invalid(&path.field(name), "a duration such as 250ms or 1m 30s", text);
        }
        span
    }

    /// One of several keywords.
    pub(super) fn keyword_at<T: Copy>(
        &mut self,
        fields: &Fields,
        name: &str,
        path: &Path<'_>,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.text_at(fields, name, path)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            self.unknown(&path.field(name), "keyword", text, words.iter().map(|(word, _)| *word));
        }
        found.map(|(_, meaning)| *meaning)
    }
}

/// A field; null counts as absent.
pub(super) fn get<'v>(fields: &'v Fields, name: &str) -> Option<&'v Value> {
    fields.get(name).filter(|value| !value.is_null())
}

/// Whether a fault is an unknown name in the object at a path, for which a field is suggested.
fn is_misspelt(fault: &DocumentFault, path: &str, field: &str) -> bool {
    let DocumentFaultKind::Unknown { suggestion: Some(suggestion), .. } = &fault.kind else { return false };
    let parent = fault.path.rsplit_once('.').map_or("", |(parent, _)| parent);
    suggestion == field && parent == path
}
