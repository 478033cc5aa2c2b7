//! Payloads: JSON values behind a shared handle, with typed conversion.
//!
//! ```
//! use counterpoint::Payload;
//!
//! let order = Payload::of(&("tea", 3))?;
//! let (what, count): (String, u32) = order.to()?;
//! assert_eq!((what.as_str(), count), ("tea", 3));
//! assert_eq!(order.to_string(), r#"["tea",3]"#);
//! # Ok::<(), counterpoint::PayloadError>(())
//! ```

use crate::base::error::PayloadError;
use core::fmt;
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

/// Data that the core passes on without inspecting it: the input and the output of a task.
///
/// Cloning increments a reference count. Size and depth are measured once, at construction, so that checking limits is
/// cheap. For large data, store the data on the host's side and put a reference into the payload.
#[derive(Clone, Default)]
pub struct Payload(Option<Arc<Measured>>);

struct Measured {
    content: Held,
    bytes: u32,
    depth: u32,
}

enum Held {
    Value(Value),
    /// An object that is built when it is read. What the engine puts together from other payloads is often only passed on.
    Fields(Box<Fields>),
    /// JSON text that is parsed when it is read. A small object needs a tenth of the memory.
    Text(Box<Text>),
}

const _: () = assert!(size_of::<Held>() == size_of::<Value>(), "few payloads are built late");

/// The fields of an object.
struct Fields {
    fields: [(&'static str, Field); 3],
    value: OnceLock<Value>,
}

/// The compact JSON text of a value.
struct Text {
    text: Box<str>,
    value: OnceLock<Value>,
}

impl Text {
    /// What `serde_json` has written it reads again, within the depth that it reads.
    fn parsed(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// A field of an object that is put together from other payloads.
pub(crate) enum Field {
    Payload(Payload),
    Flag(bool),
}

impl Field {
    /// Its size and depth, as [`measure`] computes them.
    fn measure(&self) -> (u32, u32) {
        match self {
            Self::Payload(payload) => (payload.bytes(), payload.depth()),
            Self::Flag(flag) => (if *flag { 4 } else { 5 }, 0),
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Payload(payload) => payload.value().clone(),
            Self::Flag(flag) => Value::Bool(*flag),
        }
    }
}

impl Fields {
    fn value(&self) -> &Value {
        let build = || self.fields.iter().map(|(name, field)| ((*name).to_owned(), field.value())).collect();
        self.value.get_or_init(|| Value::Object(build()))
    }
}

/// A parser of JSON refuses deeper text.
const PACKED_DEPTH: u32 = 100;

static NULL: Value = Value::Null;

impl Payload {
    /// The empty payload: JSON `null`.
    pub const NULL: Self = Self(None);

    /// The payload with this value.
    #[must_use]
    pub fn new(value: Value) -> Self {
        if value.is_null() {
            return Self::NULL;
        }
        let (bytes, depth) = measure(&value);
        Self(Some(Arc::new(Measured { content: Held::Value(value), bytes, depth })))
    }

    /// An object of these fields, which have different names. It shares the other payloads, and their values are copied when it is
    /// read: building and dropping the object takes 1,900 instructions.
    pub(crate) fn object(fields: [(&'static str, Field); 3]) -> Self {
        let (mut bytes, mut deepest) = (2_u32, 0);
        for (name, field) in &fields {
            let (own, depth) = field.measure();
            let name = u32::try_from(name.len()).unwrap_or(u32::MAX).saturating_add(4);
            (bytes, deepest) = (bytes.saturating_add(name).saturating_add(own), depth.max(deepest));
        }
        let content = Held::Fields(Box::new(Fields { fields, value: OnceLock::new() }));
        Self(Some(Arc::new(Measured { content, bytes, depth: deepest.saturating_add(1) })))
    }

    /// The payload with `data` serialized to JSON.
    ///
    /// # Errors
    ///
    /// Returns an error if `data` has no JSON form, such as a map whose keys are not text.
    pub fn of<T: Serialize + ?Sized>(data: &T) -> Result<Self, PayloadError> {
        serde_json::to_value(data).map(Self::new).map_err(|source| PayloadError::encode::<T>(&source))
    }

    /// The value, deserialized as a `T`.
    ///
    /// # Errors
    ///
    /// Returns an error if the value is not a `T`; the error contains the type and the reason.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        T::deserialize(self.value()).map_err(|source| PayloadError::decode::<T>(&source))
    }

    /// The JSON value.
    #[must_use]
    pub fn value(&self) -> &Value {
        self.0.as_ref().map_or(&NULL, |inner| inner.value())
    }

    /// The value, which is parsed and not retained if it is held as text.
    fn read(&self) -> Cow<'_, Value> {
        match self.0.as_deref().map(|inner| &inner.content) {
            Some(Held::Text(text)) if text.value.get().is_none() => Cow::Owned(text.parsed()),
            _ => Cow::Borrowed(self.value()),
        }
    }

    /// Whether both are the same value in memory.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// The payload held as text; none if that needs no less memory, or if it is deeper than a parser reads.
    pub(crate) fn packed(&self) -> Option<Self> {
        let inner = self.0.as_deref().filter(|inner| inner.depth > 0 && inner.depth <= PACKED_DEPTH)?;
        if matches!(inner.content, Held::Text(_)) {
            return None;
        }
        let text = serde_json::to_string(inner.value()).ok()?.into_boxed_str();
        let content = Held::Text(Box::new(Text { text, value: OnceLock::new() }));
        Some(Self(Some(Arc::new(Measured { content, bytes: inner.bytes, depth: inner.depth }))))
    }

    /// Whether it is JSON `null`.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        self.0.is_none()
    }

    /// Its length in bytes as compact JSON, not counting escape characters in strings.
    #[must_use]
    pub fn bytes(&self) -> u32 {
        self.0.as_ref().map_or(4, |inner| inner.bytes)
    }

    /// The nesting depth of its lists and objects; 0 for a scalar.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.0.as_ref().map_or(0, |inner| inner.depth)
    }
}

impl Measured {
    fn value(&self) -> &Value {
        match &self.content {
            Held::Value(value) => value,
            Held::Fields(fields) => fields.value(),
            Held::Text(text) => text.value.get_or_init(|| text.parsed()),
        }
    }
}

/// The length of a value in bytes, computed as for [`Payload::bytes`].
pub(crate) fn size(value: &Value) -> usize {
    measure(value).0 as usize
}

/// Size and depth with an explicit work list: recursion would overflow the stack on a deeply nested value. A scalar needs no
/// list.
fn measure(value: &Value) -> (u32, u32) {
    let (mut bytes, mut deepest) = (0_usize, 0_u32);
    let (mut next, mut work) = (Some((value, 0_u32)), Vec::new());
    while let Some((value, depth)) = next {
        deepest = deepest.max(depth);
        bytes = bytes.saturating_add(match value {
            Value::Null | Value::Bool(true) => 4,
            Value::Bool(false) => 5,
            Value::Number(number) => digits(number),
            Value::String(text) => text.len().saturating_add(2),
            Value::Array(items) => {
                work.extend(items.iter().map(|item| (item, depth.saturating_add(1))));
                items.len().saturating_add(2)
            }
            Value::Object(fields) => {
                work.extend(fields.values().map(|field| (field, depth.saturating_add(1))));
                fields.keys().fold(2, |sum: usize, key| sum.saturating_add(key.len().saturating_add(4)))
            }
        });
        next = work.pop();
    }
    (u32::try_from(bytes).unwrap_or(u32::MAX), deepest)
}

fn digits(number: &serde_json::Number) -> usize {
    match number.as_u64() {
        Some(0) => 1,
        Some(whole) => usize::try_from(whole.ilog10()).unwrap_or(0).saturating_add(1),
        None => 20,
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || self.read() == other.read(),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

/// Sound because JSON has no NaN.
impl Eq for Payload {}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        Self::new(value)
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&*self.read(), f)
    }
}

impl fmt::Debug for Payload {
    /// Prints the size and not the content: payloads may contain data that must not be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.bytes())
    }
}

/// A newtype of this name contains data of unknown type. A format that describes its data can accept it as it is, and reports
/// itself as human-readable within.
pub(crate) const OPEN: &str = "counterpoint::Open";

/// A JSON value in human-readable formats and in binary ones that accept it; JSON text in other binary ones, because
/// compact formats cannot decode a value of unknown type.
impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            self.read().serialize(to)
        } else {
            to.serialize_newtype_struct(OPEN, &Content(&self.read()))
        }
    }
}

struct Content<'a>(&'a Value);

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { self.0.serialize(to) } else { to.collect_str(self.0) }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            Value::deserialize(from).map(Self::new)
        } else {
            from.deserialize_newtype_struct(OPEN, ContentVisitor)
        }
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Payload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<Payload, D::Error> {
        if from.is_human_readable() {
            return Value::deserialize(from).map(Payload::new);
        }
        let text = String::deserialize(from)?;
        serde_json::from_str(&text).map(Payload::new).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn measures_size_and_depth() {
        let payload = Payload::new(json!({"a": [1, 22, {"b": "text"}]}));
        assert_eq!(payload.depth(), 3);
        assert!(payload.bytes().abs_diff(u32::try_from(payload.to_string().len()).unwrap()) <= 4);
        assert_eq!(Payload::NULL.depth(), 0);
    }

    /// It has the size and the depth of the same value as a whole, before and after it is read.
    #[test]
    fn an_object_of_payloads_is_the_same_as_one_of_values() {
        for (input, flag) in [(json!(null), true), (json!([1, [2]]), false), (json!({"a": {"b": "text"}}), true)] {
            let fields = || {
                let [input, output] = [input.clone(), json!("done")].map(|value| Field::Payload(Payload::new(value)));
                [("input", input), ("output", output), ("certain", Field::Flag(flag))]
            };
            let late = Payload::object(fields());
            let whole = Payload::new(json!({"input": input, "output": "done", "certain": flag}));
            assert_eq!((late.bytes(), late.depth()), (whole.bytes(), whole.depth()), "{whole}");
            assert_eq!(late.to_string(), whole.to_string());
            assert_eq!(late, whole);
            assert_ne!(late, Payload::object(fields().map(|(name, _)| (name, Field::Flag(flag)))));
        }
    }

    #[test]
    fn a_payload_as_text_is_the_same() {
        let values =
            [json!({"n": 1}), json!([1.5, -0.0, 1e300, u64::MAX, i64::MIN, "\u{1f}\""]), json!({"a": {"b": [{}]}})];
        for value in values {
            let whole = Payload::new(value.clone());
            let packed = whole.packed().unwrap();
            assert!(packed.packed().is_none());
            assert_eq!((packed.bytes(), packed.depth()), (whole.bytes(), whole.depth()));
            assert_eq!(
                (packed.to_string(), serde_json::to_value(&packed).unwrap()),
                (whole.to_string(), value.clone())
            );
            assert_eq!(packed, whole);
            assert!(matches!(&packed.0.as_deref().unwrap().content, Held::Text(text) if text.value.get().is_none()));
            assert_eq!(packed.value(), &value);
        }
        assert!(Payload::new(json!("text")).packed().is_none() && Payload::NULL.packed().is_none());
        let deep = (0..=PACKED_DEPTH).fold(json!(1), |inner, _| json!([inner]));
        assert!(Payload::new(deep).packed().is_none());
    }

    #[test]
    fn debug_shows_no_content() {
        assert_eq!(format!("{:?}", Payload::new(json!("secret"))), "Payload(8 bytes)");
    }

    #[test]
    fn a_wrong_type_is_named() {
        let error = Payload::new(json!("seven")).to::<u32>().unwrap_err();
        assert!(error.to_string().contains("u32"), "{error}");
    }

    #[test]
    fn deep_values_are_measured_without_recursion() {
        let mut value = json!(1);
        for _ in 0..5_000 {
            value = Value::Array(vec![value]);
        }
        let payload = Payload::new(value);
        assert_eq!(payload.depth(), 5_000);
    }
}
