//! Copies of a folder, with or without a writer.

use super::disk::SystemDisk;
use super::folder;
use counterpoint::RestoreError;
use counterpoint::journal::sealed::{BLANK, Head, Stream};
use std::error::Error;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// How often a folder that changes meanwhile is copied again.
const TRIES: usize = 10;

/// A journal that was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// The head of the copy: that of the journal at some time during the copy.
    pub head: Head,
    /// The size of all files.
    pub bytes: u64,
}

/// The reason why a journal was not copied. Nothing is left of the copy.
#[derive(Debug)]
#[non_exhaustive]
pub enum CopyError {
    /// The target exists.
    Exists,
    /// A file cannot be read or written.
    Io(io::Error),
    /// The journal is damaged.
    Damaged(RestoreError),
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("the target exists"),
            Self::Io(error) => error.fmt(f),
            Self::Damaged(fault) => fault.fmt(f),
        }
    }
}

impl Error for CopyError {}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Copies the journal of a folder to a new one, and verifies the copy.
pub(crate) fn copy(from: &Path, to: &Path, stream: &Stream) -> Result<Copied, CopyError> {
    let mut last = None;
    for _ in 0..TRIES {
        match fs::exists(to) {
            Ok(false) => {}
            Ok(true) => return Err(CopyError::Exists),
            Err(error) => return Err(error.into()),
        }
        let copied = copy_once(from, to, stream);
        if copied.is_err() {
            let _ = fs::remove_dir_all(to);
        }
        match copied {
            // A snapshot has replaced a file, or a record was written while it was read.
            Err(CopyError::Io(error)) if error.kind() == io::ErrorKind::NotFound && from.exists() => {
                last = Some(CopyError::Io(error));
            }
            Err(CopyError::Damaged(fault)) => last = Some(CopyError::Damaged(fault)),
            other => return other,
        }
    }
    Err(last.unwrap_or(CopyError::Exists))
}

fn copy_once(from: &Path, to: &Path, stream: &Stream) -> Result<Copied, CopyError> {
    let disk = SystemDisk::default();
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(to)?;
    // The head first: what it records is in the segments that are read afterwards. Then the snapshots, and the segments in their
    // order: whatever replaces one of them makes a later read fail.
    let mut paths = vec![from.join("head")];
    for kind in ["snapshot", "journal"] {
        paths.extend(folder::files(&disk, from, kind)?.into_iter().map(|(_, path)| path));
    }
    let mut bytes = 0;
    for path in &paths {
        bytes += copy_file(path, to)?;
    }
    let (found, fault) = folder::read(&disk, to, stream, false)?;
    match fault {
        Some(fault) if !fault.is_torn() => return Err(CopyError::Damaged(fault)),
        Some(_) => {
            // A record that was not complete when it was read: it was not acknowledged before.
            let Some(last) = &found.last else {
                return Err(CopyError::Damaged(RestoreError::NoJournal { reason: "it has no segment" }));
            };
            let sound = last.last_record + last.record.len() as u64;
            let file = OpenOptions::new().write(true).open(to.join(folder::segment_name(last.first)))?;
            let blank = vec![BLANK; usize::try_from(last.len.saturating_sub(sound)).unwrap_or_default()];
            write_at(&file, sound, &blank)?;
            file.sync_all()?;
            let (_, fault) = folder::read(&disk, to, stream, false)?;
            if let Some(fault) = fault {
                return Err(CopyError::Damaged(fault));
            }
        }
        None => {}
    }
    if let Ok(names) = File::open(to) {
        names.sync_all()?;
    }
    Ok(Copied { head: found.head, bytes })
}

fn write_at(mut file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(at))?;
    file.write_all(bytes)
}

fn copy_file(path: &PathBuf, to: &Path) -> io::Result<u64> {
    let content = fs::read(path)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(to.join(path.file_name().unwrap_or_default()))?;
    file.write_all(&content)?;
    file.sync_all()?;
    Ok(content.len() as u64)
}
