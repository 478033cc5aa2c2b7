//! What to aim at, how long to look, and what is told on the way.

use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Something of a plan that should be small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Measure {
    /// When the last task ends.
    Makespan,
    /// What counts against the budget.
    Cost,
    /// How late tasks end after their deadlines, each times its priority.
    Tardiness,
    /// A sum of the three, each times its weight: of makespan and tardiness a nanosecond, of cost a millionth.
    Weighted {
        /// Of the makespan.
        makespan: u32,
        /// Of the cost.
        cost: u32,
        /// Of the tardiness.
        tardiness: u32,
    },
}

/// What a plan aims at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Goal(pub(super) Vec<Measure>);

impl Default for Goal {
    /// To be done soonest.
    fn default() -> Self {
        Self(vec![Measure::Makespan])
    }
}

impl Goal {
    /// Aims at one measure, and where that is equal at the next.
    #[must_use]
    pub fn lexicographic(measures: impl IntoIterator<Item = Measure>) -> Self {
        Self(measures.into_iter().collect())
    }
}

/// How a plan is looked for.
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
    /// The same seed, problem and number of evaluations give the same plan.
    pub seed: u64,
    /// Schedules that are tried at most: the budget of work. For a budget of time, the observer breaks off.
    pub evaluations: u64,
    /// The observer is called after so many schedules.
    pub report_every: u64,
    /// What the plan aims at.
    pub goal: Goal,
}

impl Default for Settings {
    /// A million schedules, told of every 1,024; done soonest.
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

    /// Sets how many schedules are tried at most.
    #[must_use]
    pub const fn with_evaluations(mut self, evaluations: u64) -> Self {
        self.evaluations = evaluations;
        self
    }

    /// Sets after how many schedules the observer is called.
    #[must_use]
    pub const fn with_report_every(mut self, evaluations: u64) -> Self {
        self.report_every = evaluations;
        self
    }

    /// Sets what the plan aims at.
    #[must_use]
    pub fn with_goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }
}

/// How far the search is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Schedules tried so far.
    pub evaluations: u64,
    /// Of at most so many.
    pub most: u64,
    /// The makespan of the best plan so far.
    pub makespan: Duration,
    /// No plan has a shorter one.
    pub bound: Duration,
}
