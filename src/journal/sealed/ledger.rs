//! Records of any kind, sealed one by one: an audit trail that shows every change.

use super::Stream;
use super::head::{Hash, same};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use thiserror::Error;

/// Where a ledger stands: how many records it has, and the hash of the last, which stands for all before it. Kept elsewhere, or
/// given to a witness, it is an anchor: a ledger that does not pass through it is not the one that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mark {
    /// How many records.
    pub records: u64,
    /// The hash of the last.
    pub hash: Hash,
}

impl Mark {
    /// Before the first record.
    pub const START: Self = Self { records: 0, hash: Hash::new([0; super::HASH]) };
}

/// Writes what a host must be able to prove later: decisions of [`access`](crate::access), lines of the
/// [audit](crate::insight::AuditLine), anything that serde can write. One record is one line of JSON, chained to the one
/// before by a hash under the stream's key, so what is written is also what is exported. Nothing can be changed, left out, put
/// in, moved, or brought from another stream without showing; only the end can be cut off unseen, which a [`Mark`] that is
/// kept elsewhere shows.
///
/// The core knows nothing of it: who asked for what is decided before a command, and facts are what came of it. A host
/// appends the record of a command after its facts, as [`Decision::led_to`](crate::access::Decision::led_to) names them; of
/// what is refused there are no facts, and the record is all.
///
/// ```
/// use counterpoint::journal::sealed::{Key, Ledger, LedgerFault, Stream};
/// # use serde_json::json;
///
/// let stream = Stream::new("audit").with_key(Key::new([7; 32]));
/// let (mut ledger, mut bytes) = (Ledger::new(&stream), Vec::new());
/// ledger.write(&json!({"who": "ada", "what": "cancel r7: ordered twice"}), &mut bytes)?;
/// ledger.write(&json!({"who": "bob", "what": "drain a2"}), &mut bytes)?;
///
/// let mark = Ledger::verify(&stream, &bytes)?;
/// assert_eq!(mark, ledger.mark());
/// let records: Vec<serde_json::Value> = Ledger::read(&stream, &bytes)?;
/// assert_eq!(records[1]["who"], "bob");
///
/// let forged = String::from_utf8(bytes)?.replace("bob", "eve");
/// assert_eq!(Ledger::verify(&stream, forged.as_bytes()), Err(LedgerFault::Damaged { record: 2 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ledger {
    stream: Stream,
    mark: Mark,
}

impl Ledger {
    /// A ledger without records. The stream's name and key are part of each hash; its form is always lines.
    #[must_use]
    pub fn new(stream: &Stream) -> Self {
        Self::continuing(stream, Mark::START)
    }

    /// Goes on where [`verify`](Self::verify) found the end.
    #[must_use]
    pub fn continuing(stream: &Stream, mark: Mark) -> Self {
        Self { stream: stream.clone(), mark }
    }

    /// Where it stands.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        self.mark
    }

    /// Appends a record: one line. Nothing is written if that cannot be.
    ///
    /// # Errors
    ///
    /// [`LedgerFault::Unwritable`], when the record has no form in JSON, or is larger than a record may be
    /// ([`Limits::record_bytes`](crate::Limits::record_bytes)).
    pub fn write(&mut self, record: &impl Serialize, out: &mut Vec<u8>) -> Result<(), LedgerFault> {
        let number = self.mark.records.saturating_add(1);
        let unwritable = |reason: String| LedgerFault::Unwritable { record: number, reason };
        let body = serde_json::to_string(record).map_err(|error| unwritable(error.to_string()))?;
        if body.len() > self.stream.record_bytes as usize {
            return Err(unwritable(format!(
                "{} bytes are more than the {} allowed",
                body.len(),
                self.stream.record_bytes
            )));
        }
        let begin = out.len();
        // Writing to memory does not fail.
        let _ = write!(out, r#"{{"v":1,"no":{number},"prev":"{}","record":{body}"#, self.mark.hash);
        let hash = self.stream.seals.ledger(out.get(begin..).unwrap_or_default());
        let _ = writeln!(out, r#","hash":"{hash}"}}"#);
        self.mark = Mark { records: number, hash };
        Ok(())
    }

    /// Reads a whole ledger and gives its end, if every bit of it is what was written.
    ///
    /// # Errors
    ///
    /// The first fault.
    pub fn verify(stream: &Stream, bytes: &[u8]) -> Result<Mark, LedgerFault> {
        walk(stream, bytes, |_: IgnoredAny| {})
    }

    /// The same, and it must pass through an earlier end: neither cut off before it nor written anew.
    ///
    /// # Errors
    ///
    /// The first fault; [`LedgerFault::NotThrough`] if it is sound and another, or shorter.
    pub fn verify_through(stream: &Stream, bytes: &[u8], anchor: Mark) -> Result<Mark, LedgerFault> {
        let mut passed = anchor == Mark::START;
        let mut at = Mark::START;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            at = step(stream, at, line, &mut |_: IgnoredAny| {})?;
            passed |= at == anchor;
        }
        if passed { Ok(at) } else { Err(LedgerFault::NotThrough { record: anchor.records }) }
    }

    /// The records, if every bit of the ledger is what was written.
    ///
    /// # Errors
    ///
    /// The first fault; a record that is not of this kind is [`LedgerFault::Unreadable`].
    pub fn read<Record: DeserializeOwned>(stream: &Stream, bytes: &[u8]) -> Result<Vec<Record>, LedgerFault> {
        let mut records = Vec::new();
        walk(stream, bytes, |record| records.push(record))?;
        Ok(records)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<Record> {
    #[serde(rename = "v")]
    _version: u64,
    no: u64,
    prev: Hash,
    record: Record,
    #[serde(rename = "hash")]
    _hash: IgnoredAny,
}

fn walk<Record: DeserializeOwned>(
    stream: &Stream,
    bytes: &[u8],
    mut each: impl FnMut(Record),
) -> Result<Mark, LedgerFault> {
    let mut at = Mark::START;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        at = step(stream, at, line, &mut each)?;
    }
    Ok(at)
}

/// One line further.
fn step<Record: DeserializeOwned>(
    stream: &Stream,
    at: Mark,
    line: &[u8],
    each: &mut impl FnMut(Record),
) -> Result<Mark, LedgerFault> {
    let record = at.records.saturating_add(1);
    if line.last() != Some(&b'\n') {
        return Err(LedgerFault::Torn { record });
    }
    let damaged = LedgerFault::Damaged { record };
    let Some((covered, hash)) = super::lines::unsealed(line, "hash") else { return Err(damaged) };
    if !same(stream.seals.ledger(covered), hash) {
        return Err(damaged);
    }
    let unreadable = |error: serde_json::Error| LedgerFault::Unreadable { record, reason: error.to_string() };
    let said: Line<Record> = serde_json::from_slice(line).map_err(unreadable)?;
    if said.no != record || !same(said.prev, at.hash) {
        return Err(LedgerFault::NotNext { record, found: said.no });
    }
    each(said.record);
    Ok(Mark { records: record, hash })
}

/// What is wrong with a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LedgerFault {
    /// The record was changed, or is sealed with another key or for another stream.
    #[error("record {record} is not what was written, or not by who holds the key")]
    Damaged {
        /// Which.
        record: u64,
    },
    /// The last record was not written to its end. Whoever wrote it did not hear that it was kept.
    #[error("record {record} breaks off")]
    Torn {
        /// Which.
        record: u64,
    },
    /// A sound record stands where another belongs: some were left out, put in or moved.
    #[error("record {found} stands where record {record} belongs, or does not follow the one before")]
    NotNext {
        /// Which belongs there.
        record: u64,
        /// Which stands there.
        found: u64,
    },
    /// The ledger is sound, and does not pass through the end that was kept: it was cut off, or written anew.
    #[error("the ledger does not pass through record {record} as it was")]
    NotThrough {
        /// The record of the end that was kept.
        record: u64,
    },
    /// A sound record is of another kind than was asked for.
    #[error("record {record} cannot be read: {reason}")]
    Unreadable {
        /// Which.
        record: u64,
        /// What stands in the way.
        reason: String,
    },
    /// A record cannot be written.
    #[error("record {record} cannot be written: {reason}")]
    Unwritable {
        /// Which it would have been.
        record: u64,
        /// What stands in the way.
        reason: String,
    },
}
