//! Hashes that chain the entries of a stream, and the verification of what a take-over reads.

use counterpoint::journal::Epoch;
use counterpoint::{Entry, RestoreError, Seq};
use postgres::Row;

/// A hash of an entry and of all entries before it.
pub(crate) type Hash = [u8; 32];

/// The hash before the first entry.
pub(crate) const START: Hash = [0; 32];

/// The hashes of a stream. Entries of another stream have other ones.
#[derive(Clone)]
pub(crate) struct Chain {
    key: Hash,
}

/// The head of a stream as a take-over found it.
pub(crate) struct Head {
    /// The epoch of the new writer.
    pub(crate) epoch: i64,
    pub(crate) last: i64,
    pub(crate) snapshot_at: i64,
    pub(crate) hash: Vec<u8>,
}

/// What the last take-over that was completed has verified.
pub(crate) struct Verified {
    pub(crate) epoch: i64,
    pub(crate) last: i64,
    pub(crate) hash: Vec<u8>,
}

/// The content of a stream.
pub(crate) struct Content {
    pub(crate) snapshot: Option<Vec<u8>>,
    pub(crate) tail: Vec<Entry>,
    /// The hash of the last entry.
    pub(crate) hash: Hash,
}

impl Chain {
    pub(crate) fn new(stream: &str) -> Self {
        Self { key: blake3::derive_key("counterpoint postgres 2026 entry", stream.as_bytes()) }
    }

    /// The hash of the entry that follows.
    pub(crate) fn next(&self, before: &[u8], (seq, epoch): (i64, i64), event: &str) -> Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(before).update(&seq.to_le_bytes()).update(&epoch.to_le_bytes()).update(event.as_bytes());
        *hasher.finalize().as_bytes()
    }

    /// The checksum of a snapshot.
    pub(crate) fn sum(&self, at: i64, state: &[u8]) -> Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        *hasher.update(b"snapshot").update(&at.to_le_bytes()).update(state).finalize().as_bytes()
    }

    /// Verifies that snapshot and entries are a chain that ends at the head and contains what the last take-over
    /// verified.
    pub(crate) fn verify(
        &self,
        head: &Head,
        verified: Option<&Verified>,
        snapshot: Option<&Row>,
        rows: &[Row],
    ) -> Result<Content, RestoreError> {
        let (state, mut hash) = self.snapshot(head, snapshot)?;
        let (mut last, mut epoch) = (head.snapshot_at, 0);
        let mut tail = Vec::with_capacity(rows.len());
        // What the last take-over verified may be covered by the snapshot.
        let mut contained = verified.is_none_or(|verified| verified.last < head.snapshot_at);
        let meets = |at: i64, hash: &Hash| verified.is_some_and(|it| it.last == at && it.hash == hash);
        contained |= meets(last, &hash);
        for row in rows {
            let (seq, of, event, stored): (i64, i64, &str, &[u8]) = (row.get(0), row.get(1), row.get(2), row.get(3));
            if seq != last + 1 {
                return Err(RestoreError::Gap { expected: number(last + 1), found: number(seq) });
            }
            hash = self.next(&hash, (seq, of), event);
            if hash != stored {
                return Err(RestoreError::Damaged { seq: number(seq) });
            }
            if of < epoch || of >= head.epoch {
                return Err(RestoreError::Fork { seq: number(seq) });
            }
            let entry: Entry = serde_json::from_str(event)
                .map_err(|error| RestoreError::Unreadable { seq: number(seq), reason: error.to_string() })?;
            if entry.seq != number(seq) {
                return Err(RestoreError::Gap { expected: number(seq), found: entry.seq });
            }
            tail.push(entry);
            (last, epoch) = (seq, of);
            contained |= meets(last, &hash);
        }
        let expected = verified.map_or(head.last, |verified| verified.last.max(head.last));
        if last < expected {
            return Err(RestoreError::Truncated { ends: number(last), expected: number(expected) });
        }
        let reason = if last > head.last || hash[..] != head.hash {
            "the row in counterpoint_head is not that of the last entry"
        } else if verified.is_some_and(|verified| verified.epoch >= head.epoch) {
            "the row in counterpoint_head is older than the last take-over"
        } else if !contained {
            return Err(RestoreError::Fork { seq: number(expected) });
        } else {
            return Ok(Content { snapshot: state, tail, hash });
        };
        Err(RestoreError::NoHead { reason })
    }

    fn snapshot(&self, head: &Head, row: Option<&Row>) -> Result<(Option<Vec<u8>>, Hash), RestoreError> {
        let at = head.snapshot_at;
        let broken = |what: &str| RestoreError::Snapshot { reason: format!("the snapshot at {at} is {what}") };
        let Some(row) = row else {
            return if at == 0 { Ok((None, START)) } else { Err(broken("missing")) };
        };
        let (state, sum, hash): (Vec<u8>, &[u8], &[u8]) = (row.get(0), row.get(1), row.get(2));
        let hash: Hash = hash.try_into().map_err(|_| broken("damaged"))?;
        if self.sum(at, &state) != sum { Err(broken("damaged")) } else { Ok((Some(state), hash)) }
    }
}

fn number(seq: i64) -> Seq {
    Seq::new(seq.unsigned_abs())
}

/// The epoch as the journal's interface has it.
pub(crate) fn epoch(head: &Head) -> Epoch {
    Epoch::new(head.epoch.unsigned_abs())
}
