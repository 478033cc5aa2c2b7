//! The agents with room, by the share of their capacity in use.

use crate::base::structure::{Bits, next_around};

/// The share of an agent's capacity in use, as a 64-bit fraction. Two different fractions of 32-bit numbers differ by
/// at least 2^-64, so the order is exact: equal loads are equal, and different loads compare correctly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Load(u64);

impl Load {
    /// `held` of `capacity`, for an agent that has room: `held < capacity`.
    pub(crate) fn of(held: u32, capacity: u32) -> Self {
        let (held, capacity) = (u64::from(held), u64::from(capacity).max(1));
        // Powers of two need no division; with a capacity of 1 the agent holds nothing.
        if capacity.is_power_of_two() {
            return Self(held.checked_shl(64 - capacity.trailing_zeros()).unwrap_or(0));
        }
        // Long division in two digits of 32 bits each.
        let high = (held << 32) / capacity;
        let rest = (held << 32) % capacity;
        Self((high << 32) | ((rest << 32) / capacity))
    }
}

/// The agents with the same load.
#[derive(Debug, Clone)]
struct Level {
    load: Load,
    members: Bits,
    count: u32,
}

/// The agents with room by load, the smallest first. A change of an agent's load changes two bits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Levels {
    levels: Vec<Level>,
    /// Empty sets for reuse by later levels.
    spare: Vec<Bits>,
}

/// The number of levels that are searched before the caller visits every candidate instead: if almost every agent has a
/// different load, levels do not save time.
const SEARCHED: usize = 64;

/// Up to this number of levels, those without agents stay: an agent that alternates between two loads adds and removes no
/// level.
const KEPT: usize = 8;

/// The result of a search of the levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// The least loaded agent has this index.
    At(usize),
    /// No agent is in all sets.
    Empty,
    /// Unknown: there are too many levels.
    Unclear,
}

impl Levels {
    pub(crate) fn put(&mut self, index: usize, load: Load) {
        let at = match self.levels.binary_search_by_key(&load, |level| level.load) {
            Ok(at) => at,
            Err(at) => {
                let members = self.spare.pop().unwrap_or_default();
                self.levels.insert(at, Level { load, members, count: 0 });
                at
            }
        };
        if let Some(level) = self.levels.get_mut(at) {
            level.members.set(index);
            level.count += 1;
        }
    }

    pub(crate) fn take(&mut self, index: usize, load: Load) {
        let Ok(at) = self.levels.binary_search_by_key(&load, |level| level.load) else { return };
        let Some(level) = self.levels.get_mut(at) else { return };
        level.members.clear(index);
        level.count = level.count.saturating_sub(1);
        if level.count == 0 && self.levels.len() > KEPT {
            self.spare.push(self.levels.remove(at).members);
        }
    }

    /// An agent has another load. If it alone has the old one, and no level is between the two, its level gets the new load: the
    /// only agent of a fleet, or one with many slots, then changes no set.
    pub(crate) fn shift(&mut self, index: usize, old: Load, new: Load) {
        if let Ok(at) = self.levels.binary_search_by_key(&old, |level| level.load) {
            let before = at.checked_sub(1).and_then(|before| self.levels.get(before)).map(|level| level.load);
            let after = self.levels.get(at + 1).map(|level| level.load);
            if let Some(level) = self.levels.get_mut(at)
                && level.count == 1
                && before.is_none_or(|before| before < new)
                && after.is_none_or(|after| new < after)
            {
                level.load = new;
                return;
            }
        }
        self.take(index, old);
        self.put(index, new);
    }

    /// The least loaded agent that is in all sets. Ties are broken by the first index after `turn`, starting over at
    /// the end.
    #[inline]
    pub(crate) fn least(&self, eligible: &Bits, open: Option<&Bits>, turn: Option<u32>) -> Found {
        let from = turn.map_or(0, |index| index as usize + 1);
        for level in self.levels.iter().take(SEARCHED).filter(|level| level.count > 0) {
            let index = match open {
                None => next_around([eligible, &level.members], from),
                Some(open) => next_around([eligible, &level.members, open], from),
            };
            if let Some(index) = index {
                return Found::At(index);
            }
        }
        if self.levels.len() > SEARCHED { Found::Unclear } else { Found::Empty }
    }

    /// Whether the levels contain exactly these agents with these loads.
    pub(crate) fn agrees(&self, free: impl Iterator<Item = (usize, Load)>) -> bool {
        let mut count = 0;
        for (index, load) in free {
            count += 1;
            match self.levels.binary_search_by_key(&load, |level| level.load) {
                Ok(at) if self.levels.get(at).is_some_and(|level| level.members.contains(index)) => {}
                _ => return false,
            }
        }
        let sorted = self.levels.is_sorted_by(|a, b| a.load < b.load);
        let listed: usize = self.levels.iter().map(|level| level.members.iter().count()).sum();
        let counted: usize = self.levels.iter().map(|level| level.count as usize).sum();
        sorted && listed == count && counted == count
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
