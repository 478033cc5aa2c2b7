//! Forecasts: how long tasks and runs will take, with their uncertainty.

mod estimates;
mod quantile;
mod sample;

pub use estimates::Estimates;
pub use quantile::QuantileEstimator;
pub(super) use sample::{Sample, Spread};

use crate::base::name::Name;
use crate::base::time::Time;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// How long a task of a kind takes, from the begin of its first attempt to its end, as far as is known.
///
/// The quantiles describe the *next* duration and not the mean: up to 19 observations they are those of a log-normal distribution
/// whose parameters are uncertain (Student's t in logarithms, with a weak prior), from 20 on those of the observations
/// themselves: of n durations and a further one, the further one is the smallest with a probability of 1 in n + 1, and so on,
/// whatever their distribution is.
///
/// ```
/// use counterpoint::journal::Projection;
/// use counterpoint::message::TaskEvent;
/// use counterpoint::observe::Estimates;
/// use counterpoint::task::AttemptNumber;
/// use counterpoint::{AgentId, Entry, Incarnation, Payload, Seq, TaskId, TaskSpec, Time};
/// use std::sync::Arc;
///
/// let (by, mut estimates, mut seq) = (Incarnation::new(AgentId::new(1), 1), Estimates::default(), 0);
/// for number in 1..=30 {
///     let (task, begin) = (TaskId::new(number), Time::from_secs(number * 100));
///     let events = [
///         (begin, TaskEvent::Submitted { spec: Arc::new(TaskSpec::new(task, "paint")), replays: None, expected: None }),
///         (begin, TaskEvent::Assigned { attempt: AttemptNumber::FIRST, to: by }),
///         (begin + std::time::Duration::from_secs(number), TaskEvent::Succeeded {
///             attempt: AttemptNumber::FIRST,
///             by,
///             output: Payload::NULL,
///         }),
///     ];
///     for (at, event) in events {
///         seq += 1;
///         estimates.apply(&Entry { seq: Seq::new(seq), at, event: event.of(task) });
///     }
/// }
/// // 1, 2, 3 ... 30 seconds.
/// let paint = estimates.of("paint", None).expect("tasks of the kind have ended");
/// assert_eq!((paint.count(), paint.quantile(0.5).as_millis(), paint.quantile(0.9).as_millis()), (30, 15_491, 27_898));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    count: u64,
    spread: Spread,
}

impl Estimate {
    pub(super) const fn new(count: u64, spread: Spread) -> Self {
        Self { count, spread }
    }

    /// The number of tasks that it is based on; the last 128 of them count.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The duration that the next task does not exceed with this probability, from 0 to 1; NaN counts as 0.
    #[must_use]
    pub fn quantile(&self, probability: f64) -> Duration {
        span(self.spread.quantile(probability))
    }

    /// The further duration of a task that has taken this long that it does not exceed with this probability.
    #[must_use]
    pub fn remaining(&self, elapsed: Duration, probability: f64) -> Duration {
        let from = self.spread.share_below(elapsed.as_secs_f64());
        let probability = if probability.is_nan() { 0.0 } else { probability.clamp(0.0, 1.0) };
        self.quantile(from + (1.0 - from) * probability).saturating_sub(elapsed)
    }

    pub(super) const fn spread(&self) -> &Spread {
        &self.spread
    }
}

/// When a run will end, if it goes on as runs of its workflow did: the remaining time in possible courses of the run, drawn at
/// random. Made by [`Progress::forecast`](super::Progress::forecast).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Forecast {
    /// The time of the forecast.
    pub at: Time,
    /// The nodes of which no duration is known, up to a maximum of 16: they count as if they took no time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Name>,
    /// The remaining seconds in each drawn course, the shortest first.
    drawn: Vec<f64>,
}

impl Forecast {
    pub(super) fn new(at: Time, unknown: Vec<Name>, mut drawn: Vec<f64>) -> Self {
        drawn.sort_unstable_by(f64::total_cmp);
        Self { at, unknown, drawn }
    }

    /// The time that remains at most with this probability, from 0 to 1; NaN counts as 0.
    ///
    /// The interval from `remaining(0.05)` to `remaining(0.95)` contains the actual time with a probability of nine in ten.
    #[must_use]
    pub fn remaining(&self, probability: f64) -> Duration {
        span(sample::between(&self.drawn, probability))
    }

    /// The time by which the run has ended with this probability.
    #[must_use]
    pub fn done_by(&self, probability: f64) -> Time {
        self.at + self.remaining(probability)
    }

    /// The number of drawn courses.
    #[must_use]
    pub fn courses(&self) -> usize {
        self.drawn.len()
    }
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "done by {} with 50 %, by {} with 90 %", self.done_by(0.5), self.done_by(0.9))?;
        if self.unknown.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = self.unknown.iter().map(Name::as_str).collect();
        write!(f, "; not counting {}, of which no duration is known", names.join(", "))
    }
}

/// A duration of so many seconds; the longest one for numbers beyond it, and zero for NaN and negative ones.
fn span(seconds: f64) -> Duration {
    if seconds.is_nan() || seconds <= 0.0 {
        return Duration::ZERO;
    }
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}
