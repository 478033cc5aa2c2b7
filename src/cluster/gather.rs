//! Lists over all shards: one request to each, one answer from each.

use super::shard::{BadShards, ShardId, Shards};
use crate::base::id::Seq;
use crate::base::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// Collects the answers of shards to one request, and merges their rows.
///
/// Each answer is exact for its shard, as of a sequence number of its journal. There is no instant at which all of them hold; a
/// reader that has changed something waits until the sequence number of its shard has reached that of the change.
///
/// ```
/// use counterpoint::cluster::{Gather, ListCursor, Position, Rows, Shards, ShardId};
/// use counterpoint::{Seq, Time};
///
/// let mut gather = Gather::new(Shards::new(2)?, ListCursor::default());
/// let at = |secs| Position::new(Time::from_secs(secs), 0);
/// gather.answer(ShardId::new(0), Rows::new(Seq::new(7), vec![(at(1), "a"), (at(3), "c")]))?;
/// assert_eq!(gather.missing().collect::<Vec<_>>(), [ShardId::new(1)]);
/// gather.answer(ShardId::new(1), Rows::new(Seq::new(2), vec![(at(2), "b")]))?;
/// let page = gather.page(2);
/// assert_eq!(page.rows, ["a", "b"]);
/// assert!(page.next.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Gather<T> {
    shards: Shards,
    after: ListCursor,
    answers: BTreeMap<ShardId, Rows<T>>,
}

/// The position of a row in a list: by time, then by id. Within a shard no two rows have the same position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Position {
    /// The time by which the list is ordered, such as that of the start of a run.
    pub at: Time,
    /// The number of the id.
    pub id: u64,
}

impl Position {
    /// The position of a row with this time and id.
    #[must_use]
    pub const fn new(at: Time, id: u64) -> Self {
        Self { at, id }
    }
}

/// The end of a page: for each shard the position of its last row on this page or an earlier one. Each shard lists the rows
/// after it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ListCursor(BTreeMap<ShardId, Position>);

impl ListCursor {
    /// The position after which a shard lists its rows; none for the beginning.
    #[must_use]
    pub fn of(&self, shard: ShardId) -> Option<Position> {
        self.0.get(&shard).copied()
    }
}

/// The answer of a shard.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Rows<T> {
    /// The sequence number of the last entry of the shard.
    pub seq: Seq,
    /// Its rows after the cursor, in order.
    pub rows: Vec<(Position, T)>,
    /// Whether it has more.
    pub more: bool,
}

impl<T> Rows<T> {
    /// An answer with all rows of the shard.
    #[must_use]
    pub const fn new(seq: Seq, rows: Vec<(Position, T)>) -> Self {
        Self { seq, rows, more: false }
    }

    /// The same for a shard that has more rows.
    #[must_use]
    pub fn with_more(mut self) -> Self {
        self.more = true;
        self
    }
}

/// The merged rows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListPage<T> {
    /// The rows in order.
    pub rows: Vec<T>,
    /// The sequence numbers as of which they hold.
    pub seqs: BTreeMap<ShardId, Seq>,
    /// The shards that have not answered: their rows are missing.
    pub missing: Vec<ShardId>,
    /// The cursor of the next page, if there are more rows.
    pub next: Option<ListCursor>,
}

/// An answer that is refused. It has changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GatherError {
    /// The shard does not exist.
    #[error(transparent)]
    Shards(#[from] BadShards),
    /// The shard has answered before. The first answer holds.
    #[error("shard {0} has answered already")]
    Repeated(ShardId),
    /// The rows are not in order, or not after the cursor.
    #[error("the rows of shard {0} are not in order after the cursor")]
    Disordered(ShardId),
}

impl<T> Gather<T> {
    /// A request to all shards for the rows after a cursor.
    #[must_use]
    pub const fn new(shards: Shards, after: ListCursor) -> Self {
        Self { shards, after, answers: BTreeMap::new() }
    }

    /// Takes in the answer of a shard.
    ///
    /// # Errors
    ///
    /// See [`GatherError`].
    pub fn answer(&mut self, shard: ShardId, rows: Rows<T>) -> Result<(), GatherError> {
        let shard = self.shards.shard(shard.get())?;
        if self.answers.contains_key(&shard) {
            return Err(GatherError::Repeated(shard));
        }
        let mut last = self.after.of(shard);
        for (position, _) in &rows.rows {
            if last.is_some_and(|last| last >= *position) {
                return Err(GatherError::Disordered(shard));
            }
            last = Some(*position);
        }
        self.answers.insert(shard, rows);
        Ok(())
    }

    /// The shards that have not answered.
    pub fn missing(&self) -> impl Iterator<Item = ShardId> {
        self.shards.all().filter(|shard| !self.answers.contains_key(shard))
    }

    /// The first `most` rows of all answers in order; a `most` of 0 counts as one. A page ends where a shard that has more rows
    /// has listed its last one: nothing is skipped. Without answers of some shards, the page lists them as missing, and its
    /// cursor keeps their positions.
    #[must_use]
    pub fn page(self, most: usize) -> ListPage<T> {
        let missing: Vec<ShardId> = self.missing().collect();
        let seqs = self.answers.iter().map(|(shard, rows)| (*shard, rows.seq)).collect();
        let mut all = Vec::new();
        // Behind the last row of a shard that has more, its next row may come first.
        let mut end: Option<(Position, ShardId)> = None;
        let mut more = !missing.is_empty();
        for (shard, rows) in self.answers {
            if rows.more {
                more = true;
                let last = rows.rows.last().map(|(position, _)| (*position, shard));
                let first = (Position { at: Time::ZERO, id: 0 }, shard);
                end = end.into_iter().chain([last.unwrap_or(first)]).min();
            }
            all.extend(rows.rows.into_iter().map(|(position, row)| ((position, shard), row)));
        }
        all.sort_unstable_by_key(|(place, _)| *place);
        let mut page = ListPage { rows: Vec::new(), seqs, missing, next: None };
        let mut cursor = self.after;
        for ((position, shard), row) in all {
            if page.rows.len() >= most.max(1) || end.is_some_and(|end| (position, shard) > end) {
                more = true;
                break;
            }
            cursor.0.insert(shard, position);
            page.rows.push(row);
        }
        page.next = more.then_some(cursor);
        page
    }
}
