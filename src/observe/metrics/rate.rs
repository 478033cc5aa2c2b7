//! Rates of events, as exponentially decaying averages.

use crate::base::time::Time;
use core::time::Duration;

/// The time constant in seconds: two thirds of the weight belong to the last minute.
const MEMORY: f64 = 60.0;

/// A time-weighted average: each event adds `1 / memory`, and the sum decays by `exp(-t / memory)`. It is divided by
/// the weight since the beginning, so that it is unbiased from the first minute on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rate {
    value: f64,
    at: Time,
}

impl Rate {
    pub(super) fn count(&mut self, now: Time) {
        let now = now.max(self.at);
        self.value = self.value * fade(now - self.at) + 1.0 / MEMORY;
        self.at = now;
    }

    /// Events per second at `now`, if they have been counted since `since`.
    pub(super) fn per_second(&self, since: Time, now: Time) -> f64 {
        let weight = 1.0 - fade(now - since);
        if weight <= 0.0 {
            return 0.0;
        }
        self.value * fade(now - self.at) / weight
    }
}

/// `exp(-span / memory)` by the four basic operations alone, whose results are equal on all machines.
fn fade(span: Duration) -> f64 {
    let x = span.as_secs_f64() / MEMORY;
    if x > 700.0 {
        return 0.0;
    }
    // The Taylor series of a small part of x, squared ten times: exact to 1 in 10^9.
    let small = -x / 1024.0;
    let mut sum = 1.0;
    for term in (1..=11).rev() {
        sum = 1.0 + small * sum / f64::from(term);
    }
    for _ in 0..10 {
        sum *= sum;
    }
    sum
}

#[expect(clippy::cast_precision_loss, reason = "a share of counts beyond 2^53 is precise enough")]
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fades_like_an_exponential() {
        for secs in [0.0, 1e-9, 0.5, 60.0, 600.0, 30_000.0] {
            let exact = f64::exp(-secs / MEMORY);
            let got = fade(Duration::from_secs_f64(secs));
            assert!((got - exact).abs() <= exact * 1e-9, "{secs}: {got} and not {exact}");
        }
        assert!(fade(Duration::MAX) <= 0.0);
    }

    #[test]
    fn a_steady_rate_is_known_soon() {
        let mut rate = Rate::default();
        let start = Time::from_secs(1_000);
        for tick in 1..=500_u64 {
            rate.count(Time::from_millis(1_000_000 + tick * 20));
        }
        let ten_seconds = Time::from_secs(1_010);
        let got = rate.per_second(start, ten_seconds);
        assert!((got - 50.0).abs() < 0.5, "{got}");
        // A minute of silence later: 50 * (exp(-1) - exp(-7/6)) / (1 - exp(-7/6)).
        let later = rate.per_second(start, Time::from_secs(1_070));
        assert!((4.05..=4.15).contains(&later), "{later}");
        assert!(rate.per_second(Time::MAX, Time::ZERO).abs() < 1e-9);
    }
}
