//! Snapshots that are stored while another thread appends.

use super::disk::{self, Disk, Guard};
use super::folder::{self, files};
use super::lock::Lock;
use counterpoint::journal::sealed::{Head, Stream};
use counterpoint::journal::{AppendError, Archive, Epoch};
use counterpoint::{RestoreError, Seq};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Stores snapshots in a folder. It shares the lock, so the folder is locked until the last snapshot is written.
#[derive(Debug)]
pub(crate) struct FileArchive {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    stream: Stream,
    lock: Arc<Lock>,
    /// The number of entries before a snapshot that are retained.
    history: u64,
}

impl FileArchive {
    pub(crate) fn new(disk: Arc<dyn Disk>, folder: PathBuf, stream: Stream, lock: Arc<Lock>, history: u64) -> Self {
        Self { disk, folder, stream, lock, history }
    }

    /// The head of the journal after entry `at`, read from its segment, which is durable up to there.
    fn head_at(&self, at: Seq) -> io::Result<Result<Head, RestoreError>> {
        let segments = files(&*self.disk, &self.folder, "journal")?;
        let Some((_, path)) = segments.iter().rev().find(|(first, _)| *first <= at.next()) else {
            return Ok(Err(RestoreError::Gap { expected: at, found: segments.first().map_or(at, |first| first.0) }));
        };
        let bytes = self.disk.read(path)?;
        let mut unsealer = match self.stream.open(&bytes, None) {
            Ok(unsealer) => unsealer,
            Err(fault) => return Ok(Err(fault)),
        };
        while unsealer.head().seq < at {
            match unsealer.next() {
                Some(Ok(_)) => {}
                Some(Err(fault)) => return Ok(Err(fault)),
                None => return Ok(Err(RestoreError::Truncated { ends: unsealer.head().seq, expected: at })),
            }
        }
        let head = unsealer.head();
        Ok(if head.seq == at { Ok(head) } else { Err(RestoreError::Fork { seq: at.next() }) })
    }
}

impl Archive for FileArchive {
    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: Vec<u8>) -> Result<(), AppendError> {
        if epoch != self.lock.epoch() {
            return Err(AppendError::Fenced);
        }
        self.lock.check()?;
        let refused = |why: String| AppendError::Refused(why.into());
        let head = self.head_at(at).map_err(|error| refused(error.to_string()))?;
        let head = head.map_err(|fault| refused(fault.to_string()))?;
        let sealed = self.stream.seal_snapshot(head, &snapshot);
        drop(snapshot);
        let path = self.folder.join(folder::snapshot_name(at));
        let kept = disk::write_whole(&*self.disk, &path, &sealed, Guard::Free).map_err(|fault| fault.error);
        let kept = kept.and_then(|_| folder::drop_before(&*self.disk, &self.folder, at, self.history));
        kept.map_err(|error| refused(error.to_string()))
    }
}
