//! Tamper-evident encoding of entries and snapshots: every changed bit is detected.
//!
//! Pure functions between entries and bytes; the host stores the bytes. A [`Stream`] is the name of the journal, its encoding and
//! its key. A [`Sealer`] writes records, each with the entries of one append; an [`Unsealer`] reads them and reports the first
//! fault and the end of the valid part.
//!
//! ```
//! use counterpoint::journal::Epoch;
//! use counterpoint::journal::sealed::{Head, Key, Stream};
//! use counterpoint::{AgentId, Entry, Incarnation, RestoreError, Seq, Time};
//! use counterpoint::message::AgentEvent;
//!
//! let lost = |seq| {
//!     let event = AgentEvent::Lost.of(Incarnation::new(AgentId::new(seq), 1));
//!     Entry { seq: Seq::new(seq), at: Time::from_secs(seq), event }
//! };
//! let stream = Stream::new("orders").with_key(Key::new([7; 32]));
//! let (mut sealer, mut bytes) = stream.begin(Head::START);
//! sealer.seal(Epoch::new(1), &[lost(1), lost(2)], &mut bytes)?;
//! sealer.seal(Epoch::new(1), &[lost(3)], &mut bytes)?;
//!
//! let read = stream.read(&bytes, None);
//! assert_eq!((read.entries.len(), read.head, read.fault), (3, Some(sealer.head()), None));
//!
//! bytes[150] ^= 1; // tampering
//! let read = stream.read(&bytes, None);
//! assert_eq!(read.fault, Some(RestoreError::Damaged { seq: Seq::new(1) }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Format
//!
//! A stream of bytes (a file, a segment of a journal) begins with a header: version, name of the stream, and the [`Head`] that it
//! continues from. Records follow: version, number of the first entry, epoch, hash of the previous record, entries, hash. Each
//! hash covers all of its record before it, so records form a chain: a change, an omission, an insertion or a reordering is
//! detected. The name of the stream is part of each hash, so records of another stream are rejected. A truncation at the end is
//! detected only with a head that is stored elsewhere ([`Unsealer::anchored`]).
//!
//! Hashes are BLAKE3. Without a key they detect accidents; with one ([`Stream::with_key`]) valid records can only be written with
//! that key. There are two encodings: [`Encoding::Lines`], JSON for people and other tools, and [`Encoding::Compact`], binary
//! frames. Both contain field names, so fields can be added to events without affecting old journals: lines in each entry, frames
//! once, in the record that first uses them. So a segment is readable on its own, but a frame only after the frames before it.
//! The example `read_journal` prints either as JSON.
//!
//! Records other than events, such as access decisions, are sealed in the same way in a [`Ledger`].
//!
//! # After a crash
//!
//! A record that was not written completely, with no valid record after it, is [torn](RestoreError::Torn): its append was never
//! confirmed, so a writer can discard it ([`Unsealer::sound`]). Anything else is [damage](RestoreError::Damaged), which is never
//! discarded silently. Bytes are written in one of two ways:
//!
//! - **Appended**: the bytes grow with each record. A record is torn if the bytes end within it. A cut by someone else looks the
//!   same, so it is detected only with a head that is stored elsewhere.
//! - **Reserved** ([`Unsealer::reserved`]): the writer fills space with [`BLANK`], makes it durable, and then writes records into
//!   it, so that blank space always follows the last record. A record is torn if its end, or a sector of 512 bytes within it, is
//!   still blank. Bytes that end within a record or with it were cut, zeros were not left by the writer, and a record that is
//!   blank neither at its end nor in a sector was written completely: all of these are damage.

mod compact;
mod head;
mod ledger;
mod lines;
mod seal;
mod snapshot;
mod unseal;

pub use head::{Encoding, Hash, Head, Key};
pub use ledger::{Ledger, LedgerFault, Mark};
pub use seal::{SealError, Sealer};
pub use unseal::{Sound, Unsealer};

use crate::base::error::RestoreError;
use crate::base::limits::Limits;
use crate::base::name::Name;
use head::{Seals, same};

/// The version of headers and records in lines, and of snapshots. Frames have their own.
const VERSION: u8 = 1;
/// The number of bytes of a hash.
const HASH: usize = 32;
/// Each header and each record has a multiple of this number of bytes.
const ALIGN: usize = 8;

/// The byte that fills space which is reserved for records.
///
/// A sector of a record that was never written is distinguished from every sector that was written, and from one that was
/// overwritten with zeros: the byte occurs in neither UTF-8 nor JSON, and in frames only within a number or a hash. The first eight
/// bytes of a record are never all blank, and its last byte is a line feed.
pub const BLANK: u8 = 0xc1;

/// The zeros that complete this number of bytes to a multiple of [`ALIGN`].
fn padding(bytes: usize) -> &'static [u8] {
    const ZEROS: &[u8] = &[0; ALIGN];
    ZEROS.get(..bytes.wrapping_neg() % ALIGN).unwrap_or_default()
}

/// The name, the encoding and the key of a journal.
#[derive(Debug, Clone)]
pub struct Stream {
    name: Name,
    encoding: Encoding,
    keyed: bool,
    seals: Seals,
    record_bytes: u32,
}

impl Stream {
    /// A stream of this name, in the compact encoding and without a key. Bytes of a stream with another name are rejected.
    #[must_use]
    pub fn new(name: impl Into<Name>) -> Self {
        let name = name.into();
        Self {
            seals: Seals::new(&name, None),
            name,
            encoding: Encoding::Compact,
            keyed: false,
            record_bytes: Limits::default().sizes.record_bytes,
        }
    }

    /// Sets the key. Records that were not written with it are rejected.
    #[must_use]
    pub fn with_key(mut self, key: Key) -> Self {
        self.seals = Seals::new(&self.name, Some(&key));
        self.keyed = true;
        self
    }

    /// Sets the encoding for writing. Both are read.
    #[must_use]
    pub const fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Limits the size of records by [`SizeLimits::record_bytes`](crate::scheduler::SizeLimits::record_bytes).
    #[must_use]
    pub const fn with_limits(mut self, limits: &Limits) -> Self {
        self.record_bytes = limits.sizes.record_bytes;
        self
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Makes a header for bytes that continue from this head, and the sealer for what follows.
    #[must_use]
    pub fn begin(&self, after: Head) -> (Sealer, Vec<u8>) {
        let mut bytes = Vec::new();
        match self.encoding {
            Encoding::Compact => compact::write_header(self, after, &mut bytes),
            Encoding::Lines => lines::write_header(self, after, &mut bytes),
        }
        (Sealer::new(self.clone(), after), bytes)
    }

    /// The sealer for bytes that end, without a fault, with this head. They must be in this stream's encoding.
    #[must_use]
    pub fn continuing(&self, head: Head) -> Sealer {
        Sealer::new(self.clone(), head)
    }

    /// Reads a header. With `after` it must continue from there, as the segments of one journal do.
    ///
    /// # Errors
    ///
    /// [`RestoreError::NoJournal`] and similar errors if the bytes are no journal, or of another stream, key or version;
    /// [`RestoreError::Gap`] or [`RestoreError::Fork`] if they continue from another head.
    pub fn open<'a>(&'a self, bytes: &'a [u8], after: Option<Head>) -> Result<Unsealer<'a>, RestoreError> {
        Unsealer::open(self, bytes, after)
    }

    /// Reads all records up to the first fault.
    #[must_use]
    pub fn read(&self, bytes: &[u8], after: Option<Head>) -> Sound {
        match self.open(bytes, after) {
            Err(fault) => Sound { entries: Vec::new(), head: None, bytes: 0, fault: Some(fault) },
            Ok(unsealer) => unsealer.read(),
        }
    }

    /// Checks the seal of a header; `None` if it has none.
    fn check_seal(&self, sealed: &[u8], seal: Option<Hash>) -> Result<(), RestoreError> {
        match seal {
            None if self.keyed => Err(RestoreError::NotKeyed),
            None => Ok(()),
            Some(_) if !self.keyed => Err(RestoreError::KeyNeeded),
            Some(seal) if same(self.seals.header(sealed), seal) => Ok(()),
            Some(_) => Err(RestoreError::WrongKey),
        }
    }
}
