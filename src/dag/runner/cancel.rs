//! Cancellation of a run.

use crate::base::structure::threads::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::Arc;

/// A flag that cancels a run. Clones share the flag.
///
/// Closures that have begun are not interrupted (they can check a clone themselves); no further closure starts. The
/// flag stays set until it is [cleared](Self::clear).
///
/// ```
/// use counterpoint::dag::{Builder, CancelFlag, Runner};
///
/// let mut graph = Builder::new();
/// let (first, second) = (graph.node("first", ()), graph.node("second", ()));
/// graph.edge(first, second);
/// let graph = graph.build()?;
///
/// let cancel = CancelFlag::new();
/// let mut runner = Runner::new(graph.topology(), 2).cancelled_by(&cancel);
/// let report = runner.each(|_| {
///     cancel.cancel();
///     Ok::<(), ()>(())
/// });
/// assert_eq!(report.cancelled, [second]);
/// # Ok::<(), counterpoint::dag::BuildError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag: no further node starts.
    pub fn cancel(&self) {
        self.0.store(true, Relaxed);
    }

    /// Clears the flag, for another run.
    pub fn clear(&self) {
        self.0.store(false, Relaxed);
    }

    /// Whether the flag is set.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Relaxed)
    }

    pub(super) fn as_atomic(&self) -> &AtomicBool {
        &self.0
    }
}
