//! A bulkhead: so many at once, so that one flooded compartment does not sink the ship.
//!
//! Places are leases with the name of their holder: taking one twice takes one, giving one back twice gives one, and a
//! holder that vanished loses it when the lease runs out. Nobody waits in here: a refusal says when to come back, and the
//! queue is elsewhere.
//!
//! ```
//! use counterpoint::Time;
//! use counterpoint::resilience::bulkhead::{Bulkhead, Config, Rules};
//! use std::time::Duration;
//!
//! let rules = Rules::new(Config::default().with_places(1).with_lease(Some(Duration::from_secs(30))))?;
//! let mut bulkhead = Bulkhead::default();
//! bulkhead.enter(&rules, "report 1", Time::ZERO)?;
//! let full = bulkhead.enter(&rules, "report 2", Time::ZERO).unwrap_err();
//! assert_eq!(full.until, Some(Time::from_secs(30)));
//! bulkhead.leave(&"report 1");
//! assert!(bulkhead.enter(&rules, "report 2", Time::ZERO).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::error::BadConfig;
use crate::structure::{rules, with};
use crate::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// How many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Places. Made smaller while more are taken, it fills no place until they drain.
    pub places: u32,
    /// After how long a place is free again though nobody gave it back; none for holders that cannot vanish.
    #[serde(with = "crate::time::span::option", skip_serializing_if = "Option::is_none")]
    pub lease: Option<Duration>,
}

impl Default for Config {
    /// Sixteen places, kept until they are given back.
    fn default() -> Self {
        Self { places: 16, lease: None }
    }
}

with! {
    with_places => places: u32,
    with_lease => lease: Option<Duration>,
}

impl Config {
    fn check(&self) -> Result<(), BadConfig> {
        BadConfig::unless_positive(self.places.into(), "places")?;
        self.lease.map_or(Ok(()), |lease| BadConfig::unless_span(lease, "lease"))
    }
}

rules! {
    /// A [`Config`] that was checked. One serves any number of bulkheads.
    derive(Copy, Eq)
}

/// No place is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("all places are taken")]
#[non_exhaustive]
pub struct Full {
    /// When the first lease runs out, if any does.
    pub until: Option<Time>,
}

/// The places that are taken, by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: Ord + Clone + Deserialize<'de>"), from = "Vec<(K, Time)>", into = "Vec<(K, Time)>")]
#[serde(bound(serialize = "K: Ord + Clone + Serialize"))]
pub struct Bulkhead<K: Ord + Clone> {
    holders: BTreeMap<K, Time>,
    ends: BTreeSet<(Time, K)>,
}

impl<K: Ord + Clone> Default for Bulkhead<K> {
    fn default() -> Self {
        Self { holders: BTreeMap::new(), ends: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> From<Vec<(K, Time)>> for Bulkhead<K> {
    fn from(held: Vec<(K, Time)>) -> Self {
        let holders: BTreeMap<K, Time> = held.into_iter().collect();
        let ends = holders.iter().map(|(holder, until)| (*until, holder.clone())).collect();
        Self { holders, ends }
    }
}

impl<K: Ord + Clone> From<Bulkhead<K>> for Vec<(K, Time)> {
    fn from(bulkhead: Bulkhead<K>) -> Self {
        bulkhead.holders.into_iter().collect()
    }
}

impl<K: Ord + Clone> Bulkhead<K> {
    /// Takes a place. A holder that has one keeps it, and its lease begins anew.
    ///
    /// # Errors
    ///
    /// [`Full`] if all are taken.
    pub fn enter(&mut self, rules: &Rules, holder: K, now: Time) -> Result<(), Full> {
        self.expire(now);
        let known = self.holders.contains_key(&holder);
        if !known && self.holders.len() >= usize::try_from(rules.0.places).unwrap_or(usize::MAX) {
            return Err(Full { until: self.next_wakeup() });
        }
        self.leave(&holder);
        let until = rules.0.lease.map_or(Time::MAX, |lease| now + lease);
        self.ends.insert((until, holder.clone()));
        self.holders.insert(holder, until);
        Ok(())
    }

    /// Gives a place back; false if it held none, or lost it.
    pub fn leave(&mut self, holder: &K) -> bool {
        let Some(until) = self.holders.remove(holder) else { return false };
        self.ends.remove(&(until, holder.clone()));
        true
    }

    /// Frees the places whose lease ran out and says how many they were.
    pub fn expire(&mut self, now: Time) -> usize {
        let mut freed = 0;
        while let Some((until, holder)) = self.ends.pop_first() {
            if until > now || until == Time::MAX {
                self.ends.insert((until, holder));
                break;
            }
            self.holders.remove(&holder);
            freed += 1;
        }
        freed
    }

    /// Places that are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.holders.len()
    }

    /// Whether somebody holds a place.
    #[must_use]
    pub fn holds(&self, holder: &K) -> bool {
        self.holders.contains_key(holder)
    }

    /// When the first lease runs out.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        self.ends.first().map(|(until, _)| *until).filter(|until| *until != Time::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_more_than_the_places(ops in prop::collection::vec((any::<bool>(), 0_u8..12, 0_u64..5), 1..300)) {
            let rules = Rules::new(Config::default().with_places(4).with_lease(Some(Duration::from_secs(10)))).unwrap();
            let (mut bulkhead, mut model, mut now) = (Bulkhead::default(), BTreeMap::new(), Time::ZERO);
            for (enter, who, wait) in ops {
                now = now + Duration::from_secs(wait);
                model.retain(|_, until| *until > now);
                if enter {
                    let fits = model.contains_key(&who) || model.len() < 4;
                    prop_assert_eq!(bulkhead.enter(&rules, who, now).is_ok(), fits);
                    if fits {
                        model.insert(who, now + Duration::from_secs(10));
                    }
                } else {
                    bulkhead.expire(now);
                    prop_assert_eq!(bulkhead.leave(&who), model.remove(&who).is_some());
                }
                prop_assert_eq!(bulkhead.taken(), model.len());
                prop_assert_eq!(bulkhead.next_wakeup(), model.values().min().copied());
                let text = serde_json::to_string(&bulkhead).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Bulkhead<u8>>(&text).unwrap(), &bulkhead);
            }
        }
    }
}
