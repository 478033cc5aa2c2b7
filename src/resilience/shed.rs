//! Load shedding: refuses the less urgent tiers while a standing queue persists.
//!
//! A queue stands if even the shortest wait in an interval exceeded the target. This minimum is the signal of CoDel (RFC 8289); it
//! ignores bursts. After each interval with a standing queue one more tier is refused, the least urgent first; after several calm
//! intervals one is admitted again.
//!
//! ```
//! use counterpoint::resilience::shed::{Config, Rules, Shed};
//! use counterpoint::{Tier, Time};
//! use std::time::Duration;
//!
//! let rules = Rules::new(Config::default().with_target(Duration::from_millis(500)).with_interval(Duration::from_secs(1)))?;
//! let mut shed = Shed::default();
//! for tenth in 0..=10 {
//!     shed.observe(&rules, Duration::from_secs(2), Time::from_millis(tenth * 100));
//! }
//! assert!(shed.refuses(Tier::Low) && !shed.refuses(Tier::Normal));
//! # Ok::<(), counterpoint::BadConfig>(())
//! ```

use super::share;
use crate::base::error::BadConfig;
use crate::base::structure::{rules, with};
use crate::base::time::{Time, nanos_of};
use crate::task::Tier;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The parameters of load shedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The wait that every task of an interval must exceed for the queue to count as standing.
    #[serde(with = "crate::base::time::span")]
    pub target: Duration,
    /// The interval: a few times the duration of a task.
    #[serde(with = "crate::base::time::span")]
    pub interval: Duration,
    /// The share of the target below which a wait makes the interval calm, in thousandths.
    pub calm_permille: u16,
    /// The number of consecutive calm intervals after which a tier is admitted again.
    pub calm_intervals: u32,
    /// The most urgent tier that can be refused.
    pub down_to: Tier,
}

impl Default for Config {
    /// A target of one second in ten; calm below half of it, five times in a row; critical tasks are never refused.
    fn default() -> Self {
        Self {
            target: Duration::from_secs(1),
            interval: Duration::from_secs(10),
            calm_permille: 500,
            calm_intervals: 5,
            down_to: Tier::High,
        }
    }
}

with! {
    with_target => target: Duration,
    with_interval => interval: Duration,
    with_calm_permille => calm_permille: u16,
    with_calm_intervals => calm_intervals: u32,
    with_down_to => down_to: Tier,
}

impl Config {
    fn check(&self) -> Result<(), BadConfig> {
        BadConfig::unless_span(self.target, "target")?;
        BadConfig::unless_span(self.interval, "interval")?;
        BadConfig::unless_permille(self.calm_permille, "calm_permille")?;
        BadConfig::unless_positive(self.calm_intervals.into(), "calm_intervals")
    }
}

rules! {
    /// A validated [`Config`].
    derive(Copy, Eq)
}

/// The number of refused tiers, and the observations of the current interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Shed {
    refused: u8,
    calm: u32,
    least: Option<Duration>,
    ends: Option<Time>,
}

impl Shed {
    /// Records the wait of a task that left the queue. While no task leaves, the caller records the wait of the oldest, since a
    /// blocked queue would look empty otherwise. Returns the number of refused tiers if it changed.
    pub fn observe(&mut self, rules: &Rules, waited: Duration, now: Time) -> Option<u8> {
        let changed = self.tick(rules, now);
        self.least = Some(self.least.map_or(waited, |least| least.min(waited)));
        changed
    }

    /// Lets time pass. An interval without waiting tasks counts as calm.
    pub fn tick(&mut self, rules: &Rules, now: Time) -> Option<u8> {
        let before = self.refused;
        let interval = nanos_of(rules.0.interval).max(1);
        let ends = *self.ends.get_or_insert(now + rules.0.interval);
        if now < ends {
            return None;
        }
        self.judge(&rules.0);
        // The intervals after it without any observation.
        let silent = nanos_of(now - ends) / interval;
        for _ in 0..silent.min(u64::from(rules.0.calm_intervals).saturating_mul(4).min(1_000)) {
            self.judge(&rules.0);
        }
        self.ends = Some(ends + Duration::from_nanos((silent + 1).saturating_mul(interval)));
        (self.refused != before).then_some(self.refused)
    }

    /// Whether tasks of this tier are refused.
    #[must_use]
    pub fn refuses(&self, tier: Tier) -> bool {
        tier.index() + usize::from(self.refused) >= Tier::ALL.len()
    }

    /// The number of refused tiers.
    #[must_use]
    pub const fn refused(&self) -> u8 {
        self.refused
    }

    /// The end of the current interval; none if none has begun.
    #[must_use]
    pub const fn interval_end(&self) -> Option<Time> {
        self.ends
    }

    /// A state that refuses this many tiers, without observations.
    #[must_use]
    pub fn refusing(tiers: u8) -> Self {
        Self { refused: tiers.min(4), ..Self::default() }
    }

    /// The end of the interval; none while no tier is refused and nothing was observed.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        self.ends.filter(|_| self.refused > 0 || self.least.is_some())
    }

    fn judge(&mut self, rules: &Config) {
        let least = self.least.take().unwrap_or_default();
        let most = Tier::ALL.iter().filter(|tier| **tier >= rules.down_to).count();
        if least > rules.target {
            self.calm = 0;
            if usize::from(self.refused) < most {
                self.refused += 1;
            }
        } else if nanos_of(least) <= share(nanos_of(rules.target), rules.calm_permille) {
            self.calm = self.calm.saturating_add(1);
            if self.calm >= rules.calm_intervals {
                (self.calm, self.refused) = (0, self.refused.saturating_sub(1));
            }
        } else {
            self.calm = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tiers_go_one_by_one_and_come_back_later() {
        let rules = Rules::default();
        let mut shed = Shed::default();
        let mut seen = Vec::new();
        for second in 0..200 {
            let waited = if second < 60 { 5_000 } else { 10 };
            seen.extend(
                shed.observe(&rules, Duration::from_millis(waited), Time::from_secs(second)).map(|now| (second, now)),
            );
        }
        assert_eq!(seen, [(10, 1), (20, 2), (30, 3), (110, 2), (160, 1)]);
        assert!(!shed.refuses(Tier::Normal) && shed.refuses(Tier::Low));
        assert_eq!(shed.tick(&rules, Time::from_secs(10_000)), Some(0));
        assert_eq!(shed.next_wakeup(), None);
    }

    #[test]
    fn one_quick_task_shows_that_the_queue_moves() {
        let rules = Rules::default();
        let mut shed = Shed::default();
        for second in 0..100 {
            let waited = if second % 10 == 5 { 900 } else { 60_000 };
            assert_eq!(shed.observe(&rules, Duration::from_millis(waited), Time::from_secs(second)), None);
        }
    }

    proptest! {
        #[test]
        fn the_urgent_are_never_refused(ops in prop::collection::vec((0_u64..5_000, 0_u64..30_000), 1..300)) {
            let rules = Rules::default();
            let (mut shed, mut now) = (Shed::default(), Time::ZERO);
            for (waited, wait) in ops {
                now = now + Duration::from_millis(wait);
                shed.observe(&rules, Duration::from_millis(waited), now);
                prop_assert!(!shed.refuses(Tier::Critical));
            // The refused tiers are always the least urgent ones.
                let refused: Vec<bool> = Tier::ALL.iter().map(|tier| shed.refuses(*tier)).collect();
                prop_assert!(refused.is_sorted());
                prop_assert!(shed.next_wakeup().unwrap() > now);
            }
        }
    }
}
