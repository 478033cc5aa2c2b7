//! Errors of single values and of journals. Rejected commands are [`Rejected`](crate::Rejected); journals that cannot
//! be restored are [`RestoreError`]; failures of work are events.

use crate::base::id::Seq;
use thiserror::Error;

/// Data without a JSON form, or a payload that does not have the requested type.
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

    /// The requested Rust type.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        self.type_name
    }
}

/// A setting with an invalid value. No value is built from an invalid configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadConfig {
    /// The setting must be positive.
    #[error("{setting} must not be zero")]
    Zero {
        /// The setting.
        setting: &'static str,
    },
    /// The setting exceeds its bound.
    #[error("{setting} must be at most {most}")]
    TooLarge {
        /// The setting.
        setting: &'static str,
        /// The bound.
        most: u64,
    },
    /// Two settings contradict each other.
    #[error("{low} must not exceed {high}")]
    Order {
        /// The setting that must be the smaller.
        low: &'static str,
        /// The setting that must be the larger.
        high: &'static str,
    },
    /// The setting is not a number, is infinite, or is outside its range.
    #[error("{setting} must be a number in its range")]
    NotANumber {
        /// The setting.
        setting: &'static str,
    },
}

#[cfg_attr(not(feature = "resilience"), allow(dead_code, reason = "the rules of guards use all of them"))]
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
    /// Entries are missing, duplicated or out of order.
    #[error("the journal has a gap: expected entry {expected}, found {found}")]
    Gap {
        /// The expected sequence number.
        expected: Seq,
        /// The sequence number found.
        found: Seq,
    },
    /// An entry is earlier than the one before it.
    #[error("entry {seq} is earlier than the one before it")]
    TimeWentBack {
        /// The sequence number of the entry.
        seq: Seq,
    },
    /// An event cannot be applied to the state that the entries before it produce.
    #[error("entry {seq} does not follow from those before it: {reason}")]
    InconsistentEvent {
        /// The sequence number of the entry.
        seq: Seq,
        /// The inconsistency.
        reason: Box<str>,
    },
    /// Every entry can be applied, but the resulting state violates an invariant: entries were left out or altered.
    #[error("the state after entry {seq} violates an invariant: {reason}")]
    Unsound {
        /// The sequence number of the last entry.
        seq: Seq,
        /// The violated invariant.
        reason: String,
    },
    /// The snapshot is inconsistent.
    #[error("the snapshot is inconsistent: {reason}")]
    Snapshot {
        /// The inconsistency.
        reason: String,
    },
    /// The record is intact, but it continues another history than the record before it, or a writer of an earlier
    /// epoch wrote it.
    #[error("the record of entry {seq} continues another history")]
    Fork {
        /// The sequence number of its first entry.
        seq: Seq,
    },
    /// The record differs from what was written.
    #[error("the record of entry {seq} is damaged")]
    Damaged {
        /// The expected sequence number.
        seq: Seq,
    },
    /// The last record is incomplete, as after a power failure. Its append was never acknowledged.
    #[error("the record after entry {after} is incomplete")]
    Torn {
        /// The sequence number of the last intact entry.
        after: Seq,
    },
    /// The journal ends before an entry that it is known to have contained.
    #[error("the journal ends at entry {ends}, but once reached entry {expected}")]
    Truncated {
        /// The sequence number of its last entry.
        ends: Seq,
        /// The sequence number that it must reach.
        expected: Seq,
    },
    /// The record of where the journal ended is missing or damaged, so it is unknown whether entries are missing at the end.
    #[error("the end of the journal cannot be verified: {reason}")]
    NoHead {
        /// The reason.
        reason: &'static str,
    },
    /// The record has a format version that this version of the crate does not support.
    #[error("the record of entry {seq} has format version {version}, which is not supported")]
    UnknownVersion {
        /// The expected sequence number.
        seq: Seq,
        /// The format version.
        version: u64,
    },
    /// A record is larger than [`SizeLimits::record_bytes`](crate::scheduler::SizeLimits::record_bytes).
    #[error("the record of entry {seq} has {bytes} bytes, more than the {limit} allowed")]
    RecordTooLarge {
        /// The expected sequence number.
        seq: Seq,
        /// The size in bytes.
        bytes: u64,
        /// The largest size in bytes that is allowed.
        limit: u64,
    },
    /// The record is intact, but this version of the crate cannot decode it.
    #[error("the record of entry {seq} cannot be read: {reason}")]
    Unreadable {
        /// The expected sequence number.
        seq: Seq,
        /// The reason.
        reason: String,
    },
    /// The bytes do not begin with the header of a journal or snapshot.
    #[error("this is not a journal: {reason}")]
    NoJournal {
        /// The reason.
        reason: &'static str,
    },
    /// The journal belongs to another stream.
    #[error("this is the journal of {found:?}")]
    WrongStream {
        /// The stream that it belongs to.
        found: String,
    },
    /// The journal was sealed with another key, or was altered by a writer without the key.
    #[error("the journal was sealed with another key")]
    WrongKey,
    /// The journal was sealed with a key, and no key was given.
    #[error("the journal was sealed with a key, and no key was given")]
    KeyNeeded,
    /// A key was given, but the journal was sealed without one, so its author is not verified.
    #[error("the journal was sealed without a key")]
    NotKeyed,
}

impl RestoreError {
    /// Whether the last record is incomplete, as a crash leaves it. The append of that record was never acknowledged,
    /// so cutting it off loses no acknowledged entry.
    #[must_use]
    pub const fn is_torn(&self) -> bool {
        matches!(self, Self::Torn { .. })
    }
}
