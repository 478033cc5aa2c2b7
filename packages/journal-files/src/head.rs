//! The head file: where the journal ended when that was last recorded.
//!
//! Two slots are written in turn, so that a crash leaves one of them. Each is a sealed line, in a sector of its own.

use super::disk::{self, Disk, DiskFile, Guard, Open};
use counterpoint::journal::Epoch;
use counterpoint::journal::sealed::{Head, Ledger, Stream};
use counterpoint::{Limits, Seq};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// The distance of the slots: no disk writes more than this as a unit.
const APART: usize = 4096;
/// The size of a slot.
const SLOT: usize = 512;

/// What is known of a journal apart from its segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// The number of this record; the other slot has an earlier one.
    count: u64,
    /// The epoch of the last writer.
    pub(crate) epoch: Epoch,
    /// The first entry of the last segment.
    pub(crate) segment: Seq,
    /// A head that the journal has reached durably.
    pub(crate) head: Head,
}

/// The result of reading a head file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Missing,
    Damaged,
    Sound(Known),
}

/// The head file of a writer.
#[derive(Debug)]
pub(crate) struct HeadFile {
    file: Box<dyn DiskFile>,
    stream: Stream,
    count: u64,
}

fn path(folder: &Path) -> PathBuf {
    folder.join("head")
}

/// Reads the head file, with or without a writer.
pub(crate) fn read(disk: &dyn Disk, folder: &Path, stream: &Stream) -> io::Result<Found> {
    let bytes = match disk.read(&path(folder)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Missing),
        Err(error) => return Err(error),
    };
    let slots = bytes.chunks(APART).filter_map(|slot| {
        let end = slot.iter().position(|byte| *byte == b'\n')?;
        let known: Vec<Known> = Ledger::read(stream, slot.get(..=end)?).ok()?;
        known.first().copied()
    });
    Ok(slots.max_by_key(|known| known.count).map_or(Found::Damaged, Found::Sound))
}

impl HeadFile {
    /// Opens the file, or creates it, and records this.
    pub(crate) fn begin(
        disk: &dyn Disk,
        folder: &Path,
        stream: &Stream,
        before: Option<Known>,
        (epoch, segment, head): (Epoch, Seq, Head),
    ) -> io::Result<Self> {
        let stream = stream.clone();
        let Some(before) = before else {
            let slot = slot(&stream, Known { count: 1, epoch, segment, head })?;
            let mut both = vec![b' '; APART];
            both.splice(..SLOT, slot);
            both.extend_from_within(..);
            let file = disk::write_whole(disk, &path(folder), &both, Guard::Free)?;
            return Ok(Self { file, stream, count: 1 });
        };
        let file = disk.open(&path(folder), Open::Existing)?;
        let mut this = Self { file, stream, count: before.count };
        // Both slots: a damaged one is replaced, and an earlier end is no longer of use.
        this.record(epoch, segment, head)?;
        this.record(epoch, segment, head)?;
        Ok(this)
    }

    /// Records a head that is durable. On an error the slot with the record before is intact.
    pub(crate) fn record(&mut self, epoch: Epoch, segment: Seq, head: Head) -> io::Result<()> {
        let count = self.count + 1;
        let slot = slot(&self.stream, Known { count, epoch, segment, head })?;
        let place = if count.is_multiple_of(2) { 0 } else { APART as u64 };
        disk::write_all_at(&*self.file, place, &slot)?;
        self.file.sync()?;
        self.count = count;
        Ok(())
    }
}

fn slot(stream: &Stream, known: Known) -> io::Result<Vec<u8>> {
    let mut slot = Vec::with_capacity(SLOT);
    // A limit on records for events does not concern it.
    let stream = stream.clone().with_limits(&Limits::default());
    Ledger::new(&stream).write(&known, &mut slot).map_err(io::Error::other)?;
    debug_assert!(slot.len() <= SLOT, "a head of {} bytes", slot.len());
    slot.resize(SLOT, b' ');
    Ok(slot)
}
