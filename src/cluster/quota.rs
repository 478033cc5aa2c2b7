//! Division of a quota among shards.

use super::shard::{BadShards, ShardId, Shards};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// Divides a quota of a deployment among its shards by demand, as a state machine: demands and confirmations in, parts out.
///
/// Shards apply their parts exactly; the sum of all parts that any shard may be using is never more than the quota: a part is
/// raised only after shards with smaller new parts have confirmed them ([`check`](Self::check)). A message that is lost is made
/// good by the next division. Messages carry numbers, so an old one is recognised.
///
/// ```
/// use counterpoint::cluster::{Part, QuotaDivision, ShardId, Shards};
///
/// let [first, second] = [0, 1].map(ShardId::new);
/// let mut division = QuotaDivision::new(Shards::new(2)?, 10);
/// let mut parts = Vec::new();
/// division.demand(first, 8)?;
/// division.divide(&mut parts);
/// assert_eq!((parts[0].shard, parts[0].most), (first, 10));
/// // The part of the second shard waits until the first one has confirmed that it uses less.
/// parts.clear();
/// division.demand(second, 8)?;
/// division.divide(&mut parts);
/// assert_eq!((parts[0].shard, parts[0].most), (first, 5));
/// assert_eq!(parts.len(), 1);
/// let confirmed = parts.remove(0);
/// division.confirm(&confirmed, &mut parts)?;
/// assert_eq!((parts[0].shard, parts[0].most), (second, 5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct QuotaDivision {
    shards: Shards,
    quota: u64,
    rows: BTreeMap<ShardId, Row>,
    /// The number of divisions. With a quota smaller than the number of shards, the units go round.
    round: u64,
    /// The number of the last part.
    number: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
struct Row {
    demand: u64,
    /// The part to which the shard is to come.
    target: u64,
    /// The part that was sent last, and its number.
    sent: u64,
    number: u64,
    /// The number of the last part that the shard has confirmed.
    confirmed: u64,
    /// The most that the shard may be using.
    used: u64,
}

/// The part of a shard. The shard applies it, and confirms it as soon as it uses no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Part {
    /// The shard.
    pub shard: ShardId,
    /// Its number: a shard ignores a part with a smaller number than that of the last one.
    pub number: u64,
    /// The part.
    pub most: u64,
}

/// A message that the division refuses. It has changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// The shard does not exist.
    #[error(transparent)]
    Shards(#[from] BadShards),
    /// The confirmation is of an earlier part.
    #[error("shard {shard} confirms part {number}, but part {known} was sent later")]
    Old {
        /// The shard.
        shard: ShardId,
        /// The number of the part.
        number: u64,
        /// The number of the last part.
        known: u64,
    },
}

impl QuotaDivision {
    /// The division of a quota of which no shard has a part.
    #[must_use]
    pub fn new(shards: Shards, quota: u64) -> Self {
        let rows = shards.all().map(|shard| (shard, Row::default())).collect();
        Self { shards, quota, rows, round: 0, number: 0 }
    }

    /// Sets the demand of a shard: what it uses and what waits. It counts from the next division.
    ///
    /// # Errors
    ///
    /// [`QuotaError::Shards`].
    pub fn demand(&mut self, shard: ShardId, demand: u64) -> Result<(), QuotaError> {
        self.row(shard)?.demand = demand;
        Ok(())
    }

    /// Divides the quota anew, and sends parts: those that have changed, and those that are not confirmed again. To be called once
    /// per interval.
    ///
    /// Demands are met up to equal parts (max-min fairness); what is left is divided equally among shards with demand. With fewer
    /// units than shards with demand, the units go round, so each of these shards gets one in turn.
    pub fn divide(&mut self, out: &mut Vec<Part>) {
        let demands: Vec<(ShardId, u64)> = self.rows.iter().map(|(shard, row)| (*shard, row.demand)).collect();
        for (shard, target) in fair_parts(self.quota, &demands, self.round) {
            if let Some(row) = self.rows.get_mut(&shard) {
                row.target = target;
            }
        }
        self.round = self.round.wrapping_add(1);
        let unconfirmed = self.rows.iter().filter(|(_, row)| row.confirmed != row.number).map(|(shard, _)| *shard);
        let unconfirmed: Vec<ShardId> = unconfirmed.collect();
        self.settle(&unconfirmed, out);
    }

    /// A shard has confirmed a part: it uses no more, and has forgotten all earlier parts.
    ///
    /// # Errors
    ///
    /// See [`QuotaError`].
    pub fn confirm(&mut self, part: &Part, out: &mut Vec<Part>) -> Result<(), QuotaError> {
        let row = self.row(part.shard)?;
        if row.number != part.number {
            return Err(QuotaError::Old { shard: part.shard, number: part.number, known: row.number });
        }
        row.used = row.sent;
        row.confirmed = row.number;
        self.settle(&[], out);
        Ok(())
    }

    /// The part that was sent to a shard last.
    ///
    /// # Errors
    ///
    /// [`QuotaError::Shards`].
    pub fn part_of(&self, shard: ShardId) -> Result<Part, QuotaError> {
        let shard = self.shards.shard(shard.get())?;
        let row = self.rows.get(&shard).copied().unwrap_or_default();
        Ok(Part { shard, number: row.number, most: row.sent })
    }

    /// Checks all invariants. For tests.
    ///
    /// # Errors
    ///
    /// A description of the first broken one, which is a bug of this crate.
    pub fn check(&self) -> Result<(), String> {
        let sum = |of: fn(&Row) -> u64| self.rows.values().map(|row| u128::from(of(row))).sum::<u128>();
        let (used, targets) = (sum(|row| row.used.max(row.sent)), sum(|row| row.target));
        if used > self.quota.into() || targets > self.quota.into() {
            return Err(format!("of a quota of {}, {used} may be in use and {targets} are divided", self.quota));
        }
        Ok(())
    }

    fn row(&mut self, shard: ShardId) -> Result<&mut Row, QuotaError> {
        let shard = self.shards.shard(shard.get())?;
        Ok(self.rows.entry(shard).or_default())
    }

    /// Sends smaller parts at once, and larger ones as far as the quota is free.
    fn settle(&mut self, again: &[ShardId], out: &mut Vec<Part>) {
        for (shard, row) in &mut self.rows {
            if row.target < row.sent {
                row.sent = row.target;
                self.number = self.number.saturating_add(1);
                row.number = self.number;
                out.push(Part { shard: *shard, number: row.number, most: row.sent });
            } else if again.contains(shard) {
                out.push(Part { shard: *shard, number: row.number, most: row.sent });
            }
        }
        let used = self.rows.values().fold(0_u64, |sum, row| sum.saturating_add(row.used.max(row.sent)));
        let mut free = self.quota.saturating_sub(used);
        for (shard, row) in &mut self.rows {
            let raise = row.target.saturating_sub(row.used.max(row.sent)).min(free);
            if raise > 0 {
                free -= raise;
                row.sent = row.used.max(row.sent).saturating_add(raise);
                row.used = row.sent;
                self.number = self.number.saturating_add(1);
                row.number = self.number;
                out.push(Part { shard: *shard, number: row.number, most: row.sent });
            }
        }
    }
}

/// Parts of a quota by demand, in the order of the shards.
fn fair_parts(quota: u64, demands: &[(ShardId, u64)], round: u64) -> Vec<(ShardId, u64)> {
    let mut parts: Vec<(ShardId, u64)> = demands.iter().map(|(shard, _)| (*shard, 0)).collect();
    let mut open: Vec<usize> = (0..demands.len()).filter(|at| demands.get(*at).is_some_and(|row| row.1 > 0)).collect();
    let mut left = quota;
    let mut add = |at: usize, more: u64| {
        if let Some(part) = parts.get_mut(at) {
            part.1 = part.1.saturating_add(more);
        }
    };
    let all = open.clone();
    // Small demands are met in full; the smallest first, so that each looks at an equal part of what is left.
    open.sort_unstable_by_key(|at| (demands.get(*at).map(|row| row.1), *at));
    // With fewer units than shards, none is left for equal parts.
    let open = if quota < all.len() as u64 { Vec::new() } else { open };
    for (place, at) in open.iter().enumerate() {
        let equal = left.checked_div((open.len() - place) as u64).unwrap_or(0);
        let met = demands.get(*at).map_or(0, |row| row.1).min(equal);
        add(*at, met);
        left -= met;
    }
    // The rest is divided equally, and the units that cannot be divided go round.
    let count = all.len() as u64;
    let (each, units) = (left.checked_div(count).unwrap_or(0), left.checked_rem(count).unwrap_or(0));
    let first = round.checked_rem(count).unwrap_or(0);
    for (place, at) in all.iter().enumerate() {
        let turn = (place as u64 + count - first).checked_rem(count).unwrap_or(0);
        add(*at, each + u64::from(turn < units));
    }
    parts
}
