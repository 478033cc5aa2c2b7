//! Typed looks at a tree: what is wrong is written down with its path, and reading goes on.

use super::mistake::{DocumentError, Mistake, Wrong};
use crate::workflow::nearest::nearest;
use core::fmt;
use core::time::Duration;
use serde_json::{Map, Value};

/// How many mistakes are listed; the rest is only counted.
const MOST_MISTAKES: usize = 100;

/// How many of them come with a suggestion, which costs a comparison with every name.
const MOST_SUGGESTIONS: usize = 32;

pub(super) type Fields = Map<String, Value>;

/// Where in the document something is; written out only for what is wrong.
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

    pub(super) const fn item(&self, place: usize) -> Path<'_> {
        Path::Item(self, place)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => f.write_str(name),
            Path::Field(of, name) => write!(f, "{of}.{name}"),
            Path::Item(of, place) => write!(f, "{of}[{place}]"),
        }
    }
}

#[derive(Default)]
pub(super) struct Report {
    mistakes: Vec<Mistake>,
    omitted: u64,
}

impl Report {
    pub(super) fn verdict<T>(self, good: T) -> Result<T, DocumentError> {
        if self.mistakes.is_empty() { Ok(good) } else { Err(DocumentError::new(self.mistakes, self.omitted)) }
    }

    pub(super) fn add(&mut self, path: impl fmt::Display, wrong: Wrong) {
        if self.mistakes.len() < MOST_MISTAKES {
            self.mistakes.push(Mistake { path: path.to_string(), wrong });
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
        let wanted = self.mistakes.len() < MOST_SUGGESTIONS;
        let suggestion = if wanted { nearest(name, known).map(str::to_owned) } else { None };
        self.add(path, Wrong::Unknown { what, name: name.to_owned(), suggestion });
    }

    pub(super) fn meaningless(&mut self, path: &Path<'_>, expected: &'static str, text: impl fmt::Display) {
        self.add(path, Wrong::Meaningless { expected, text: text.to_string() });
    }

    pub(super) fn sort(&mut self, path: &Path<'_>, expected: &'static str, value: &Value) {
        self.add(path, Wrong::Sort { expected, found: sort_of(value) });
    }

    /// An object in which nothing else is known than these fields.
    pub(super) fn object<'v>(&mut self, value: &'v Value, path: &Path<'_>, known: &[&str]) -> Option<&'v Fields> {
        let Value::Object(fields) = value else {
            self.sort(path, "an object", value);
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
            self.sort(path, "a text", value);
        }
        text
    }

    pub(super) fn list<'v>(&mut self, value: &'v Value, path: &Path<'_>) -> &'v [Value] {
        let Value::Array(items) = value else {
            self.sort(path, "a list", value);
            return &[];
        };
        items
    }

    pub(super) fn text_at<'v>(&mut self, fields: &'v Fields, name: &str, path: &Path<'_>) -> Option<&'v str> {
        get(fields, name).and_then(|value| self.text(value, &path.field(name)))
    }

    pub(super) fn whole_at(&mut self, fields: &Fields, name: &str, path: &Path<'_>) -> Option<u32> {
        get(fields, name).and_then(|value| self.whole(value, &path.field(name)))
    }

    /// A whole number of any size that fits into 64 bits.
    pub(super) fn amount_at(&mut self, fields: &Fields, name: &str, path: &Path<'_>) -> Option<u64> {
        let value = get(fields, name)?;
        let amount = value.as_u64();
        match (amount, value) {
            (None, Value::Number(number)) => {
                self.meaningless(&path.field(name), "whole number of at least 0", number);
            }
            (None, _) => self.sort(&path.field(name), "a whole number", value),
            (Some(_), _) => {}
        }
        amount
    }

    pub(super) fn whole(&mut self, value: &Value, path: &Path<'_>) -> Option<u32> {
        let Value::Number(number) = value else {
            self.sort(path, "a whole number", value);
            return None;
        };
        let whole = number.as_u64().and_then(|number| u32::try_from(number).ok());
        if whole.is_none() {
            self.meaningless(path, "whole number from 0 to 4294967295", number);
        }
        whole
    }

    pub(super) fn flag_at(&mut self, fields: &Fields, name: &str, path: &Path<'_>) -> bool {
        let Some(value) = get(fields, name) else { return false };
        if !value.is_boolean() {
            self.sort(&path.field(name), "true or false", value);
        }
        *value == Value::Bool(true)
    }

    pub(super) fn span_at(&mut self, fields: &Fields, name: &str, path: &Path<'_>) -> Option<Duration> {
        let text = self.text_at(fields, name, path)?;
        let span = humantime::parse_duration(text).ok().filter(|span| span.as_nanos() <= u128::from(u64::MAX));
        if span.is_none() {
            self.meaningless(&path.field(name), "duration such as 250ms or 1m 30s", text);
        }
        span
    }

    /// One of several words.
    pub(super) fn word_at<T: Copy>(
        &mut self,
        fields: &Fields,
        name: &str,
        path: &Path<'_>,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.text_at(fields, name, path)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            self.unknown(&path.field(name), "word", text, words.iter().map(|(word, _)| *word));
        }
        found.map(|(_, meaning)| *meaning)
    }
}

/// A field that says something: null is as if it were not there.
pub(super) fn get<'v>(fields: &'v Fields, name: &str) -> Option<&'v Value> {
    fields.get(name).filter(|value| !value.is_null())
}

pub(super) const fn sort_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
