//! What an attempt reports to its host while it is under way.

#[cfg(all(feature = "reports", any(feature = "threads", feature = "async")))]
mod live;

#[cfg(all(feature = "reports", any(feature = "threads", feature = "async")))]
pub(crate) use live::{Live, Origin};
#[cfg(all(feature = "reports", any(feature = "threads", feature = "async")))]
pub use live::{Report, ReportContent, Reported, Reports};

use crate::base::error::PayloadError;
use crate::base::id::AttemptId;
#[cfg(any(feature = "threads", feature = "async"))]
use crate::base::limits::Limits;
#[cfg(any(feature = "threads", feature = "async"))]
use crate::base::payload::Payload;
#[cfg(feature = "reports")]
use crate::task::ProgressError;
use crate::task::{Failure, codes};
#[cfg(any(feature = "threads", feature = "async"))]
use core::fmt;
#[cfg(any(feature = "threads", feature = "async"))]
use core::sync::atomic::{AtomicBool, Ordering};
#[cfg(any(feature = "threads", feature = "async"))]
use std::collections::BTreeMap;
#[cfg(any(feature = "threads", feature = "async"))]
use std::sync::{Mutex, PoisonError};
use thiserror::Error;

/// The error for a report that an attempt cannot make.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The attempt has ended: it has answered, or the engine has given it up.
    #[error("attempt {0} has ended and reports nothing more")]
    Ended(AttemptId),
    /// The details or the part of the output are larger than the host accepts.
    #[error("{what} is {size}, more than the {limit} allowed")]
    TooLarge {
        /// The name of the field of the [limits](crate::Limits).
        what: &'static str,
        /// Its size.
        size: u32,
        /// The size that is allowed.
        limit: u32,
    },
    /// The details or the part of the output have no JSON form.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The progress is none.
    #[cfg(feature = "reports")]
    #[error(transparent)]
    Progress(#[from] ProgressError),
}

/// So that a step can use `?`: an attempt that has ended fails transiently, other errors are permanent.
impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        let text = error.to_string();
        match error {
            ReportError::Ended(_) => Self::transient(text).with_code(codes::AGENT_CANCELLED),
            ReportError::TooLarge { .. } => Self::permanent(text).with_code(codes::TOO_LARGE),
            ReportError::Payload(_) => Self::permanent(text).with_code(codes::INVALID_VALUE),
            #[cfg(feature = "reports")]
            ReportError::Progress(_) => Self::permanent(text).with_code(codes::INVALID_VALUE),
        }
    }
}

/// The heartbeats on their way from the attempts of a host to its engine: at most one for each attempt, the last one.
#[cfg(any(feature = "threads", feature = "async"))]
pub(crate) struct Line {
    limits: Limits,
    waiting: Mutex<BTreeMap<AttemptId, Payload>>,
    /// Whether heartbeats wait.
    any: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
    #[cfg(feature = "reports")]
    pub(crate) live: Live,
}

#[cfg(any(feature = "threads", feature = "async"))]
impl Line {
    /// A line whose host is woken by this function.
    pub(crate) fn new(limits: Limits, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            limits,
            waiting: Mutex::default(),
            any: AtomicBool::new(false),
            wake: Box::new(wake),
            #[cfg(feature = "reports")]
            live: Live::default(),
        }
    }

    #[cfg(feature = "reports")]
    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Puts the heartbeat of an attempt on its way. Details replace earlier ones that still wait.
    pub(crate) fn heartbeat(&self, attempt: AttemptId, details: Payload) -> Result<(), ReportError> {
        bounded("details_bytes", details.bytes(), self.limits.sizes.details_bytes)?;
        self.fits(&details)?;
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = waiting.entry(attempt).or_default();
        if !details.is_null() {
            *latest = details;
        }
        drop(waiting);
        if !self.any.swap(true, Ordering::AcqRel) {
            (self.wake)();
        }
        Ok(())
    }

    /// Checks the size of a payload.
    pub(crate) fn fits(&self, payload: &Payload) -> Result<(), ReportError> {
        bounded("payload_bytes", payload.bytes(), self.limits.sizes.payload_bytes)?;
        bounded("payload_depth", payload.depth(), self.limits.sizes.depth())
    }

    /// Takes the heartbeat of an attempt, if one waits.
    pub(crate) fn take_of(&self, attempt: AttemptId) -> Option<Payload> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&attempt)
    }

    /// Takes the heartbeats that wait.
    pub(crate) fn take(&self) -> BTreeMap<AttemptId, Payload> {
        if !self.any.load(Ordering::Acquire) || !self.any.swap(false, Ordering::AcqRel) {
            return BTreeMap::new();
        }
        core::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(any(feature = "threads", feature = "async"))]
impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("any", &self.any).finish_non_exhaustive()
    }
}

#[cfg(any(feature = "threads", feature = "async"))]
const fn bounded(what: &'static str, size: u32, limit: u32) -> Result<(), ReportError> {
    if size > limit { Err(ReportError::TooLarge { what, size, limit }) } else { Ok(()) }
}
