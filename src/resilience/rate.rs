//! Rate limits by the generic cell rate algorithm (GCRA, ITU-T I.371).
//!
//! The state is one time: when the last admitted request would leave a queue that drains at the rate. Unlike a fixed window, it
//! never admits twice the rate around the end of a window, and it knows exactly when the next request can be admitted.
//!
//! ```
//! use counterpoint::Time;
//! use counterpoint::resilience::rate::{Config, Gcra, Rules};
//! use std::time::Duration;
//!
//! // Two a second, three at once.
//! let rules = Rules::new(Config::new(2, Duration::from_secs(1), 3))?;
//! let mut rate = Gcra::default();
//! let now = Time::from_secs(1);
//! assert!((0..3).all(|_| rate.take(&rules, 1, now).is_ok()));
//! let refused = rate.take(&rules, 1, now).unwrap_err();
//! assert_eq!(refused.next, Some(now + Duration::from_millis(500)));
//! # Ok::<(), counterpoint::BadConfig>(())
//! ```

use crate::base::error::BadConfig;
use crate::base::time::{Time, nanos_of};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A rate and a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The number of requests in each period.
    pub count: u32,
    /// The period.
    #[serde(with = "crate::base::time::span")]
    pub per: Duration,
    /// The number of requests admitted at once after a rest.
    pub burst: u32,
}

impl Config {
    /// A rate of `count` in each period, with a burst.
    #[must_use]
    pub const fn new(count: u32, per: Duration, burst: u32) -> Self {
        Self { count, per, burst }
    }

    fn check(&self) -> Result<(), BadConfig> {
        BadConfig::unless_positive(self.count.into(), "count")?;
        BadConfig::unless_span(self.per, "per")?;
        BadConfig::unless_positive(self.burst.into(), "burst")?;
        // Prevents overflow in all sums: a year for each unit, a century for each burst.
        let most = 100 * 365 * 86_400 * 1_000_000_000;
        let burst = u128::from(self.interval()) * u128::from(self.burst);
        if burst > u128::from(most) {
            Err(BadConfig::TooLarge { setting: "per * burst / count", most })
        } else {
            Ok(())
        }
    }

    /// The time of one request, rounded up, so that the rate is never exceeded.
    fn interval(&self) -> u64 {
        nanos_of(self.per).div_ceil(u64::from(self.count).max(1)).max(1)
    }
}

impl Default for Config {
    /// A hundred per second, ten at once.
    fn default() -> Self {
        Self::new(100, Duration::from_secs(1), 10)
    }
}

/// A validated [`Config`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Config", into = "Config")]
pub struct Rules {
    config: Config,
    /// The time of one request, in nanoseconds.
    interval: u64,
    /// The time of a whole burst, in nanoseconds.
    burst: u64,
}

impl Rules {
    /// Validates a configuration.
    ///
    /// # Errors
    ///
    /// The first invalid setting.
    pub fn new(config: Config) -> Result<Self, BadConfig> {
        config.check()?;
        let interval = config.interval();
        Ok(Self { config, interval, burst: interval.saturating_mul(config.burst.into()) })
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }
}

impl Default for Rules {
    /// The default configuration.
    fn default() -> Self {
        let (config, interval) = (Config::default(), Config::default().interval());
        Self { config, interval, burst: interval.saturating_mul(config.burst.into()) }
    }
}

impl TryFrom<Config> for Rules {
    type Error = BadConfig;

    fn try_from(config: Config) -> Result<Self, Self::Error> {
        Self::new(config)
    }
}

impl From<Rules> for Config {
    fn from(rules: Rules) -> Self {
        rules.config
    }
}

/// The error for a request beyond the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("beyond the rate{}", next.map(|at| format!(", again at {at}")).unwrap_or_default())]
#[non_exhaustive]
pub struct Limited {
    /// The earliest time at which the request can be admitted if no other is before; none if it exceeds the burst.
    pub next: Option<Time>,
}

/// The state of a rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gcra(Time);

impl Gcra {
    /// Takes an amount, all or none of it.
    ///
    /// # Errors
    ///
    /// [`Limited`] with the earliest time for the next attempt.
    #[inline]
    pub fn take(&mut self, rules: &Rules, cost: u32, now: Time) -> Result<(), Limited> {
        let next = self.free_at(rules, cost);
        if next.is_none_or(|at| at > now) {
            return Err(Limited { next });
        }
        let taken = Duration::from_nanos(rules.interval.saturating_mul(cost.into()));
        self.0 = self.0.max(now) + taken;
        Ok(())
    }

    /// The earliest time at which an amount can be taken; none if it exceeds the burst.
    #[inline]
    #[must_use]
    pub fn free_at(&self, rules: &Rules, cost: u32) -> Option<Time> {
        let ahead = rules.burst.checked_sub(rules.interval.saturating_mul(cost.into()))?;
        Some(Time::from_nanos(self.0.as_nanos().saturating_sub(ahead)))
    }

    /// Whether it equals a new state, so that a keyed store can drop it.
    #[must_use]
    pub fn is_idle(&self, now: Time) -> bool {
        self.0 <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate(
            count in 1_u32..1_000, burst in 1_u32..50, asks in prop::collection::vec((0_u64..20_000_000, 1_u32..4), 1..300)
        ) {
            let rules = Rules::new(Config::new(count, Duration::from_secs(1), burst)).unwrap();
            let (mut rate, mut now, mut passed) = (Gcra::default(), Time::from_secs(5), 0_u64);
            let start = now;
            for (wait, cost) in asks {
                now = now + Duration::from_nanos(wait);
                let most = u64::from(burst) + nanos_of(now - start) * u64::from(count) / 1_000_000_000;
                match rate.take(&rules, cost, now) {
                    Ok(()) => passed += u64::from(cost),
                    Err(Limited { next: Some(at) }) => {
                        prop_assert!(at > now);
                        let before = Time::from_nanos(at.as_nanos() - 1);
                        prop_assert!(rate.clone().take(&rules, cost, before).is_err());
                        prop_assert!(rate.clone().take(&rules, cost, at).is_ok());
                    }
                    Err(Limited { next: None }) => prop_assert!(cost > burst),
                }
                prop_assert!(passed <= most);
            }
        }
    }

    #[test]
    fn a_fixed_window_would_pass_twice_as_many() {
        let rules = Rules::new(Config::new(100, Duration::from_secs(1), 100)).unwrap();
        let mut rate = Gcra::default();
        // A hundred at the end of one second and a hundred at the start of the next.
        let passed = |rate: &mut Gcra, at| (0..100).filter(|_| rate.take(&rules, 1, at).is_ok()).count();
        assert_eq!(passed(&mut rate, Time::from_millis(990)), 100);
        assert_eq!(passed(&mut rate, Time::from_millis(1_010)), 2);
    }

    #[test]
    fn the_edges_hold() {
        assert_eq!(Rules::new(Config::default()), Ok(Rules::default()));
        assert!(Rules::new(Config::new(0, Duration::from_secs(1), 1)).is_err());
        assert!(Rules::new(Config::new(1, Duration::MAX, u32::MAX)).is_err());
        let rules = Rules::default();
        let mut rate = Gcra::default();
        assert_eq!(rate.take(&rules, u32::MAX, Time::MAX), Err(Limited { next: None }));
        assert!(rate.take(&rules, 10, Time::MAX).is_ok());
        assert_eq!(serde_json::to_string(&rate).unwrap(), u64::MAX.to_string());
    }
}
