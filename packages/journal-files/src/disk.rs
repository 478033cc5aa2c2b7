//! The operations on files that a journal uses, so that tests can make them fail.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Distinguishes a file from another one of the same name.
pub(crate) type Identity = (u64, u64);

/// How a file is opened, always for reading and writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    Existing,
    OrCreate,
    /// Created, or emptied.
    Fresh,
}

/// A file system.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// Creates the folder of the journal, if it does not exist, for its owner only.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;
    fn paths(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self) -> io::Result<()>;
    /// The identity of the file of this name, without opening it; `None` where files have none.
    fn identity(&self, path: &Path) -> io::Result<Option<Identity>>;
}

/// An open file.
pub(crate) trait DiskFile: fmt::Debug + Send + Sync {
    /// Writes some of the bytes and returns their number.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<usize>;
    /// Reads some bytes; none at the end of the file.
    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<usize>;
    /// Makes the content durable, with the size of the file.
    fn sync(&self) -> io::Result<()>;
    /// Locks the file until it is closed. The error for a file that is locked already is `WouldBlock`.
    fn try_lock(&self) -> io::Result<()>;
    fn identity(&self) -> io::Result<Option<Identity>>;
}

/// The file system of the operating system.
#[derive(Debug, Default)]
pub(crate) struct SystemDisk {
    /// The folder of the journal, so that its names can be made durable when no descriptor is free.
    folder: Mutex<Option<File>>,
}

impl SystemDisk {
    fn folder(&self) -> MutexGuard<'_, Option<File>> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for SystemDisk {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(folder)?;
        *self.folder() = match File::open(folder) {
            Ok(folder) => Some(folder),
            // Systems on which a folder cannot be opened make its names durable themselves.
            Err(_) if cfg!(windows) => None,
            Err(error) => return Err(error),
        };
        Ok(())
    }

    fn paths(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let (create, truncate) = (how != Open::Existing, how == Open::Fresh);
        let file = OpenOptions::new().read(true).write(true).create(create).truncate(truncate).open(path)?;
        Ok(Box::new(SystemFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.folder().as_ref().map_or(Ok(()), File::sync_all)
    }

    fn identity(&self, path: &Path) -> io::Result<Option<Identity>> {
        fs::metadata(path).map(|data| identity_of(&data))
    }
}

#[derive(Debug)]
struct SystemFile(File);

impl DiskFile for SystemFile {
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_write(&self.0, bytes, at);
        #[cfg(not(windows))]
        std::os::unix::fs::FileExt::write_at(&self.0, bytes, at)
    }

    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<usize> {
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(&self.0, bytes, at);
        #[cfg(not(windows))]
        std::os::unix::fs::FileExt::read_at(&self.0, bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        // Changes of the size are made durable by it, too; only times are not.
        self.0.sync_data()
    }

    fn try_lock(&self) -> io::Result<()> {
        self.0.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(io::ErrorKind::WouldBlock, "another writer holds the journal"),
            TryLockError::Error(error) => error,
        })
    }

    fn identity(&self) -> io::Result<Option<Identity>> {
        self.0.metadata().map(|data| identity_of(&data))
    }
}

#[cfg(unix)]
fn identity_of(data: &fs::Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    Some((data.dev(), data.ino()))
}

#[cfg(not(unix))]
fn identity_of(_: &fs::Metadata) -> Option<Identity> {
    None
}

/// Writes all bytes, in as many parts as the system chooses.
pub(crate) fn write_all_at(file: &dyn DiskFile, mut at: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(at, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                at += count as u64;
                bytes = bytes.get(count..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads a small file through its handle, which needs no other one.
pub(crate) fn read_all(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let (mut all, mut part) = (Vec::new(), [0; 256]);
    loop {
        match file.read_at(all.len() as u64, &mut part) {
            Ok(0) => return Ok(all),
            Ok(count) => all.extend_from_slice(part.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A file that was not created.
#[derive(Debug)]
pub(crate) struct NotCreated {
    pub(crate) error: io::Error,
    /// Whether the file may exist nevertheless, now or after a crash.
    pub(crate) perhaps: bool,
}

impl From<NotCreated> for io::Error {
    fn from(fault: NotCreated) -> Self {
        fault.error
    }
}

/// Whether a new file is locked before it gets its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    Locked,
    Free,
}

/// Writes a file under another name, makes it durable, and then renames it.
pub(crate) fn write_whole(
    disk: &dyn Disk,
    path: &Path,
    bytes: &[u8],
    guard: Guard,
) -> Result<Box<dyn DiskFile>, NotCreated> {
    let draft = path.with_extension("draft");
    let written = disk.open(&draft, Open::Fresh).and_then(|file| {
        if guard == Guard::Locked {
            file.try_lock()?;
        }
        write_all_at(&*file, 0, bytes)?;
        file.sync()?;
        Ok(file)
    });
    let file = written.map_err(|error| {
        // On a full disk the draft would occupy what is left; otherwise the next take-over removes it.
        let _ = disk.remove(&draft);
        NotCreated { error, perhaps: false }
    })?;
    let placed = disk.rename(&draft, path).and_then(|()| disk.sync_folder());
    placed.map_err(|error| NotCreated { error, perhaps: true })?;
    Ok(file)
}
