//! The segment for appends.

use super::disk::{self, Disk, DiskFile, Guard, NotCreated, Open};
use super::folder::{self, Last};
use counterpoint::journal::Epoch;
use counterpoint::journal::sealed::{BLANK, Head, SealError, Sealer, Stream};
use counterpoint::{Entry, Seq};
use std::io;
use std::path::{Path, PathBuf};

/// The most space that is reserved at a time.
const ROOM: u64 = 1 << 20;
/// The least, and the unit of it.
const PAGE: u64 = 4096;
/// Where a lock excludes readers, too, a segment has none.
const LOCKS: Guard = if cfg!(windows) { Guard::Free } else { Guard::Locked };
/// Blank bytes that follow the last record: without them it was cut off.
const GAP: u64 = 8;

#[derive(Debug)]
pub(crate) struct Segment {
    /// Locked, so that no other writer appends to it, whatever happens to the lock file.
    file: Box<dyn DiskFile>,
    /// The number of its first entry.
    first: Seq,
    /// The stream, in the encoding of the segment.
    stream: Stream,
    /// The head after the records that were written.
    head: Head,
    sealer: Sealer,
    /// The number of bytes with records.
    written: u64,
    /// The number of bytes that are reserved: blank bytes follow the records, durably.
    room: u64,
    /// The number of bytes that are reserved at a time.
    step: u64,
}

/// A write that failed.
#[derive(Debug)]
pub(crate) enum NotWritten {
    /// Nothing was stored, and the next write can succeed.
    Refused(io::Error),
    /// Nothing was stored, and the file is not to be used any more.
    Broken(io::Error),
    /// It is unknown whether something was stored.
    Unknown,
}

/// A segment that this writer has locked, before it was read.
pub(crate) type Claimed = (PathBuf, Box<dyn DiskFile>);

/// Locks the last segment, if there is one. Its writer, if one is alive, holds it even if the lock file was deleted.
pub(crate) fn claim(disk: &dyn Disk, folder: &Path) -> io::Result<Option<Claimed>> {
    let last = || Ok::<_, io::Error>(folder::files(disk, folder, "journal")?.pop());
    let Some((_, path)) = last()? else { return Ok(None) };
    let file = disk.open(&path, Open::Existing)?;
    if LOCKS == Guard::Locked {
        file.try_lock()?;
    }
    if last()?.is_none_or(|(_, now)| now != path) {
        return Err(io::Error::new(io::ErrorKind::WouldBlock, "another writer has begun a segment"));
    }
    Ok(Some((path, file)))
}

impl Segment {
    /// A new segment that continues from this head.
    pub(crate) fn begin(
        disk: &dyn Disk,
        folder: &Path,
        stream: &Stream,
        after: Head,
        size: u64,
    ) -> Result<Self, NotCreated> {
        let stream = stream.clone();
        let (sealer, mut bytes) = stream.begin(after);
        let (first, step) = (after.seq.next(), step(size));
        let written = bytes.len() as u64;
        let room = (written + GAP).next_multiple_of(step);
        bytes.resize(usize::try_from(room).unwrap_or(usize::MAX), BLANK);
        let path = folder.join(folder::segment_name(first));
        let file = disk::write_whole(disk, &path, &bytes, LOCKS)?;
        Ok(Self { file, first, stream, head: after, sealer, written, room, step })
    }

    /// Continues an existing segment after its valid part.
    ///
    /// The last record may be one that its writer could not make durable, and a torn one may follow it. Both are written
    /// again, as they were read and as blank space, and made durable before anything depends on them.
    pub(crate) fn go_on(stream: &Stream, file: Box<dyn DiskFile>, last: Last, size: u64) -> io::Result<Self> {
        let stream = stream.clone().with_encoding(last.encoding);
        let sealer = stream.continuing(last.head);
        let written = last.last_record + last.record.len() as u64;
        let mut again = last.record;
        let behind = last.len.saturating_sub(written).max(GAP);
        again.resize(again.len() + usize::try_from(behind).unwrap_or(usize::MAX), BLANK);
        disk::write_all_at(&*file, last.last_record, &again)?;
        file.sync()?;
        let (first, room) = (last.first, written + behind);
        Ok(Self { file, first, stream, head: last.head, sealer, written, room, step: step(size) })
    }

    pub(crate) fn head(&self) -> Head {
        self.head
    }

    pub(crate) fn first(&self) -> Seq {
        self.first
    }

    pub(crate) fn len(&self) -> u64 {
        self.written
    }

    /// The records of an append; nothing is written, and the head is unchanged.
    pub(crate) fn seal(&mut self, epoch: Epoch, mut entries: &[Entry]) -> Result<Vec<Vec<u8>>, SealError> {
        if self.sealer.head() != self.head {
            // The last records that were sealed were not written.
            self.sealer = self.stream.continuing(self.head);
        }
        let mut records = Vec::new();
        while !entries.is_empty() {
            let mut record = Vec::new();
            let taken = self.sealer.seal_record(epoch, entries, &mut record)?;
            records.push(record);
            entries = entries.get(taken..).unwrap_or_default();
        }
        Ok(records)
    }

    /// Whether these records need more space than is reserved.
    pub(crate) fn is_full_for(&self, records: &[Vec<u8>]) -> bool {
        self.end_of(records) > self.room
    }

    fn end_of(&self, records: &[Vec<u8>]) -> u64 {
        self.written + records.iter().map(|record| record.len() as u64).sum::<u64>() + GAP
    }

    /// Reserves space for these records, durably.
    pub(crate) fn reserve(&mut self, records: &[Vec<u8>]) -> Result<(), NotWritten> {
        let end = self.end_of(records);
        let (large, small) = (end.next_multiple_of(self.step), end.next_multiple_of(PAGE));
        // On a nearly full disk what is needed may fit where the usual space does not.
        let room = match self.fill_to(large) {
            Ok(()) => large,
            Err(error) if small == large => return Err(NotWritten::Refused(error)),
            Err(_) => self.fill_to(small).map(|()| small).map_err(NotWritten::Refused)?,
        };
        self.file.sync().map_err(NotWritten::Broken)?;
        self.room = room;
        Ok(())
    }

    fn fill_to(&self, room: u64) -> io::Result<()> {
        let blank = vec![BLANK; ROOM as usize];
        let mut at = self.room;
        while at < room {
            let some = blank.get(..(room - at).min(ROOM) as usize).unwrap_or_default();
            disk::write_all_at(&*self.file, at, some)?;
            at += some.len() as u64;
        }
        Ok(())
    }

    /// Writes the records of [`seal`](Self::seal) into reserved space; they are durable on return. Each is durable before
    /// the next one is written, so at most one is torn.
    pub(crate) fn write(&mut self, records: &[Vec<u8>]) -> Result<(), NotWritten> {
        let mut at = self.written;
        for record in records {
            let written = disk::write_all_at(&*self.file, at, record).and_then(|()| self.file.sync());
            written.map_err(|_| NotWritten::Unknown)?;
            at += record.len() as u64;
        }
        self.written = at;
        self.head = self.sealer.head();
        Ok(())
    }
}

/// Small segments reserve less.
fn step(size: u64) -> u64 {
    size.clamp(PAGE, ROOM).next_multiple_of(PAGE)
}
