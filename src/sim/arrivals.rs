//! Arrival processes: infinite iterators over times.

use crate::base::error::BadConfig;
use crate::base::structure::Random;
use crate::base::time::Time;
use core::time::Duration;
use rand_distr::Distribution as _;

/// An infinite sequence of arrival times, in ascending order. Recorded arrivals need no process: any iterator over
/// times can be used instead.
///
/// ```
/// use counterpoint::sim::Arrivals;
/// use counterpoint::Time;
///
/// let first: Vec<Time> = Arrivals::poisson(7, 100.0)?.take(1_000).collect();
/// assert!((8.0..12.0).contains(&first[999].as_secs_f64()));
/// # Ok::<(), counterpoint::BadConfig>(())
/// ```
#[derive(Debug, Clone)]
pub struct Arrivals {
    random: Random,
    now: f64,
    rate: Rate,
}

#[derive(Debug, Clone)]
enum Rate {
    Even(f64),
    Bursts { calm: f64, burst: f64, calm_for: f64, burst_for: f64, bursting: bool, until: f64 },
    Wave { low: f64, high: f64, period: f64 },
}

impl Arrivals {
    /// A Poisson process: independent arrivals with this mean number per second.
    ///
    /// # Errors
    ///
    /// When the rate is not a positive number.
    pub fn poisson(seed: u64, per_second: f64) -> Result<Self, BadConfig> {
        positive(per_second, "per_second")?;
        Ok(Self::new(seed, Rate::Even(per_second)))
    }

    /// Alternating calm and burst phases, each with an exponentially distributed length around its mean and its own
    /// rate per second (a Markov-modulated Poisson process).
    ///
    /// # Errors
    ///
    /// When a rate is not a positive number, or a length is zero.
    pub fn bursty(seed: u64, calm: (f64, Duration), burst: (f64, Duration)) -> Result<Self, BadConfig> {
        positive(calm.0, "calm")?;
        positive(burst.0, "burst")?;
        BadConfig::unless_span(calm.1, "calm length")?;
        BadConfig::unless_span(burst.1, "burst length")?;
        let (calm_for, burst_for) = (calm.1.as_secs_f64(), burst.1.as_secs_f64());
        let rate = Rate::Bursts { calm: calm.0, burst: burst.0, calm_for, burst_for, bursting: true, until: 0.0 };
        Ok(Self::new(seed, rate))
    }

    /// A sine wave between two rates per second: lowest at the start and after each period, highest in the middle of
    /// each period.
    ///
    /// # Errors
    ///
    /// When a rate is not a positive number, the first is above the second, or the period is zero.
    pub fn diurnal(seed: u64, low: f64, high: f64, period: Duration) -> Result<Self, BadConfig> {
        positive(low, "low")?;
        positive(high, "high")?;
        BadConfig::unless_ordered((low, "low"), (high, "high"))?;
        BadConfig::unless_span(period, "period")?;
        Ok(Self::new(seed, Rate::Wave { low, high, period: period.as_secs_f64() }))
    }

    fn new(seed: u64, rate: Rate) -> Self {
        Self { random: Random::new(seed, 0x0061_7272_6976_616c), now: 0.0, rate }
    }

    /// An exponentially distributed draw of mean 1.
    fn exponential(&mut self) -> f64 {
        rand_distr::Exp1.sample(self.random.source())
    }

    fn step(&mut self) {
        match self.rate.clone() {
            Rate::Even(rate) => self.now += self.exponential() / rate,
            Rate::Wave { low, high, period } => loop {
                // Thinning (Lewis and Shedler 1979): candidates at the highest rate, accepted in proportion to the
                // present rate.
                self.now += self.exponential() / high;
                let phase = (self.now / period) * core::f64::consts::TAU;
                let rate = (high - low).mul_add((1.0 - phase.cos()) / 2.0, low);
                if self.random.unit() * high < rate {
                    break;
                }
            },
            Rate::Bursts { .. } => self.step_in_bursts(),
        }
    }

    fn step_in_bursts(&mut self) {
        loop {
            let Rate::Bursts { calm, burst, calm_for, burst_for, bursting, until } = self.rate.clone() else { return };
            let next = self.now + self.exponential() / if bursting { burst } else { calm };
            if next < until {
                self.now = next;
                return;
            }
            // The exponential distribution is memoryless: a draw beyond the end of a phase is repeated in the next
            // phase.
            self.now = until;
            let length = self.exponential() * if bursting { calm_for } else { burst_for };
            self.rate = Rate::Bursts { calm, burst, calm_for, burst_for, bursting: !bursting, until: until + length };
        }
    }
}

impl Iterator for Arrivals {
    type Item = Time;

    fn next(&mut self) -> Option<Time> {
        self.step();
        let span = Duration::try_from_secs_f64(self.now).ok()?;
        Some(Time::ZERO + Duration::from_micros(u64::try_from(span.as_micros()).ok()?))
    }
}

fn positive(rate: f64, setting: &'static str) -> Result<(), BadConfig> {
    if rate.is_finite() && rate > 0.0 { Ok(()) } else { Err(BadConfig::NotANumber { setting }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(arrivals: Arrivals, seconds: usize, width: usize) -> Vec<usize> {
        let mut counts = vec![0; seconds / width];
        let mut before = Time::ZERO;
        for at in arrivals {
            assert!(at >= before);
            before = at;
            match counts.get_mut(usize::try_from(at.as_nanos() / 1_000_000_000).unwrap_or(usize::MAX) / width) {
                Some(count) => *count += 1,
                None => break,
            }
        }
        counts
    }

    fn mean_and_variance(counts: &[usize]) -> (f64, f64) {
        let number = counts.len() as f64;
        let mean = counts.iter().sum::<usize>() as f64 / number;
        (mean, counts.iter().map(|count| (*count as f64 - mean).powi(2)).sum::<f64>() / number)
    }

    #[test]
    fn a_poisson_count_varies_as_much_as_it_is_large() {
        let (mean, variance) = mean_and_variance(&counts(Arrivals::poisson(1, 8.0).unwrap(), 20_000, 1));
        assert!((mean / 8.0 - 1.0).abs() < 0.02, "{mean}");
        assert!((variance / mean - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn bursts_vary_more_than_that() {
        let minute = Duration::from_secs(60);
        let arrivals = Arrivals::bursty(1, (2.0, minute), (14.0, minute)).unwrap();
        let (mean, variance) = mean_and_variance(&counts(arrivals, 100_000, 10));
        assert!((mean / 80.0 - 1.0).abs() < 0.1, "{mean}");
        assert!(variance > 10.0 * mean, "{variance}");
    }

    #[test]
    fn a_day_has_its_noon() {
        let day = Duration::from_secs(1_000);
        let arrivals = Arrivals::diurnal(1, 1.0, 9.0, day).unwrap();
        let counts = counts(arrivals, 100_000, 100);
        let hour = |hour: usize| counts.iter().skip(hour).step_by(10).sum::<usize>() as f64 / 10_000.0;
        assert!(hour(0) < 1.5 && hour(9) < 1.5, "{} {}", hour(0), hour(9));
        assert!(hour(4) > 8.5 && hour(5) > 8.5, "{} {}", hour(4), hour(5));
    }

    #[test]
    fn nonsense_is_refused() {
        let second = Duration::from_secs(1);
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Arrivals::poisson(1, odd).is_err());
            assert!(Arrivals::bursty(1, (odd, second), (1.0, second)).is_err());
            assert!(Arrivals::diurnal(1, odd, 2.0, second).is_err());
        }
        assert!(Arrivals::bursty(1, (1.0, Duration::ZERO), (1.0, second)).is_err());
        assert!(Arrivals::diurnal(1, 3.0, 2.0, second).is_err());
        assert!(Arrivals::diurnal(1, 1.0, 2.0, Duration::ZERO).is_err());
    }
}
