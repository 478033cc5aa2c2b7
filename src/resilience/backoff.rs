//! Exponential backoff with jitter (Brooker 2015).

use crate::base::structure::Random;
use crate::task::{Jitter, Retry};
use core::time::Duration;

/// The delay after the `failed`-th failed attempt (counted from 1): random below `base * factor^(failed-1)` (or as
/// [`Jitter::Decorrelated`] specifies), at most `cap`, and at least what the agent asked for. Rules are disregarded.
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
    let ceiling = ceiling(retry, failed);
    let drawn = match retry.jitter {
        Jitter::Full => random.between(Duration::ZERO, ceiling),
        Jitter::Equal => random.between(ceiling / 2, ceiling),
        Jitter::Decorrelated => decorrelated(retry, failed, random),
        Jitter::None => ceiling,
    };
    asked.map_or(drawn, |floor| drawn.max(floor))
}

/// The largest number of times that a delay grows.
const GROWS: u32 = 1_000;

/// The upper bound of the `failed`-th delay.
fn ceiling(retry: &Retry, failed: u32) -> Duration {
    let (mut ceiling, factor) = (retry.base.min(retry.cap), u128::from(retry.factor_permille));
    for _ in 1..failed.min(GROWS) {
        let grown = u64::try_from(ceiling.as_nanos().saturating_mul(factor) / 1_000);
        let grown = grown.map_or(Duration::MAX, Duration::from_nanos);
        if grown == ceiling || (factor > 1_000 && grown >= retry.cap) {
            return grown.min(retry.cap);
        }
        ceiling = grown.min(retry.cap);
    }
    ceiling
}

/// The `failed`-th delay of a chain in which each is drawn between `base` and three times the one before ("decorrelated
/// jitter", Brooker 2015). The chain is drawn again from its start, so no delay has to be stored; only the last links of a long
/// chain are drawn.
fn decorrelated(retry: &Retry, failed: u32, random: &mut Random) -> Duration {
    const LINKS: u32 = 32;
    let base = retry.base.min(retry.cap);
    (0..failed.clamp(1, LINKS)).fold(base, |before, _| random.between(base, before.saturating_mul(3).min(retry.cap)))
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
            prop_assert!(failed > 30 || wait <= retry.base.saturating_mul(1 << failed.saturating_sub(1)));
            let floor = Duration::from_secs(5);
            prop_assert!(delay(&retry, failed, Some(floor), &mut Random::new(seed, 0)) >= floor);
        }
    }

    proptest! {
        /// Without jitter the delay is the upper bound: it grows by the factor, up to rounding, within the cap.
        #[test]
        fn grows_by_any_factor(failed in 1_u32..40, factor in 0_u32..5_000, base in 0_u64..1 << 40, cap in 0_u64..1 << 50) {
            let retry = Retry::exponential(9, Duration::from_nanos(base), Duration::from_nanos(cap));
            let retry = retry.with_factor_permille(factor).with_jitter(Jitter::None);
            let wait = |failed| delay(&retry, failed, None, &mut Random::new(0, 0)).as_nanos() as f64;
            let mut exact = base.min(cap) as f64;
            for _ in 1..failed {
                exact = (exact * f64::from(factor) / 1_000.0).min(cap as f64);
            }
            let rounded = 2.0 * f64::from(failed) * (f64::from(factor) / 1_000.0).max(1.0).powi(failed as i32);
            prop_assert!((wait(failed) - exact).abs() <= rounded.max(exact * 1e-9), "{} instead of {exact}", wait(failed));
        }
    }

    proptest! {
        #[test]
        fn decorrelated_stays_between_base_and_cap(failed in 0_u32..1_000, seed: u64, base in 0_u64..u64::MAX, cap in 0_u64..u64::MAX) {
            let retry = Retry::exponential(9, Duration::from_nanos(base), Duration::from_nanos(cap));
            let retry = retry.with_jitter(Jitter::Decorrelated);
            let wait = delay(&retry, failed, None, &mut Random::new(seed, 0));
            prop_assert!(wait >= retry.base.min(retry.cap) && wait <= retry.cap);
            prop_assert!(wait <= retry.base.saturating_mul(3_u32.saturating_pow(failed.clamp(1, 32))));
            prop_assert_eq!(wait, delay(&retry, failed, None, &mut Random::new(seed, 0)));
        }
    }

    #[test]
    fn decorrelated_grows_and_spreads() {
        let retry = Retry::exponential(9, Duration::from_millis(100), Duration::from_secs(600));
        let retry = retry.with_jitter(Jitter::Decorrelated);
        let mean = |failed| {
            let draws = (0..4_000).map(|n| delay(&retry, failed, None, &mut Random::new(1, n)));
            draws.sum::<Duration>().as_secs_f64() / 4_000.0
        };
        // E[next] = (base + 3 * E[before]) / 2, from E = base: 0.2, 0.35, 0.575, 0.9125 s.
        for (failed, expected) in [(1, 0.2), (2, 0.35), (3, 0.575), (4, 0.9125)] {
            assert!((mean(failed) - expected).abs() < 0.05 * expected, "{failed}: {}", mean(failed));
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
