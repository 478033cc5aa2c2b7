//! Random draws for decisions: one stream per decision, derived from the caller's seed.

use crate::base::id::mix;
use core::fmt;
use core::time::Duration;
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::SplitMix64;

/// Random numbers for one decision.
///
/// The stream is a function of the caller's seed and of the sequence number of the journal's next entry. It has no
/// state that a crash could lose: a restored engine with the same input makes the same decisions.
#[derive(Clone)]
pub struct Random(SplitMix64);

impl Random {
    /// The stream for decision `number` under `seed`.
    #[must_use]
    pub fn new(seed: u64, number: u64) -> Self {
        Self(SplitMix64::seed_from_u64(mix(seed) ^ mix(number.wrapping_add(1))))
    }

    /// The generator, for sampling from distributions.
    #[cfg(feature = "sim")]
    pub(crate) const fn source(&mut self) -> &mut impl Rng {
        &mut self.0
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A uniform draw from `0..bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { self.0.random_range(0..bound) }
    }

    /// A uniform draw from `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        self.0.random()
    }

    /// A uniform draw between two durations, both included.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let (low, high) = (crate::base::time::nanos_of(low), crate::base::time::nanos_of(high));
        Duration::from_nanos(if low >= high { low } else { self.0.random_range(low..=high) })
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}
