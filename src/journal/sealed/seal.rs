//! Encoding entries as records.

use super::head::{Encoding, Head};
use super::{Stream, compact, lines};
use crate::base::id::Seq;
use crate::journal::Epoch;
use crate::message::event::Entry;
use thiserror::Error;

/// The reason why entries cannot be sealed. Nothing was written, and the sealer is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The first entry does not follow the last one of the journal.
    #[error("entry {found} does not follow: {expected} is next")]
    NotNext {
        /// The number of the next entry.
        expected: Seq,
        /// The number of the given entry.
        found: Seq,
    },
    /// The epoch is older than that of the journal.
    #[error("the journal is in {now}, {brought} is stale")]
    Stale {
        /// The epoch of the journal.
        now: Epoch,
        /// The given epoch.
        brought: Epoch,
    },
    /// An entry alone exceeds the limit on the size of a record.
    #[error("entry {seq} has {bytes} bytes, which exceeds the limit of {limit}")]
    TooLarge {
        /// The entry.
        seq: Seq,
        /// The size of its record.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// An entry cannot be encoded.
    #[error("entry {seq} cannot be written: {reason}")]
    Unwritable {
        /// The entry.
        seq: Seq,
        /// The reason.
        reason: String,
    },
}

/// Encodes entries as records, each chained to the one before.
#[derive(Debug, Clone)]
pub struct Sealer {
    stream: Stream,
    head: Head,
    context: compact::Context,
}

impl Sealer {
    pub(super) fn new(stream: Stream, head: Head) -> Self {
        Self { stream, head, context: compact::Context::default() }
    }

    /// The head of the journal after all sealed records.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Appends the entries to `out`, as one record, or as several if one would exceed the size limit. Without entries it writes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`SealError`] if the entries do not follow the last one, the epoch is stale, or an entry is too large or cannot be encoded.
    /// `out` is unchanged then.
    pub fn seal(&mut self, epoch: Epoch, entries: &[Entry], out: &mut Vec<u8>) -> Result<Head, SealError> {
        let (before, length) = (self.head, out.len());
        let sealed = self.seal_all(epoch, entries, out);
        if sealed.is_err() {
            self.head = before;
            self.context.clear();
            out.truncate(length);
        }
        sealed.map(|()| self.head)
    }

    /// The same as [`seal`](Self::seal) for as many of the entries as fit into one record, and at least one. Returns their number.
    ///
    /// A writer that makes each record durable before it writes the next one leaves at most one torn record behind.
    ///
    /// # Errors
    ///
    /// As for [`seal`](Self::seal).
    pub fn seal_record(&mut self, epoch: Epoch, entries: &[Entry], out: &mut Vec<u8>) -> Result<usize, SealError> {
        if epoch < self.head.epoch {
            return Err(SealError::Stale { now: self.head.epoch, brought: epoch });
        }
        let length = out.len();
        let sealed = if entries.is_empty() { Ok(0) } else { self.seal_some(epoch, entries, out) };
        if sealed.is_err() {
            self.context.clear();
            out.truncate(length);
        }
        sealed
    }

    fn seal_all(&mut self, epoch: Epoch, mut entries: &[Entry], out: &mut Vec<u8>) -> Result<(), SealError> {
        while !entries.is_empty() {
            let taken = self.seal_record(epoch, entries, out)?;
            entries = entries.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// Seals as many entries as fit into one record, and at least one.
    fn seal_some(&mut self, epoch: Epoch, entries: &[Entry], out: &mut Vec<u8>) -> Result<usize, SealError> {
        let limit = usize::try_from(self.stream.record_bytes).unwrap_or(usize::MAX);
        let mut record = Record::open(&self.stream, &self.head, epoch, &mut self.context, out);
        let mut expected = self.head.seq;
        let mut taken = 0_usize;
        for entry in entries {
            expected = expected.next();
            if entry.seq != expected {
                return Err(SealError::NotNext { expected, found: entry.seq });
            }
            let put = record.put(entry, limit, &mut self.context, out);
            if let Some(bytes) = put.map_err(|reason| SealError::Unwritable { seq: entry.seq, reason })? {
                if taken == 0 {
                    let (bytes, limit) = (bytes as u64, limit as u64);
                    return Err(SealError::TooLarge { seq: entry.seq, bytes, limit });
                }
                break;
            }
            taken = taken.saturating_add(1);
        }
        let (seq, hash) = record.close(&self.stream, &mut self.context, out);
        self.head = Head::new(seq, epoch, hash);
        Ok(taken)
    }
}

/// A record being written, in either encoding.
enum Record {
    Compact(compact::Record),
    Lines(lines::Record),
}

impl Record {
    fn open(stream: &Stream, head: &Head, epoch: Epoch, context: &mut compact::Context, out: &mut Vec<u8>) -> Self {
        match stream.encoding {
            Encoding::Compact => Self::Compact(compact::open_record(head, epoch, context, out)),
            Encoding::Lines => Self::Lines(lines::open_record(head, epoch, out)),
        }
    }

    /// Writes an entry, unless the record would exceed `limit` bytes; then returns the size that it would have.
    fn put(
        &mut self,
        entry: &Entry,
        limit: usize,
        context: &mut compact::Context,
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, String> {
        match self {
            Self::Compact(record) => record.put(entry, limit, context, out),
            Self::Lines(record) => record.put(entry, limit, out),
        }
    }

    fn close(self, stream: &Stream, context: &mut compact::Context, out: &mut Vec<u8>) -> (Seq, super::Hash) {
        match self {
            Self::Compact(record) => record.close(stream, context, out),
            Self::Lines(record) => record.close(stream, out),
        }
    }
}
