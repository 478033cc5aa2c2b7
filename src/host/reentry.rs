//! Detection of callbacks that call the host which waits for them.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

/// The thread on which a callback of the host runs, if one runs. Clones refer to the same host.
#[derive(Debug, Clone, Default)]
pub(super) struct Inside(Arc<Mutex<Option<ThreadId>>>);

impl Inside {
    /// Calls a function that may call callbacks. It must not panic.
    pub(super) fn enter<T>(&self, call: impl FnOnce() -> T) -> T {
        let outer = self.replace(Some(thread::current().id()));
        let result = call();
        self.replace(outer);
        result
    }

    /// Whether a callback of the host runs on this thread, so that the host cannot answer before this thread continues.
    pub(super) fn is_here(&self) -> bool {
        let inside = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.is_some_and(|inside| inside == thread::current().id())
    }

    fn replace(&self, with: Option<ThreadId>) -> Option<ThreadId> {
        core::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), with)
    }
}
