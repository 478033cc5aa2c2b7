//! The envelope.

use super::body::Body;
use super::wire;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::base::token::Token;
use crate::task::trace::TraceContext;
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// The version of the messages that this crate writes and reads.
pub const VERSION: u16 = 1;

/// A message.
///
/// ```
/// use counterpoint::protocol::{Body, Message, MessageId};
/// use counterpoint::{AgentId, Incarnation};
///
/// let beat = Message::new(MessageId::new("a7-12")?, Body::Heartbeat { by: Incarnation::new(AgentId::new(7), 3) });
/// let text = serde_json::to_string(&beat)?;
/// assert_eq!(text, r#"{"v":1,"id":"a7-12","body":{"heartbeat":{"by":{"agent":"7","number":"3"}}}}"#);
/// assert_eq!(serde_json::from_str::<Message>(&text)?, beat);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Message {
    v: Version,
    pub(super) id: MessageId,
    /// The message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub re: Option<MessageId>,
    /// The time of sending.
    #[serde(with = "wire::option", default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// The trace of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
    /// The sender's proof of identity, for the host's verifier; the gate of [`access`](crate::access) requires it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// The content.
    pub body: Body,
}

impl Message {
    /// A message that is not an answer.
    #[must_use]
    pub const fn new(id: MessageId, body: Body) -> Self {
        Self { v: Version, id, re: None, at: None, trace: None, token: None, body }
    }

    /// Sets the message that this one answers.
    #[must_use]
    pub fn in_reply_to(mut self, message: MessageId) -> Self {
        self.re = Some(message);
        self
    }

    /// Sets the time of sending.
    #[must_use]
    pub const fn sent_at(mut self, now: Time) -> Self {
        self.at = Some(now);
        self
    }

    /// Sets the trace.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Sets the token.
    #[must_use]
    pub fn with_token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// The id that the sender gave the message.
    #[must_use]
    pub const fn id(&self) -> &MessageId {
        &self.id
    }
}

/// Serialised as [`VERSION`]; any other version is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version;

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u16(VERSION)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u16::deserialize(from)? {
            VERSION => Ok(Self),
            other => Err(de::Error::custom(format_args!("version {other} is not {VERSION}"))),
        }
    }
}

/// The id that the sender gave a message: 1 to 128 visible ASCII characters.
///
/// ```
/// use counterpoint::protocol::MessageId;
///
/// assert_eq!(MessageId::new("a7-12")?.as_str(), "a7-12");
/// assert!(MessageId::new("a b").is_err());
/// # Ok::<(), counterpoint::protocol::BadMessageId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Name", into = "Name")]
pub struct MessageId(Name);

/// The error for an invalid message id: empty, longer than 128 characters, or with other characters than visible ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[error("a message id is 1 to 128 visible ASCII characters")]
#[non_exhaustive]
pub struct BadMessageId;

impl MessageId {
    /// The id with this text.
    ///
    /// # Errors
    ///
    /// When the text is empty, longer than 128 characters, or not visible ASCII.
    pub fn new(text: impl Into<Name>) -> Result<Self, BadMessageId> {
        Self::try_from(text.into())
    }

    /// The text of the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An id that this crate made, which is valid.
    pub(super) fn made(text: String) -> Self {
        debug_assert!(Self::new(text.as_str()).is_ok(), "{text}");
        Self(text.into())
    }
}

impl TryFrom<Name> for MessageId {
    type Error = BadMessageId;

    fn try_from(text: Name) -> Result<Self, BadMessageId> {
        let good = !text.is_empty() && text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_graphic());
        if good { Ok(Self(text)) } else { Err(BadMessageId) }
    }
}

impl From<MessageId> for Name {
    fn from(id: MessageId) -> Self {
        id.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
