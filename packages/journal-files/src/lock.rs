//! The lock of the writer, which ends with its process.

use super::disk::{self, Disk, DiskFile, Identity, Open};
use counterpoint::journal::{AppendError, Epoch};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The right to write. It is released on drop.
#[derive(Debug)]
pub(crate) struct Lock {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// The file is locked while it is open. Checks use this handle: opening the file again could fail for want of
    /// descriptors, which proves nothing about other writers.
    file: Box<dyn DiskFile>,
    identity: Option<Identity>,
    /// The content of the file.
    text: Vec<u8>,
    epoch: Epoch,
}

impl Lock {
    /// Locks the folder. Nothing is written yet.
    pub(crate) fn take(disk: &Arc<dyn Disk>, folder: &Path) -> io::Result<Self> {
        let path = folder.join("lock");
        let file = disk.open(&path, Open::OrCreate)?;
        file.try_lock()?;
        let (identity, text) = (file.identity()?, disk::read_all(&*file)?);
        Ok(Self { disk: Arc::clone(disk), path, file, identity, text, epoch: Epoch::default() })
    }

    /// Whether a writer has completed a take-over of this folder before.
    pub(crate) fn was_used(&self) -> bool {
        !self.text.is_empty()
    }

    /// The epoch of the last writer. The head file has it, too, so a damaged lock is not an error.
    pub(crate) fn last_epoch(&self) -> Epoch {
        let text = core::str::from_utf8(&self.text).unwrap_or_default();
        let number = text.get(..20).and_then(|digits| digits.parse().ok());
        // A number that no counter reaches is damage; the next epoch must be a larger one.
        number.filter(|number| *number < u64::MAX / 2).map_or(Epoch::default(), Epoch::new)
    }

    /// Records the new writer. The random mark distinguishes it from another one of the same epoch.
    pub(crate) fn claim(&mut self, epoch: Epoch) -> io::Result<()> {
        let mark = RandomState::new().hash_one(std::process::id());
        // Of equal length for every writer: a shorter text would leave the end of a longer one behind.
        self.text = format!("{:020} {mark:016x}\n", epoch.get()).into_bytes();
        self.epoch = epoch;
        disk::write_all_at(&*self.file, 0, &self.text)?;
        self.file.sync()
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Checks that no other writer has taken over. A check that fails for another reason proves neither, so the write
    /// is refused and the writer remains the writer.
    pub(crate) fn check(&self) -> Result<(), AppendError> {
        match self.is_replaced() {
            Ok(false) => Ok(()),
            Ok(true) => Err(AppendError::Fenced),
            Err(error) => Err(AppendError::Refused(format!("the lock cannot be checked: {error}").into())),
        }
    }

    /// Whether the file was replaced, or its content was. Opens no file.
    fn is_replaced(&self) -> io::Result<bool> {
        Ok(self.disk.identity(&self.path)? != self.identity || disk::read_all(&*self.file)? != self.text)
    }
}
