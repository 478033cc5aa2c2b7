//! A sealed log of records of any kind: a tamper-evident audit trail.

use super::Stream;
use super::head::{Hash, same};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use thiserror::Error;

/// A position in a ledger: the number of records, and the hash of the last, which covers all before it. Stored elsewhere it is an
/// anchor: a ledger that does not contain it is not the one that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mark {
    /// The number of records.
    pub records: u64,
    /// The hash of the last record.
    pub hash: Hash,
}

impl Mark {
    /// The position before the first record.
    pub const START: Self = Self { records: 0, hash: Hash::new([0; super::HASH]) };
}

/// A tamper-evident log for evidence: decisions of [`access`](crate::access), lines of the [audit](crate::observe::AuditLine), any
/// serializable record.
///
/// A record is one line of JSON, chained to the one before by a hash under the stream's key, so the log can be exported as it is.
/// A change, an omission, an insertion, a reordering or a record of another stream is detected. A truncation at the end is detected
/// only with a [`Mark`] that is stored elsewhere.
///
/// The core does not use ledgers. A host appends the record of a command after the command's events, which
/// [`Decision::events`](crate::access::Decision::events) names. A denied command has no events, so its record is the only trace.
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
    /// An empty ledger. The stream's name and key are part of each hash; the encoding is always lines.
    #[must_use]
    pub fn new(stream: &Stream) -> Self {
        Self::continuing(stream, Mark::START)
    }

    /// Continues at the position that [`verify`](Self::verify) returned.
    #[must_use]
    pub fn continuing(stream: &Stream, mark: Mark) -> Self {
        Self { stream: stream.clone(), mark }
    }

    /// The current position.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        self.mark
    }

    /// Appends a record as one line. Writes nothing on an error.
    ///
    /// # Errors
    ///
    /// [`LedgerFault::Unwritable`] if the record cannot be encoded as JSON or exceeds the limit on its size
    /// ([`SizeLimits::record_bytes`](crate::scheduler::SizeLimits::record_bytes)).
    pub fn write(&mut self, record: &impl Serialize, out: &mut Vec<u8>) -> Result<(), LedgerFault> {
        let number = self.mark.records.saturating_add(1);
        let unwritable = |reason: String| LedgerFault::Unwritable { record: number, reason };
        let body = serde_json::to_string(record).map_err(|error| unwritable(error.to_string()))?;
        if body.len() > self.stream.record_bytes as usize {
            return Err(unwritable(format!("{} bytes exceed the limit of {}", body.len(), self.stream.record_bytes)));
        }
        let begin = out.len();
        // Writing to memory does not fail.
        let _ = write!(out, r#"{{"v":1,"no":{number},"prev":"{}","record":{body}"#, self.mark.hash);
        let hash = self.stream.seals.ledger(out.get(begin..).unwrap_or_default());
        let _ = writeln!(out, r#","hash":"{hash}"}}"#);
        self.mark = Mark { records: number, hash };
        Ok(())
    }

    /// Checks a whole ledger and returns its end.
    ///
    /// # Errors
    ///
    /// The first fault.
    pub fn verify(stream: &Stream, bytes: &[u8]) -> Result<Mark, LedgerFault> {
        walk(stream, bytes, |_: IgnoredAny| {})
    }

    /// The same as [`verify`](Self::verify), for a ledger that must contain an earlier position.
    ///
    /// # Errors
    ///
    /// The first fault; [`LedgerFault::NotThrough`] if the ledger is valid but does not contain the position.
    pub fn verify_through(stream: &Stream, bytes: &[u8], anchor: Mark) -> Result<Mark, LedgerFault> {
        let mut passed = anchor == Mark::START;
        let mut at = Mark::START;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            at = step(stream, at, line, &mut |_: IgnoredAny| {})?;
            passed |= at == anchor;
        }
        if passed { Ok(at) } else { Err(LedgerFault::NotThrough { record: anchor.records }) }
    }

    /// Checks a whole ledger and returns its records.
    ///
    /// # Errors
    ///
    /// The first fault; [`LedgerFault::Unreadable`] if a record is not of this type.
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

/// Checks one line and advances the position.
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
    let parsed: Line<Record> = serde_json::from_slice(line).map_err(unreadable)?;
    if parsed.no != record || !same(parsed.prev, at.hash) {
        return Err(LedgerFault::NotNext { record, found: parsed.no });
    }
    each(parsed.record);
    Ok(Mark { records: record, hash })
}

/// The faults of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LedgerFault {
    /// The record was changed, or is sealed with another key or for another stream.
    #[error("record {record} was changed, or is of another key or stream")]
    Damaged {
        /// The number of the record.
        record: u64,
    },
    /// The last record is incomplete, so its writer never confirmed it.
    #[error("record {record} is incomplete")]
    Torn {
        /// The number of the record.
        record: u64,
    },
    /// A valid record is in the wrong place: records were left out, inserted or moved.
    #[error("record {found} is in the place of record {record}, or does not follow the one before")]
    NotNext {
        /// The number of the expected record.
        record: u64,
        /// The number of the record found.
        found: u64,
    },
    /// The ledger is valid, but does not contain the given position: it was truncated or rewritten.
    #[error("the ledger does not contain the given record {record}")]
    NotThrough {
        /// The number of the record at the position.
        record: u64,
    },
    /// A valid record is of another type than requested.
    #[error("record {record} cannot be read: {reason}")]
    Unreadable {
        /// The number of the record.
        record: u64,
        /// The reason.
        reason: String,
    },
    /// A record cannot be written.
    #[error("record {record} cannot be written: {reason}")]
    Unwritable {
        /// The number that the record would have.
        record: u64,
        /// The reason.
        reason: String,
    },
}
