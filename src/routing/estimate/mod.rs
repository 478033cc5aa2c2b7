//! How long a task will take, told before it begins.

mod credibility;
mod level;

pub use credibility::Credibility;

use crate::message::event::Entry;
use crate::task::TaskSpec;
use core::fmt;
use core::time::Duration;

/// Says how long a task will take, when it is submitted. What it says is decided: it goes into the fact that the task was
/// submitted, and whatever order follows from it is kept by retries and by replay.
///
/// It may keep what it learns, as a [`RoutingStrategy`](super::RoutingStrategy) may: what it holds is no part of the state.
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
    /// For people and reports.
    fn name(&self) -> &str;

    /// How long an attempt at this task is expected to take. None if nothing at all is known.
    fn estimate(&self, task: &TaskSpec) -> Option<Duration>;

    /// Sees every fact, so that it can learn; also when a journal is replayed.
    fn observe(&mut self, entry: &Entry) {
        let _ = entry;
    }
}
