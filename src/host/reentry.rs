//! Detection of callbacks that call the host which waits for them.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// The mark of the thread on which a callback of the host runs; 0 if none runs. Clones refer to the same host. The default records nothing:
/// it is for a host that calls all callbacks on a thread of its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Inside(Option<Arc<AtomicUsize>>);

impl Inside {
    #[cfg(feature = "async")]
    pub(super) fn recorded() -> Self {
        Self(Some(Arc::default()))
    }

    /// Calls a function that may call callbacks. It must not panic.
    pub(super) fn enter<T>(&self, call: impl FnOnce() -> T) -> T {
        let Some(inside) = &self.0 else { return call() };
        let outer = inside.swap(this_thread(), Ordering::Relaxed);
        let result = call();
        inside.store(outer, Ordering::Relaxed);
        result
    }

    /// Whether a callback of the host runs on this thread, so that the host cannot answer before this thread continues.
    #[cfg(feature = "async")]
    pub(super) fn is_here(&self) -> bool {
        // A thread reads its own mark only if it wrote the mark itself and did not replace it, so no order of the accesses of
        // different threads is needed.
        self.0.as_ref().is_some_and(|inside| inside.load(Ordering::Relaxed) == this_thread())
    }
}

/// A mark of the current thread, which no other thread has at the same time: the address of a variable that each thread has.
fn this_thread() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| core::ptr::from_ref(here).addr())
}
