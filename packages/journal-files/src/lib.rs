//! A journal in files, for one machine. Use it as it is, or as a template.
//!
//! ```
//! use counterpoint::host::thread::{Snapshots, ThreadHost};
//! use counterpoint::journal::sealed::Stream;
//! use counterpoint::Config;
//! use counterpoint_journal_files::FileJournal;
//!
//! # let folder = std::env::temp_dir().join(format!("counterpoint-doc-{}", std::process::id()));
//! let journal = FileJournal::new(&folder, Stream::new("orders"));
//! let host = ThreadHost::open_with_snapshots(Config::default(), journal, Snapshots::every(100_000))?;
//! // After a crash the next host that opens the folder continues from there.
//! # host.shut_down(std::time::Duration::from_secs(1))?;
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Files
//!
//! | file | content |
//! |---|---|
//! | `lock` | locked by the writer; contains the epoch of the last writer |
//! | `00000000000000000001.journal` | a segment: sealed records from this entry on |
//! | `00000000000000004711.snapshot` | the state after this entry, sealed |
//!
//! Segments and snapshots are written under another name, made durable, and then renamed. Records are appended to the
//! last segment, into space that was filled with zeros before, so that an append does not change the length of the
//! file. Each append is one write and one flush of the device, however many entries it contains.
//!
//! # Guarantees
//!
//! - Confirmed appends survive a crash of the process, a crash of the system and a loss of power, provided that the
//!   disk flushes its cache on request. An append that was not confirmed is stored completely, in part from its
//!   beginning, or not at all.
//! - One writer: the lock ends with the process that holds it, and a take-over raises the epoch in the lock file, which
//!   each append reads. So a writer is fenced even if its lock file was deleted.
//! - Damage is reported as an error and never cut off: see [`RestoreError`]. Only a torn tail of the last segment is
//!   cut off.
//! - After a failed write or flush no more entries are appended; the next take-over determines the content of the file.
//!   (A second flush can succeed without having stored anything.)

mod archive;
mod disk;
mod folder;
mod lock;
mod segment;

pub use folder::Contents;

use archive::FileArchive;
use counterpoint::journal::sealed::{Head, SealError, Stream};
use counterpoint::journal::{AppendError, Archive, Epoch, Journal, JournalError, Takeover};
use counterpoint::{Entry, RestoreError, Seq};
use lock::Lock;
use segment::Segment;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A journal in the files of a folder.
#[derive(Debug)]
pub struct FileJournal {
    folder: PathBuf,
    stream: Stream,
    segment_bytes: u64,
    writing: Option<Writing>,
}

/// The state of a writer.
#[derive(Debug)]
struct Writing {
    epoch: Epoch,
    lock: Arc<Lock>,
    segment: Segment,
    /// Whether a write has failed: the content of the file is then unknown.
    lost: bool,
}

impl FileJournal {
    /// The journal in this folder, which is created if it does not exist. No file is opened before
    /// [`take_over`](Journal::take_over).
    pub fn new(folder: impl Into<PathBuf>, stream: Stream) -> Self {
        Self { folder: folder.into(), stream, segment_bytes: 16 << 20, writing: None }
    }

    /// Sets the size in bytes at which a new segment begins. Snapshots remove whole segments.
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes.max(1);
        self
    }

    /// The head of the journal, once taken over. Stored elsewhere it reveals whether the end of the journal was cut off
    /// between records.
    pub fn head(&self) -> Option<Head> {
        self.writing.as_ref().map(|writing| writing.segment.head())
    }

    /// Reads a folder, with or without a writer, without changing it: the snapshot if there is one, all valid entries
    /// after it, and the first fault.
    ///
    /// # Errors
    ///
    /// When the folder or one of its files cannot be read.
    pub fn read(folder: impl AsRef<Path>, stream: &Stream) -> io::Result<(Contents, Option<RestoreError>)> {
        folder::read(folder.as_ref(), stream)
    }

    fn begin(&mut self) -> Result<Takeover, Problem> {
        // A lock that this journal holds already would block itself.
        self.writing = None;
        std::fs::create_dir_all(&self.folder)?;
        let mut lock = Lock::take(&self.folder)?;
        // From here on no other writer appends.
        let (found, fault) = folder::read(&self.folder, &self.stream)?;
        // A torn tail of the last segment is the result of a crash. Any other fault needs the attention of an operator.
        if let Some(fault) = fault.filter(|fault| !fault.is_torn()) {
            return Err(fault.into());
        }
        let segment = match &found.last {
            Some(last) => Segment::go_on(&self.stream, last)?,
            None => Segment::begin(&self.folder, &self.stream, found.head)?,
        };
        lock.rise_above(found.head.epoch)?;
        let epoch = lock.epoch();
        folder::sweep(&self.folder, &found)?;
        self.writing = Some(Writing { epoch, lock: Arc::new(lock), segment, lost: false });
        Ok(Takeover::new(epoch, found.snapshot.map(|(_, state)| state), found.entries))
    }
}

impl Journal for FileJournal {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        self.begin().map_err(|problem| match problem {
            Problem::Broken(broken) => broken.into(),
            Problem::Io(error) => JournalError::new(format!("{}: {error}", self.folder.display())),
        })
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        let (folder, stream, most) = (&self.folder, &self.stream, self.segment_bytes);
        let Some(writing) = self.writing.as_mut() else { return Err(AppendError::Fenced) };
        if epoch != writing.epoch || !writing.lock.is_held() {
            return Err(AppendError::Fenced);
        }
        if writing.lost {
            return Err(AppendError::Unknown);
        }
        let tail = writing.segment.head().seq;
        if after != tail {
            return Err(AppendError::Conflict { tail });
        }
        let sealed = writing.segment.seal(epoch, entries).map_err(|error| match error {
            SealError::NotNext { .. } => AppendError::Conflict { tail },
            other => AppendError::Refused(other.to_string().into()),
        })?;
        let kept = writing.segment.write(&sealed).and_then(|()| {
            if writing.segment.len() >= most {
                writing.segment = Segment::begin(folder, stream, writing.segment.head())?;
            }
            Ok(())
        });
        writing.lost = kept.is_err();
        kept.map_err(|_| AppendError::Unknown)
    }

    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: &[u8]) -> Result<(), AppendError> {
        self.hand().ok_or(AppendError::Fenced)?.keep_snapshot(epoch, at, snapshot.to_vec())
    }

    fn archive(&mut self) -> Option<Box<dyn Archive>> {
        self.hand().map(|hand| Box::new(hand) as Box<dyn Archive>)
    }
}

impl FileJournal {
    fn hand(&self) -> Option<FileArchive> {
        let writing = self.writing.as_ref()?;
        Some(FileArchive::new(self.folder.clone(), self.stream.clone(), Arc::clone(&writing.lock)))
    }
}

/// The reason why a folder cannot be taken over.
#[derive(Debug)]
enum Problem {
    Io(io::Error),
    Broken(RestoreError),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<RestoreError> for Problem {
    fn from(broken: RestoreError) -> Self {
        Self::Broken(broken)
    }
}
