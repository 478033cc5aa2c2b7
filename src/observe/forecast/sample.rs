//! Observed durations, and the distribution of the next one.

use crate::base::structure::Random;
use std::collections::VecDeque;

/// The number of durations that are kept: the last ones.
const KEPT: usize = 128;
/// The number of durations from which on their own quantiles are used.
const ENOUGH: usize = 20;
/// The weight of the prior for the spread, in durations, and the prior standard deviation of the logarithm.
const PRIOR: (f64, f64) = (3.0, 0.5);
/// The shortest duration that is distinguished, in seconds.
const LEAST: f64 = 1e-6;
/// The probability of each tail of which few observations give no information.
const TAIL: f64 = 0.005;

/// The last durations, as logarithms of seconds.
#[derive(Debug, Clone, Default)]
pub(in crate::observe) struct Sample {
    logs: VecDeque<f64>,
}

/// The logarithm of a duration.
pub(super) fn log(seconds: f64) -> f64 {
    seconds.max(LEAST).ln()
}

impl Sample {
    /// Adds a duration in seconds.
    pub(in crate::observe) fn note(&mut self, seconds: f64) {
        self.note_log(log(seconds));
    }

    pub(super) fn note_log(&mut self, log: f64) {
        if self.logs.len() >= KEPT {
            self.logs.pop_front();
        }
        self.logs.push_back(log);
    }

    pub(super) fn len(&self) -> usize {
        self.logs.len()
    }

    pub(super) fn logs(&self) -> impl Iterator<Item = f64> {
        self.logs.iter().copied()
    }

    pub(super) fn mean_log(&self) -> Option<f64> {
        let count = u32::try_from(self.logs.len()).ok().filter(|count| *count > 0)?;
        Some(self.logs.iter().sum::<f64>() / f64::from(count))
    }

    /// The distribution of the next duration; none without any.
    pub(in crate::observe) fn spread(&self) -> Option<Spread> {
        self.widened(1.0)
    }

    /// The distribution with the distances of all logarithms from their mean multiplied by this factor.
    pub(super) fn widened(&self, factor: f64) -> Option<Spread> {
        let mean = self.mean_log()?;
        let mut sorted: Vec<f64> = self.logs.iter().map(|log| mean + (log - mean) * factor).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let count = f64::from(u32::try_from(sorted.len()).unwrap_or(u32::MAX));
        let squares: f64 = sorted.iter().map(|log| (log - mean) * (log - mean)).sum();
        let freedom = count - 1.0 + PRIOR.0;
        let variance = (squares + PRIOR.0 * PRIOR.1 * PRIOR.1) / freedom;
        Some(Spread { sorted, mean, scale: (variance * (1.0 + 1.0 / count)).sqrt(), freedom })
    }
}

/// The distribution of the next duration.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::observe) struct Spread {
    /// The logarithms of the durations.
    sorted: Vec<f64>,
    mean: f64,
    scale: f64,
    freedom: f64,
}

impl Spread {
    /// The duration in seconds that is not exceeded with this probability.
    pub(in crate::observe) fn quantile(&self, probability: f64) -> f64 {
        self.quantile_log(if probability.is_nan() { 0.0 } else { probability.clamp(0.0, 1.0) }).exp()
    }

    fn quantile_log(&self, probability: f64) -> f64 {
        let assumed = || self.mean + self.scale * student(probability.clamp(TAIL, 1.0 - TAIL), self.freedom);
        let (Some(first), Some(last)) = (self.sorted.first(), self.sorted.last()) else { return assumed() };
        let count = f64::from(u32::try_from(self.sorted.len()).unwrap_or(u32::MAX));
        let edge = 1.0 / (count + 1.0);
        if self.sorted.len() < ENOUGH {
            assumed()
        } else if probability < edge {
            assumed().min(*first)
        } else if probability > 1.0 - edge {
            assumed().max(*last)
        } else {
            // Of n + 1 durations each is equally likely to be the new one: the k-th is the quantile of k / (n + 1).
            between(&self.sorted, (probability * (count + 1.0) - 1.0) / (count - 1.0))
        }
    }

    /// The probability that a duration is at most this long, in seconds.
    pub(in crate::observe) fn share_below(&self, seconds: f64) -> f64 {
        let (log, mut low, mut high) = (log(seconds), 0.0, 1.0);
        if self.quantile_log(1.0) <= log {
            return 1.0;
        }
        for _ in 0..30 {
            let middle: f64 = f64::midpoint(low, high);
            if self.quantile_log(middle) <= log { low = middle } else { high = middle }
        }
        low
    }

    /// Draws a duration in seconds, of those above the share `from`.
    pub(in crate::observe) fn draw(&self, from: f64, random: &mut Random) -> f64 {
        self.quantile(from + (1.0 - from) * random.unit())
    }
}

/// The value at this share of the way through sorted values, interpolated; 0 without values.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the number of values")]
pub(super) fn between(sorted: &[f64], share: f64) -> f64 {
    let steps = f64::from(u32::try_from(sorted.len().saturating_sub(1)).unwrap_or(u32::MAX));
    let place = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) * steps };
    let below = place.floor() as usize;
    let low = sorted.get(below).copied().unwrap_or_default();
    let high = sorted.get(below.saturating_add(1)).copied().unwrap_or(low);
    low + (high - low) * place.fract()
}

/// A quantile of Student's t distribution, by its expansion in the quantile of the normal distribution; that one by Tukey's
/// lambda distribution. The error is below a fiftieth of the scale in the range that is used, from 3 degrees of freedom on.
fn student(probability: f64, freedom: f64) -> f64 {
    let z = 4.91 * (probability.powf(0.14) - (1.0 - probability).powf(0.14));
    let (third, fifth) = (z.powi(3), z.powi(5));
    z + (third + z) / (4.0 * freedom) + (5.0 * fifth + 16.0 * third + 3.0 * z) / (96.0 * freedom * freedom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_student_are_those_of_the_tables() {
        for (probability, freedom, table) in [
            (0.9, 5.0, 1.476),
            (0.9, 10.0, 1.372),
            (0.95, 10.0, 1.812),
            (0.5, 7.0, 0.0),
            (0.1, 20.0, -1.325),
            (0.975, 30.0, 2.042),
            (0.9, 1e9, 1.282),
        ] {
            let found = student(probability, freedom);
            assert!((found - table).abs() < 0.03, "{probability} of {freedom}: {found} instead of {table}");
        }
    }

    #[test]
    fn quantiles_grow_and_shares_are_their_inverse() {
        let mut random = Random::new(4, 0);
        for count in [1, 2, 5, 19, 20, 21, 128, 400] {
            let mut sample = Sample::default();
            (0..count).for_each(|_| sample.note(-3.0 * (1.0 - random.unit()).ln()));
            let spread = sample.spread().unwrap();
            let mut before = 0.0;
            for percent in 0..=100 {
                let at = spread.quantile(f64::from(percent) / 100.0);
                assert!(at >= before && at.is_finite(), "{count}: {at} after {before}");
                before = at;
            }
            for share in [0.1, 0.5, 0.9] {
                assert!((spread.share_below(spread.quantile(share)) - share).abs() < 1e-3, "{count} {share}");
            }
            assert!(spread.share_below(1e12) > 0.99 && spread.share_below(0.0) < 0.01);
            for _ in 0..50 {
                assert!(spread.draw(0.7, &mut random) >= spread.quantile(0.69));
            }
        }
        assert_eq!(Sample::default().spread(), None);
    }
}
