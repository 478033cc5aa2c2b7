//! Decoding records and classifying faults.

use super::head::{Encoding, Hash, Head, same};
use super::{Stream, VERSION, compact, lines};
use crate::base::error::RestoreError;
use crate::base::id::Seq;
use crate::message::event::Entry;

/// The unit that a disk writes atomically.
const SECTOR: usize = 512;
/// This many zero bytes at the end of a record are not a hash.
const BLANK: usize = 16;

/// The result of reading a stream.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sound {
    /// The entries of all records before the first fault.
    pub entries: Vec<Entry>,
    /// The head after these entries; `None` if the header is invalid.
    pub head: Option<Head>,
    /// The number of valid bytes. A writer can cut off a torn record after them.
    pub bytes: usize,
    /// The first fault, if there is one.
    pub fault: Option<RestoreError>,
}

/// An iterator over the records of a stream, each as the entries of one append. Ends after the first fault. Each record is checked
/// against all records before it.
#[derive(Debug, Clone)]
pub struct Unsealer<'a> {
    stream: &'a Stream,
    bytes: &'a [u8],
    encoding: Encoding,
    at: usize,
    head: Head,
    anchor: Option<Head>,
    ended: bool,
}

impl<'a> Unsealer<'a> {
    pub(super) fn open(stream: &'a Stream, bytes: &'a [u8], after: Option<Head>) -> Result<Self, RestoreError> {
        let (encoding, (head, at)) = if bytes.starts_with(compact::MAGIC) {
            (Encoding::Compact, compact::read_header(stream, bytes)?)
        } else if bytes.first() == Some(&b'{') {
            (Encoding::Lines, lines::read_header(stream, bytes)?)
        } else {
            return Err(RestoreError::NoJournal { reason: "it has no valid header" });
        };
        if let Some(after) = after {
            if head.seq != after.seq {
                return Err(RestoreError::Gap { expected: after.seq.next(), found: head.seq.next() });
            }
            if !same(head.hash, after.hash) || head.epoch != after.epoch {
                return Err(RestoreError::Fork { seq: head.seq.next() });
            }
        }
        Ok(Self { stream, bytes, encoding, at, head, anchor: None, ended: false })
    }

    /// Requires the journal to contain this head, which was stored elsewhere: a journal that ends before it is
    /// [truncated](RestoreError::Truncated), one with another record there is a [fork](RestoreError::Fork). A head before the
    /// first record of these bytes has no effect.
    #[must_use]
    pub const fn anchored(mut self, head: Head) -> Self {
        self.anchor = Some(head);
        self
    }

    /// The encoding of the bytes.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The head after what has been read.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// The number of bytes that have been read without a fault.
    #[must_use]
    pub const fn sound(&self) -> usize {
        self.at
    }

    /// Reads all remaining records.
    #[must_use]
    pub fn read(mut self) -> Sound {
        let mut entries = Vec::new();
        let mut fault = None;
        for record in &mut self {
            match record {
                Ok(mut some) => entries.append(&mut some),
                Err(error) => fault = Some(error),
            }
        }
        Sound { entries, head: Some(self.head), bytes: self.at, fault }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn record(&mut self) -> Result<Vec<Entry>, RestoreError> {
        match self.encoding {
            Encoding::Compact => self.frame(),
            Encoding::Lines => self.line(),
        }
    }

    fn frame(&mut self) -> Result<Vec<Entry>, RestoreError> {
        let seq = self.head.seq.next();
        let frame = match compact::front(self.stream, self.rest()) {
            compact::Front::Sound(frame) => frame,
            compact::Front::Bad(size) => return Err(self.fault(size)),
        };
        self.fits(frame.size)?;
        let fields = frame.fields().ok_or(RestoreError::Damaged { seq })?;
        if fields.version != VERSION {
            return Err(RestoreError::UnknownVersion { seq, version: fields.version.into() });
        }
        self.follows(fields.first, fields.epoch, fields.prev)?;
        let entries = compact::entries(&fields).map_err(|reason| RestoreError::Unreadable { seq, reason })?;
        self.take(entries, Head::new(seq, fields.epoch, frame.hash), frame.size)
    }

    fn line(&mut self) -> Result<Vec<Entry>, RestoreError> {
        let seq = self.head.seq.next();
        let Some(line) = lines::first_line(self.rest()) else { return Err(self.fault(None)) };
        let Some(hash) = lines::sound(self.stream, line) else { return Err(self.fault(Some(line.len()))) };
        self.fits(line.len())?;
        let fields = lines::parse(line).map_err(|version| RestoreError::UnknownVersion { seq, version })?;
        let fields = fields.map_err(|reason| RestoreError::Unreadable { seq, reason })?;
        self.follows(fields.seq, fields.epoch, fields.prev)?;
        self.take(fields.entries, Head::new(seq, fields.epoch, hash), line.len())
    }

    fn fits(&self, size: usize) -> Result<(), RestoreError> {
        let (bytes, limit) = (size as u64, u64::from(self.stream.record_bytes));
        // The writer does not count the eight bytes of a frame's length.
        if bytes > limit.saturating_add(8) {
            return Err(RestoreError::RecordTooLarge { seq: self.head.seq.next(), bytes, limit });
        }
        Ok(())
    }

    /// Checks that a record continues from the one before.
    fn follows(&self, first: Seq, epoch: crate::journal::Epoch, prev: Hash) -> Result<(), RestoreError> {
        let expected = self.head.seq.next();
        if first != expected {
            return Err(RestoreError::Gap { expected, found: first });
        }
        if !same(prev, self.head.hash) || epoch < self.head.epoch {
            return Err(RestoreError::Fork { seq: expected });
        }
        Ok(())
    }

    /// Accepts the entries of a record; `head` has the number of the first one.
    fn take(&mut self, entries: Vec<Entry>, head: Head, size: usize) -> Result<Vec<Entry>, RestoreError> {
        let mut expected = head.seq;
        let mut last = self.head.seq;
        for entry in &entries {
            if entry.seq != expected {
                return Err(RestoreError::Gap { expected, found: entry.seq });
            }
            last = expected;
            expected = expected.next();
        }
        if entries.is_empty() {
            return Err(RestoreError::Unreadable { seq: head.seq, reason: "the record has no entries".to_owned() });
        }
        let head = Head { seq: last, ..head };
        let passes = match self.anchor {
            Some(anchor) if anchor.seq > self.head.seq && anchor.seq <= head.seq => anchor == head,
            Some(_) | None => true,
        };
        if !passes {
            return Err(RestoreError::Fork { seq: self.head.seq.next() });
        }
        self.head = head;
        self.at = self.at.saturating_add(size);
        Ok(entries)
    }

    /// Classifies the fault of an invalid record.
    fn fault(&self, size: Option<usize>) -> RestoreError {
        let rest = self.rest();
        let after = self.head.seq;
        let beyond = rest.get(1..).unwrap_or_default();
        let more = match self.encoding {
            Encoding::Compact => compact::any_sound(self.stream, beyond),
            Encoding::Lines => lines::any_sound(self.stream, beyond),
        };
        let cut = match self.encoding {
            // The length is consistent and reaches beyond the end, or there is not even a length.
            Encoding::Compact => size.map_or(rest.len() < 8, |size| size > rest.len()),
            Encoding::Lines => size.is_none(),
        };
        if !more && (cut || self.is_part_blank(size)) {
            RestoreError::Torn { after }
        } else {
            RestoreError::Damaged { seq: after.next() }
        }
    }

    /// Whether a part of the next record was never written: its end, or a whole sector, is zero, which no valid record contains.
    fn is_part_blank(&self, size: Option<usize>) -> bool {
        let end = size.map_or(self.bytes.len(), |size| self.at.saturating_add(size).min(self.bytes.len()));
        let record = self.bytes.get(self.at..end).unwrap_or_default();
        if record.last_chunk::<BLANK>() == Some(&[0; BLANK]) {
            return true;
        }
        // Sectors are aligned to the beginning of the bytes.
        let whole = record.get((SECTOR - self.at % SECTOR)..).unwrap_or_default();
        whole.as_chunks::<SECTOR>().0.iter().any(|sector| sector.iter().all(|byte| *byte == 0))
    }

    /// Whether nothing more was written: the end of the bytes, or preallocated zeros.
    fn is_end(&self) -> bool {
        self.rest().iter().all(|byte| *byte == 0)
    }

    /// Checks that the journal reaches the anchor.
    fn reached(&self) -> Result<(), RestoreError> {
        match self.anchor {
            Some(anchor) if anchor.seq > self.head.seq => {
                Err(RestoreError::Truncated { ends: self.head.seq, expected: anchor.seq })
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Iterator for Unsealer<'_> {
    type Item = Result<Vec<Entry>, RestoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if self.is_end() {
            self.ended = true;
            return self.reached().err().map(Err);
        }
        let record = self.record();
        self.ended = record.is_err();
        Some(record)
    }
}
