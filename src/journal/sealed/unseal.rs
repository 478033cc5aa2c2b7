//! Decoding records and classifying faults.

use super::head::{Encoding, Hash, Head, same};
use super::{ALIGN, BLANK, Stream, compact, lines};
use crate::base::error::RestoreError;
use crate::base::id::Seq;
use crate::message::event::Entry;

/// The unit that a disk writes atomically.
const SECTOR: usize = 512;

/// The result of reading a stream.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sound {
    /// The entries of all records before the first fault.
    pub entries: Vec<Entry>,
    /// The head after these entries; `None` if the header is invalid.
    pub head: Option<Head>,
    /// The number of valid bytes. A writer can discard a torn record after them.
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
    reserved: bool,
    ended: bool,
    known: compact::Known<'a>,
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
        let known = compact::Known::default();
        Ok(Self { stream, bytes, encoding, at, head, anchor: None, reserved: false, ended: false, known })
    }

    /// Requires the journal to contain this head, which was stored elsewhere: a journal that ends before it is
    /// [truncated](RestoreError::Truncated), one with another record there is a [fork](RestoreError::Fork). A head before the
    /// first record of these bytes has no effect.
    #[must_use]
    pub const fn anchored(mut self, head: Head) -> Self {
        self.anchor = Some(head);
        self
    }

    /// Reads bytes of a writer that reserves space: [blank](BLANK) bytes, made durable before a record is written over them, so
    /// that at least eight follow the last record. Bytes that end before are [damaged](RestoreError::Damaged) instead of torn.
    ///
    /// ```
    /// use counterpoint::journal::sealed::{BLANK, Head, Stream};
    /// use counterpoint::{RestoreError, Seq};
    ///
    /// let stream = Stream::new("orders");
    /// let (_, mut bytes) = stream.begin(Head::START);
    /// let fault = |bytes: &[u8]| stream.open(bytes, None).unwrap().reserved().read().fault;
    /// assert_eq!(fault(&bytes), Some(RestoreError::Damaged { seq: Seq::new(1) }));
    /// bytes.resize(bytes.len() + 4096, BLANK);
    /// assert_eq!(fault(&bytes), None);
    /// ```
    #[must_use]
    pub const fn reserved(mut self) -> Self {
        self.reserved = true;
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
        if fields.version != compact::VERSION {
            return Err(RestoreError::UnknownVersion { seq, version: fields.version.into() });
        }
        self.follows(fields.first, fields.epoch, fields.prev)?;
        let entries = self.known.entries(&fields).map_err(|reason| RestoreError::Unreadable { seq, reason })?;
        self.take(entries, Head::new(seq, fields.epoch, frame.hash), frame.size)
    }

    fn line(&mut self) -> Result<Vec<Entry>, RestoreError> {
        let seq = self.head.seq.next();
        let sound = lines::first_line(self.rest()).and_then(|line| Some((line, lines::sound(self.stream, line)?)));
        let Some((line, hash)) = sound else { return Err(self.fault(lines::size(self.rest()))) };
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

    /// Classifies the fault of an invalid record; with its size if that is consistent.
    fn fault(&self, size: Option<usize>) -> RestoreError {
        let after = self.head.seq;
        let beyond = self.rest().get(ALIGN..).unwrap_or_default();
        let (prefix, more) = match self.encoding {
            Encoding::Compact => (compact::PREFIX, compact::any_sound(self.stream, beyond)),
            Encoding::Lines => (lines::PREFIX, lines::any_sound(self.stream, beyond)),
        };
        if !more && self.is_torn(size, prefix) {
            RestoreError::Torn { after }
        } else {
            RestoreError::Damaged { seq: after.next() }
        }
    }

    /// Whether the next record was not written completely: its end was not, or a sector was not.
    fn is_torn(&self, size: Option<usize>, prefix: usize) -> bool {
        let rest = self.rest();
        let (first, others) = rest.split_at(SECTOR.saturating_sub(self.at % SECTOR).min(rest.len()));
        let Some(size) = size else {
            // Not even the size: the bytes end within it, or one of the sectors in which it is was not written.
            let nothing_follows = rest.get(prefix..).is_some_and(is_blank);
            let second = others.get(..SECTOR).filter(|_| first.len() < prefix);
            let cut = !self.reserved && rest.len() < prefix;
            return cut || nothing_follows || is_blank(first) || second.is_some_and(is_blank);
        };
        let Some(record) = rest.get(..size) else { return !self.reserved };
        // Sizes of records are multiples of eight, so no part of a sector is shorter than that.
        let others = record.get(first.len()..).unwrap_or_default();
        record.last() == Some(&BLANK) || is_blank(first) || others.chunks(SECTOR).any(is_blank)
    }

    /// Whether nothing more was written: the end of the bytes, or reserved space.
    fn is_end(&self) -> bool {
        let rest = self.rest();
        rest.iter().all(|byte| *byte == BLANK) && (!self.reserved || is_blank(rest))
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

fn is_blank(bytes: &[u8]) -> bool {
    bytes.len() >= ALIGN && bytes.iter().all(|byte| *byte == BLANK)
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
