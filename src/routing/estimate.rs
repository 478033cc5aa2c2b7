//! How long a task will take, told before it begins.

use super::learned::{Attempts, End, Seen};
use crate::event::Entry;
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
/// use counterpoint::{Config, Discipline, TaskSpec};
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
///     .with_discipline(Discipline::ShortestExpected { stretch: 10 });
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

/// Expects what tasks of the kind have taken, as far as that can be believed: the mean of the kind, drawn towards the mean of
/// all by how little the kind has been seen and by how little kinds differ at all (credibility theory, Bühlmann 1967; the
/// same as empirical Bayes). Where kinds do not differ by more than chance, all tasks are expected to take the same.
///
/// Successes alone count. One that took more than eight times the common mean counts as that.
///
/// ```
/// use counterpoint::routing::Credibility;
/// use counterpoint::{Config, Discipline};
///
/// let config = Config::default()
///     .with_estimator(Credibility::default())
///     .with_discipline(Discipline::ShortestExpected { stretch: 10 });
/// ```
#[derive(Debug, Default)]
pub struct Credibility {
    attempts: Attempts,
    all: Seconds,
    kinds: Vec<Seconds>,
    /// So many tries of a kind weigh as much as what is known of all kinds. None: kinds do not differ.
    weight: Option<f64>,
}

/// What counts at the most, in common means.
const CAP: f64 = 8.0;

/// Count, mean and sum of squares about it (Welford 1962).
#[derive(Debug, Clone, Copy, Default)]
struct Seconds {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Seconds {
    fn note(&mut self, seconds: f64) {
        let off = seconds - self.mean;
        self.count += 1.0;
        self.mean += off / self.count;
        self.squares += off * (seconds - self.mean);
    }
}

impl Credibility {
    fn learn(&mut self, kind: usize, took: Duration) {
        let cap = if self.all.count > 0.0 { CAP * self.all.mean } else { f64::INFINITY };
        let seconds = took.as_secs_f64().min(cap);
        if kind >= self.kinds.len() {
            self.kinds.resize(kind + 1, Seconds::default());
        }
        if let Some(known) = self.kinds.get_mut(kind) {
            known.note(seconds);
        }
        self.all.note(seconds);
        self.weight = weight(&self.kinds, &self.all);
    }
}

/// The variance within kinds over the variance between them, each estimated without bias (Bühlmann and Straub 1970). None
/// unless the means differ by more than chance explains: the F ratio is two standard deviations above 1.
fn weight(kinds: &[Seconds], all: &Seconds) -> Option<f64> {
    let seen = || kinds.iter().filter(|kind| kind.count > 0.0);
    let number: f64 = seen().map(|_| 1.0).sum();
    if number < 2.0 || all.count <= number {
        return None;
    }
    let within = seen().map(|kind| kind.squares).sum::<f64>() / (all.count - number);
    let apart: f64 = seen().map(|kind| kind.count * (kind.mean - all.mean) * (kind.mean - all.mean)).sum();
    let chance = 1.0 + 2.0 * (2.0 / (number - 1.0)).sqrt();
    if apart <= chance * (number - 1.0) * within {
        return None;
    }
    let evenness = all.count - seen().map(|kind| kind.count * kind.count).sum::<f64>() / all.count;
    let between = (apart - (number - 1.0) * within) / evenness;
    (between > 0.0).then_some(within / between)
}

impl Estimator for Credibility {
    fn name(&self) -> &'static str {
        "credibility"
    }

    fn estimate(&self, task: &TaskSpec) -> Option<Duration> {
        if self.all.count == 0.0 {
            return None;
        }
        let own = self.attempts.kind(&task.kind).and_then(|kind| self.kinds.get(kind)).copied().unwrap_or_default();
        let seconds = match self.weight {
            Some(weight) if own.count > 0.0 => (own.count * own.mean + weight * self.all.mean) / (own.count + weight),
            _ => self.all.mean,
        };
        Duration::try_from_secs_f64(seconds).ok()
    }

    fn observe(&mut self, entry: &Entry) {
        if let Some(Seen::Ended { kind, took, end: End::Succeeded, .. }) = self.attempts.note(entry) {
            self.learn(kind, took);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::Random;

    /// Kinds with these means, each try exponential about its own.
    fn learned(seed: u64, means: &[f64], tries: u64) -> Credibility {
        let (mut estimator, mut random) = (Credibility::default(), Random::new(seed, 7));
        for _ in 0..tries {
            for (kind, mean) in means.iter().enumerate() {
                estimator.learn(kind, Duration::from_secs_f64(-mean * (1.0 - random.unit()).ln()));
            }
        }
        estimator
    }

    #[test]
    fn kinds_that_differ_are_told_apart_and_others_are_not() {
        let fooled = (0..40).filter(|seed| learned(*seed, &[3.0; 20], 50).weight.is_some()).count();
        assert!(fooled <= 4, "{fooled} of 40");
        let apart = learned(7, &[1.0, 2.0, 4.0, 8.0], 200);
        assert!(apart.weight.is_some_and(|weight| weight < 10.0), "{:?}", apart.weight);
    }

    #[test]
    fn nothing_is_known_before_anything_has_ended() {
        let task = TaskSpec::new(crate::id::TaskId::new(1), "work");
        assert_eq!(Credibility::default().estimate(&task), None);
        let expected = learned(7, &[2.0], 1_000).estimate(&task).unwrap_or_default();
        assert!((1.8..2.2).contains(&expected.as_secs_f64()), "{expected:?}");
    }
}
