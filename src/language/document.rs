//! A document as it was read: a tree of bounded depth and size, whatever the format it came in.

use core::cell::Cell;
use core::fmt;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

/// How deep a document may be nested. Everything that walks a document may recurse, because nothing is deeper than this.
pub(super) const MOST_DEPTH: u32 = 64;

/// How many bytes a document may come to: its texts, and some for every value. Aliases of YAML count each time.
const MOST_BYTES: usize = 4 << 20;

/// What every value costs beside its text.
const VALUE_BYTES: usize = 16;

/// A workflow as people write it, in whatever format the host reads: YAML, JSON, TOML.
///
/// Reading one only bounds it: nested at most 64 deep, 4 MiB in all, no key twice in one place.
/// [`compile`](Self::compile) says whether it means something.
///
/// ```
/// use counterpoint::language::Document;
///
/// let document: Document = serde_json::from_str(r#"{"name": "greet", "tasks": [{"id": "say"}]}"#)?;
/// assert_eq!(document.value()["name"], "greet");
/// assert!(serde_json::from_str::<Document>(&"[".repeat(100)).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Document(Value);

impl Document {
    /// The tree.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let room = Cell::new(MOST_BYTES);
        Bounded { depth: 0, room: &room }.deserialize(from).map(Self)
    }
}

/// Reads one value, and what is in it, within what is left of the bounds.
#[derive(Clone, Copy)]
struct Bounded<'r> {
    depth: u32,
    room: &'r Cell<usize>,
}

impl Bounded<'_> {
    fn take<E: Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.room.get().checked_sub(bytes.saturating_add(VALUE_BYTES));
        self.room.set(left.ok_or_else(|| E::custom(format_args!("larger than {MOST_BYTES} bytes")))?);
        Ok(())
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MOST_DEPTH {
            return Err(E::custom(format_args!("nested more than {MOST_DEPTH} deep")));
        }
        Ok(Self { depth: self.depth.saturating_add(1), room: self.room })
    }

    fn plain<E: Error>(self, value: impl Into<Value>) -> Result<Value, E> {
        self.take(0)?;
        Ok(value.into())
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.plain(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.plain(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        self.deserialize(from)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.plain(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.plain(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.plain(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number that is none"))?;
        self.plain(Value::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.take(text.len())?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        self.take(0)?;
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        self.take(0)?;
        let inner = self.deeper()?;
        let mut fields = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            self.take(name.len())?;
            if fields.contains_key(&name) {
                let shown: String = name.chars().take(64).collect();
                return Err(A::Error::custom(format_args!("`{shown}` is given twice")));
            }
            let value = from.next_value_seed(inner)?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}
