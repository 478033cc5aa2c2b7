//! A cache of results with single flight.
//!
//! - **Single flight**: of all concurrent misses of a key, one caller leads and computes the result; the others receive a
//!   flight on which they wait. Leading is a lease: if the leader disappears, another caller leads, and a late answer of the
//!   first is dropped.
//! - **Expiry with jitter**, so that entries filled together do not expire together; failures expire sooner.
//! - **Bounded** by count and by bytes. Evicts by SIEVE (Zhang et al., NSDI 2024): a queue in order of arrival with a hand
//!   that skips entries hit since its last visit. A hit moves no entry. On most published traces SIEVE has fewer misses than
//!   LRU.
//!
//! A key should contain everything on which the result depends: kind, version of agent and prompt, hash of the payload. Only kinds
//! without side effects can be cached; the host decides which these are.
//!
//! ```
//! use counterpoint::resilience::cache::{Cache, Config, Validity, Look, Rules};
//! use counterpoint::{Random, Time};
//!
//! let rules = Rules::new(Config::default().with_entries(1_000))?;
//! let mut cache: Cache<&str, u32> = Cache::default();
//! let now = Time::from_secs(1);
//! let Look::Lead(flight) = cache.look(&rules, &"6 * 7", now) else { unreachable!("nobody asked before") };
//! assert_eq!(cache.look(&rules, &"6 * 7", now), Look::Join(flight));
//! cache.fill(&rules, &"6 * 7", flight, 42, 4, Validity::Long, now, &mut Random::new(0, 1));
//! assert_eq!(cache.look(&rules, &"6 * 7", now), Look::Hit(&42));
//! # Ok::<(), counterpoint::BadConfig>(())
//! ```

use super::{draw, share};
use crate::base::error::BadConfig;
use crate::base::structure::{Random, rules, with};
use crate::base::time::{Time, nanos_of};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The limits of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The limit on entries.
    pub entries: u32,
    /// The limit on bytes, as the caller counts them.
    pub bytes: u64,
    /// The time for which a result is valid.
    #[serde(with = "crate::base::time::span")]
    pub ttl: Duration,
    /// The time for which a failure is valid.
    #[serde(with = "crate::base::time::span")]
    pub failure_ttl: Duration,
    /// The random deviation of these times, in thousandths.
    pub jitter_permille: u16,
    /// The lease of a leader.
    #[serde(with = "crate::base::time::span")]
    pub lead: Duration,
    /// The limit on keys being computed at once; beyond it callers compute without coordination.
    pub flights: u32,
}

impl Default for Config {
    /// Ten thousand results, 64 MiB, five minutes (a failure five seconds), with a tenth of jitter.
    fn default() -> Self {
        Self {
            entries: 10_000,
            bytes: 64 << 20,
            ttl: Duration::from_secs(300),
            failure_ttl: Duration::from_secs(5),
            jitter_permille: 100,
            lead: Duration::from_secs(60),
            flights: 10_000,
        }
    }
}

with! {
    with_entries => entries: u32,
    with_bytes => bytes: u64,
    with_life => ttl: Duration,
    with_short_life => failure_ttl: Duration,
    with_jitter_permille => jitter_permille: u16,
    with_lead => lead: Duration,
    with_flights => flights: u32,
}

impl Config {
    fn check(&self) -> Result<(), BadConfig> {
        BadConfig::unless_positive(self.entries.into(), "entries")?;
        BadConfig::unless_positive(self.bytes, "bytes")?;
        BadConfig::unless_span(self.ttl, "ttl")?;
        BadConfig::unless_span(self.lead, "lead")?;
        BadConfig::unless_permille(self.jitter_permille, "jitter_permille")
    }
}

rules! {
    /// A validated [`Config`].
    derive(Copy, Eq)
}

/// The validity of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a result or a failure")]
pub enum Validity {
    /// [`Config::ttl`], for a result.
    Long,
    /// [`Config::failure_ttl`], for a failure or an absent result.
    Short,
}

/// A computation under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flight(u64);

/// The result of a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Look<'a, V> {
    /// The value is in the cache.
    Hit(&'a V),
    /// A miss: the caller leads, and must [`fill`](Cache::fill) or [`abandon`](Cache::abandon).
    Lead(Flight),
    /// A miss that another caller is computing.
    Join(Flight),
    /// A miss beyond the limit on flights: the caller computes the value without storing it.
    Alone,
}

/// The entries and the flights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "K: Ord + Serialize, V: Serialize"))]
#[serde(bound(deserialize = "K: Ord + Deserialize<'de>, V: Deserialize<'de>"))]
pub struct Cache<K: Ord, V> {
    /// The entries by number of arrival: the queue of SIEVE.
    kept: BTreeMap<u64, Kept<K, V>>,
    #[serde(with = "pairs")]
    index: BTreeMap<K, u64>,
    ends: BTreeSet<(Time, u64)>,
    #[serde(with = "pairs")]
    flights: BTreeMap<K, (Flight, Time)>,
    bytes: u64,
    next: u64,
    hand: u64,
    counts: Counts,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept<K, V> {
    key: K,
    value: V,
    bytes: u64,
    until: Time,
    hit: bool,
}

/// Counters of lookups and entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// Lookups that found a value.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Lookups that joined a flight.
    pub joins: u64,
    /// Entries that were evicted.
    pub evicted: u64,
    /// Entries that expired.
    pub expired: u64,
}

impl<K: Ord, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self {
            kept: BTreeMap::new(),
            index: BTreeMap::new(),
            ends: BTreeSet::new(),
            flights: BTreeMap::new(),
            bytes: 0,
            next: 0,
            hand: 0,
            counts: Counts::default(),
        }
    }
}

impl<K: Ord + Clone, V> Cache<K, V> {
    /// Looks up a key; a miss returns the role of the caller.
    pub fn look(&mut self, rules: &Rules, key: &K, now: Time) -> Look<'_, V> {
        if let Some(number) = self.index.get(key).copied() {
            if self.kept.get(&number).is_some_and(|kept| kept.until > now) {
                count(&mut self.counts.hits);
                return self.kept.get_mut(&number).map_or(Look::Alone, |kept| {
                    kept.hit = true;
                    Look::Hit(&kept.value)
                });
            }
            count(&mut self.counts.expired);
            self.remove(number);
        }
        if let Some((flight, until)) = self.flights.get(key).copied()
            && until > now
        {
            count(&mut self.counts.joins);
            return Look::Join(flight);
        }
        count(&mut self.counts.misses);
        self.lead(rules, key, now)
    }

    /// The value of a key, without changing anything.
    #[must_use]
    pub fn peek(&self, key: &K, now: Time) -> Option<&V> {
        self.kept.get(self.index.get(key)?).filter(|kept| kept.until > now).map(|kept| &kept.value)
    }

    /// Stores the result of a flight. Returns false, and stores nothing, if the flight's lease has ended or the value is too large.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one word, and a struct for them would only be taken apart again"
    )]
    pub fn fill(
        &mut self,
        rules: &Rules,
        key: &K,
        flight: Flight,
        value: V,
        bytes: u64,
        ttl: Validity,
        now: Time,
        random: &mut Random,
    ) -> bool {
        if !self.abandon(key, flight) || bytes > rules.0.bytes {
            return false;
        }
        let span = nanos_of(if ttl == Validity::Long { rules.0.ttl } else { rules.0.failure_ttl });
        let swing = share(span, rules.0.jitter_permille);
        let until = now + Duration::from_nanos((span - swing).saturating_add(draw(swing.saturating_mul(2), random)));
        if let Some(number) = self.index.get(key).copied() {
            self.remove(number);
        }
        self.sweep(now, 4);
        let entries = usize::try_from(rules.0.entries).unwrap_or(usize::MAX);
        while self.kept.len() >= entries || self.bytes.saturating_add(bytes) > rules.0.bytes {
            if !self.evict() {
                break;
            }
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.index.insert(key.clone(), number);
        self.ends.insert((until, number));
        self.kept.insert(number, Kept { key: key.clone(), value, bytes, until, hit: false });
        true
    }

    /// Ends a flight without a result, so that the next caller leads. Returns false if its lease has ended.
    pub fn abandon(&mut self, key: &K, flight: Flight) -> bool {
        let leads = self.flights.get(key).is_some_and(|(leader, _)| *leader == flight);
        if leads {
            self.flights.remove(key);
        }
        leads
    }

    /// Removes a key whose inputs have changed. The result of a flight under way is dropped, too.
    pub fn forget(&mut self, key: &K) {
        self.flights.remove(key);
        if let Some(number) = self.index.get(key).copied() {
            self.remove(number);
        }
    }

    /// Removes up to `most` expired entries, those that expired first before others.
    pub fn sweep(&mut self, now: Time, most: usize) {
        for _ in 0..most {
            let Some((until, number)) = self.ends.first().copied() else { return };
            if until > now {
                return;
            }
            count(&mut self.counts.expired);
            self.ends.remove(&(until, number));
            self.remove(number);
        }
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The bytes of all entries.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The counters.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// The time at which the first entry expires.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        self.ends.first().map(|(until, _)| *until)
    }

    fn lead(&mut self, rules: &Rules, key: &K, now: Time) -> Look<'_, V> {
        let most = usize::try_from(rules.0.flights).unwrap_or(usize::MAX);
        if self.flights.len() >= most && !self.flights.contains_key(key) {
            self.flights.retain(|_, (_, until)| *until > now);
            if self.flights.len() >= most {
                return Look::Alone;
            }
        }
        let flight = Flight(self.next);
        self.next = self.next.saturating_add(1);
        self.flights.insert(key.clone(), (flight, now + rules.0.lead));
        Look::Lead(flight)
    }

    /// SIEVE: from the hand towards the newest entry, skips those that were hit and removes the first that was not.
    fn evict(&mut self) -> bool {
        let passed = |kept: &mut Kept<K, V>| core::mem::take(&mut kept.hit);
        let hand = self.hand;
        let ahead = self.kept.range_mut(hand..).find_map(|(number, kept)| (!passed(kept)).then_some(*number));
        let found =
            ahead.or_else(|| self.kept.range_mut(..hand).find_map(|(number, kept)| (!passed(kept)).then_some(*number)));
        if let Some(number) = found {
            return self.take_out(number);
        }
        // All were hit, and their marks are cleared.
        self.kept.first_key_value().map(|(number, _)| *number).is_some_and(|oldest| self.take_out(oldest))
    }

    fn take_out(&mut self, number: u64) -> bool {
        self.hand = number.saturating_add(1);
        count(&mut self.counts.evicted);
        self.remove(number);
        true
    }

    fn remove(&mut self, number: u64) {
        if let Some(kept) = self.kept.remove(&number) {
            self.index.remove(&kept.key);
            self.ends.remove(&(kept.until, number));
            self.bytes = self.bytes.saturating_sub(kept.bytes);
        }
    }
}

const fn count(what: &mut u64) {
    *what = what.saturating_add(1);
}

/// Serialises maps with arbitrary keys as lists of pairs.
mod pairs {
    use super::BTreeMap;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(from: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Ord + Deserialize<'de>,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(from)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
