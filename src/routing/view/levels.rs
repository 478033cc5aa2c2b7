//! The agents that have room, by how much of their capacity is in use.

use crate::base::structure::{Bits, next_around};

/// How much of an agent's capacity is in use, as a 64-bit fraction. Two different fractions of 32-bit numbers differ by at
/// least 2^-64, so this is exact: equal loads have equal keys, and the order of keys is the order of loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Load(u64);

impl Load {
    /// `held` of `capacity`, for an agent that has room: `held < capacity`.
    pub(crate) fn of(held: u32, capacity: u32) -> Self {
        let (held, capacity) = (u64::from(held), u64::from(capacity).max(1));
        // The usual capacities need no division; with a capacity of 1 nothing is held.
        if capacity.is_power_of_two() {
            return Self(held.checked_shl(64 - capacity.trailing_zeros()).unwrap_or(0));
        }
        // Long division in two digits of 32 bits each.
        let high = (held << 32) / capacity;
        let rest = (held << 32) % capacity;
        Self((high << 32) | ((rest << 32) / capacity))
    }
}

/// A load that some agents have in common.
#[derive(Debug, Clone)]
struct Level {
    load: Load,
    members: Bits,
    count: u32,
}

/// The places of the agents that have room, by load, the least first. A change of an agent's load is two bits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Levels {
    levels: Vec<Level>,
    /// Sets that are empty again, for levels to come.
    spare: Vec<Bits>,
}

/// So many levels are searched before the caller looks at every candidate instead: in a fleet where almost every agent has
/// a load of its own, levels say little.
const SEARCHED: usize = 64;

/// What a search of the levels found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// The least loaded: this place.
    At(usize),
    /// Nobody.
    Nobody,
    /// There are too many levels to tell.
    Unclear,
}

impl Levels {
    pub(crate) fn put(&mut self, place: usize, load: Load) {
        let at = match self.levels.binary_search_by_key(&load, |level| level.load) {
            Ok(at) => at,
            Err(at) => {
                let members = self.spare.pop().unwrap_or_default();
                self.levels.insert(at, Level { load, members, count: 0 });
                at
            }
        };
        if let Some(level) = self.levels.get_mut(at) {
            level.members.set(place);
            level.count += 1;
        }
    }

    pub(crate) fn take(&mut self, place: usize, load: Load) {
        let Ok(at) = self.levels.binary_search_by_key(&load, |level| level.load) else { return };
        let Some(level) = self.levels.get_mut(at) else { return };
        level.members.clear(place);
        level.count = level.count.saturating_sub(1);
        if level.count == 0 {
            self.spare.push(self.levels.remove(at).members);
        }
    }

    /// Among those in all of the sets the one with the least load; among equals the first after the place `turn`,
    /// starting over at the end.
    #[inline]
    pub(crate) fn least(&self, eligible: &Bits, open: Option<&Bits>, turn: Option<u32>) -> Found {
        let from = turn.map_or(0, |place| place as usize + 1);
        for level in self.levels.iter().take(SEARCHED) {
            let place = match open {
                None => next_around([eligible, &level.members], from),
                Some(open) => next_around([eligible, &level.members, open], from),
            };
            if let Some(place) = place {
                return Found::At(place);
            }
        }
        if self.levels.len() > SEARCHED { Found::Unclear } else { Found::Nobody }
    }

    /// Whether it says of exactly these that they have room, with these loads.
    pub(crate) fn agrees(&self, free: impl Iterator<Item = (usize, Load)>) -> bool {
        let mut count = 0;
        for (place, load) in free {
            count += 1;
            match self.levels.binary_search_by_key(&load, |level| level.load) {
                Ok(at) if self.levels.get(at).is_some_and(|level| level.members.contains(place)) => {}
                _ => return false,
            }
        }
        let sorted = self.levels.is_sorted_by(|a, b| a.load < b.load);
        let listed: usize = self.levels.iter().map(|level| level.members.iter().count()).sum();
        let counted: usize = self.levels.iter().map(|level| level.count as usize).sum();
        sorted && listed == count && counted == count && self.levels.iter().all(|level| level.count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn loads_are_ordered_like_fractions(a: u32, b: u32, c: u32, d: u32) {
            let (b, d) = (b.max(1), d.max(1));
            let (a, c) = (a % b, c % d);
            let exact = (u64::from(a) * u64::from(d)).cmp(&(u64::from(c) * u64::from(b)));
            prop_assert_eq!(Load::of(a, b).cmp(&Load::of(c, d)), exact);
        }

        #[test]
        fn shifting_is_dividing(power in 0_u32..32, held: u32) {
            let held = held % (1 << power);
            prop_assert_eq!(u128::from(Load::of(held, 1 << power).0), (u128::from(held) << 64) >> power);
        }

        #[test]
        fn close_fractions_differ(capacity in 2_u32.., held: u32) {
            let held = held % (capacity - 1);
            prop_assert!(Load::of(held, capacity) < Load::of(held + 1, capacity));
            prop_assert!(Load::of(held, capacity - 1) >= Load::of(held, capacity));
        }
    }
}
