//! Quantiles of learned durations as the expected durations of tasks.

use super::Estimates;
use crate::journal::Projection;
use crate::message::event::Entry;
use crate::routing::Estimator;
use crate::task::TaskSpec;
use core::time::Duration;

/// Expects of each task a quantile of the durations of its kind: with a probability of 0.9, nine in ten tasks take no longer.
/// A kind without durations takes the task's own estimate.
///
/// The expected duration is recorded when a task is submitted. [Admission](crate::scheduler::Admission) by deadline, the guard that
/// drops infeasible tasks, and plans (`planning::Outlook`) use it: a deadline is then accepted only if it is met
/// with this probability, apart from the wait, and the durations of a plan are exceeded by one task in ten. For the order of tasks,
/// means serve better: see `routing::Credibility`.
///
/// ```
/// use counterpoint::Config;
/// use counterpoint::observe::QuantileEstimator;
/// use counterpoint::scheduler::Admission;
///
/// let config = Config::default().with_estimator(QuantileEstimator::new(0.9)).with_admission(Admission::Refuse);
/// ```
#[derive(Debug, Clone)]
pub struct QuantileEstimator {
    estimates: Estimates,
    probability: f64,
}

impl QuantileEstimator {
    /// The quantile with this probability, from 0 to 1; NaN counts as 0.
    #[must_use]
    pub fn new(probability: f64) -> Self {
        Self { estimates: Estimates::default(), probability }
    }

    /// The learned durations.
    #[must_use]
    pub const fn estimates(&self) -> &Estimates {
        &self.estimates
    }
}

impl Estimator for QuantileEstimator {
    fn name(&self) -> &'static str {
        "quantile"
    }

    fn estimate(&self, task: &TaskSpec) -> Option<Duration> {
        let known = self.estimates.of(task.kind.as_str(), None);
        known.map(|known| known.quantile(self.probability)).or(task.estimate)
    }

    fn observe(&mut self, entry: &Entry) {
        self.estimates.apply(entry);
    }
}
