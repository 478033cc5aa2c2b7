//! Rejected commands: a typed reason for each, by family. A rejected command changes no state.
//!
//! The [class](Rejected::class) determines what a caller can do next: the command names something that does not exist,
//! contradicts existing state, is too late, can be sent again later, or can never succeed without a change. Mappings to
//! other protocols (HTTP status codes, error codes of the wire protocol) use the class.

mod content;
#[cfg(feature = "observe")]
mod mentions;
mod state;
mod subject;

pub use content::{Invalid, Misuse};
#[cfg(feature = "observe")]
pub(crate) use mentions::Mention;
pub use state::{Forbidden, Overload, WrongState};
pub use subject::{Conflict, Stale, Unknown};

use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a command was refused. No event was emitted for it and no state changed.
///
/// ```
/// use counterpoint::{Config, Engine, Outbox, RejectedClass, TaskCommand, TaskId, Time};
///
/// let mut engine = Engine::new(Config::default());
/// let cancel = TaskCommand::Cancel { task: TaskId::new(7), reason: "no longer needed".into() };
/// let refused = engine.handle(Time::ZERO, cancel.into(), &mut Outbox::default());
/// let Err(refused) = refused else { panic!("there is no task 7") };
/// assert_eq!(refused.class(), RejectedClass::Unknown);
/// assert_eq!(refused.to_string(), "no task t7 is known");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejected {
    /// The command names something that does not exist or is no longer retained.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// The command contradicts something that exists under the same id, name or key.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The command refers to an attempt or incarnation that is over.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// A bound on load is reached; the same command may succeed later.
    #[error(transparent)]
    Capacity(#[from] Overload),
    /// The command does not apply to the state that its subject is in.
    #[error(transparent)]
    State(#[from] WrongState),
    /// The sender may not give this command.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The content of the command is not valid; the same command never succeeds.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The command is not meant for this subject; another command is.
    #[error(transparent)]
    Misuse(#[from] Misuse),
    /// One command of a bulk is refused, and with it all of them.
    #[error("number {index} of the bulk: {reason}")]
    InBulk {
        /// The index of the refused command, from 0.
        index: u32,
        /// The reason for that command.
        reason: Box<Self>,
    },
}

impl Rejected {
    /// The family of the reason; for a bulk, that of the refused command in it.
    #[must_use]
    pub fn class(&self) -> RejectedClass {
        match self {
            Self::Unknown(_) => RejectedClass::Unknown,
            Self::Conflict(_) => RejectedClass::Conflict,
            Self::Stale(_) => RejectedClass::Stale,
            Self::Capacity(_) => RejectedClass::Capacity,
            Self::State(_) => RejectedClass::State,
            Self::Forbidden(_) => RejectedClass::Forbidden,
            Self::Invalid(_) => RejectedClass::Invalid,
            Self::Misuse(_) => RejectedClass::Misuse,
            Self::InBulk { reason, .. } => reason.class(),
        }
    }

    /// The reason as one word in snake case, for protocols: `unknown_task`, `stale_attempt`. Unique over all families; for a
    /// bulk, that of the refused command in it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown(reason) => reason.code(),
            Self::Conflict(reason) => reason.code(),
            Self::Stale(reason) => reason.code(),
            Self::Capacity(reason) => reason.code(),
            Self::State(reason) => reason.code(),
            Self::Forbidden(reason) => reason.code(),
            Self::Invalid(reason) => reason.code(),
            Self::Misuse(reason) => reason.code(),
            Self::InBulk { reason, .. } => reason.code(),
        }
    }

    /// How long to wait before the command is worth sending again, if the scheduler can estimate that.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Capacity(Overload::AtCapacity { retry_after, .. } | Overload::Shed { retry_after, .. }) => {
                *retry_after
            }
            Self::InBulk { reason, .. } => reason.retry_after(),
            Self::Unknown(_)
            | Self::Conflict(_)
            | Self::Stale(_)
            | Self::State(_)
            | Self::Forbidden(_)
            | Self::Invalid(_)
            | Self::Misuse(_) => None,
        }
    }
}

/// The family of a [`Rejected`].
///
/// | class | sending the same command again | HTTP status |
/// |---|---|---|
/// | `Unknown` | helps once the subject exists | 404 |
/// | `Conflict` | does not help | 409 |
/// | `Stale` | does not help: another attempt or incarnation is current | 409 |
/// | `Capacity` | may help later, see [`Rejected::retry_after`] | 429 |
/// | `State` | may help when the subject has changed its state | 409 |
/// | `Forbidden` | does not help for this sender | 403 |
/// | `Invalid` | never helps | 422 |
/// | `Misuse` | never helps: another command is meant for this subject | 400 |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RejectedClass {
    /// The command names something that does not exist.
    Unknown,
    /// The command contradicts something that exists.
    Conflict,
    /// The command refers to an attempt or incarnation that is over.
    Stale,
    /// A bound on load is reached.
    Capacity,
    /// The command does not apply to the state that its subject is in.
    State,
    /// The sender may not give this command.
    Forbidden,
    /// The content of the command is not valid.
    Invalid,
    /// The command is not meant for this subject.
    Misuse,
}

impl RejectedClass {
    /// The class as one word in lower case, as in serialized form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Conflict => "conflict",
            Self::Stale => "stale",
            Self::Capacity => "capacity",
            Self::State => "state",
            Self::Forbidden => "forbidden",
            Self::Invalid => "invalid",
            Self::Misuse => "misuse",
        }
    }

    /// The HTTP status code that fits the class.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Unknown => 404,
            Self::Conflict | Self::Stale | Self::State => 409,
            Self::Capacity => 429,
            Self::Forbidden => 403,
            Self::Invalid => 422,
            Self::Misuse => 400,
        }
    }
}

impl fmt::Display for RejectedClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
