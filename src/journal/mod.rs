//! Durable storage of events: the trait that a host implements, and a journal in memory.
//!
//! With the feature `sealed`, the pure functions of the module `sealed` encode entries as bytes in which every change is
//! detected. The package `counterpoint-journal-files` is a journal in files that uses this encoding.
//!
//! A journal has one writer at a time. [`take_over`](Journal::take_over) makes the caller the writer and raises the epoch; from
//! then on the journal rejects every append of an older epoch, so a writer that was replaced cannot append.
//!
//! ```
//! use counterpoint::journal::{AppendError, Journal, MemoryJournal};
//! use counterpoint::Seq;
//!
//! let mut old = MemoryJournal::default();
//! let mut new = old.clone();                       // the same journal, another writer
//! let before = old.take_over()?;
//! let after = new.take_over()?;
//! assert_eq!(old.append(before.epoch, Seq::ZERO, &[]), Err(AppendError::Fenced));
//! assert_eq!(new.append(after.epoch, Seq::ZERO, &[]), Ok(()));
//! # Ok::<(), counterpoint::journal::JournalError>(())
//! ```

mod feed;
mod memory;
#[cfg(feature = "sealed")]
pub mod sealed;

#[cfg(feature = "threads")]
pub(crate) use feed::Gap;
#[cfg(feature = "observe")]
pub(crate) use feed::Subjects;
pub use feed::{EventFilter, Family, Feed, Projection, Seen, Subject};
pub use memory::MemoryJournal;

use crate::base::error::RestoreError;
use crate::base::id::Seq;
use crate::message::event::Entry;
use core::fmt;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The number of a writer: larger than that of all writers before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next epoch.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}", self.0)
    }
}

/// The state of a journal for its new writer.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Takeover {
    /// The epoch of the new writer.
    pub epoch: Epoch,
    /// The last snapshot, as the host serialised it.
    pub snapshot: Option<Vec<u8>>,
    /// The entries after the snapshot, or all entries if there is none.
    pub tail: Vec<Entry>,
    /// Entries before the snapshot that the journal has retained for readers, up to the snapshot. The state does not need them.
    pub history: Vec<Entry>,
}

impl Takeover {
    /// Makes a takeover, for implementations of [`Journal`].
    #[must_use]
    pub const fn new(epoch: Epoch, snapshot: Option<Vec<u8>>, tail: Vec<Entry>) -> Self {
        Self { epoch, snapshot, tail, history: Vec::new() }
    }

    /// Adds entries before the snapshot, up to it.
    #[must_use]
    pub fn with_history(mut self, history: Vec<Entry>) -> Self {
        self.history = history;
        self
    }
}

/// A durable, ordered store of entries, with optional snapshots that replace entries.
pub trait Journal: Send {
    /// Makes the caller the writer. Appends of older epochs fail from then on.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the journal cannot be read or claimed.
    fn take_over(&mut self) -> Result<Takeover, JournalError>;

    /// Appends these entries, all or none; they are durable on return. `after` is the number of the last entry before them.
    ///
    /// # Errors
    ///
    /// See [`AppendError`]: each variant requires a different reaction.
    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError>;

    /// Takes the journal over again after an append that failed, if the caller is still its writer, with this epoch: a
    /// [durable](crate::host::Durable) host then appends what is missing. `None`, the default: the journal cannot be taken over
    /// again, and the host ends.
    ///
    /// # Errors
    ///
    /// [`AppendError::Fenced`] if another writer has taken over; any other error lets the host try again later.
    #[cfg(feature = "durable")]
    fn reclaim(&mut self, epoch: Epoch) -> Result<Option<Takeover>, AppendError> {
        let _ = epoch;
        Ok(None)
    }

    /// Stores a snapshot of the state after the entry `at`. Entries up to there can be dropped.
    ///
    /// # Errors
    ///
    /// As for [`append`](Self::append). A journal without snapshots returns [`AppendError::Refused`].
    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: &[u8]) -> Result<(), AppendError> {
        let _ = (epoch, at, snapshot);
        Err(AppendError::Refused("this journal stores no snapshots".into()))
    }

    /// A handle that stores snapshots on another thread while this one appends. `None` if the journal has no such
    /// handle: appends then wait while a snapshot is stored.
    fn archive(&mut self) -> Option<Box<dyn Archive>> {
        None
    }
}

/// Stores snapshots of a journal concurrently with appends to it.
pub trait Archive: Send {
    /// Stores a snapshot of the state after the entry `at`, at which an append ended. Entries up to there can be dropped.
    ///
    /// # Errors
    ///
    /// As for [`Journal::keep_snapshot`].
    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: Vec<u8>) -> Result<(), AppendError>;
}

/// The reason why entries or a snapshot were not stored, or possibly not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Another writer has taken over. The host must stop, without performing effects.
    #[error("another writer has taken over")]
    Fenced,
    /// The last entry of the journal is not the one that the writer expects.
    #[error("the journal ends at {tail}")]
    Conflict {
        /// The number of its last entry.
        tail: Seq,
    },
    /// The outcome is unknown. The host must take over again to determine it.
    #[error("it is unknown whether the entries were stored")]
    Unknown,
    /// Nothing was stored.
    #[error("the journal rejected the write: {0}")]
    Refused(Box<str>),
}

/// The error for a journal that cannot be read or claimed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the journal cannot be opened: {reason}")]
pub struct JournalError {
    reason: Box<str>,
    cause: JournalCause,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum JournalCause {
    Other,
    #[cfg(feature = "durable")]
    Held,
    Broken(RestoreError),
}

impl JournalError {
    /// An error with this reason.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into().into_boxed_str(), cause: JournalCause::Other }
    }

    /// An error with this reason: another writer holds the journal.
    #[cfg(feature = "durable")]
    #[must_use]
    pub fn held(reason: impl Into<String>) -> Self {
        Self { cause: JournalCause::Held, ..Self::new(reason) }
    }

    /// Whether another writer holds the journal.
    #[cfg(feature = "durable")]
    #[must_use]
    pub const fn is_held(&self) -> bool {
        matches!(self.cause, JournalCause::Held)
    }

    /// The fault in the stored data, if that is the reason: damage, another version, another stream or key.
    #[must_use]
    pub const fn broken(&self) -> Option<&RestoreError> {
        match &self.cause {
            JournalCause::Broken(broken) => Some(broken),
            JournalCause::Other => None,
            #[cfg(feature = "durable")]
            JournalCause::Held => None,
        }
    }
}

impl From<RestoreError> for JournalError {
    fn from(broken: RestoreError) -> Self {
        Self { reason: broken.to_string().into_boxed_str(), cause: JournalCause::Broken(broken) }
    }
}
