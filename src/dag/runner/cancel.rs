//! Stopping a run from outside.

use crate::base::structure::threads::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::Arc;

/// A switch that ends a run early. Clones are the same switch.
///
/// Closures that have begun are not interrupted (they may look at a clone themselves); no further one begins. The switch
/// stays on until it is [cleared](Self::clear).
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
    /// A switch that is off.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Switches it on: no further node starts.
    pub fn cancel(&self) {
        self.0.store(true, Relaxed);
    }

    /// Switches it off, for another run.
    pub fn clear(&self) {
        self.0.store(false, Relaxed);
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Relaxed)
    }

    pub(super) fn as_atomic(&self) -> &AtomicBool {
        &self.0
    }
}
