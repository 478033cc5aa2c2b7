//! A document as a tree of bounded depth and size, whatever its format.

use super::marks::{MARKER, Mark, Position, SPANNED, Spot};
use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, Value};

/// The limit on nesting. Functions that walk a document can recurse, since this bounds their depth.
pub(super) const MAX_DEPTH: u32 = 64;

/// The nesting up to which values get places. A place costs several calls on the stack for each level.
const MARKED_DEPTH: u32 = 20;

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
/// A reader that tells where values are written, as `serde-saphyr` does for YAML and JSON, gives the mistakes of the document
/// lines and columns. Two documents are equal if their content is.
#[derive(Debug, Clone)]
pub struct Document {
    value: Value,
    marks: Mark,
}

impl Document {
    /// The document as a tree.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }

    pub(super) const fn marks(&self) -> &Mark {
        &self.marks
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let room = Cell::new(MAX_BYTES);
        let (value, marks) = Bounded { depth: 0, room: &room }.deserialize(from)?;
        Ok(Self { value, marks })
    }
}

/// A value, and where it is written.
type Marked = (Value, Mark);

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

    fn plain<E: Error>(self, value: impl Into<Value>) -> Result<Marked, E> {
        self.take(0)?;
        Ok((value.into(), Mark::default()))
    }

    /// The rest of an object after its first name.
    fn fields<'de, A: MapAccess<'de>>(self, first: Option<Key>, mut from: A) -> Result<Marked, A::Error> {
        self.take(0)?;
        let inner = self.deeper()?;
        let (mut fields, mut marks) = (Map::new(), Mark::default());
        let mut next = first;
        while let Some(Key { name, at }) = next {
            self.take(name.len())?;
            if fields.contains_key(&name) {
                let shown: String = name.chars().take(64).collect();
                return Err(A::Error::custom(format_args!("duplicate field `{shown}`")));
            }
            let (value, mark) = from.next_value_seed(inner)?;
            marks.add_field(&name, at, mark);
            fields.insert(name, value);
            next = from.next_key_seed(KeySeed)?;
        }
        Ok((Value::Object(fields), marks))
    }

    /// A value that its reader gives together with its place.
    fn spanned<'de, A: MapAccess<'de>>(self, mut from: A) -> Result<Marked, A::Error> {
        from.next_value::<IgnoredAny>()?;
        let (value, at) = with_spot(from, Unmarked(self))?;
        let (value, mut mark) = value;
        mark.set(at);
        Ok((value, mark))
    }
}

/// Deserializes a value whose place is given beside it.
struct Unmarked<'r>(Bounded<'r>);

impl<'de> DeserializeSeed<'de> for Unmarked<'_> {
    type Value = Marked;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Marked, D::Error> {
        from.deserialize_any(self.0)
    }
}

/// The name of a field, and where it is written.
struct Key {
    name: String,
    at: Option<Position>,
}

/// Deserializes the name of a field.
struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Key, D::Error> {
        from.deserialize_newtype_struct(SPANNED, Self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<Key, D::Error> {
        from.deserialize_string(self)
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Key, E> {
        Ok(Key { name: name.to_owned(), at: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Key, A::Error> {
        let marker: Option<String> = from.next_key()?;
        marker.ok_or_else(|| A::Error::missing_field(MARKER))?;
        from.next_value::<IgnoredAny>()?;
        let (name, at) = with_spot(from, PhantomData::<String>)?;
        Ok(Key { name, at })
    }
}

/// A value and its place, from an object of which the first field has been read. What follows the place is not read.
fn with_spot<'de, A, S>(mut from: A, seed: S) -> Result<(S::Value, Option<Position>), A::Error>
where
    A: MapAccess<'de>,
    S: DeserializeSeed<'de>,
{
    let mut seed = Some(seed);
    let mut value = None;
    while let Some(name) = from.next_key::<String>()? {
        match (name.as_str(), seed.take()) {
            ("value", Some(seed)) => value = Some(from.next_value_seed(seed)?),
            ("referenced", _) => {
                let at = from.next_value::<Spot>()?.position();
                return value.map(|value| (value, at)).ok_or_else(|| A::Error::missing_field("value"));
            }
            (_, before) => {
                seed = before;
                from.next_value::<IgnoredAny>()?;
            }
        }
    }
    value.map(|value| (value, None)).ok_or_else(|| A::Error::missing_field("value"))
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Marked;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Marked, D::Error> {
        if self.depth < MARKED_DEPTH {
            from.deserialize_newtype_struct(SPANNED, self)
        } else {
            from.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Marked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<Marked, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_unit<E: Error>(self) -> Result<Marked, E> {
        self.plain(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Marked, E> {
        self.plain(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Marked, D::Error> {
        self.deserialize(from)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Marked, E> {
        self.plain(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Marked, E> {
        self.plain(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Marked, E> {
        self.plain(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Marked, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number that is not finite"))?;
        self.plain(Value::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Marked, E> {
        self.take(text.len())?;
        Ok((Value::String(text.to_owned()), Mark::default()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Marked, A::Error> {
        self.take(0)?;
        let inner = self.deeper()?;
        let (mut items, mut marks) = (Vec::new(), Mark::default());
        while let Some((item, mark)) = from.next_element_seed(inner)? {
            marks.add_item(mark);
            items.push(item);
        }
        Ok((Value::Array(items), marks))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Marked, A::Error> {
        let first = from.next_key_seed(KeySeed)?;
        match first {
            Some(key) if key.name == MARKER => self.spanned(from),
            first => self.fields(first, from),
        }
    }
}
