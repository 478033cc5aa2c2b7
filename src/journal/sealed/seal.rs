//! Writing records.

use super::head::{Encoding, Head};
use super::{Stream, compact, lines};
use crate::event::Entry;
use crate::id::Seq;
use crate::journal::Epoch;
use thiserror::Error;

/// Entries cannot be sealed. Nothing was written, and the sealer stands where it stood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The entries do not go on where the journal ends.
    #[error("entry {found} cannot follow: {expected} comes next")]
    NotNext {
        /// The number that comes next.
        expected: Seq,
        /// The number that was brought.
        found: Seq,
    },
    /// Another writer has taken over.
    #[error("the journal is written in {now}; {brought} is over")]
    Stale {
        /// The latest.
        now: Epoch,
        /// The one that was brought.
        brought: Epoch,
    },
    /// One entry alone is larger than a record may be.
    #[error("entry {seq} has {bytes} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Which.
        seq: Seq,
        /// Its size, as a record.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// An entry has no such form.
    #[error("entry {seq} cannot be written: {reason}")]
    Unwritable {
        /// Which.
        seq: Seq,
        /// What stands in the way.
        reason: String,
    },
}

/// Turns entries into records, each chained to the one before.
#[derive(Debug, Clone)]
pub struct Sealer {
    stream: Stream,
    head: Head,
}

impl Sealer {
    pub(super) const fn new(stream: Stream, head: Head) -> Self {
        Self { stream, head }
    }

    /// Where the journal stands after what has been sealed.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Appends the entries to `out`, as one record, or as several if they are larger than a record may be. No entries are no
    /// record.
    ///
    /// # Errors
    ///
    /// When they do not follow, come from a writer that is not one any more, or one is too large or has no such form. Then
    /// `out` is as it was.
    pub fn seal(&mut self, epoch: Epoch, entries: &[Entry], out: &mut Vec<u8>) -> Result<Head, SealError> {
        let (before, length) = (self.head, out.len());
        let sealed = self.seal_all(epoch, entries, out);
        if sealed.is_err() {
            self.head = before;
            out.truncate(length);
        }
        sealed.map(|()| self.head)
    }

    fn seal_all(&mut self, epoch: Epoch, mut entries: &[Entry], out: &mut Vec<u8>) -> Result<(), SealError> {
        if epoch < self.head.epoch {
            return Err(SealError::Stale { now: self.head.epoch, brought: epoch });
        }
        while !entries.is_empty() {
            let taken = self.seal_some(epoch, entries, out)?;
            entries = entries.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// Seals as many as one record holds; at least one.
    fn seal_some(&mut self, epoch: Epoch, entries: &[Entry], out: &mut Vec<u8>) -> Result<usize, SealError> {
        let limit = usize::try_from(self.stream.record_bytes).unwrap_or(usize::MAX);
        let mut record = Record::open(&self.stream, &self.head, epoch, out);
        let mut expected = self.head.seq;
        let mut taken = 0_usize;
        for entry in entries {
            expected = expected.next();
            if entry.seq != expected {
                return Err(SealError::NotNext { expected, found: entry.seq });
            }
            let before = out.len();
            record.put(entry, out).map_err(|reason| SealError::Unwritable { seq: entry.seq, reason })?;
            let bytes = record.size(out);
            if bytes > limit {
                out.truncate(before);
                if taken == 0 {
                    let (bytes, limit) = (bytes as u64, limit as u64);
                    return Err(SealError::TooLarge { seq: entry.seq, bytes, limit });
                }
                break;
            }
            record.noted();
            taken = taken.saturating_add(1);
        }
        let (seq, hash) = record.close(&self.stream, out);
        self.head = Head::new(seq, epoch, hash);
        Ok(taken)
    }
}

/// A record under way, in either form.
enum Record {
    Compact(compact::Record),
    Lines(lines::Record),
}

impl Record {
    fn open(stream: &Stream, head: &Head, epoch: Epoch, out: &mut Vec<u8>) -> Self {
        match stream.encoding {
            Encoding::Compact => Self::Compact(compact::open_record(head, epoch, out)),
            Encoding::Lines => Self::Lines(lines::open_record(head, epoch, out)),
        }
    }

    fn put(&self, entry: &Entry, out: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Self::Compact(_) => compact::put(entry, out),
            Self::Lines(_) => lines::put(entry, out),
        }
    }

    const fn noted(&mut self) {
        match self {
            Self::Compact(record) => record.noted(),
            Self::Lines(record) => record.noted(),
        }
    }

    const fn size(&self, out: &[u8]) -> usize {
        match self {
            Self::Compact(record) => record.size(out),
            Self::Lines(record) => record.size(out),
        }
    }

    fn close(self, stream: &Stream, out: &mut Vec<u8>) -> (Seq, super::Hash) {
        match self {
            Self::Compact(record) => record.close(stream, out),
            Self::Lines(record) => record.close(stream, out),
        }
    }
}
