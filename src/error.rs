//! Errors that belong to single values. Refused commands are [`Rejected`](crate::Rejected); broken journals are
//! [`RestoreError`]; work that fails is an event.

use crate::id::Seq;
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
    Misfit {
        /// The entry.
        seq: Seq,
        /// What does not fit.
        reason: &'static str,
    },
    /// The snapshot contradicts itself.
    #[error("the snapshot contradicts itself: {reason}")]
    Snapshot {
        /// What does not fit.
        reason: String,
    },
}
