//! A document as a tree of bounded depth and size, whatever its format.

use core::cell::Cell;
use core::fmt;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

/// The limit on nesting. Functions that walk a document can recurse, since this bounds their depth.
pub(super) const MAX_DEPTH: u32 = 64;

/// The limit on the size: the bytes of all strings, plus [`VALUE_BYTES`] for every value. YAML aliases count each time.
const MAX_BYTES: usize = 4 << 20;

/// The size of a value besides its string.
const VALUE_BYTES: usize = 16;

/// A workflow document, in the format that the host reads: YAML, JSON, TOML.
///
/// Deserializing checks only the limits: at most 64 levels, 4 MiB in all, no duplicate keys. [`compile`](Self::compile) checks the
/// content.
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
    /// The document as a tree.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let room = Cell::new(MAX_BYTES);
        Bounded { depth: 0, room: &room }.deserialize(from).map(Self)
    }
}

/// Deserializes one value with its content, within the remaining limits.
#[derive(Clone, Copy)]
struct Bounded<'r> {
    depth: u32,
    room: &'r Cell<usize>,
}

impl Bounded<'_> {
    fn take<E: Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.room.get().checked_sub(bytes.saturating_add(VALUE_BYTES));
        self.room.set(left.ok_or_else(|| E::custom(format_args!("larger than {MAX_BYTES} bytes")))?);
        Ok(())
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!("nested more than {MAX_DEPTH} deep")));
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
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number that is not finite"))?;
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
                return Err(A::Error::custom(format_args!("duplicate field `{shown}`")));
            }
            let value = from.next_value_seed(inner)?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}
