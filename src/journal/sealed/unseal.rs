//! Reading records back, and saying what is wrong.

use super::head::{Encoding, Hash, Head, same};
use super::{Stream, VERSION, compact, lines};
use crate::error::RestoreError;
use crate::event::Entry;
use crate::id::Seq;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;
/// So many zeros at the end of a record are no hash.
const BLANK: usize = 16;

/// What could be read.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sound {
    /// The entries of all records before the first that is not sound.
    pub entries: Vec<Entry>,
    /// Where that leaves the journal; none if not even its header can be read.
    pub head: Option<Head>,
    /// How many bytes that is: a writer may cut what is torn off after them.
    pub bytes: usize,
    /// What is wrong, if something is.
    pub fault: Option<RestoreError>,
}

/// Reads the records of a stream, one after the other, each with the entries of one append. Ends after the first that is not
/// sound, with what is wrong with it. What is read is checked against everything that was read before it.
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

/// Checks the seal of a header or snapshot: `None` is one without.
pub(super) fn check_seal(stream: &Stream, sealed: &[u8], seal: Option<Hash>) -> Result<(), RestoreError> {
    match seal {
        None if stream.keyed => Err(RestoreError::NotKeyed),
        None => Ok(()),
        Some(_) if !stream.keyed => Err(RestoreError::KeyNeeded),
        Some(seal) if same(stream.seals.header(sealed), seal) => Ok(()),
        Some(_) => Err(RestoreError::WrongKey),
    }
}

impl<'a> Unsealer<'a> {
    pub(super) fn open(stream: &'a Stream, bytes: &'a [u8], after: Option<Head>) -> Result<Self, RestoreError> {
        let (encoding, (head, at)) = if bytes.starts_with(compact::MAGIC) {
            (Encoding::Compact, compact::read_header(stream, bytes)?)
        } else if bytes.first() == Some(&b'{') {
            (Encoding::Lines, lines::read_header(stream, bytes)?)
        } else {
            return Err(RestoreError::NoJournal { reason: "it does not begin as one" });
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

    /// Has the journal pass through this head, which was kept elsewhere: one that ends before it is
    /// [truncated](RestoreError::Truncated), one that does not pass through it is a [fork](RestoreError::Fork). A head before
    /// the first record of these bytes says nothing about them.
    #[must_use]
    pub const fn anchored(mut self, head: Head) -> Self {
        self.anchor = Some(head);
        self
    }

    /// The form that it is written in.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Where the journal stands after what has been read.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// How many bytes have been read, all sound.
    #[must_use]
    pub const fn sound(&self) -> usize {
        self.at
    }

    /// Reads the rest.
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
            compact::Front::Bad(said) => return Err(self.fault(said)),
        };
        self.fits(frame.size)?;
        let said = frame.said().ok_or(RestoreError::Damaged { seq })?;
        if said.version != VERSION {
            return Err(RestoreError::UnknownVersion { seq, version: said.version.into() });
        }
        self.follows(said.first, said.epoch, said.prev)?;
        let entries = compact::entries(&said).map_err(|reason| RestoreError::Unreadable { seq, reason })?;
        self.take(entries, Head::new(seq, said.epoch, frame.hash), frame.size)
    }

    fn line(&mut self) -> Result<Vec<Entry>, RestoreError> {
        let seq = self.head.seq.next();
        let Some(line) = lines::first_line(self.rest()) else { return Err(self.fault(None)) };
        let Some(hash) = lines::sound(self.stream, line) else { return Err(self.fault(Some(line.len()))) };
        self.fits(line.len())?;
        let said = lines::said(line).map_err(|version| RestoreError::UnknownVersion { seq, version })?;
        let said = said.map_err(|reason| RestoreError::Unreadable { seq, reason })?;
        self.follows(said.seq, said.epoch, said.prev)?;
        self.take(said.entries, Head::new(seq, said.epoch, hash), line.len())
    }

    fn fits(&self, size: usize) -> Result<(), RestoreError> {
        let (bytes, limit) = (size as u64, u64::from(self.stream.record_bytes));
        // The eight bytes of a frame's length are not counted when it is written.
        if bytes > limit.saturating_add(8) {
            return Err(RestoreError::RecordTooLarge { seq: self.head.seq.next(), bytes, limit });
        }
        Ok(())
    }

    /// A record must go on from the one before.
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

    /// Takes the entries of a record whose first one has the number of `head`.
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
            return Err(RestoreError::Unreadable { seq: head.seq, reason: "it has no entries".to_owned() });
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

    /// What is wrong when the next record is not sound.
    fn fault(&self, said: Option<usize>) -> RestoreError {
        let rest = self.rest();
        let after = self.head.seq;
        let beyond = rest.get(1..).unwrap_or_default();
        let more = match self.encoding {
            Encoding::Compact => compact::any_sound(self.stream, beyond),
            Encoding::Lines => lines::any_sound(self.stream, beyond),
        };
        let cut = match self.encoding {
            // A length is there to be believed, and reaches beyond the end; or not even a length is there.
            Encoding::Compact => said.map_or(rest.len() < 8, |size| size > rest.len()),
            Encoding::Lines => said.is_none(),
        };
        if !more && (cut || self.is_part_blank(said)) {
            RestoreError::Torn { after }
        } else {
            RestoreError::Damaged { seq: after.next() }
        }
    }

    /// Whether some of the next record was never written: its end, or a sector, is all zeros, which no record has.
    fn is_part_blank(&self, said: Option<usize>) -> bool {
        let end = said.map_or(self.bytes.len(), |size| self.at.saturating_add(size).min(self.bytes.len()));
        let record = self.bytes.get(self.at..end).unwrap_or_default();
        if record.last_chunk::<BLANK>() == Some(&[0; BLANK]) {
            return true;
        }
        // Sectors are counted from the beginning of the bytes.
        let whole = record.get((SECTOR - self.at % SECTOR)..).unwrap_or_default();
        whole.as_chunks::<SECTOR>().0.iter().any(|sector| sector.iter().all(|byte| *byte == 0))
    }

    /// Whether nothing more was written: the end, or room that was set aside.
    fn is_end(&self) -> bool {
        self.rest().iter().all(|byte| *byte == 0)
    }

    /// Whether all that the anchor promises has come.
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
