//! Events that do not follow from the state they are applied to.

use crate::base::error::RestoreError;
use crate::base::id::Seq;

/// An event that does not follow from those before it, with the reason.
///
/// From a journal this is an error of the restore. From a decision of this crate it is a bug, which is counted as an anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InconsistentEvent(pub(crate) &'static str);

/// Whether an event could be applied.
pub(crate) type Applied<T = ()> = Result<T, InconsistentEvent>;

impl InconsistentEvent {
    pub(crate) fn at(self, seq: Seq) -> RestoreError {
        RestoreError::InconsistentEvent { seq, reason: self.0.into() }
    }
}
