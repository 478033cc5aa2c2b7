//! Exponential decay with bit-identical results on every machine.

use core::time::Duration;

/// The remainder of a weight of 1 after `past`, with half-life `half`: exact at multiples of the half-life and
/// interpolated linearly in between. `exp` is not used, because its last digits differ between machines.
pub(crate) fn decay(past: Duration, half: Duration) -> f64 {
    let half = half.as_nanos().max(1);
    let whole = past.as_nanos() / half;
    if whole >= 64 {
        return 0.0;
    }
    let rest = nanos(past.as_nanos() % half) / nanos(half);
    let halved = nanos(1_u128 << whole);
    (1.0 - rest / 2.0) / halved
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
const fn nanos(nanos: u128) -> f64 {
    nanos as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decay_halves_and_falls(past in 0_u64..10_u64.pow(12), more in 0_u64..10_u64.pow(10), half in 1_u64..10_u64.pow(11)) {
            let (past, half) = (Duration::from_nanos(past), Duration::from_nanos(half));
            let now = decay(past, half);
            prop_assert!((0.0..=1.0).contains(&now));
            prop_assert!(decay(past + Duration::from_nanos(more), half) <= now + 1e-12);
            let halved = decay(past + half, half);
            prop_assert!((halved - now / 2.0).abs() < 1e-9);
        }
    }
}
