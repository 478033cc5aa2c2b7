//! Pheromone trails, which evaporate unless they are reinforced.

use crate::base::error::BadConfig;
use crate::base::structure::{rules, with};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// Evaporation and deposits of trails.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The share of a trail that evaporates in a tick: 0.1 loses a tenth, it does not keep a tenth.
    pub evaporation: f64,
    /// The default deposit.
    pub deposit: f64,
    /// The order of evaporation and deposit within a tick.
    pub order: Order,
    /// The level of a new trail at tick 0.
    pub start: f64,
    /// The lowest level of a trail.
    pub floor: f64,
    /// The highest level of a trail; none for no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<f64>,
}

impl Default for Config {
    /// A tenth evaporates in a tick, then 2 is deposited; trails begin at 1 and have no bounds.
    fn default() -> Self {
        Self { evaporation: 0.1, deposit: 2.0, order: Order::EvaporateFirst, start: 1.0, floor: 0.0, ceiling: None }
    }
}

with! {
    with_evaporation => evaporation: f64,
    with_deposit => deposit: f64,
    with_order => order: Order,
    with_start => start: f64,
    with_floor => floor: f64,
    with_ceiling => ceiling: Option<f64>,
}

impl Config {
    fn check(&self) -> Result<(), BadConfig> {
        let numbers = [
            (self.evaporation, "evaporation"),
            (self.deposit, "deposit"),
            (self.start, "start"),
            (self.floor, "floor"),
            (self.ceiling.unwrap_or(0.0), "ceiling"),
        ];
        if let Some((_, setting)) = numbers.iter().find(|(value, _)| !value.is_finite() || *value < 0.0) {
            return Err(BadConfig::NotANumber { setting });
        }
        BadConfig::unless_ordered((self.evaporation, "evaporation"), (1.0, "1"))?;
        self.ceiling.map_or(Ok(()), |ceiling| BadConfig::unless_ordered((self.floor, "floor"), (ceiling, "ceiling")))
    }

    fn bounded(&self, level: f64) -> f64 {
        level.max(self.floor).min(self.ceiling.unwrap_or(f64::MAX))
    }
}

rules! {
    /// A valid [`Config`].
    derive(Copy)
}

/// The order of evaporation and deposit within a tick. With the same deposit in every tick, a trail converges to
/// `deposit / evaporation` if it evaporates first, as in the ant system, and to that less one deposit if the deposit
/// evaporates in the same tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Order {
    /// A deposit begins to evaporate in the next tick.
    #[default]
    EvaporateFirst,
    /// A deposit evaporates in the same tick.
    DepositFirst,
}

/// One trail: its level at the tick of the last deposit. Evaporation since then is computed on read.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trail {
    level: f64,
    tick: u64,
}

impl Trail {
    /// A trail without deposits.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        Self { level: rules.config().bounded(rules.config().start), tick: 0 }
    }

    /// The level at a tick; for a tick before the last deposit, the level at that deposit.
    #[must_use]
    pub fn level(&self, rules: &Rules, tick: u64) -> f64 {
        let config = rules.config();
        config.bounded(self.level * power(1.0 - config.evaporation, tick.saturating_sub(self.tick)))
    }

    /// Adds a deposit. The order of deposits within a tick does not matter; an amount that is not a positive number is
    /// ignored.
    pub fn deposit(&mut self, rules: &Rules, amount: f64, tick: u64) {
        let config = rules.config();
        let amount = if amount.is_finite() { amount.max(0.0) } else { 0.0 };
        let kept = match config.order {
            Order::EvaporateFirst => amount,
            Order::DepositFirst => amount * (1.0 - config.evaporation),
        };
        self.level = config.bounded(self.level(rules, tick) + kept);
        self.tick = self.tick.max(tick);
    }
}

/// An integer power by squaring, with the same result on every machine.
fn power(base: f64, exponent: u64) -> f64 {
    let (mut result, mut square, mut rest) = (1.0, base, exponent);
    while rest > 0 {
        if rest & 1 == 1 {
            result *= square;
        }
        square *= square;
        rest >>= 1;
    }
    result
}

/// A field of trails by key. Only trails with deposits take memory.
///
/// ```
/// use counterpoint::coordination::stigmergy::{Field, Rules};
///
/// let mut field = Field::new(Rules::default());
/// assert!((field.level(&"a to b", 5) - 0.59049).abs() < 1e-12, "five ticks of losing a tenth");
/// (1..=500).for_each(|tick| field.reinforce("a to b", tick));
/// assert!((field.level(&"a to b", 500) - 20.0).abs() < 1e-9, "2.0 / 0.1");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(serialize = "K: Serialize", deserialize = "K: Deserialize<'de> + Ord"))]
pub struct Field<K> {
    rules: Rules,
    #[serde(serialize_with = "write_pairs", deserialize_with = "read_pairs")]
    trails: BTreeMap<K, Trail>,
}

impl<K: Ord> Field<K> {
    /// A field without deposits.
    #[must_use]
    pub const fn new(rules: Rules) -> Self {
        Self { rules, trails: BTreeMap::new() }
    }

    /// The level of a trail at a tick.
    #[must_use]
    pub fn level(&self, key: &K, tick: u64) -> f64 {
        self.trails.get(key).copied().unwrap_or_else(|| Trail::new(&self.rules)).level(&self.rules, tick)
    }

    /// Adds the default deposit ([`Config::deposit`]).
    pub fn reinforce(&mut self, key: K, tick: u64) {
        self.deposit(key, self.rules.config().deposit, tick);
    }

    /// Adds a deposit of this amount.
    pub fn deposit(&mut self, key: K, amount: f64, tick: u64) {
        let trail = self.trails.entry(key).or_insert_with(|| Trail::new(&self.rules));
        trail.deposit(&self.rules, amount, tick);
    }

    /// Removes the trails whose keys do not pass; their levels are those of new trails again.
    pub fn retain(&mut self, mut pass: impl FnMut(&K) -> bool) {
        self.trails.retain(|key, _| pass(key));
    }

    /// The trails with deposits, with their levels at a tick, in the order of their keys.
    pub fn iter(&self, tick: u64) -> impl Iterator<Item = (&K, f64)> {
        self.trails.iter().map(move |(key, trail)| (key, trail.level(&self.rules, tick)))
    }
}

fn write_pairs<K: Serialize, S: Serializer>(trails: &BTreeMap<K, Trail>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(trails)
}

fn read_pairs<'de, K: Deserialize<'de> + Ord, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<K, Trail>, D::Error> {
    Ok(Vec::<(K, Trail)>::deserialize(from)?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(found: f64, known: f64) {
        assert!((found - known).abs() < 1e-9 * known.abs().max(1.0), "{found} is not {known}");
    }

    #[test]
    fn the_figures_of_the_literature() {
        let rules = Rules::default();
        near(Trail::new(&rules).level(&rules, 5), 0.59049);
        let half_life = 0.5_f64.ln() / 0.9_f64.ln();
        near((half_life * 1e4).round() / 1e4, 6.5788);
        for (order, fixed) in [(Order::EvaporateFirst, 20.0), (Order::DepositFirst, 18.0)] {
            let rules = Rules::new(Config::default().with_order(order)).unwrap();
            let mut trail = Trail::new(&rules);
            (1..400).for_each(|tick| trail.deposit(&rules, 2.0, tick));
            near(trail.level(&rules, 399), fixed);
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let bad = [
            Config::default().with_evaporation(1.1),
            Config::default().with_evaporation(f64::NAN),
            Config::default().with_deposit(-1.0),
            Config::default().with_floor(2.0).with_ceiling(Some(1.0)),
        ];
        bad.into_iter().for_each(|config| assert!(Rules::new(config).is_err(), "{config:?}"));
        let mut trail = Trail::new(&Rules::default());
        trail.deposit(&Rules::default(), f64::INFINITY, 0);
        trail.deposit(&Rules::default(), -3.0, 0);
        near(trail.level(&Rules::default(), 0), 1.0);
    }

    proptest! {
        /// Decay on read equals decay by steps; deposits within a tick may come in any order.
        #[test]
        fn lazy_is_eager(
            first: bool, rate in 0.0_f64..1.0, bounded: bool, mut deposits in prop::collection::vec((0_u64..60, 0.0_f64..5.0), 0..30),
        ) {
            let order = if first { Order::DepositFirst } else { Order::EvaporateFirst };
            let config = Config::default().with_order(order).with_evaporation(rate);
            let config = if bounded { config.with_floor(0.5).with_ceiling(Some(6.0)) } else { config };
            let rules = Rules::new(config).unwrap();
            deposits.sort_by_key(|(tick, _)| *tick);
            let (mut lazy, mut eager) = (Trail::new(&rules), config.start);
            let (mut within, mut place) = (0.0, 0);
            for tick in 0..60 {
                let kept = 1.0 - rate;
                let here: f64 = deposits.iter().filter(|(at, _)| *at == tick).map(|(_, amount)| amount).sum();
                let faded = if tick == 0 { eager } else { config.bounded(eager * kept) };
                eager = config.bounded(faded + if first { here * kept } else { here });
                while let Some((at, amount)) = deposits.get(place).filter(|(at, _)| *at == tick) {
                    lazy.deposit(&rules, *amount, *at);
                    place += 1;
                    within += amount;
                }
                let level = lazy.level(&rules, tick);
                prop_assert!((level - eager).abs() < 1e-9 * eager.max(1.0), "tick {tick}: {level} is not {eager}");
                prop_assert!(level >= config.floor && level <= config.ceiling.unwrap_or(f64::MAX));
            }
            prop_assert!(lazy.level(&rules, 59) <= config.start + within + 1e-9);
        }

        /// A trail without deposits decays, in any number of steps; a trail with a deposit in each tick converges below
        /// the largest deposit over the evaporation; within a tick the order of the other deposits does not matter.
        #[test]
        fn trails_fade_settle_and_add_up(
            first: bool, rate in 0.01_f64..1.0, a in 1_u64..50, b in 1_u64..50, mut amounts in prop::collection::vec(prop::collection::vec(0.0_f64..5.0, 0..4), 1..40),
        ) {
            let order = if first { Order::DepositFirst } else { Order::EvaporateFirst };
            let config = Config::default().with_order(order).with_evaporation(rate);
            let rules = Rules::new(config).unwrap();
            let fresh = Trail::new(&rules);
            let (one, both) = (fresh.level(&rules, a), fresh.level(&rules, a + b));
            prop_assert!(both < one && one < fresh.level(&rules, 0) || one == 0.0);
            prop_assert!((both - one * fresh.level(&rules, b) / fresh.level(&rules, 0)).abs() < 1e-9);
            let left = |amounts: &[Vec<f64>]| {
                let mut trail = Trail::new(&rules);
                (0..).zip(amounts).for_each(|(tick, parts)| parts.iter().for_each(|part| trail.deposit(&rules, *part, tick)));
                trail.level(&rules, amounts.len() as u64 - 1)
            };
            let most = amounts.iter().map(|parts| parts.iter().sum::<f64>()).fold(0.0, f64::max);
            let found = left(&amounts);
            // From where it starts towards where it settles, one way all the time.
            let bound = (config.start + most).max(most / rate);
            prop_assert!(found >= 0.0 && found <= bound + bound * 1e-9, "{found} of at most {most} a tick");
            amounts.iter_mut().for_each(|parts| parts.reverse());
            prop_assert!((left(&amounts) - found).abs() < 1e-9);
        }

        #[test]
        fn a_field_serialises(deposits in prop::collection::vec((0_u64..9, 0_u8..4, 0_u8..4), 0..30)) {
            let mut field = Field::new(Rules::default());
            deposits.iter().for_each(|(tick, from, to)| field.reinforce((*from, *to), *tick));
            let text = serde_json::to_string(&field).unwrap();
            prop_assert_eq!(serde_json::from_str::<Field<(u8, u8)>>(&text).unwrap(), field.clone());
            field.retain(|(from, _)| *from > 1);
            prop_assert!(field.iter(9).all(|((from, _), level)| *from > 1 && level > 0.0));
            prop_assert!((field.level(&(0, 0), 0) - 1.0).abs() < 1e-12);
        }
    }
}
