//! A cache of results: what is known already need not be asked again, and what is being asked need not be asked twice.
//!
//! - **Single flight**: of all that miss the same key one leads and asks; the rest are told whom to wait for. A lead is a
//!   lease: if the leader vanishes, the next one leads, and the late word of the first is not taken.
//! - **Expiry with jitter**, so that what was filled together is not asked for together; a shorter life for failures.
//! - **Bounded** by count and by bytes. What goes is chosen by SIEVE (Zhang et al., NSDI 2024): a queue in order of
//!   arrival and a hand that passes over what was hit since it last came by. As simple as FIFO, and on most traces better than
//!   LRU, as a hit moves nothing.
//!
//! The key should hold everything that the result depends on: kind, version of agent and prompt, hash of the payload. Only
//! kinds without side effects are to be cached, which nobody but the host knows.
//!
//! ```
//! use counterpoint::resilience::cache::{Cache, Config, Life, Look, Rules};
//! use counterpoint::{Random, Time};
//!
//! let rules = Rules::new(Config::default().with_entries(1_000))?;
//! let mut cache: Cache<&str, u32> = Cache::default();
//! let now = Time::from_secs(1);
//! let Look::Lead(flight) = cache.look(&rules, &"6 * 7", now) else { unreachable!("nobody asked before") };
//! assert_eq!(cache.look(&rules, &"6 * 7", now), Look::Join(flight));
//! cache.fill(&rules, &"6 * 7", flight, 42, 4, Life::Long, now, &mut Random::new(0, 1));
//! assert_eq!(cache.look(&rules, &"6 * 7", now), Look::Hit(&42));
//! # Ok::<(), counterpoint::BadConfig>(())
//! ```

use super::{draw, share};
use crate::error::BadConfig;
use crate::structure::{Random, rules, with};
use crate::time::{Time, nanos_of};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How much is kept and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Results kept.
    pub entries: u32,
    /// Bytes kept, as the caller counts them.
    pub bytes: u64,
    /// How long a result is good.
    #[serde(with = "crate::time::span")]
    pub life: Duration,
    /// How long a failure is remembered.
    #[serde(with = "crate::time::span")]
    pub short_life: Duration,
    /// A life is longer or shorter at random by up to so many thousandths.
    pub jitter_permille: u16,
    /// How long the one that leads has.
    #[serde(with = "crate::time::span")]
    pub lead: Duration,
    /// Keys being asked for at once; beyond it everybody asks for themselves.
    pub flights: u32,
}

impl Default for Config {
    /// Ten thousand results, 64 MiB, five minutes (a failure five seconds) give or take a tenth.
    fn default() -> Self {
        Self {
            entries: 10_000,
            bytes: 64 << 20,
            life: Duration::from_secs(300),
            short_life: Duration::from_secs(5),
            jitter_permille: 100,
            lead: Duration::from_secs(60),
            flights: 10_000,
        }
    }
}

with! {
    with_entries => entries: u32,
    with_bytes => bytes: u64,
    with_life => life: Duration,
    with_short_life => short_life: Duration,
    with_jitter_permille => jitter_permille: u16,
    with_lead => lead: Duration,
    with_flights => flights: u32,
}

impl Config {
    fn check(&self) -> Result<(), BadConfig> {
        BadConfig::unless_positive(self.entries.into(), "entries")?;
        BadConfig::unless_positive(self.bytes, "bytes")?;
        BadConfig::unless_span(self.life, "life")?;
        BadConfig::unless_span(self.lead, "lead")?;
        BadConfig::unless_permille(self.jitter_permille, "jitter_permille")
    }
}

rules! {
    /// A [`Config`] that was checked.
    derive(Copy, Eq)
}

/// How long a result is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a result or a failure")]
pub enum Life {
    /// [`Config::life`]: a result.
    Long,
    /// [`Config::short_life`]: a failure, or that there is nothing.
    Short,
}

/// One question under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flight(u64);

/// What a look finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Look<'a, V> {
    /// It is known.
    Hit(&'a V),
    /// It is not known: ask, and [`fill`](Cache::fill) or [`abandon`](Cache::abandon).
    Lead(Flight),
    /// It is not known, and somebody is asking.
    Join(Flight),
    /// It is not known, and too much is being asked to keep track: ask, and keep it to yourself.
    Alone,
}

/// The results and what is being asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "K: Ord + Serialize, V: Serialize"))]
#[serde(bound(deserialize = "K: Ord + Deserialize<'de>, V: Deserialize<'de>"))]
pub struct Cache<K: Ord, V> {
    /// By number of arrival: the queue of SIEVE.
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

/// What became of the looks and the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// Looks that found it.
    pub hits: u64,
    /// Looks that did not.
    pub misses: u64,
    /// Looks that found somebody asking.
    pub joins: u64,
    /// Results that went to make room.
    pub evicted: u64,
    /// Results whose time was over.
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
    /// Looks a key up; on a miss says who asks.
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

    /// The value of a key, if it is known; changes nothing.
    #[must_use]
    pub fn peek(&self, key: &K, now: Time) -> Option<&V> {
        self.kept.get(self.index.get(key)?).filter(|kept| kept.until > now).map(|kept| &kept.value)
    }

    /// Brings the answer. False, and not kept, if this flight leads no more, or if it is too large to be kept at all.
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
        life: Life,
        now: Time,
        random: &mut Random,
    ) -> bool {
        if !self.abandon(key, flight) || bytes > rules.0.bytes {
            return false;
        }
        let span = nanos_of(if life == Life::Long { rules.0.life } else { rules.0.short_life });
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

    /// Asks no more without an answer, so that the next one leads. False if this flight leads no more.
    pub fn abandon(&mut self, key: &K, flight: Flight) -> bool {
        let leads = self.flights.get(key).is_some_and(|(leader, _)| *leader == flight);
        if leads {
            self.flights.remove(key);
        }
        leads
    }

    /// Forgets a key: what it depends on has changed. The answer that is under way is not kept either.
    pub fn forget(&mut self, key: &K) {
        self.flights.remove(key);
        if let Some(number) = self.index.get(key).copied() {
            self.remove(number);
        }
    }

    /// Removes up to `most` results whose time is over, the oldest end first.
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

    /// Results that are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Bytes that are kept.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What became of looks and results.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// When the first result's time is over.
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

    /// SIEVE: from the hand on towards the newest, pass over what was hit, take the first that was not.
    fn evict(&mut self) -> bool {
        let passed = |kept: &mut Kept<K, V>| core::mem::take(&mut kept.hit);
        let hand = self.hand;
        let ahead = self.kept.range_mut(hand..).find_map(|(number, kept)| (!passed(kept)).then_some(*number));
        let found =
            ahead.or_else(|| self.kept.range_mut(..hand).find_map(|(number, kept)| (!passed(kept)).then_some(*number)));
        if let Some(number) = found {
            return self.take_out(number);
        }
        // All were hit, and none counts as hit any more.
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

/// Maps with keys that need not be texts, as lists of pairs.
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
