//! Where the values of a document are written, if its reader tells.
//!
//! A reader of YAML that follows the protocol of `serde-saphyr` answers the request for a newtype struct of the name [`SPANNED`]
//! with an object of the fields [`MARKER`], `value`, `referenced` and `defined`. Other readers give the value itself.

use core::fmt;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// The name of the newtype struct that asks for a value with its place.
pub(super) const SPANNED: &str = "__yaml_spanned";
/// The first field of a value with its place.
pub(super) const MARKER: &str = "__serde_saphyr_private_spanned";

/// A place in the text of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A place as readers give it; both are 0 if it is not known.
pub(super) struct Spot {
    line: u32,
    column: u32,
}

impl<'de> Deserialize<'de> for Spot {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_struct("Location", &["line", "column"], SpotVisitor)
    }
}

struct SpotVisitor;

impl<'de> Visitor<'de> for SpotVisitor {
    type Value = Spot;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line and a column")
    }

    /// The line and the column come first. What follows them is not read.
    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Spot, A::Error> {
        let mut next = |name: &'static str| match from.next_entry::<String, u32>()? {
            Some((found, number)) if found == name => Ok(number),
            Some(_) | None => Err(A::Error::missing_field(name)),
        };
        Ok(Spot { line: next("line")?, column: next("column")? })
    }
}

impl Spot {
    pub(super) fn position(&self) -> Option<Position> {
        (self.line > 0).then_some(Position { line: self.line, column: self.column })
    }
}

/// Where a value and its content are written. Empty if the reader does not tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Mark {
    at: Option<Position>,
    items: Vec<Self>,
    fields: BTreeMap<String, Field>,
}

#[derive(Debug, Clone)]
struct Field {
    name: Option<Position>,
    value: Mark,
}

/// What of a field a mistake is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aspect {
    Name,
    Value,
}

impl Mark {
    pub(super) const fn set(&mut self, at: Option<Position>) {
        self.at = at;
    }

    const fn is_empty(&self) -> bool {
        self.at.is_none()
    }

    pub(super) fn add_item(&mut self, item: Self) {
        if !item.is_empty() {
            self.items.push(item);
        }
    }

    pub(super) fn add_field(&mut self, name: &str, at: Option<Position>, value: Self) {
        if !value.is_empty() {
            self.fields.insert(name.to_owned(), Field { name: at, value });
        }
    }

    /// The place of the value at a path such as `tasks[2].inputs.a`, or of the last value on the path that there is.
    pub(super) fn find(&self, path: &str, aspect: Aspect) -> Option<Position> {
        let (mut mark, mut rest, mut found) = (self, path, self.at);
        while !rest.is_empty() {
            let step = mark.step(rest.strip_prefix('.').unwrap_or(rest));
            let Some((name, inner, after)) = step else { break };
            found = if aspect == Aspect::Name && after.is_empty() { name.or(inner.at) } else { inner.at };
            (mark, rest) = (inner, after);
        }
        found
    }

    /// The content at the beginning of a path, where its name is written, and the rest of the path. Names of fields can contain
    /// dots, so the longest that fits is taken.
    fn step<'p>(&self, path: &'p str) -> Option<(Option<Position>, &Self, &'p str)> {
        if let Some((index, rest)) = path.strip_prefix('[').and_then(|path| path.split_once(']')) {
            return Some((None, self.items.get(index.parse::<usize>().ok()?)?, rest));
        }
        let fits = |name: &str| path.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        let fields = self.fields.iter().filter_map(|(name, field)| Some((name, field, fits(name)?)));
        let (_, field, rest) = fields.max_by_key(|(name, ..)| name.len())?;
        Some((field.name, &field.value, rest))
    }
}
