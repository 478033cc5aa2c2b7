//! Where facts are kept: the trait that a host implements, and a journal in memory. With the feature `sealed` also how facts
//! are written down at rest so that every change shows, as pure functions; a journal in files that is made of them is the
//! package `counterpoint-journal-files`.
//!
//! A journal belongs to one writer at a time. [`take_over`](Journal::take_over) makes the caller that writer by raising the
//! epoch; from then on every append of an older one is refused by the journal itself, whatever that writer believes.
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

mod memory;
#[cfg(feature = "sealed")]
pub mod sealed;

pub use memory::MemoryJournal;

use crate::error::RestoreError;
use crate::event::Entry;
use crate::id::Seq;
use core::fmt;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Which writer: each one that takes over has a larger one than all before.
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

    /// The one after it.
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

/// What a new writer begins with.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Takeover {
    /// The writer's own.
    pub epoch: Epoch,
    /// The last snapshot, as the host serialised it.
    pub snapshot: Option<Vec<u8>>,
    /// The facts after it, or all of them.
    pub tail: Vec<Entry>,
}

impl Takeover {
    /// What a new writer begins with, for those who implement a journal.
    #[must_use]
    pub const fn new(epoch: Epoch, snapshot: Option<Vec<u8>>, tail: Vec<Entry>) -> Self {
        Self { epoch, snapshot, tail }
    }
}

/// A place where facts are kept, in order, for ever or until a snapshot holds them.
pub trait Journal: Send {
    /// Makes the caller the writer. After it no older epoch can append.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read or claimed.
    fn take_over(&mut self) -> Result<Takeover, JournalError>;

    /// Keeps these facts, durably when it returns, all or none. `after` is the number of the last fact before them.
    ///
    /// # Errors
    ///
    /// See [`AppendError`]: what to do differs from one to the other.
    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError>;

    /// Keeps a snapshot that holds every fact up to `at`; facts up to there may be dropped.
    ///
    /// # Errors
    ///
    /// As for an append. A journal without snapshots refuses.
    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: &[u8]) -> Result<(), AppendError> {
        let _ = (epoch, at, snapshot);
        Err(AppendError::Refused("this journal keeps no snapshots".into()))
    }

    /// An archive, which keeps snapshots on another thread while this journal appends. None if the journal has none: then appends
    /// wait while a snapshot is kept.
    fn archive(&mut self) -> Option<Box<dyn Archive>> {
        None
    }
}

/// Keeps snapshots of a journal while its writer appends.
pub trait Archive: Send {
    /// Keeps a snapshot that covers every event up to `at`, where an append ended; events up to there may be dropped.
    ///
    /// # Errors
    ///
    /// As for [`Journal::keep_snapshot`].
    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: Vec<u8>) -> Result<(), AppendError>;
}

/// Facts were not kept, or perhaps not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Another writer has taken over: stop, and perform nothing.
    #[error("another writer has taken over")]
    Fenced,
    /// The journal does not end where the writer believes.
    #[error("the journal ends at {tail}")]
    Conflict {
        /// Where it ends.
        tail: Seq,
    },
    /// Nobody knows whether they were kept: take over again and look.
    #[error("it is unknown whether the facts were kept")]
    Unknown,
    /// They were not kept.
    #[error("the journal refused: {0}")]
    Refused(Box<str>),
}

/// A journal that cannot be read or claimed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the journal cannot be opened: {reason}")]
pub struct JournalError {
    reason: Box<str>,
    broken: Option<RestoreError>,
}

impl JournalError {
    /// Says why.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into().into_boxed_str(), broken: None }
    }

    /// What is wrong with what it holds, if that is why.
    #[must_use]
    pub const fn broken(&self) -> Option<&RestoreError> {
        self.broken.as_ref()
    }
}

impl From<RestoreError> for JournalError {
    fn from(broken: RestoreError) -> Self {
        Self { reason: broken.to_string().into_boxed_str(), broken: Some(broken) }
    }
}
