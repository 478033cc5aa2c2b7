//! Facts and snapshots at rest, sealed: bytes in which every bit is accounted for.
//!
//! Pure functions between entries and bytes; where the bytes lie is the host's affair. A [`Stream`] says whose journal it is,
//! in which form it is written, and with which key it is sealed. A [`Sealer`] writes records, each with the entries of one
//! append; an [`Unsealer`] reads them back and says exactly what is wrong, and up to where all is sound.
//!
//! ```
//! use counterpoint::journal::Epoch;
//! use counterpoint::journal::sealed::{Head, Key, Stream};
//! use counterpoint::{AgentEvent, AgentId, Entry, Incarnation, RestoreError, Seq, Time};
//!
//! let lost = |seq| {
//!     let event = AgentEvent::Lost { by: Incarnation::new(AgentId::new(seq), 1) };
//!     Entry { seq: Seq::new(seq), at: Time::from_secs(seq), event: event.into() }
//! };
//! let stream = Stream::new("orders").with_key(Key::new([7; 32]));
//! let (mut sealer, mut bytes) = stream.begin(Head::START);
//! sealer.seal(Epoch::new(1), &[lost(1), lost(2)], &mut bytes)?;
//! sealer.seal(Epoch::new(1), &[lost(3)], &mut bytes)?;
//!
//! let read = stream.read(&bytes, None);
//! assert_eq!((read.entries.len(), read.head, read.fault), (3, Some(sealer.head()), None));
//!
//! bytes[150] ^= 1; // somebody was here
//! let read = stream.read(&bytes, None);
//! assert_eq!(read.fault, Some(RestoreError::Damaged { seq: Seq::new(1) }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Form
//!
//! A stream of bytes (a file, a segment of many) begins with a header: version, name of the stream, and the [`Head`] that it
//! goes on from. Then records: version, number of the first entry, epoch, hash of the record before, entries, hash. Each hash
//! covers everything before it in its record, so records form a chain: nothing can be changed, left out, put in or put
//! elsewhere without showing. The name of the stream is part of each, so no record passes in another stream. The end alone can be cut off unseen; who must notice that keeps the last head elsewhere and
//! asks for it ([`Unsealer::anchored`]).
//!
//! Hashes are BLAKE3. Without a key they find accidents; with one ([`Stream::with_key`]) nobody who lacks it can write a
//! record that passes. Two forms of the same: [`Encoding::Lines`], JSON for eyes and other tools, and
//! [`Encoding::Compact`], frames of MessagePack. Both name the fields of facts, so what is added to facts later does not
//! touch old journals.
//!
//! What is no fact and must be proved later, as who asked for what, goes into a [`Ledger`], which is sealed in the same way.
//!
//! # What a crash leaves
//!
//! A record that was not written to its end, with nothing sound after it, is [torn](RestoreError::Torn): its append was never
//! confirmed, and a writer may cut it off ([`Unsealer::sound`]). Torn means: cut short, or with a sector that was never
//! written. Anything else is [damage](RestoreError::Damaged), and nothing cuts that off in silence.

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

use crate::error::RestoreError;
use crate::limits::Limits;
use crate::name::Name;
use head::Seals;

/// The version of the form that this crate writes.
const VERSION: u8 = 1;
/// Bytes of a hash.
const HASH: usize = 32;

/// Whose journal it is, how it is written, and with which key it is sealed.
#[derive(Debug, Clone)]
pub struct Stream {
    name: Name,
    encoding: Encoding,
    keyed: bool,
    seals: Seals,
    record_bytes: u32,
}

impl Stream {
    /// The stream of this name, in compact form, without a key. Journals of other names are refused.
    #[must_use]
    pub fn new(name: impl Into<Name>) -> Self {
        let name = name.into();
        Self {
            seals: Seals::new(&name, None),
            name,
            encoding: Encoding::Compact,
            keyed: false,
            record_bytes: Limits::default().record_bytes,
        }
    }

    /// Seals with this key: what somebody without it has changed or written is refused.
    #[must_use]
    pub fn with_key(mut self, key: Key) -> Self {
        self.seals = Seals::new(&self.name, Some(&key));
        self.keyed = true;
        self
    }

    /// Writes in this form. Both are read, whatever is set here.
    #[must_use]
    pub const fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Bounds records by [`Limits::record_bytes`].
    #[must_use]
    pub const fn with_limits(mut self, limits: &Limits) -> Self {
        self.record_bytes = limits.record_bytes;
        self
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// The header of bytes that go on from this head, and the sealer of what follows in them.
    #[must_use]
    pub fn begin(&self, after: Head) -> (Sealer, Vec<u8>) {
        let mut bytes = Vec::new();
        match self.encoding {
            Encoding::Compact => compact::write_header(self, after, &mut bytes),
            Encoding::Lines => lines::write_header(self, after, &mut bytes),
        }
        (Sealer::new(self.clone(), after), bytes)
    }

    /// The sealer of what follows in bytes that end, sound, with this head: they must be in this stream's form.
    #[must_use]
    pub fn continuing(&self, head: Head) -> Sealer {
        Sealer::new(self.clone(), head)
    }

    /// Reads a header. With `after` it must go on from there, as the segments of one journal do.
    ///
    /// # Errors
    ///
    /// When the bytes do not begin as a journal, are of another stream, key or version, or go on from elsewhere:
    /// [`RestoreError::Gap`] and [`RestoreError::Fork`].
    pub fn open<'a>(&'a self, bytes: &'a [u8], after: Option<Head>) -> Result<Unsealer<'a>, RestoreError> {
        Unsealer::open(self, bytes, after)
    }

    /// Reads all that is sound, and tells what is wrong with the rest.
    #[must_use]
    pub fn read(&self, bytes: &[u8], after: Option<Head>) -> Sound {
        match self.open(bytes, after) {
            Err(fault) => Sound { entries: Vec::new(), head: None, bytes: 0, fault: Some(fault) },
            Ok(unsealer) => unsealer.read(),
        }
    }
}
