//! The objective, the limits and the progress of a search.

use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A measure of a plan, to be minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Measure {
    /// The end of the last task.
    Makespan,
    /// The cost that counts against the budget.
    Cost,
    /// The sum of the delays past the deadlines, each times the priority of its task.
    Tardiness,
    /// A weighted sum of the three: makespan and tardiness in nanoseconds, cost in millionths of the host's unit.
    Weighted {
        /// The weight of the makespan.
        makespan: u32,
        /// The weight of the cost.
        cost: u32,
        /// The weight of the tardiness.
        tardiness: u32,
    },
}

/// The objective of a plan: one or more measures, compared in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Goal(pub(super) Vec<Measure>);

impl Default for Goal {
    /// The least makespan.
    fn default() -> Self {
        Self(vec![Measure::Makespan])
    }
}

impl Goal {
    /// Compares plans by the first measure, and where that is equal by the next.
    #[must_use]
    pub fn lexicographic(measures: impl IntoIterator<Item = Measure>) -> Self {
        Self(measures.into_iter().collect())
    }
}

/// The parameters of a search.
///
/// ```
/// use counterpoint::planning::{Goal, Measure, Settings};
///
/// let settings = Settings::default()
///     .with_seed(7)
///     .with_evaluations(50_000)
///     .with_goal(Goal::lexicographic([Measure::Tardiness, Measure::Cost]));
/// assert_eq!(settings.seed, 7);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// The seed. The same seed, problem and number of evaluations give the same plan.
    pub seed: u64,
    /// The limit on the number of schedules that are evaluated. To limit the time instead, break in the observer.
    pub evaluations: u64,
    /// The number of evaluations between two calls of the observer.
    pub report_every: u64,
    /// The objective.
    pub goal: Goal,
}

impl Default for Settings {
    /// A million evaluations, an observer call every 1,024, the least makespan.
    fn default() -> Self {
        Self { seed: 0, evaluations: 1_000_000, report_every: 1_024, goal: Goal::default() }
    }
}

impl Settings {
    /// Sets the seed.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the limit on the number of schedules that are evaluated.
    #[must_use]
    pub const fn with_evaluations(mut self, evaluations: u64) -> Self {
        self.evaluations = evaluations;
        self
    }

    /// Sets the number of evaluations between two calls of the observer.
    #[must_use]
    pub const fn with_report_every(mut self, evaluations: u64) -> Self {
        self.report_every = evaluations;
        self
    }

    /// Sets the objective.
    #[must_use]
    pub fn with_goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }
}

/// The progress of a search, for its observer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The number of schedules evaluated so far.
    pub evaluations: u64,
    /// The limit on evaluations.
    pub limit: u64,
    /// The makespan of the best plan so far.
    pub makespan: Duration,
    /// A lower bound on the makespan of every plan.
    pub bound: Duration,
}
