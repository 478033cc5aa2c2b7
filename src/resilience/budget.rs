//! Retry budgets, which limit retries to a share of the traffic.
//!
//! A fixed number of retries for each task turns an outage into a multiple of the load, which prolongs the outage. A budget earns
//! a fraction of a retry with each first attempt and spends a whole one with each retry. Earnings expire, so an idle hour does not
//! allow a burst of retries; a floor per second allows some retries without traffic (Finagle's `RetryBudget`; SRE book, "Handling
//! overload").
//!
//! All amounts are thousandths of a retry, in integers.
//!
//! ```
//! use counterpoint::Time;
//! use counterpoint::resilience::budget::{Budget, Config, Rules};
//!
//! let rules = Rules::new(Config::default().with_permille(100).with_floor_per_sec(0))?;
//! let mut budget = Budget::default();
//! (0..25).for_each(|_| budget.earn(&rules, Time::ZERO));
//! let retries = (0..25).filter(|_| budget.spend(&rules, Time::ZERO)).count();
//! assert_eq!(retries, 2, "a tenth of 25, whole ones only");
//! # Ok::<(), counterpoint::BadConfig>(())
//! ```

use crate::base::error::BadConfig;
use crate::base::structure::{rules, with};
use crate::base::time::{Time, nanos_of};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

const STEPS: u64 = 10;
const RETRY: u64 = 1_000;

/// The parameters of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Retries earned by a thousand first attempts.
    pub permille: u16,
    /// Free retries per second.
    pub floor_per_sec: u32,
    /// The time after which earned and free retries expire.
    #[serde(with = "crate::base::time::span")]
    pub keep: Duration,
    /// The limit on separate pools in [`Budgets`]; further pools use the shared budget only.
    pub pools: u32,
}

impl Default for Config {
    /// A fifth of the traffic, at least one retry per second, kept for ten seconds.
    fn default() -> Self {
        Self { permille: 200, floor_per_sec: 1, keep: Duration::from_secs(10), pools: 1_024 }
    }
}

with! {
    with_permille => permille: u16,
    with_floor_per_sec => floor_per_sec: u32,
    with_keep => keep: Duration,
    with_pools => pools: u32,
}

impl Config {
    fn check(&self) -> Result<(), BadConfig> {
        BadConfig::unless_permille(self.permille, "permille")?;
        BadConfig::unless_positive(nanos_of(self.keep) / STEPS, "keep")?;
        let most = Duration::from_secs(86_400);
        BadConfig::unless_ordered((self.keep, "keep"), (most, "a day"))
    }
}

rules! {
    /// A validated [`Config`], shared by any number of budgets.
    derive(Copy, Eq)
}

/// The state of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Budget {
    /// Earnings by step, in thousandths; the oldest are spent first.
    steps: [u64; 10],
    at: u8,
    edge: Time,
    /// The remaining free retries, in billionths.
    free: u64,
    /// The time up to which free retries are counted.
    counted: Time,
}

impl Budget {
    /// Records a first attempt.
    pub fn earn(&mut self, rules: &Rules, now: Time) {
        self.roll(rules, now);
        if let Some(step) = self.steps.get_mut(usize::from(self.at)) {
            *step = step.saturating_add(rules.0.permille.into());
        }
    }

    /// Pays for one retry. Returns false and spends nothing if the balance is too low.
    #[must_use]
    pub fn spend(&mut self, rules: &Rules, now: Time) -> bool {
        self.roll(rules, now);
        self.pay()
    }

    /// Whether a retry can be paid for, without changing anything.
    #[must_use]
    pub fn can_spend(&self, rules: &Rules, now: Time) -> bool {
        self.clone().spend(rules, now)
    }

    /// The number of retries that can be paid for now.
    #[must_use]
    pub fn balance(&self, rules: &Rules, now: Time) -> u64 {
        let mut then = *self;
        then.roll(rules, now);
        then.earned() / RETRY + then.free / FREE
    }

    /// Pays one retry from earnings or from the free ones, never from both.
    fn pay(&mut self) -> bool {
        if self.earned() >= RETRY {
            let mut owed = RETRY;
            // From the oldest step, which follows the current one, to the current one.
            let (newer, older) = self.steps.split_at_mut(usize::from(self.at).saturating_add(1).min(10));
            for step in older.iter_mut().chain(newer) {
                let paid = owed.min(*step);
                *step -= paid;
                owed -= paid;
            }
            true
        } else if self.free >= FREE {
            self.free -= FREE;
            true
        } else {
            false
        }
    }

    fn earned(&self) -> u64 {
        self.steps.iter().fold(0, |sum, step| sum.saturating_add(*step))
    }

    fn roll(&mut self, rules: &Rules, now: Time) {
        let keep = nanos_of(rules.0.keep);
        if now >= self.edge {
            self.advance(now, (keep / STEPS).max(1));
        }
        let per_nano = u64::from(rules.0.floor_per_sec);
        let brim = keep.saturating_mul(per_nano).max(FREE.min(per_nano.saturating_mul(FREE)));
        let gained = now.nanos_since(self.counted).saturating_mul(per_nano);
        self.free = self.free.saturating_add(gained).min(brim);
        self.counted = self.counted.max(now);
    }

    /// Begins the step of this time.
    #[cold]
    fn advance(&mut self, now: Time, width: u64) {
        let passed = now.nanos_since(self.edge) / width + 1;
        for _ in 0..passed.min(STEPS) {
            self.at = if u64::from(self.at) + 1 < STEPS { self.at + 1 } else { 0 };
            if let Some(step) = self.steps.get_mut(usize::from(self.at)) {
                *step = 0;
            }
        }
        self.edge = self.edge + Duration::from_nanos(passed.saturating_mul(width));
    }
}

const FREE: u64 = 1_000_000_000;

/// A budget for each pool and a shared one: a retry is paid from both.
///
/// ```
/// use counterpoint::resilience::budget::{Budgets, Config, Rules};
/// use counterpoint::{Name, Time};
///
/// let pool = Rules::new(Config::default().with_permille(500).with_floor_per_sec(0))?;
/// let all = Rules::new(Config::default().with_permille(100).with_floor_per_sec(0))?;
/// let mut budgets = Budgets::default();
/// let pdf = Name::from("pdf");
/// (0..10).for_each(|_| budgets.earn(&pool, &all, &pdf, Time::ZERO));
/// assert!(budgets.spend(&pool, &all, &pdf, Time::ZERO));
/// assert!(!budgets.spend(&pool, &all, &pdf, Time::ZERO), "the pool had four left, all together none");
/// # Ok::<(), counterpoint::BadConfig>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budgets<K: Ord> {
    all: Budget,
    pools: BTreeMap<K, Budget>,
}

impl<K: Ord> Default for Budgets<K> {
    fn default() -> Self {
        Self { all: Budget::default(), pools: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Budgets<K> {
    /// Records a first attempt in a pool.
    pub fn earn(&mut self, pool: &Rules, all: &Rules, key: &K, now: Time) {
        self.all.earn(all, now);
        if let Some(budget) = self.pool(pool, key) {
            budget.earn(pool, now);
        }
    }

    /// Pays for one retry from the pool's budget and the shared one. Returns false and spends nothing if either is too low.
    #[must_use]
    pub fn spend(&mut self, pool: &Rules, all: &Rules, key: &K, now: Time) -> bool {
        if !self.all.can_spend(all, now) {
            return false;
        }
        self.pool(pool, key).is_none_or(|budget| budget.spend(pool, now)) && self.all.spend(all, now)
    }

    /// Whether a retry of the pool can be paid for, without changing anything.
    #[must_use]
    pub fn can_spend(&self, pool: &Rules, all: &Rules, key: &K, now: Time) -> bool {
        let has_room = self.pools.len() < usize::try_from(pool.0.pools).unwrap_or(usize::MAX);
        let own = match self.pools.get(key) {
            Some(budget) => budget.can_spend(pool, now),
            // A new budget would be made for the pool, or only the shared one counts.
            None => !has_room || Budget::default().can_spend(pool, now),
        };
        own && self.all.can_spend(all, now)
    }

    /// The number of retries that the pool can pay for now.
    #[must_use]
    pub fn balance(&self, pool: &Rules, all: &Rules, key: &K, now: Time) -> u64 {
        let whole = self.all.balance(all, now);
        let fresh = Budget::default();
        self.pools.get(key).unwrap_or(&fresh).balance(pool, now).min(whole)
    }

    /// Removes a pool.
    pub fn forget(&mut self, key: &K) {
        self.pools.remove(key);
    }

    fn pool(&mut self, rules: &Rules, key: &K) -> Option<&mut Budget> {
        let room = self.pools.len() < usize::try_from(rules.0.pools).unwrap_or(usize::MAX);
        match self.pools.entry(key.clone()) {
            Entry::Occupied(budget) => Some(budget.into_mut()),
            Entry::Vacant(place) if room => Some(place.insert(Budget::default())),
            Entry::Vacant(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn retries_never_exceed_the_share_and_the_floor(
            permille in 0_u16..=1_000, floor in 0_u32..5, ops in prop::collection::vec((any::<bool>(), 0_u64..300), 1..400)
        ) {
            let rules = Rules::new(Config::default().with_permille(permille).with_floor_per_sec(floor)).unwrap();
            let (mut budget, mut now, mut first, mut retries) = (Budget::default(), Time::from_secs(100), 0_u64, 0_u64);
            let start = now;
            for (retry, wait) in ops {
                now = now + Duration::from_millis(wait);
                if retry {
                    let (could, balance) = (budget.can_spend(&rules, now), budget.balance(&rules, now));
                    let did = budget.spend(&rules, now);
                    prop_assert_eq!((did, balance > 0), (could, could));
                    retries += u64::from(did);
                } else {
                    budget.earn(&rules, now);
                    first += 1;
                }
                let seconds = 10 + (now - start).as_secs() + 1;
                prop_assert!(retries * 1_000 <= first * u64::from(permille) + seconds * u64::from(floor) * 1_000);
            }
        }
    }

    #[test]
    fn shares_are_exact() {
        // The shares that a float truncated to an integer turns into a seventh, a third, one and one.
        for (permille, expected) in [(150, 150), (300, 300), (600, 600), (900, 900)] {
            let rules = Rules::new(Config::default().with_permille(permille).with_floor_per_sec(0)).unwrap();
            let mut budget = Budget::default();
            let now = Time::from_secs(1);
            (0..1_000).for_each(|_| budget.earn(&rules, now));
            assert_eq!((0..1_000).filter(|_| budget.spend(&rules, now)).count(), expected);
        }
    }

    #[test]
    fn earnings_run_out_and_the_floor_stays() {
        let rules = Rules::new(Config::default().with_permille(1_000)).unwrap();
        let mut budget = Budget::default();
        (0..100).for_each(|_| budget.earn(&rules, Time::from_secs(50)));
        assert_eq!(budget.balance(&rules, Time::from_secs(50)), 110);
        assert_eq!(budget.balance(&rules, Time::from_secs(58)), 110);
        assert_eq!(budget.balance(&rules, Time::from_secs(61)), 10);
        assert_eq!(budget.balance(&rules, Time::MAX), 10);
        assert!(Rules::new(Config::default().with_keep(Duration::ZERO)).is_err());
    }

    #[test]
    fn pools_are_bounded() {
        let rules = Rules::new(Config::default().with_pools(2)).unwrap();
        let mut budgets = Budgets::default();
        (0..10).for_each(|pool| budgets.earn(&rules, &rules, &pool, Time::from_secs(20)));
        assert_eq!(budgets.pools.len(), 2);
        assert!(budgets.spend(&rules, &rules, &9, Time::from_secs(20)), "it has the budget of all");
        budgets.forget(&0);
        assert_eq!(budgets.pools.len(), 1);
    }
}
