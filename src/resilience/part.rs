//! Shares in thousandths, and random parts.

use crate::base::structure::Random;
use crate::base::time::nanos_of;
use core::time::Duration;

/// The share of `whole`, in thousandths.
pub(super) fn share(whole: u64, permille: u16) -> u64 {
    let part = u128::from(whole) * u128::from(permille) / 1_000;
    u64::try_from(part).unwrap_or(u64::MAX)
}

/// A random number from `0..=most`, the same in every version: the upper half of a product.
pub(super) fn draw(most: u64, random: &mut Random) -> u64 {
    let product = u128::from(random.bits()) * (u128::from(most) + 1);
    u64::try_from(product >> 64).unwrap_or(most)
}

/// `span`, shortened by a random part of up to this many thousandths.
pub(super) fn shortened(span: Duration, permille: u16, random: &mut Random) -> Duration {
    let nanos = nanos_of(span);
    Duration::from_nanos(nanos - draw(share(nanos, permille), random).min(nanos))
}
