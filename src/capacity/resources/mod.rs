//! Named resources in whole units: processors, memory, tokens, licences.
//!
//! What a task needs is taken all at once or not at all, so that two tasks never hold half each of what both need. What was
//! taken is a lease: its end gives everything back, and so does the end of its time.
//!
//! ```
//! use counterpoint::Time;
//! use counterpoint::capacity::resources::{Amounts, Store};
//! use std::time::Duration;
//!
//! let mut store = Store::new(Amounts::of([("cpu", 8), ("licence", 1)]));
//! let build = Amounts::of([("cpu", 4), ("licence", 1)]);
//! store.acquire("build 1", &build, Some(Duration::from_secs(60)), Time::ZERO)?;
//! let short = store.acquire("build 2", &build, None, Time::ZERO).unwrap_err();
//! assert_eq!(short.to_string(), "1 licence short");
//! assert_eq!(store.expire(Time::from_secs(60)), ["build 1"]);
//! # Ok::<(), counterpoint::capacity::resources::Short>(())
//! ```

mod pack;

pub use pack::{Fit, bins, choose};

use crate::name::Name;
use crate::time::Time;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// So much of each resource; what is not named is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amounts(BTreeMap<Name, u64>);

impl Amounts {
    /// So much of each.
    #[must_use]
    pub fn of<N: Into<Name>>(amounts: impl IntoIterator<Item = (N, u64)>) -> Self {
        Self(amounts.into_iter().map(|(name, amount)| (name.into(), amount)).collect())
    }

    /// How much of one.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Each with how much of it, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, u64)> {
        self.0.iter().map(|(name, amount)| (name, *amount))
    }

    /// Whether this is no more than that, in each.
    #[must_use]
    pub fn fits(&self, room: &Self) -> bool {
        self.lacking(room).is_none()
    }

    /// Whether it is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.values().all(|amount| *amount == 0)
    }

    /// The first resource of which this is more than that, and by how much.
    fn lacking(&self, room: &Self) -> Option<(Name, u64)> {
        let short = |(name, amount): (&Name, u64)| Some((name.clone(), amount.checked_sub(room.get(name))?));
        self.iter().filter_map(short).find(|(_, lack)| *lack > 0)
    }

    fn add(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            let here = self.0.entry(name.clone()).or_default();
            *here = here.saturating_add(amount);
        }
    }

    fn take(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            if let Some(here) = self.0.get_mut(name) {
                *here = here.saturating_sub(amount);
            }
        }
    }
}

impl fmt::Display for Amounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, amount)) in self.iter().enumerate() {
            write!(f, "{}{amount} {}", if place == 0 { "" } else { ", " }, name.as_str())?;
        }
        Ok(())
    }
}

/// There is too little of something. Nothing was taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{lack} {} short", name.as_str())]
#[non_exhaustive]
pub struct Short {
    /// Of what; the first by name, if of several.
    pub name: Name,
    /// How much more it would take.
    pub lack: u64,
    /// Whether it would not fit into an empty store either.
    pub ever: bool,
}

/// Resources and who holds how much of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "K: Ord + Clone + Serialize", deserialize = "K: Ord + Clone + Deserialize<'de>"))]
#[serde(from = "Saved<K>", into = "Saved<K>")]
pub struct Store<K: Ord + Clone> {
    capacity: Amounts,
    free: Amounts,
    leases: BTreeMap<K, (Amounts, Time)>,
    ends: BTreeSet<(Time, K)>,
}

/// What cannot be computed from the rest.
#[derive(Serialize, Deserialize)]
struct Saved<K> {
    capacity: Amounts,
    leases: Vec<(K, Amounts, Time)>,
}

impl<K: Ord + Clone> From<Store<K>> for Saved<K> {
    fn from(store: Store<K>) -> Self {
        let leases = store.leases.into_iter().map(|(holder, (amounts, until))| (holder, amounts, until)).collect();
        Self { capacity: store.capacity, leases }
    }
}

impl<K: Ord + Clone> From<Saved<K>> for Store<K> {
    fn from(saved: Saved<K>) -> Self {
        let mut store = Self::new(saved.capacity);
        for (holder, amounts, until) in saved.leases {
            store.free.take(&amounts);
            store.ends.insert((until, holder.clone()));
            store.leases.insert(holder, (amounts, until));
        }
        store
    }
}

impl<K: Ord + Clone> Store<K> {
    /// So much of each, all free.
    #[must_use]
    pub fn new(capacity: Amounts) -> Self {
        Self { free: capacity.clone(), capacity, leases: BTreeMap::new(), ends: BTreeSet::new() }
    }

    /// Takes everything or nothing. A holder that holds something gives it back with the same step: what it holds counts
    /// as free for it.
    ///
    /// # Errors
    ///
    /// [`Short`] if there is too little of something; the holder then keeps what it had.
    pub fn acquire(&mut self, holder: K, amounts: &Amounts, lease: Option<Duration>, now: Time) -> Result<(), Short> {
        self.expire(now);
        let mut free = self.free.clone();
        if let Some((held, _)) = self.leases.get(&holder) {
            free.add(held);
        }
        if let Some((name, lack)) = amounts.lacking(&free) {
            return Err(Short { name, lack, ever: !amounts.fits(&self.capacity) });
        }
        self.release(&holder);
        self.free.take(amounts);
        let until = lease.map_or(Time::MAX, |lease| now + lease);
        self.ends.insert((until, holder.clone()));
        self.leases.insert(holder, (amounts.clone(), until));
        Ok(())
    }

    /// Gives everything back that a holder holds; false if it held nothing.
    pub fn release(&mut self, holder: &K) -> bool {
        let Some((amounts, until)) = self.leases.remove(holder) else { return false };
        self.ends.remove(&(until, holder.clone()));
        self.free.add(&amounts);
        true
    }

    /// Gives back what is held by those whose time is over, and says who they were, the first end first.
    pub fn expire(&mut self, now: Time) -> Vec<K> {
        let due = |(until, _): &&(Time, K)| *until <= now && *until < Time::MAX;
        let over: Vec<K> = self.ends.iter().take_while(due).map(|(_, holder)| holder.clone()).collect();
        for holder in &over {
            self.release(holder);
        }
        over
    }

    /// What there is in all.
    #[must_use]
    pub const fn capacity(&self) -> &Amounts {
        &self.capacity
    }

    /// What is free.
    #[must_use]
    pub const fn free(&self) -> &Amounts {
        &self.free
    }

    /// What somebody holds.
    #[must_use]
    pub fn held(&self, holder: &K) -> Option<&Amounts> {
        self.leases.get(holder).map(|(amounts, _)| amounts)
    }

    /// When the first lease ends.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        self.ends.first().map(|(until, _)| *until).filter(|until| *until < Time::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_or_nothing_and_nothing_leaks(ops in prop::collection::vec((0_u8..8, any::<bool>(), 0_u64..6, 0_u64..6, 0_u64..5), 1..200)) {
            let capacity = Amounts::of([("cpu", 10), ("gpu", 4)]);
            let (mut store, mut now) = (Store::new(capacity.clone()), Time::ZERO);
            for (holder, take, cpu, gpu, wait) in ops {
                now = now + Duration::from_secs(wait);
                store.expire(now);
                let before = store.clone();
                if take {
                    let wanted = Amounts::of([("cpu", cpu), ("gpu", gpu)]);
                    let mut room = store.free().clone();
                    room.add(&store.held(&holder).cloned().unwrap_or_default());
                    match store.acquire(holder, &wanted, Some(Duration::from_secs(7)), now) {
                        Ok(()) => prop_assert!(wanted.fits(&room)),
                        Err(short) => {
                            prop_assert!(!wanted.fits(&room) && short.lack > 0);
                            prop_assert_eq!(&store, &before);
                        }
                    }
                } else {
                    prop_assert_eq!(store.release(&holder), before.held(&holder).is_some());
                }
                let mut all = store.free().clone();
                store.leases.values().for_each(|(amounts, _)| all.add(amounts));
                prop_assert_eq!(&all, &capacity);
                let text = serde_json::to_string(&store).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Store<u8>>(&text).unwrap(), &store);
            }
        }
    }

    #[test]
    fn what_never_fits_is_said() {
        let mut store = Store::new(Amounts::of([("cpu", 2)]));
        let short = store.acquire(1, &Amounts::of([("cpu", 1), ("gpu", 1)]), None, Time::ZERO).unwrap_err();
        assert!(short.ever && &*short.name == "gpu" && short.lack == 1);
        assert!(store.acquire(1, &Amounts::of([("cpu", 2)]), None, Time::ZERO).is_ok());
        assert!(store.acquire(1, &Amounts::of([("cpu", 1)]), None, Time::ZERO).is_ok(), "it gives back what it held");
        assert_eq!(store.free().to_string(), "1 cpu");
        assert!(store.expire(Time::MAX).is_empty());
    }
}
