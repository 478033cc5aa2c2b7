//! Payloads in an encoded form: encrypted, compressed, or stored elsewhere. Hosts encode what enters their engine and decode what
//! leaves it, so that engines and journals contain nothing else.

use super::name::Name;
use super::payload::Payload;
use core::fmt;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use thiserror::Error;

/// The only key of an object that stands for an encoded value.
const ENCODED: &str = "cp.encoded";

/// The error for a payload that cannot be encoded or decoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the codec of payloads failed: {0}")]
pub struct CodecError(Box<str>);

impl CodecError {
    /// An error with this reason. It must not contain the payload.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into().into_boxed_str())
    }
}

/// Encodes payloads before they enter the engine of a host, and decodes them when they leave it: encryption, compression, or a
/// claim check, which stores large values elsewhere and keeps a reference.
///
/// What `encode` returns is stored in the journal as it is. A header of it (the id of a key, the name of an algorithm) lets
/// `decode` read what was encoded before keys were rotated.
///
/// ```
/// use counterpoint::Payload;
/// use counterpoint::host::{CodecError, PayloadCodec};
/// use std::collections::BTreeMap;
/// use std::sync::Mutex;
///
/// /// A claim check: values of more than 1 KB are stored elsewhere.
/// #[derive(Default)]
/// struct ClaimCheck(Mutex<BTreeMap<u64, Payload>>); // stands for a store of blobs
///
/// impl PayloadCodec for ClaimCheck {
///     fn encode(&self, plain: &Payload) -> Result<Payload, CodecError> {
///         if plain.bytes() <= 1_024 {
///             return Payload::of(&("here", plain)).map_err(|error| CodecError::new(error.to_string()));
///         }
///         let mut blobs = self.0.lock().map_err(|_| CodecError::new("the store failed"))?;
///         let number = blobs.len() as u64;
///         blobs.insert(number, plain.clone());
///         Payload::of(&("there", number)).map_err(|error| CodecError::new(error.to_string()))
///     }
///
///     fn decode(&self, encoded: &Payload) -> Result<Payload, CodecError> {
///         if let Ok((_, number)) = encoded.to::<(String, u64)>() {
///             let blobs = self.0.lock().map_err(|_| CodecError::new("the store failed"))?;
///             return blobs.get(&number).cloned().ok_or_else(|| CodecError::new("the store has no such blob"));
///         }
///         encoded.to::<(String, Payload)>().map(|(_, plain)| plain).map_err(|error| CodecError::new(error.to_string()))
///     }
/// }
/// ```
pub trait PayloadCodec: Send + Sync + 'static {
    /// The encoded form of a payload.
    ///
    /// # Errors
    ///
    /// When it cannot be encoded: too large, no key. What was to enter the engine is then rejected.
    fn encode(&self, plain: &Payload) -> Result<Payload, CodecError>;

    /// The payload with this encoded form.
    ///
    /// # Errors
    ///
    /// When it cannot be decoded: another key, damage. The attempt that needs it fails; nothing is lost.
    fn decode(&self, encoded: &Payload) -> Result<Payload, CodecError>;
}

/// How a host encodes payloads: a codec, and what it is applied to.
///
/// A payload is encoded as a whole by default. The engine can then pass it on, but neither read its fields in expressions and
/// conditions nor map over it. With [`each`](Self::each), each field of an object and each item of a list is encoded for itself, so
/// that expressions can select them and maps can distribute them; [`plain`](Self::plain) leaves fields for conditions readable.
#[derive(Clone)]
pub struct Encoding {
    codec: Arc<dyn PayloadCodec>,
    parts: Parts,
    plain: BTreeSet<Name>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parts {
    Whole,
    Each,
}

impl Encoding {
    /// Encodes each payload as a whole.
    #[must_use]
    pub fn new(codec: impl PayloadCodec) -> Self {
        Self { codec: Arc::new(codec), parts: Parts::Whole, plain: BTreeSet::new() }
    }

    /// Encodes each field of an object, each item of a list, and each field of an object in a list for itself. Names of fields and
    /// the lengths of lists stay readable.
    #[must_use]
    pub const fn each(mut self) -> Self {
        self.parts = Parts::Each;
        self
    }

    /// Leaves a field as it is, with [`each`](Self::each).
    #[must_use]
    pub fn plain(mut self, field: impl Into<Name>) -> Self {
        self.plain.insert(field.into());
        self
    }

    /// The encoded form of a payload. Null stays null.
    pub(crate) fn encode(&self, plain: &Payload) -> Result<Payload, CodecError> {
        match (self.parts, plain.value()) {
            (Parts::Each, Value::Array(_)) => self.encode_list(plain),
            (Parts::Each, value) => self.fields(value).map(Payload::new),
            (Parts::Whole, value) => self.whole(value).map(Payload::new),
        }
    }

    /// The encoded form of a list whose items are to be distributed.
    pub(crate) fn encode_list(&self, plain: &Payload) -> Result<Payload, CodecError> {
        let Value::Array(items) = plain.value() else { return self.encode(plain) };
        let item = |item: &Value| match self.parts {
            Parts::Each => self.fields(item),
            Parts::Whole => self.whole(item),
        };
        Ok(Payload::new(Value::Array(items.iter().map(item).collect::<Result<_, _>>()?)))
    }

    fn fields(&self, value: &Value) -> Result<Value, CodecError> {
        let Value::Object(fields) = value else { return self.whole(value) };
        let field = |(name, value): (&String, &Value)| {
            let is_plain = self.plain.contains(name.as_str());
            Ok((name.clone(), if is_plain { value.clone() } else { self.whole(value)? }))
        };
        fields.iter().map(field).collect::<Result<Map<_, _>, _>>().map(Value::Object)
    }

    fn whole(&self, value: &Value) -> Result<Value, CodecError> {
        if value.is_null() {
            return Ok(Value::Null);
        }
        let encoded = self.codec.encode(&Payload::new(value.clone()))?;
        Ok(Value::Object(Map::from_iter([(ENCODED.to_owned(), encoded.value().clone())])))
    }

    /// The payload with this encoded form, which may be composed of encoded parts.
    pub(crate) fn decode(&self, encoded: &Payload) -> Result<Payload, CodecError> {
        self.decoded(encoded.value()).map(Payload::new)
    }

    fn decoded(&self, value: &Value) -> Result<Value, CodecError> {
        match value {
            Value::Object(fields) => match fields.get(ENCODED).filter(|_| fields.len() == 1) {
                Some(encoded) => Ok(self.codec.decode(&Payload::new(encoded.clone()))?.value().clone()),
                None => {
                    let field = |(name, value): (&String, &Value)| Ok((name.clone(), self.decoded(value)?));
                    fields.iter().map(field).collect::<Result<Map<_, _>, _>>().map(Value::Object)
                }
            },
            Value::Array(items) => {
                items.iter().map(|item| self.decoded(item)).collect::<Result<_, _>>().map(Value::Array)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
        }
    }

    /// The encoded form of what is submitted again: that which is known, if it means the same. So a repetition is
    /// recognised, although a codec may encode the same payload in many ways.
    pub(crate) fn again(
        &self,
        known: Option<&Payload>,
        plain: &Payload,
        encode: impl FnOnce(&Payload) -> Result<Payload, CodecError>,
    ) -> Result<Payload, CodecError> {
        match known {
            Some(known) if self.decode(known)? == *plain => Ok(known.clone()),
            Some(_) | None => encode(plain),
        }
    }
}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoding").field("parts", &self.parts).field("plain", &self.plain).finish_non_exhaustive()
    }
}
