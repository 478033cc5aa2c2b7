//! From bytes to messages and back: bounds first.

use super::message::{Message, VERSION};
use crate::base::limits::Limits;
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use thiserror::Error;

/// How deep the parser follows at the most, whatever a host allows.
const DEEPEST: u32 = 120;
/// Levels of a message above the payload in it.
const ABOVE: u32 = 6;

/// How large and how deep a message may be.
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
    /// Bytes of a message.
    pub bytes: usize,
    /// Nesting of a message; never more than 120.
    pub depth: u32,
}

impl WireLimits {
    /// Sets the size.
    #[must_use]
    pub const fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets the depth.
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
    /// What the default [`Limits`] of the core take.
    fn default() -> Self {
        Self::from(&Limits::default())
    }
}

impl From<&Limits> for WireLimits {
    /// Room for the largest payload, and 64 KiB for what is around it.
    fn from(limits: &Limits) -> Self {
        let payload = usize::try_from(limits.payload_bytes).unwrap_or(usize::MAX);
        Self { bytes: payload.saturating_add(64 << 10), depth: limits.payload_depth.saturating_add(ABOVE) }
    }
}

/// Why bytes are no message, or a message cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// It is larger than it may be.
    #[error("the message has {bytes} bytes, more than the {limit} allowed")]
    TooLarge {
        /// How large.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// It nests deeper than it may.
    #[error("the message nests deeper than the {limit} levels allowed")]
    TooDeep {
        /// How deep it may nest.
        limit: u32,
    },
    /// It is no JSON.
    #[error("the message is no JSON, at line {line}, column {column}: {reason}")]
    Syntax {
        /// Which line, from 1.
        line: usize,
        /// Which column, from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// It is of another version.
    #[error("the message is of version {found}; this is version {VERSION}")]
    Version {
        /// Which.
        found: u64,
    },
    /// It is JSON and not a message: a field is missing, unknown, twice there, or not what it should be.
    #[error("the message is not in order, at line {line}, column {column}: {reason}")]
    Shape {
        /// Which line, from 1; 0 if it is about the whole.
        line: usize,
        /// Which column, from 1.
        column: usize,
        /// What is wrong there.
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

impl Message {
    /// Reads a message: size, depth, syntax, version, form, in this order.
    ///
    /// # Errors
    ///
    /// [`Malformed`] says which of these was not in order.
    pub fn decode(bytes: &[u8], limits: &WireLimits) -> Result<Self, Malformed> {
        if bytes.len() > limits.bytes {
            return Err(Malformed::TooLarge { bytes: bytes.len(), limit: limits.bytes });
        }
        if depth(bytes) > limits.deepest() {
            return Err(Malformed::TooDeep { limit: limits.deepest() });
        }
        let header: Header = serde_json::from_slice(bytes).map_err(|error| Malformed::from(&error))?;
        if header.v != u64::from(VERSION) {
            return Err(Malformed::Version { found: header.v });
        }
        serde_json::from_slice(bytes).map_err(|error| Malformed::from(&error))
    }

    /// Writes a message as compact JSON, within the same bounds: what this gives, the other side reads.
    ///
    /// # Errors
    ///
    /// When it is larger or deeper than allowed.
    pub fn encode(&self, limits: &WireLimits) -> Result<String, Malformed> {
        // A payload may be deeper than the stack is: ask before writing.
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

/// How deep brackets nest outside of texts; right for JSON, and harmless for anything else.
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
