//! The order in which a shard prefers nodes: weighted rendezvous hashing in whole numbers.

use super::super::node::NodeId;
use super::super::shard::ShardId;
use crate::base::id::mix;
use core::cmp::Ordering;

/// How far a node is down in the list of a shard: the smallest is the first choice. It is a draw from the exponential
/// distribution whose rate is the node's weight, so a node is the first choice of a share of the shards in proportion to its
/// weight (Thaler and Ravishankar 1998; Schindelhauer and Schomaker 2005).
#[derive(Debug, Clone, Copy)]
pub(super) struct Rank {
    /// The negative binary logarithm of a hash that is read as a number below 1, with 32 bits after the point.
    distance: u64,
    weight: u32,
    node: NodeId,
    shard: ShardId,
}

impl Rank {
    pub(super) fn new(shard: ShardId, node: NodeId, weight: u32) -> Self {
        let hash = mix(mix(node.get() ^ 0x9e37_79b9_7f4a_7c15).wrapping_add(mix(u64::from(shard.get()) + 1)));
        Self { distance: negative_log(hash | 1), weight, node, shard }
    }

    /// Compares `distance / weight`.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let ours = u128::from(self.distance) * u128::from(other.weight);
        let theirs = u128::from(other.distance) * u128::from(self.weight);
        ours.cmp(&theirs).then(self.node.cmp(&other.node)).then(self.shard.cmp(&other.shard))
    }

    pub(super) const fn shard(&self) -> ShardId {
        self.shard
    }

    pub(super) const fn node(&self) -> NodeId {
        self.node
    }
}

/// `-log2(hash / 2^64)` with 32 bits after the point, rounded up in the last bit. Floating-point logarithms differ between
/// machines in their last bits; this one does not.
fn negative_log(hash: u64) -> u64 {
    let zeros = hash.leading_zeros();
    // The number in [1, 2) with 63 bits after the point.
    let mut mantissa = hash.checked_shl(zeros).unwrap_or(1 << 63);
    let mut fraction: u64 = 0;
    for _ in 0..32 {
        let square = u128::from(mantissa) * u128::from(mantissa);
        let at_least_two = square >> 127 == 1;
        fraction = (fraction << 1) | u64::from(at_least_two);
        let shift = if at_least_two { 64 } else { 63 };
        mantissa = u64::try_from(square >> shift).unwrap_or(u64::MAX);
    }
    // hash / 2^64 = 2^-(zeros + 1) * (1 + ..), and its logarithm is -(zeros + 1) + fraction.
    ((u64::from(zeros) + 1) << 32).saturating_sub(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "compared with a tolerance")]
    fn the_logarithm_is_that_of_floating_point() {
        for hash in (0..2_000_u64).map(mix).chain([0, 1, u64::MAX, 1 << 63, (1 << 63) - 1]).map(|hash| hash | 1) {
            let expected = 64.0 - (hash as f64).log2();
            let found = negative_log(hash) as f64 / 2_f64.powi(32);
            assert!((expected - found).abs() < 1e-8, "{hash}: {expected} and {found}");
        }
    }
}
