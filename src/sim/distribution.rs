//! Distributions of durations.

use crate::base::error::BadConfig;
use crate::base::structure::Random;
use core::time::Duration;
use rand_distr::Distribution as _;
use std::sync::Arc;

/// The longest draw: heavy tails are cut here.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// A distribution of durations: of service times, uptimes, message delays. Draws are whole microseconds.
///
/// ```
/// use counterpoint::Random;
/// use counterpoint::sim::Distribution;
/// use std::time::Duration;
///
/// let service = Distribution::log_normal(Duration::from_secs(3), 1.5)?;
/// let drawn = service.draw(&mut Random::new(42, 0));
/// assert!(drawn > Duration::ZERO);
/// assert_eq!(service.mean(), Some(Duration::from_secs(3)));
/// # Ok::<(), counterpoint::BadConfig>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution(Shape);

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Constant(Duration),
    Uniform(Duration, Duration),
    /// The draws of the following have mean 1, or minimum 1, and are scaled.
    Exponential(Duration),
    LogNormal(Duration, rand_distr::LogNormal<f64>),
    Pareto(Duration, f64, rand_distr::Pareto<f64>),
    Recorded(Arc<[Duration]>),
}

impl Distribution {
    /// A constant.
    #[must_use]
    pub const fn constant(span: Duration) -> Self {
        Self(Shape::Constant(span))
    }

    /// Uniform between two durations, both included.
    ///
    /// # Errors
    ///
    /// When the first is longer than the second.
    pub fn uniform(least: Duration, most: Duration) -> Result<Self, BadConfig> {
        BadConfig::unless_ordered((least, "least"), (most, "most"))?;
        Ok(Self(Shape::Uniform(least, most)))
    }

    /// Exponential with this mean.
    ///
    /// # Errors
    ///
    /// When the mean is zero.
    pub fn exponential(mean: Duration) -> Result<Self, BadConfig> {
        BadConfig::unless_span(mean, "mean")?;
        Ok(Self(Shape::Exponential(mean)))
    }

    /// Log-normal with this mean; `variation` is the coefficient of variation, the standard deviation over the mean.
    /// Values of 1 and more are usual for people and language models.
    ///
    /// # Errors
    ///
    /// When the mean is zero, or the variation is negative or not a number.
    pub fn log_normal(mean: Duration, variation: f64) -> Result<Self, BadConfig> {
        BadConfig::unless_span(mean, "mean")?;
        let shape = Some(variation).filter(|it| it.is_finite());
        let shape = shape.and_then(|variation| rand_distr::LogNormal::from_mean_cv(1.0, variation).ok());
        let shape = shape.ok_or(BadConfig::NotANumber { setting: "variation" })?;
        Ok(Self(Shape::LogNormal(mean, shape)))
    }

    /// Pareto, never below `least`: most draws are short, and a few very long. With a `shape` of 1 or less there is no
    /// mean; 1.5 to 2.5 are usual for sizes of work.
    ///
    /// # Errors
    ///
    /// When the least is zero, or the shape is not a positive number.
    pub fn pareto(least: Duration, shape: f64) -> Result<Self, BadConfig> {
        BadConfig::unless_span(least, "least")?;
        let law = Some(shape).filter(|it| it.is_finite());
        let law = law.and_then(|shape| rand_distr::Pareto::new(1.0, shape).ok());
        let law = law.ok_or(BadConfig::NotANumber { setting: "shape" })?;
        Ok(Self(Shape::Pareto(least, shape, law)))
    }

    /// The empirical distribution of measured durations, each with the same probability.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub fn recorded(spans: impl IntoIterator<Item = Duration>) -> Result<Self, BadConfig> {
        let spans: Arc<[Duration]> = spans.into_iter().collect();
        BadConfig::unless_positive(spans.len() as u64, "spans")?;
        Ok(Self(Shape::Recorded(spans)))
    }

    /// Draws a duration.
    #[must_use]
    pub fn draw(&self, random: &mut Random) -> Duration {
        match &self.0 {
            Shape::Constant(span) => *span,
            Shape::Uniform(least, most) => whole(random.between(*least, *most)),
            Shape::Exponential(mean) => stretched(*mean, rand_distr::Exp1.sample(random.source())),
            Shape::LogNormal(mean, law) => stretched(*mean, law.sample(random.source())),
            Shape::Pareto(least, _, law) => stretched(*least, law.sample(random.source())),
            Shape::Recorded(spans) => spans.get(random.below(spans.len())).copied().unwrap_or_default(),
        }
    }

    /// The mean, if it exists.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        match &self.0 {
            Shape::Constant(mean) | Shape::Exponential(mean) | Shape::LogNormal(mean, _) => Some(*mean),
            Shape::Uniform(least, most) => Some(least.saturating_add(*most) / 2),
            Shape::Pareto(least, shape, _) => (*shape > 1.0).then(|| stretched(*least, shape / (shape - 1.0))),
            Shape::Recorded(spans) => {
                let all = spans.iter().fold(Duration::ZERO, |all, span| all.saturating_add(*span));
                all.checked_div(u32::try_from(spans.len()).ok()?)
            }
        }
    }
}

fn stretched(span: Duration, by: f64) -> Duration {
    whole(Duration::try_from_secs_f64(span.as_secs_f64() * by).unwrap_or(LONGEST))
}

fn whole(span: Duration) -> Duration {
    Duration::from_micros(u64::try_from(span.min(LONGEST).as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_of(law: &Distribution) -> f64 {
        let draws = 40_000_u32;
        let sum: f64 = (0..draws).map(|n| law.draw(&mut Random::new(7, n.into())).as_secs_f64()).sum();
        sum / f64::from(draws)
    }

    #[test]
    fn draws_have_the_stated_mean() {
        let two = Duration::from_secs(2);
        let laws = [
            Distribution::constant(two),
            Distribution::uniform(Duration::from_secs(1), Duration::from_secs(3)).unwrap(),
            Distribution::exponential(two).unwrap(),
            Distribution::log_normal(two, 1.0).unwrap(),
            Distribution::pareto(Duration::from_secs(1), 3.0).unwrap(),
            Distribution::recorded([1, 2, 3, 6].map(Duration::from_secs)).unwrap(),
        ];
        for law in laws {
            let (mean, drawn) = (law.mean().unwrap().as_secs_f64(), mean_of(&law));
            assert!((drawn / mean - 1.0).abs() < 0.03, "{law:?}: {drawn} for {mean}");
        }
    }

    #[test]
    fn tails_are_as_heavy_as_they_should_be() {
        // P(X > x) is exp(-x) and x^-shape.
        let share = |law: &Distribution, over: f64| {
            let over = |n: &u64| law.draw(&mut Random::new(3, *n)).as_secs_f64() > over;
            (0..40_000_u64).filter(over).count() as f64 / 40_000.0
        };
        let second = Duration::from_secs(1);
        assert!((share(&Distribution::exponential(second).unwrap(), 3.0) - 0.0498).abs() < 0.005);
        assert!((share(&Distribution::pareto(second, 1.5).unwrap(), 4.0) - 0.125).abs() < 0.007);
        assert_eq!(Distribution::pareto(second, 0.9).unwrap().mean(), None);
    }

    #[test]
    fn nonsense_is_refused() {
        let second = Duration::from_secs(1);
        assert!(Distribution::exponential(Duration::ZERO).is_err());
        assert!(Distribution::uniform(second, Duration::ZERO).is_err());
        assert!(Distribution::recorded([]).is_err());
        for odd in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(Distribution::log_normal(second, odd).is_err(), "{odd}");
            assert!(Distribution::pareto(second, odd).is_err(), "{odd}");
        }
        assert!(Distribution::pareto(second, 0.0).is_err());
    }
}
