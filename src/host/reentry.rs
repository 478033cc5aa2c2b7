//! Detection of callbacks that call the host which waits for them.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

/// The thread on which a callback of the host runs, if one runs. Clones refer to the same host. The default records nothing:
/// it is for a host that calls all callbacks on a thread of its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Inside(Option<Arc<Mutex<Option<ThreadId>>>>);

impl Inside {
    #[cfg(feature = "async")]
    pub(super) fn recorded() -> Self {
        Self(Some(Arc::default()))
    }

    /// Calls a function that may call callbacks. It must not panic.
    pub(super) fn enter<T>(&self, call: impl FnOnce() -> T) -> T {
        let Some(inside) = &self.0 else { return call() };
        let outer = replace(inside, Some(thread::current().id()));
        let result = call();
        replace(inside, outer);
        result
    }

    /// Whether a callback of the host runs on this thread, so that the host cannot answer before this thread continues.
    #[cfg(feature = "async")]
    pub(super) fn is_here(&self) -> bool {
        let inside = self.0.as_ref().and_then(|inside| *inside.lock().unwrap_or_else(PoisonError::into_inner));
        inside.is_some_and(|inside| inside == thread::current().id())
    }
}

fn replace(inside: &Mutex<Option<ThreadId>>, with: Option<ThreadId>) -> Option<ThreadId> {
    core::mem::replace(&mut *inside.lock().unwrap_or_else(PoisonError::into_inner), with)
}
