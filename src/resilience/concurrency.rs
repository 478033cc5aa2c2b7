//! Adaptive concurrency limits.
//!
//! [`Aimd`] reacts to explicit overload signals: the limit grows by one for each limit's worth of successes and shrinks by a tenth
//! on overload. It is the default choice. [`Gradient`] compares the latency of calls with their long-run latency, so it requires
//! calls of similar length.
//!
//! Both grow only while at least half of the limit is in use, both shrink once for each group of concurrent calls (calls that
//! began before the last cut are ignored), and neither goes below one, since a limit of zero gets no feedback.
//! that began before the last cut say nothing new), and neither goes below one: a limit of zero never learns.
//!
//! ```
//! use counterpoint::Time;
//! use counterpoint::resilience::concurrency::{Aimd, Config, Rules};
//!
//! let rules = Rules::new(Config::default().with_initial(10).with_most(100))?;
//! let mut limit = Aimd::new(&rules);
//! (0..10).for_each(|_| limit.succeeded(&rules, 10));
//! assert_eq!(limit.limit(), 11);
//! limit.overloaded(&rules, Time::from_secs(1), Time::from_secs(2));
//! limit.overloaded(&rules, Time::from_secs(1), Time::from_secs(2));
//! assert_eq!(limit.limit(), 9, "two calls of one crowd, one cut");
//! # Ok::<(), counterpoint::BadConfig>(())
//! ```

use super::share;
use crate::base::error::BadConfig;
use crate::base::structure::{rules, with};
use crate::base::time::{Time, nanos_of};
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The bounds and the speed of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The initial limit.
    pub initial: u32,
    /// The least limit; at least 1.
    pub least: u32,
    /// The greatest limit.
    pub most: u32,
    /// The share of the limit that remains after an overload, in thousandths.
    pub keep_permille: u16,
    /// Gradient only: the tolerated latency relative to the long run, in thousandths.
    pub tolerance_permille: u16,
    /// Gradient only: how far each sample moves the limit towards its new value, in thousandths.
    pub smoothing_permille: u16,
    /// Gradient only: the number of samples of the long run.
    pub long_run: u32,
}

impl Default for Config {
    /// From 10, between 1 and 1,000; a tenth less on overload; 1.5 times the latency is tolerated; a long run of 600 samples.
    fn default() -> Self {
        Self {
            initial: 10,
            least: 1,
            most: 1_000,
            keep_permille: 900,
            tolerance_permille: 1_500,
            smoothing_permille: 200,
            long_run: 600,
        }
    }
}

with! {
    with_initial => initial: u32,
    with_least => least: u32,
    with_most => most: u32,
    with_keep_permille => keep_permille: u16,
    with_tolerance_permille => tolerance_permille: u16,
    with_smoothing_permille => smoothing_permille: u16,
    with_long_run => long_run: u32,
}

impl Config {
    fn check(&self) -> Result<(), BadConfig> {
        BadConfig::unless_positive(self.least.into(), "least")?;
        BadConfig::unless_ordered((self.least, "least"), (self.initial, "initial"))?;
        BadConfig::unless_ordered((self.initial, "initial"), (self.most, "most"))?;
        BadConfig::unless_permille(self.keep_permille, "keep_permille")?;
        BadConfig::unless_ordered((1_000, "1000"), (self.tolerance_permille, "tolerance_permille"))?;
        BadConfig::unless_positive(self.smoothing_permille.into(), "smoothing_permille")?;
        BadConfig::unless_permille(self.smoothing_permille, "smoothing_permille")?;
        BadConfig::unless_positive(self.long_run.into(), "long_run")
    }

    fn clamp(&self, limit: u64) -> u32 {
        u32::try_from(limit).unwrap_or(u32::MAX).clamp(self.least, self.most)
    }
}

rules! {
    /// A validated [`Config`], shared by any number of limits.
    derive(Copy, Eq)
}

/// Additive increase, multiplicative decrease, as TCP's congestion window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aimd {
    limit: u32,
    credit: u32,
    cut: Option<Time>,
}

impl Aimd {
    /// The initial limit.
    #[must_use]
    pub const fn new(rules: &Rules) -> Self {
        Self { limit: rules.0.initial, credit: 0, cut: None }
    }

    /// The current limit.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// Whether one more call can begin.
    #[must_use]
    pub const fn has_room(&self, in_flight: u32) -> bool {
        in_flight < self.limit
    }

    /// Records a successful call; `in_flight` includes it.
    pub fn succeeded(&mut self, rules: &Rules, in_flight: u32) {
        if !in_use(in_flight, self.limit) {
            return;
        }
        self.credit = self.credit.saturating_add(1);
        if self.credit >= self.limit {
            self.credit = 0;
            self.limit = rules.0.clamp(u64::from(self.limit) + 1);
        }
    }

    /// Records a call that was refused for overload or timed out, with the time of its start. Returns whether the limit was cut.
    pub fn overloaded(&mut self, rules: &Rules, began: Time, now: Time) -> bool {
        if self.cut.is_some_and(|cut| began <= cut) {
            return false;
        }
        let limit = u64::from(self.limit);
        self.limit = rules.0.clamp(share(limit, rules.0.keep_permille).min(limit.saturating_sub(1)));
        (self.credit, self.cut) = (0, Some(now));
        true
    }
}

/// A limit that follows the latency of calls.
///
/// After the "gradient" limit of Netflix's concurrency-limits, with three differences: a dropped call cuts the limit (there it is
/// ignored, so that constant timeouts look like a constant latency and the limit rises); the allowance for a queue is added only
/// while latency is not above the long run (there always, so that it rises under mild overload); and the least limit is 1.
///
/// ```
/// use counterpoint::Time;
/// use counterpoint::resilience::concurrency::{Gradient, Rules};
/// use std::time::Duration;
///
/// let rules = Rules::default();
/// let mut limit = Gradient::new(&rules);
/// (0..100).for_each(|_| limit.took(&rules, Duration::from_millis(20), limit.limit()));
/// let calm = limit.limit();
/// (0..200).for_each(|_| limit.took(&rules, Duration::from_millis(200), limit.limit()));
/// assert!(limit.limit() < calm);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gradient {
    /// The limit, in thousandths.
    limit: u64,
    /// The long-run latency, in nanoseconds.
    long: u64,
    samples: u32,
    /// The number of calls since the last change: the limit changes once for each limit's worth of calls.
    crowd: u32,
    crowd_took: u64,
    cut: Option<Time>,
}

impl Gradient {
    /// The initial limit.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        Self { limit: u64::from(rules.0.initial) * 1_000, long: 0, samples: 0, crowd: 0, crowd_took: 0, cut: None }
    }

    /// The current limit.
    #[must_use]
    pub fn limit(&self) -> u32 {
        u32::try_from(self.limit / 1_000).unwrap_or(u32::MAX)
    }

    /// Whether one more call can begin.
    #[must_use]
    pub fn has_room(&self, in_flight: u32) -> bool {
        in_flight < self.limit()
    }

    /// Records the latency of an answered call; `in_flight` includes it.
    pub fn took(&mut self, rules: &Rules, took: Duration, in_flight: u32) {
        let short = nanos_of(took).max(1);
        self.remember(&rules.0, short);
        if !in_use(in_flight, self.limit()) {
            return;
        }
        self.crowd = self.crowd.saturating_add(1);
        self.crowd_took = self.crowd_took.saturating_add(short);
        if self.crowd < self.limit() {
            return;
        }
        let short = (self.crowd_took / u64::from(self.crowd.max(1))).max(1);
        let tolerated = u128::from(self.long) * u128::from(rules.0.tolerance_permille) / u128::from(short);
        let gradient = u16::try_from(tolerated).unwrap_or(u16::MAX).clamp(500, 1_000);
        // The square root of the limit, in thousandths as the limit itself.
        let queue = if gradient == 1_000 { self.limit.saturating_mul(1_000).isqrt() } else { 0 };
        let target = share(self.limit, gradient).saturating_add(queue);
        let step = rules.0.smoothing_permille;
        self.set(&rules.0, share(self.limit, 1_000 - step).saturating_add(share(target, step)));
    }

    /// Records a call that was refused for overload or timed out, with the time of its start. Returns whether the limit was cut.
    pub fn dropped(&mut self, rules: &Rules, began: Time, now: Time) -> bool {
        if self.cut.is_some_and(|cut| began <= cut) {
            return false;
        }
        self.set(&rules.0, share(self.limit, rules.0.keep_permille));
        self.cut = Some(now);
        true
    }

    fn set(&mut self, rules: &Config, limit: u64) {
        (self.crowd, self.crowd_took) = (0, 0);
        self.limit = limit.clamp(u64::from(rules.least) * 1_000, u64::from(rules.most) * 1_000);
    }

    /// Updates the long-run latency: the mean of the first samples, then a moving average. A long run far above the current latency
    /// was learnt under overload and is forgotten faster.
    fn remember(&mut self, rules: &Config, short: u64) {
        self.samples = self.samples.saturating_add(1).min(rules.long_run);
        let weight = u64::from(self.samples.max(1));
        if short >= self.long {
            self.long += (short - self.long) / weight;
        } else {
            self.long -= (self.long - short).div_ceil(weight);
        }
        if self.long / 2 > short {
            self.long = share(self.long, 950);
        }
    }
}

const fn in_use(in_flight: u32, limit: u32) -> bool {
    in_flight >= limit.div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn limits_stay_in_bounds(
            least in 1_u32..5, ops in prop::collection::vec((0_u8..4, 0_u32..60, 0_u64..u64::MAX, 0_u64..1_000), 1..300)
        ) {
            let rules = Rules::new(Config::default().with_least(least).with_most(40)).unwrap();
            let (mut aimd, mut gradient, mut now) = (Aimd::new(&rules), Gradient::new(&rules), Time::ZERO);
            for (op, in_flight, took, wait) in ops {
                now = now + Duration::from_millis(wait);
                let before = (aimd.limit(), gradient.limit());
                if op == 0 {
                    aimd.overloaded(&rules, now, now);
                    gradient.dropped(&rules, now, now);
                    prop_assert!(aimd.limit() <= before.0 && gradient.limit() <= before.1);
                } else {
                    aimd.succeeded(&rules, in_flight);
                    gradient.took(&rules, Duration::from_nanos(took), in_flight);
                    prop_assert!(aimd.limit() <= before.0 + 1);
                    prop_assert!(in_flight * 2 >= before.1 || gradient.limit() == before.1);
                }
                for limit in [aimd.limit(), gradient.limit()] {
                    prop_assert!((least..=40).contains(&limit));
                }
            }
        }
    }

    /// Simulates an agent of this capacity: above it latency rises, beyond twice the capacity calls are dropped.
    fn settle(room: u32, rounds: u32) -> (u32, u32) {
        let rules = Rules::default();
        let (mut aimd, mut gradient) = (Aimd::new(&rules), Gradient::new(&rules));
        for round in 0..rounds {
            let began = Time::from_millis(u64::from(round) * 10);
            let now = began + Duration::from_millis(10);
            for _ in 0..aimd.limit() {
                if aimd.limit() > room * 2 {
                    aimd.overloaded(&rules, began, now);
                } else {
                    aimd.succeeded(&rules, aimd.limit());
                }
            }
            let load = gradient.limit();
            for _ in 0..load {
                let took = Duration::from_millis(10) * load.max(room) / room;
                if load > room * 2 {
                    let _ = gradient.dropped(&rules, began, now);
                } else {
                    gradient.took(&rules, took, load)
                }
            }
        }
        (aimd.limit(), gradient.limit())
    }

    #[test]
    fn they_find_the_room_there_is() {
        for room in [1, 4, 20, 100] {
            let (aimd, gradient) = settle(room, 2_000);
            assert!((room..=room * 2 + 1).contains(&aimd), "{room}: {aimd}");
            assert!((room..=room * 2 + 1).contains(&gradient), "{room}: {gradient}");
        }
    }

    #[test]
    fn steady_timeouts_do_not_climb() {
        let rules = Rules::default();
        let mut gradient = Gradient::new(&rules);
        for second in 1..200 {
            gradient.dropped(&rules, Time::from_secs(second), Time::from_secs(second) + Duration::from_millis(999));
        }
        assert_eq!(gradient.limit(), 1);
        assert!(Rules::new(Config::default().with_least(0)).is_err());
        assert!(Rules::new(Config::default().with_initial(2_000)).is_err());
    }
}
