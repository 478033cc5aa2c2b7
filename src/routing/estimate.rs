//! Estimates of the durations of tasks.

use crate::message::event::Entry;
use crate::task::TaskSpec;
use core::fmt;
use core::time::Duration;

/// Estimates the duration of a task when it is submitted. The event of the submit records the estimate, so retries and
/// replay use the same one.
///
/// Like a [`RoutingStrategy`](super::RoutingStrategy), an estimator may learn: what it has learned is not part of the
/// engine's state.
///
/// ```
/// use counterpoint::routing::Estimator;
/// use counterpoint::{Config, TaskSpec};
/// use counterpoint::scheduler::Discipline;
/// use std::time::Duration;
///
/// /// A millisecond for each byte.
/// #[derive(Debug)]
/// struct BySize;
///
/// impl Estimator for BySize {
///     fn name(&self) -> &str {
///         "by size"
///     }
///
///     fn estimate(&self, task: &TaskSpec) -> Option<Duration> {
///         Some(Duration::from_millis(task.payload.bytes().into()))
///     }
/// }
///
/// let config = Config::default()
///     .with_estimator(BySize)
///     .with_discipline(Discipline::ShortestExpected { stretch: 10, patience: Duration::from_secs(60) });
/// ```
pub trait Estimator: Send + fmt::Debug {
    /// Its name, for reports.
    fn name(&self) -> &str;

    /// The expected duration of an attempt of this task. None if there is no estimate.
    fn estimate(&self, task: &TaskSpec) -> Option<Duration>;

    /// Observes every entry, for learning, also while a journal is replayed.
    fn observe(&mut self, entry: &Entry) {
        let _ = entry;
    }
}
