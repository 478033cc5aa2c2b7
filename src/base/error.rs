//! Errors that belong to single values. Refused commands are [`Rejected`](crate::Rejected); broken journals are
//! [`RestoreError`]; work that fails is an event.

use crate::base::id::Seq;
use thiserror::Error;

/// Data that could not become a [`Payload`](crate::Payload), or a payload that is not the data asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} {type_name}: {reason}")]
pub struct PayloadError {
    kind: &'static str,
    type_name: &'static str,
    reason: String,
}

impl PayloadError {
    pub(crate) fn encode<T: ?Sized>(source: &serde_json::Error) -> Self {
        Self { kind: "no JSON form for", type_name: core::any::type_name::<T>(), reason: source.to_string() }
    }

    pub(crate) fn decode<T: ?Sized>(source: &serde_json::Error) -> Self {
        Self { kind: "the payload is not a", type_name: core::any::type_name::<T>(), reason: source.to_string() }
    }

    /// The Rust type that was asked for.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        self.type_name
    }
}

/// A setting that makes no sense. Nothing was built from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadConfig {
    /// It has to be more than nothing.
    #[error("{setting} must not be zero")]
    Zero {
        /// Which one.
        setting: &'static str,
    },
    /// It is beyond its bound.
    #[error("{setting} must be at most {most}")]
    TooLarge {
        /// Which one.
        setting: &'static str,
        /// Its bound.
        most: u64,
    },
    /// Two settings contradict each other.
    #[error("{low} must not exceed {high}")]
    Order {
        /// The one that has to be the smaller.
        low: &'static str,
        /// The one that has to be the larger.
        high: &'static str,
    },
    /// It is no number, or infinite, or negative where that means nothing.
    #[error("{setting} must be a number in its range")]
    NotANumber {
        /// Which one.
        setting: &'static str,
    },
}

impl BadConfig {
    pub(crate) const fn unless_positive(value: u64, setting: &'static str) -> Result<(), Self> {
        if value == 0 { Err(Self::Zero { setting }) } else { Ok(()) }
    }

    pub(crate) fn unless_span(value: core::time::Duration, setting: &'static str) -> Result<(), Self> {
        Self::unless_positive(crate::base::time::nanos_of(value), setting)
    }

    pub(crate) const fn unless_permille(value: u16, setting: &'static str) -> Result<(), Self> {
        if value > 1_000 { Err(Self::TooLarge { setting, most: 1_000 }) } else { Ok(()) }
    }

    pub(crate) fn unless_ordered<T: PartialOrd>(low: (T, &'static str), high: (T, &'static str)) -> Result<(), Self> {
        if low.0 <= high.0 { Ok(()) } else { Err(Self::Order { low: low.1, high: high.1 }) }
    }
}

/// A journal or snapshot that cannot be restored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Entries are missing, doubled or out of order.
    #[error("the journal has a gap: expected entry {expected}, found {found}")]
    Gap {
        /// The number that had to come.
        expected: Seq,
        /// The number that came.
        found: Seq,
    },
    /// An entry is earlier than the one before it.
    #[error("entry {seq} is earlier than the one before it")]
    TimeWentBack {
        /// The entry.
        seq: Seq,
    },
    /// An entry does not follow from those before it.
    #[error("entry {seq} does not follow from those before it: {reason}")]
    InconsistentEvent {
        /// The entry.
        seq: Seq,
        /// What does not fit.
        reason: Box<str>,
    },
    /// Each entry follows from those before it, as far as it can be told from one, but what they lead to contradicts itself:
    /// some have been left out, or are not what was written.
    #[error("the entries up to {seq} contradict each other: {reason}")]
    Unsound {
        /// The last entry.
        seq: Seq,
        /// What does not fit.
        reason: String,
    },
    /// The snapshot contradicts itself.
    #[error("the snapshot contradicts itself: {reason}")]
    Snapshot {
        /// What does not fit.
        reason: String,
    },
    /// A record is sound, but follows another history than the one before it; or a writer that had been replaced wrote it.
    #[error("the record of entry {seq} follows another history")]
    Fork {
        /// Its first entry.
        seq: Seq,
    },
    /// A record is not what was written.
    #[error("the record of entry {seq} is damaged")]
    Damaged {
        /// The entry that had to come.
        seq: Seq,
    },
    /// The last record was not written to its end, as after a loss of power: nobody was told that it was kept.
    #[error("the record after entry {after} was not written to its end")]
    Torn {
        /// The last entry that is sound.
        after: Seq,
    },
    /// The journal ends before it should.
    #[error("the journal ends at {ends}, and reached {expected} once")]
    Truncated {
        /// Its last entry.
        ends: Seq,
        /// How far it must reach.
        expected: Seq,
    },
    /// A record is in a form that this version does not know.
    #[error("the record of entry {seq} is of version {version}, which is not known")]
    UnknownVersion {
        /// The entry that had to come.
        seq: Seq,
        /// The version.
        version: u64,
    },
    /// A record is larger than [`Limits::record_bytes`](crate::Limits::record_bytes).
    #[error("the record of entry {seq} has {bytes} bytes, more than the {limit} allowed")]
    RecordTooLarge {
        /// The entry that had to come.
        seq: Seq,
        /// Its size.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A record is what was written, but says what this version cannot read.
    #[error("the record of entry {seq} cannot be read: {reason}")]
    Unreadable {
        /// The entry that had to come.
        seq: Seq,
        /// What stands in the way.
        reason: String,
    },
    /// What the bytes begin with is not, or not any more, the beginning of a journal or snapshot.
    #[error("this is no journal: {reason}")]
    NoJournal {
        /// What is wrong.
        reason: &'static str,
    },
    /// It belongs to another stream.
    #[error("this is the journal of {found:?}")]
    WrongStream {
        /// Which.
        found: String,
    },
    /// It was sealed with another key, or by somebody who had none.
    #[error("the journal was sealed with another key")]
    WrongKey,
    /// It was sealed with a key, and none was given.
    #[error("the journal was sealed with a key, and none was given")]
    KeyNeeded,
    /// A key was given, and it was sealed without one: anybody could have written it.
    #[error("the journal was sealed without a key")]
    NotKeyed,
}

impl RestoreError {
    /// Whether it is what a crash leaves behind: the last append was cut short, and whoever had asked for it was not told
    /// that it was kept. What is sound before it is all that was ever promised.
    #[must_use]
    pub const fn is_torn(&self) -> bool {
        matches!(self, Self::Torn { .. })
    }
}
