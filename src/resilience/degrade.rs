//! Degradation levels with hysteresis.
//!
//! The host decides what a level leaves out, for example optional steps. This module decides which level applies for a pressure in
//! any unit (queue delay, share of capacity), without flapping: each level has separate thresholds for entering and leaving, and
//! times for which they must hold.
//!
//! ```
//! use counterpoint::Time;
//! use counterpoint::resilience::degrade::{Config, Ladder, Level, Rules};
//! use std::time::Duration;
//!
//! let rules = Rules::new(Config::new([
//!     Level::new("no second opinion", 800, 600).with_times(Duration::from_secs(5), Duration::from_secs(60)),
//!     Level::new("cached only", 950, 800).with_times(Duration::from_secs(5), Duration::from_secs(60)),
//! ]))?;
//! let mut ladder = Ladder::default();
//! ladder.observe(&rules, 990, Time::ZERO);
//! assert_eq!(ladder.name(&rules), None, "not for a short peak");
//! ladder.observe(&rules, 990, Time::from_secs(5));
//! assert_eq!(ladder.name(&rules), Some("no second opinion"));
//! # Ok::<(), counterpoint::BadConfig>(())
//! ```

use crate::base::error::BadConfig;
use crate::base::name::Name;
use crate::base::structure::rules;
use crate::base::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A level and its thresholds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Level {
    /// The name.
    pub name: Name,
    /// The pressure from which on it is entered.
    pub enter_at: u64,
    /// The pressure below which it is left.
    pub leave_below: u64,
    /// The time for which the pressure must be at least `enter_at`.
    #[serde(with = "crate::base::time::span", default)]
    pub enter_after: Duration,
    /// The time for which the pressure must be below `leave_below`.
    #[serde(with = "crate::base::time::span", default)]
    pub leave_after: Duration,
}

impl Level {
    /// A level with these thresholds and no times.
    #[must_use]
    pub fn new(name: impl Into<Name>, enter_at: u64, leave_below: u64) -> Self {
        Self { name: name.into(), enter_at, leave_below, enter_after: Duration::ZERO, leave_after: Duration::ZERO }
    }

    /// Sets the times for which the thresholds must hold.
    #[must_use]
    pub const fn with_times(mut self, enter_after: Duration, leave_after: Duration) -> Self {
        (self.enter_after, self.leave_after) = (enter_after, leave_after);
        self
    }
}

/// The levels, in order of severity.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The levels; each is entered at a higher pressure than the one before.
    pub levels: Vec<Level>,
}

impl Config {
    /// These levels, in order of severity.
    #[must_use]
    pub fn new(levels: impl IntoIterator<Item = Level>) -> Self {
        Self { levels: levels.into_iter().collect() }
    }

    fn check(&self) -> Result<(), BadConfig> {
        if self.levels.len() > usize::from(u8::MAX) {
            return Err(BadConfig::TooLarge { setting: "levels", most: u8::MAX.into() });
        }
        for level in &self.levels {
            BadConfig::unless_ordered((level.leave_below, "leave_below"), (level.enter_at, "enter_at"))?;
        }
        let ascending = self.levels.is_sorted_by(|mild, severe| mild.enter_at < severe.enter_at);
        if ascending { Ok(()) } else { Err(BadConfig::Order { low: "enter_at", high: "enter_at of the next level" }) }
    }
}

rules! {
    /// A validated [`Config`].
    derive(Eq)
}

/// The current level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ladder {
    /// The level; 0 for none.
    level: u8,
    pressed: Option<Time>,
    eased: Option<Time>,
}

impl Ladder {
    /// Records the pressure and changes the level by at most one step. Returns the new level if it changed (0 for none, 1 for the
    /// mildest).
    pub fn observe(&mut self, rules: &Rules, pressure: u64, now: Time) -> Option<u8> {
        let levels = &rules.0.levels;
        // The configuration can have fewer levels than before.
        let here = usize::from(self.level).min(levels.len());
        self.level = u8::try_from(here).unwrap_or(u8::MAX);
        let next = levels.get(here).filter(|level| pressure >= level.enter_at);
        let held = here.checked_sub(1).and_then(|below| levels.get(below));
        let held = held.filter(|level| pressure < level.leave_below);
        self.pressed = next.map(|_| self.pressed.unwrap_or(now));
        self.eased = held.map(|_| self.eased.unwrap_or(now));
        let past = |since: Option<Time>, span: Duration| since.is_some_and(|since| now >= since + span);
        let level = if next.is_some_and(|level| past(self.pressed, level.enter_after)) {
            self.level.saturating_add(1)
        } else if held.is_some_and(|level| past(self.eased, level.leave_after)) {
            self.level - 1
        } else {
            return None;
        };
        *self = Self { level, pressed: None, eased: None };
        Some(level)
    }

    /// A state at this level: 0 for none, 1 for the mildest.
    #[must_use]
    pub const fn at(level: u8) -> Self {
        Self { level, pressed: None, eased: None }
    }

    /// The current level: 0 for none, 1 for the mildest.
    #[must_use]
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// The name of the current level.
    #[must_use]
    pub fn name<'a>(&self, rules: &'a Rules) -> Option<&'a str> {
        let index = usize::from(self.level).checked_sub(1)?;
        rules.0.levels.get(index).map(|level| level.name.as_str())
    }

    /// Whether this level or a more severe one applies.
    #[must_use]
    pub fn holds(&self, rules: &Rules, name: &str) -> bool {
        rules.0.levels.iter().take(self.level.into()).any(|level| level.name.as_str() == name)
    }

    /// The time of the next change if the pressure stays the same.
    #[must_use]
    pub fn next_wakeup(&self, rules: &Rules) -> Option<Time> {
        let here = usize::from(self.level);
        let up = self.pressed.zip(rules.0.levels.get(here)).map(|(since, level)| since + level.enter_after);
        let held = here.checked_sub(1).and_then(|below| rules.0.levels.get(below));
        let down = self.eased.zip(held).map(|(since, level)| since + level.leave_after);
        up.into_iter().chain(down).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules() -> Rules {
        let (enter, leave) = (Duration::from_secs(2), Duration::from_secs(10));
        let levels = [("a", 50, 30), ("b", 70, 50), ("c", 90, 60)];
        Rules::new(Config::new(levels.map(|(name, at, below)| Level::new(name, at, below).with_times(enter, leave))))
            .unwrap()
    }

    #[test]
    fn up_soon_and_down_late() {
        let (rules, mut ladder, mut moves) = (rules(), Ladder::default(), Vec::new());
        for second in 0..60 {
            let pressure = if second < 10 { 95 } else { 10 };
            moves.extend(ladder.observe(&rules, pressure, Time::from_secs(second)).map(|level| (second, level)));
        }
        assert_eq!(moves, [(2, 1), (5, 2), (8, 3), (20, 2), (31, 1), (42, 0)]);
    }

    #[test]
    fn between_the_bounds_nothing_moves() {
        let (rules, mut ladder) = (rules(), Ladder::default());
        assert_eq!((0..3).filter_map(|second| ladder.observe(&rules, 55, Time::from_secs(second))).count(), 1);
        assert!(ladder.holds(&rules, "a") && !ladder.holds(&rules, "b"));
        assert!((3..500).all(|second| ladder.observe(&rules, 31 + second % 38, Time::from_secs(second)).is_none()));
        assert!(Rules::new(Config::new([Level::new("a", 5, 6)])).is_err());
        assert!(Rules::new(Config::new([Level::new("a", 5, 1), Level::new("b", 5, 1)])).is_err());
    }

    proptest! {
        #[test]
        fn one_step_at_a_time_and_never_before_its_time(ops in prop::collection::vec((0_u64..100, 0_u64..8), 1..300)) {
            let (rules, mut ladder, mut now, mut moved) = (rules(), Ladder::default(), Time::ZERO, Time::ZERO);
            for (pressure, wait) in ops {
                now = now + Duration::from_secs(wait);
                let before = ladder;
                if let Some(level) = ladder.observe(&rules, pressure, now) {
                    prop_assert_eq!(level.abs_diff(before.level()), 1);
                    let least = if level > before.level() { 2 } else { 10 };
                    prop_assert!(now - moved >= Duration::from_secs(least));
                    prop_assert!(before.next_wakeup(&rules).is_some_and(|at| at <= now));
                    moved = now;
                }
            }
        }
    }
}
