//! Exponential backoff with jitter (Brooker 2015, "full jitter").

use crate::structure::Random;
use crate::task::{Jitter, Retry};
use core::time::Duration;

/// How long to wait after the `failed`-th failed attempt (from 1): below `base * 2^(failed-1)`, never above `cap`, and not
/// sooner than the agent asked for.
///
/// ```
/// use counterpoint::{Random, Retry, resilience::delay};
/// use std::time::Duration;
///
/// let retry = Retry::exponential(9, Duration::from_secs(1), Duration::from_secs(30));
/// let wait = delay(&retry, 4, None, &mut Random::new(42, 0));
/// assert!(wait <= Duration::from_secs(8));
/// ```
#[must_use]
pub fn delay(retry: &Retry, failed: u32, asked: Option<Duration>, random: &mut Random) -> Duration {
    let doublings = failed.saturating_sub(1).min(31);
    let ceiling = retry.base.saturating_mul(1 << doublings).min(retry.cap);
    let drawn = match retry.jitter {
        Jitter::Full => random.between(Duration::ZERO, ceiling),
        Jitter::Equal => random.between(ceiling / 2, ceiling),
        Jitter::None => ceiling,
    };
    asked.map_or(drawn, |floor| drawn.max(floor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stays_below_the_ceiling_and_above_the_floor(failed in 0_u32..1_000, seed: u64, base in 0_u64..u64::MAX, cap in 0_u64..u64::MAX) {
            let retry = Retry::exponential(9, Duration::from_nanos(base), Duration::from_nanos(cap));
            let wait = delay(&retry, failed, None, &mut Random::new(seed, 0));
            prop_assert!(wait <= retry.cap);
            prop_assert!(wait <= retry.base.saturating_mul(1 << failed.saturating_sub(1).min(31)));
            let floor = Duration::from_secs(5);
            prop_assert!(delay(&retry, failed, Some(floor), &mut Random::new(seed, 0)) >= floor);
        }
    }

    #[test]
    fn full_jitter_uses_the_whole_range() {
        let retry = Retry::exponential(9, Duration::from_millis(100), Duration::from_secs(10));
        let draws: Vec<_> = (0..1_000).map(|n| delay(&retry, 1, None, &mut Random::new(1, n))).collect();
        assert!(draws.iter().any(|wait| *wait < Duration::from_millis(10)));
        assert!(draws.iter().any(|wait| *wait > Duration::from_millis(90)));
        let mean: Duration = draws.iter().sum::<Duration>() / 1_000;
        assert!(mean.abs_diff(Duration::from_millis(50)) < Duration::from_millis(5), "{mean:?}");
    }
}
