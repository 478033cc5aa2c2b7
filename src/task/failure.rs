//! How an attempt fails, and what it may have left behind.

use crate::base::payload::Payload;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Why an attempt did not succeed, and what that means for the next one.
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
    /// What it means for the next attempt.
    pub kind: FailureKind,
    /// For people.
    pub message: Box<str>,
    /// The agent asks not to be tried again sooner.
    #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// It may work next time.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self::of(FailureKind::Transient, message)
    }

    /// It will never work.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::of(FailureKind::Permanent, message)
    }

    /// Too much at once: try later.
    #[must_use]
    pub fn overloaded(message: impl Into<String>, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::of(FailureKind::Overloaded, message) }
    }

    /// Nobody can say whether it happened.
    #[must_use]
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::of(FailureKind::Unknown, message)
    }

    fn of(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into().into_boxed_str(), retry_after: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl core::error::Error for Failure {}

/// What a failure means for the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// Nothing happened; another attempt may succeed.
    Transient,
    /// Nothing happened; no attempt will succeed.
    Permanent,
    /// Nothing happened; the agent has too much to do.
    Overloaded,
    /// The outcome is unknown: a timeout, a lost agent. The work may have been done. An agent that is not sure says this
    /// and nothing else.
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
    /// The task had no effect.
    #[default]
    None,
    /// The outcome of an attempt is unknown: the task may have had its effect.
    Possible,
    /// The task had its effect, with this output.
    Done(Payload),
}
