//! Events that the current state does not allow.

use crate::base::error::RestoreError;
use crate::base::id::Seq;

/// The error for an event that the state does not allow, with the reason.
///
/// While a journal is replayed, it fails the restore. For an event that this crate has just decided, it is a bug and
/// counted as an anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InconsistentEvent(pub(crate) &'static str);

/// The result of applying an event.
pub(crate) type Applied<T = ()> = Result<T, InconsistentEvent>;

impl InconsistentEvent {
    pub(crate) fn at(self, seq: Seq) -> RestoreError {
        RestoreError::InconsistentEvent { seq, reason: self.0.into() }
    }
}
