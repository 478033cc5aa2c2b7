//! The segment for appends.

use super::disk;
use super::folder::{self, Last};
use counterpoint::Entry;
use counterpoint::journal::Epoch;
use counterpoint::journal::sealed::{Head, SealError, Sealer, Stream};
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// The number of bytes that are filled with zeros at a time.
const ROOM: u64 = 1 << 20;

#[derive(Debug)]
pub(crate) struct Segment {
    file: File,
    sealer: Sealer,
    /// The number of bytes with records.
    written: u64,
    /// The size of the file: zeros follow the records.
    room: u64,
}

impl Segment {
    /// A new segment that continues from this head.
    pub(crate) fn begin(folder: &Path, stream: &Stream, after: Head) -> io::Result<Self> {
        let (sealer, header) = stream.begin(after);
        let path = folder.join(folder::segment_name(after.seq.next()));
        disk::write_whole(&path, &header)?;
        Self::open(&path, sealer, header.len() as u64)
    }

    /// Continues an existing segment after its valid part.
    pub(crate) fn go_on(stream: &Stream, last: &Last) -> io::Result<Self> {
        let sealer = stream.clone().with_encoding(last.encoding).continuing(last.head);
        let mut segment = Self::open(&last.path, sealer, last.sound)?;
        // A torn tail is overwritten with zeros before records are written over it.
        if segment.file.metadata()?.len() > last.sound {
            segment.file.set_len(last.sound)?;
            segment.file.sync_all()?;
        }
        segment.room = last.sound;
        Ok(segment)
    }

    fn open(path: &Path, sealer: Sealer, written: u64) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(path)?;
        Ok(Self { file, sealer, written, room: written })
    }

    pub(crate) fn head(&self) -> Head {
        self.sealer.head()
    }

    pub(crate) fn len(&self) -> u64 {
        self.written
    }

    /// The bytes of an append; nothing is written yet.
    pub(crate) fn seal(&mut self, epoch: Epoch, entries: &[Entry]) -> Result<Vec<u8>, SealError> {
        let mut bytes = Vec::new();
        self.sealer.seal(epoch, entries, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes the bytes; they are durable on return.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.written + bytes.len() as u64;
        if end > self.room {
            self.make_room(end)?;
        }
        self.file.seek(SeekFrom::Start(self.written))?;
        self.file.write_all(bytes)?;
        self.file.sync_data()?;
        self.written = end;
        Ok(())
    }

    fn make_room(&mut self, end: u64) -> io::Result<()> {
        let room = end.div_ceil(ROOM) * ROOM;
        self.file.seek(SeekFrom::Start(self.room))?;
        let zeros = vec![0; ROOM as usize];
        while self.room < room {
            let more = (room - self.room).min(ROOM);
            self.file.write_all(&zeros[..more as usize])?;
            self.room += more;
        }
        self.file.sync_all()
    }
}
