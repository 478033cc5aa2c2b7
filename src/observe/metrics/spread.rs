//! Distributions of durations.

use crate::base::time::nanos_of;
use core::time::Duration;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// A thousand hours; longer durations count as that.
const MOST_MICROS: u64 = 3_600_000_000_000;

/// The summary of a distribution of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// The number of durations.
    pub count: u64,
    /// The exact mean.
    #[serde(with = "crate::base::time::span")]
    pub mean: Duration,
    /// The median, to two digits.
    #[serde(with = "crate::base::time::span")]
    pub p50: Duration,
    /// The 95th percentile, to two digits.
    #[serde(with = "crate::base::time::span")]
    pub p95: Duration,
    /// The 99th percentile, to two digits.
    #[serde(with = "crate::base::time::span")]
    pub p99: Duration,
    /// The exact maximum.
    #[serde(with = "crate::base::time::span")]
    pub max: Duration,
    /// The exact sum.
    #[serde(with = "crate::base::time::span", default)]
    pub sum: Duration,
}

/// A histogram of durations. It allocates nothing before the first.
#[derive(Debug, Clone, Default)]
pub(super) struct Spread {
    micros: Option<Histogram<u32>>,
    count: u64,
    sum_nanos: u128,
    max_nanos: u64,
}

impl Spread {
    pub(super) fn record(&mut self, span: Option<Duration>) {
        let Some(span) = span else { return };
        let nanos = nanos_of(span);
        self.count = self.count.saturating_add(1);
        self.sum_nanos = self.sum_nanos.saturating_add(u128::from(nanos));
        self.max_nanos = self.max_nanos.max(nanos);
        if self.micros.is_none() {
            self.micros = Histogram::new(2).ok();
        }
        if let Some(histogram) = &mut self.micros {
            // The histogram grows on demand; the bound keeps it small, and the record infallible.
            let _ = histogram.record((nanos / 1_000).min(MOST_MICROS));
        }
    }

    pub(super) fn summary(&self) -> Summary {
        let max = Duration::from_nanos(self.max_nanos);
        let at = |quantile: f64| {
            let micros = self.micros.as_ref().map_or(0, |histogram| histogram.value_at_quantile(quantile));
            Duration::from_micros(micros).min(max)
        };
        let mean = self.sum_nanos.checked_div(u128::from(self.count)).unwrap_or(0);
        Summary {
            count: self.count,
            mean: Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX)),
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            max,
            sum: Duration::from_nanos(u64::try_from(self.sum_nanos).unwrap_or(u64::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_close_and_ends_exact() {
        let mut spread = Spread::default();
        assert_eq!(spread.summary(), Summary::default());
        for millis in 1..=1_000 {
            spread.record(Some(Duration::from_millis(millis)));
        }
        let summary = spread.summary();
        assert_eq!((summary.count, summary.max), (1_000, Duration::from_secs(1)));
        assert_eq!(summary.mean, Duration::from_micros(500_500));
        for (got, millis) in [(summary.p50, 500), (summary.p95, 950), (summary.p99, 990)] {
            let off = got.abs_diff(Duration::from_millis(millis));
            assert!(off <= Duration::from_millis(millis) / 100, "{got:?} for {millis} ms");
        }
    }

    #[test]
    fn extremes_are_taken() {
        let mut spread = Spread::default();
        spread.record(Some(Duration::from_nanos(u64::MAX)));
        spread.record(Some(Duration::ZERO));
        spread.record(None);
        let summary = spread.summary();
        assert_eq!((summary.count, summary.p50), (2, Duration::ZERO));
        assert_eq!(summary.max, Duration::from_nanos(u64::MAX));
    }
}
