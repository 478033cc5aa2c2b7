//! Failures of attempts, and the side effects that they may have left.

use crate::base::canonical::canonical;
use crate::base::payload::Payload;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Why an attempt did not succeed, and whether to try again.
///
/// ```
/// use counterpoint::{Failure, FailureKind};
///
/// let failure = Failure::transient("connection reset");
/// assert_eq!(failure.kind, FailureKind::Transient);
/// assert_eq!(failure.to_string(), "transient: connection reset");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// The kind, which determines whether the task is tried again.
    pub kind: FailureKind,
    /// A message for people.
    pub message: Box<str>,
    /// The shortest time before the next attempt, on request of the agent.
    #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure that may not occur in the next attempt.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self::of(FailureKind::Transient, message)
    }

    /// A failure that would occur in every attempt.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::of(FailureKind::Permanent, message)
    }

    /// An overload of the agent, with the time after which to try again.
    #[must_use]
    pub fn overloaded(message: impl Into<String>, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::of(FailureKind::Overloaded, message) }
    }

    /// An unknown outcome: the attempt may have had side effects.
    #[must_use]
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::of(FailureKind::Unknown, message)
    }

    fn of(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into().into_boxed_str(), retry_after: None }
    }
}

canonical!(Failure { retry_after } beside { kind, message });

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl core::error::Error for Failure {}

/// The kind of a failure, which determines whether the task is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// No side effects; another attempt may succeed.
    Transient,
    /// No side effects; no attempt will succeed.
    Permanent,
    /// No side effects; the agent is overloaded.
    Overloaded,
    /// The outcome is unknown, after a timeout or the loss of an agent: the work may have been done. An agent that
    /// cannot determine its outcome must report this kind.
    Unknown,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Overloaded => "overloaded",
            Self::Unknown => "outcome unknown",
        })
    }
}

/// The side effects of a task that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "none, done and unknown are all there is")]
pub enum SideEffects {
    /// The task had no side effects.
    #[default]
    None,
    /// The outcome of an attempt is unknown: side effects are possible.
    Possible,
    /// The task had its side effects, with this output.
    Done(Payload),
}
