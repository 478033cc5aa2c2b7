//! The lock of the writer, which ends with its process, and a number that distinguishes writers.

use counterpoint::journal::Epoch;
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// The right to write. It is released on drop.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    epoch: Epoch,
    /// A random mark, which detects that the file was deleted and created again.
    mark: u64,
    /// The file is locked while it is open.
    file: File,
}

impl Lock {
    /// Locks the folder and raises the epoch, durably: writers of earlier epochs cannot append from then on.
    pub(crate) fn take(folder: &Path) -> io::Result<Self> {
        let path = folder.join("lock");
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(io::ErrorKind::WouldBlock, "another writer holds the journal"),
            TryLockError::Error(error) => error,
        })?;
        let mut before = String::new();
        file.read_to_string(&mut before)?;
        let epoch = epoch_of(&before)?.next();
        let mut lock = Self { path, epoch, mark: RandomState::new().hash_one(std::process::id()), file };
        lock.write()?;
        super::disk::sync_folder(folder)?;
        Ok(lock)
    }

    /// Raises the epoch above one that was found in the journal, after the lock file was deleted.
    pub(crate) fn rise_above(&mut self, epoch: Epoch) -> io::Result<()> {
        if self.epoch <= epoch {
            self.epoch = epoch.next();
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(self.text().as_bytes())?;
        self.file.sync_all()
    }

    /// Of equal length for every writer: a shorter text would leave the end of a longer one behind.
    fn text(&self) -> String {
        format!("{:020} {:016x}\n", self.epoch.get(), self.mark)
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether no other writer has taken over since.
    pub(crate) fn is_held(&self) -> bool {
        std::fs::read_to_string(&self.path).is_ok_and(|text| text == self.text())
    }
}

/// The epoch of the last writer; epoch 0 if there is none.
fn epoch_of(text: &str) -> io::Result<Epoch> {
    if text.is_empty() {
        return Ok(Epoch::default());
    }
    let number = text.split(' ').next().and_then(|digits| digits.parse().ok());
    number.map(Epoch::new).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the lock file is damaged"))
}
