//! Decoding and encoding of messages, within bounds.

use super::message::{Message, VERSION};
use crate::base::limits::Limits;
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use thiserror::Error;

/// The maximum nesting depth of the parser, whatever a host allows.
const DEEPEST: u32 = 120;
/// The levels of a message around its payload.
const ABOVE: u32 = 6;

/// Limits on the size and nesting of messages.
///
/// ```
/// use counterpoint::Limits;
/// use counterpoint::protocol::{Malformed, Message, WireLimits};
///
/// let small = WireLimits::from(&Limits::default()).with_bytes(10);
/// let refused = Message::decode(br#"{"v":1,"id":"x"}"#, &small);
/// assert_eq!(refused, Err(Malformed::TooLarge { bytes: 16, limit: 10 }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WireLimits {
    /// The maximum number of bytes of a message.
    pub bytes: usize,
    /// The maximum nesting depth of a message; never more than 120.
    pub depth: u32,
}

impl WireLimits {
    /// Sets the maximum number of bytes.
    #[must_use]
    pub const fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets the maximum nesting depth.
    #[must_use]
    pub const fn with_depth(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }

    fn deepest(&self) -> u32 {
        self.depth.min(DEEPEST)
    }
}

impl Default for WireLimits {
    /// The limits that fit the default [`Limits`] of the core.
    fn default() -> Self {
        Self::from(&Limits::default())
    }
}

impl From<&Limits> for WireLimits {
    /// The largest payload, plus 64 KiB for the rest of the message.
    fn from(limits: &Limits) -> Self {
        let payload = usize::try_from(limits.sizes.payload_bytes).unwrap_or(usize::MAX);
        Self { bytes: payload.saturating_add(64 << 10), depth: limits.sizes.payload_depth.saturating_add(ABOVE) }
    }
}

/// The reason why bytes are not a message, or a message cannot be encoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The message is too large.
    #[error("the message has {bytes} bytes, more than the {limit} allowed")]
    TooLarge {
        /// The size in bytes.
        bytes: usize,
        /// The maximum size in bytes.
        limit: usize,
    },
    /// The message is nested too deep.
    #[error("the message nests deeper than the {limit} levels allowed")]
    TooDeep {
        /// The maximum nesting depth.
        limit: u32,
    },
    /// The bytes are not JSON.
    #[error("the message is not JSON, at line {line}, column {column}: {reason}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The reason.
        reason: String,
    },
    /// The message has another version.
    #[error("the message is of version {found}; this is version {VERSION}")]
    Version {
        /// The version of the message.
        found: u64,
    },
    /// The bytes are JSON but not a message: a field is missing, unknown, duplicate or of the wrong type.
    #[error("the message is malformed, at line {line}, column {column}: {reason}")]
    Shape {
        /// The line, from 1; 0 if the error concerns the whole message.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The reason.
        reason: String,
    },
}

impl From<&serde_json::Error> for Malformed {
    fn from(error: &serde_json::Error) -> Self {
        let (line, column, reason) = (error.line(), error.column(), error.to_string());
        match error.classify() {
            Category::Data => Self::Shape { line, column, reason },
            Category::Syntax | Category::Eof | Category::Io => Self::Syntax { line, column, reason },
        }
    }
}

#[derive(Deserialize)]
struct Header {
    v: u64,
}

impl Header {
    fn check(&self) -> Result<(), Malformed> {
        if self.v == u64::from(VERSION) { Ok(()) } else { Err(Malformed::Version { found: self.v }) }
    }
}

impl Message {
    /// Decodes a message. Checks size, depth, syntax, version and fields, in this order.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for the first check that fails.
    pub fn decode(bytes: &[u8], limits: &WireLimits) -> Result<Self, Malformed> {
        check_size(bytes, limits.bytes, limits.deepest())?;
        read::<Header>(bytes)?.check()?;
        read(bytes)
    }

    /// Decodes a group: an array of messages. Its size in bytes is limited as that of one message.
    ///
    /// ```
    /// use counterpoint::protocol::{Message, WireLimits};
    ///
    /// let beats = br#"[{"v":1,"id":"1","body":{"heartbeat":{"by":{"agent":"7","number":"3"}}}}]"#;
    /// assert_eq!(Message::decode_all(beats, &WireLimits::default())?.len(), 1);
    /// # Ok::<(), counterpoint::protocol::Malformed>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Malformed`] for the first check that fails, as for [`decode`](Self::decode).
    pub fn decode_all(bytes: &[u8], limits: &WireLimits) -> Result<Vec<Self>, Malformed> {
        check_size(bytes, limits.bytes, limits.deepest().saturating_add(1))?;
        read::<Vec<Header>>(bytes)?.iter().try_for_each(Header::check)?;
        read(bytes)
    }

    /// Encodes a message as compact JSON within the same limits, so that the receiver can decode it.
    ///
    /// # Errors
    ///
    /// When the message is too large or too deep.
    pub fn encode(&self, limits: &WireLimits) -> Result<String, Malformed> {
        // A payload may be nested deeper than the stack allows, so its depth is checked before.
        if self.body.payload_depth() > limits.deepest() {
            return Err(Malformed::TooDeep { limit: limits.deepest() });
        }
        let text = serde_json::to_string(self).map_err(|error| Malformed::from(&error))?;
        if text.len() > limits.bytes {
            return Err(Malformed::TooLarge { bytes: text.len(), limit: limits.bytes });
        }
        if depth(text.as_bytes()) > limits.deepest() {
            return Err(Malformed::TooDeep { limit: limits.deepest() });
        }
        Ok(text)
    }
}

fn check_size(bytes: &[u8], most: usize, deepest: u32) -> Result<(), Malformed> {
    if bytes.len() > most {
        return Err(Malformed::TooLarge { bytes: bytes.len(), limit: most });
    }
    if depth(bytes) > deepest {
        return Err(Malformed::TooDeep { limit: deepest });
    }
    Ok(())
}

fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Malformed> {
    serde_json::from_slice(bytes).map_err(|error| Malformed::from(&error))
}

/// The nesting depth of brackets outside of strings; exact for JSON, and harmless for other input.
fn depth(bytes: &[u8]) -> u32 {
    let (mut now, mut deepest) = (0_u32, 0_u32);
    let (mut in_text, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => {
                now = now.saturating_add(1);
                deepest = deepest.max(now);
            }
            b']' | b'}' => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_that_of_brackets_outside_of_texts() {
        assert_eq!(depth(br#"{"a":[1,{"b":"[[[[\"[["}]}"#), 3);
        assert_eq!(depth(b"]]]]["), 1);
        assert_eq!(depth(b"\"[[["), 0);
    }
}
