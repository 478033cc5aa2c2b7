//! A journal in files, for one machine. Use it as it is, or as a template.
//!
//! ```
//! use counterpoint::host::thread::ThreadHost;
//! use counterpoint::host::Durable;
//! use counterpoint::journal::sealed::Stream;
//! use counterpoint::Config;
//! use counterpoint_journal_files::FileJournal;
//!
//! # let folder = std::env::temp_dir().join(format!("counterpoint-doc-{}", std::process::id()));
//! let journal = FileJournal::new(&folder, Stream::new("orders"));
//! let host = ThreadHost::durable(Config::default(), journal, Durable::new().snapshot_every(100_000))?;
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
//! | `head` | where the journal ended when that was last recorded, twice |
//! | `00000000000000000001.journal` | a segment: sealed records from this entry on, then blank space |
//! | `00000000000000004711.snapshot` | the state after this entry, sealed |
//!
//! Segments and snapshots are written under another name, made durable, and then renamed. Records are appended to the
//! last segment, into space that was filled with [blank](counterpoint::journal::sealed::BLANK) bytes before, so that an
//! append does not change the length of the file. Each append is one write and one flush of the device, however many
//! entries it contains, unless they exceed the size of a record.
//!
//! # Guarantees
//!
//! - Confirmed appends survive a crash of the process, a crash of the system and a loss of power, provided that the
//!   disk flushes its cache on request. An append that was not confirmed is stored completely, in part from its
//!   beginning, or not at all.
//! - One writer: it holds a lock on the lock file and one on the last segment, which end with its process. A take-over
//!   while it is alive fails, even if the lock file was deleted. An append whose lock file was replaced is
//!   [fenced](AppendError::Fenced).
//! - A check of the lock opens no file. If it fails for another reason than a replaced lock, the append is
//!   [refused](AppendError::Refused), and the writer remains the writer.
//! - Damage is reported as an error and never discarded: see [`RestoreError`] and the table below. Only a torn record at
//!   the end of the last segment is discarded.
//! - A full disk refuses an append before anything of it is written; a later append can succeed. A segment that cannot be
//!   begun for want of space or descriptors is begun by a later append; until then the last one grows.
//! - After a failed write or flush of a record no more entries are appended, and nothing is reported as durable. (A second
//!   flush can succeed without having stored anything.) The next take-over writes the last record again, and fails if it
//!   cannot make it durable.
//!
//! # Damage
//!
//! The head file is written at a take-over, when a segment begins, when space is reserved (every MiB at most) and when the
//! journal is dropped. *Recorded* entries are those that it covers.
//!
//! | damage | result of a take-over |
//! |---|---|
//! | a changed bit or byte in a record or header, also in the length of the last record | error |
//! | zeros or other bytes in place of a record, also of the last one | error |
//! | a segment cut off anywhere within its records, or at the end of one | error |
//! | a segment removed, repeated, exchanged or renamed; all segments removed | error |
//! | the head file removed, or both of its records damaged | error |
//! | a snapshot damaged or removed whose entries are no longer there | error |
//! | a snapshot damaged whose entries are still there | none: all entries are read, see [`Contents::damaged_snapshot`] |
//! | changes in blank space, in the lock file, in one record of the head file | none: nothing is lost |
//! | recorded entries at the end replaced by blank bytes | error |
//! | entries after the last recorded ones replaced by blank bytes, in whole sectors up to the end | **not detected** |
//! | all files replaced by an earlier copy of all of them | **not detected**, except with a head that is stored elsewhere ([`FileJournal::head`]) |
//! | all files removed | **not detected**: it is a new journal |
//!
//! The first undetected case is what a crash leaves behind, too: a record that was never written. No error of a file
//! system or of a device that keeps what it has flushed produces it, since lost space reads as zeros.

mod archive;
mod copy;
mod disk;
mod folder;
mod head;
mod lock;
mod segment;
#[cfg(test)]
mod tests;

pub use copy::{Copied, CopyError};
pub use folder::Contents;

use archive::FileArchive;
use counterpoint::journal::sealed::{Head, SealError, Stream};
use counterpoint::journal::{AppendError, Archive, Epoch, Journal, JournalError, Takeover};
use counterpoint::{Entry, RestoreError, Seq};
use disk::{Disk, SystemDisk};
use head::HeadFile;
use lock::Lock;
use segment::{NotWritten, Segment};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A journal in the files of a folder.
#[derive(Debug)]
pub struct FileJournal {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    stream: Stream,
    segment_bytes: u64,
    /// The number of entries before a snapshot that are retained.
    history: u64,
    writing: Option<Writing>,
}

/// The state of a writer.
#[derive(Debug)]
struct Writing {
    lock: Arc<Lock>,
    head_file: HeadFile,
    segment: Segment,
    condition: Condition,
}

/// Whether appends are possible.
#[derive(Debug)]
enum Condition {
    Sound,
    /// It is unknown whether the last append was stored.
    Unknown,
    /// Appends are refused for this reason. All confirmed ones are stored, and nothing else.
    Broken(String),
}

impl FileJournal {
    /// The journal in this folder, which is created if it does not exist. No file is opened before
    /// [`take_over`](Journal::take_over).
    pub fn new(folder: impl Into<PathBuf>, stream: Stream) -> Self {
        Self::on(Arc::new(SystemDisk::default()), folder.into(), stream)
    }

    fn on(disk: Arc<dyn Disk>, folder: PathBuf, stream: Stream) -> Self {
        Self { disk, folder, stream, segment_bytes: 16 << 20, history: 0, writing: None }
    }

    /// Sets the size in bytes at which a new segment begins. Snapshots remove whole segments.
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes.max(1);
        self
    }

    /// Retains this many entries before each snapshot, and the rest of their segment, for readers: they are the
    /// [history](Takeover::history) of a take-over. The state never needs them: if they are damaged, the history is shorter.
    #[must_use]
    pub const fn with_history(mut self, entries: u64) -> Self {
        self.history = entries;
        self
    }

    /// The head of the journal, once taken over. Stored elsewhere it reveals whether the journal was replaced by an
    /// earlier copy.
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
        folder::read(&SystemDisk::default(), folder.as_ref(), stream, false)
    }

    /// Copies the journal of a folder to a folder that does not exist, with or without a writer, and verifies the copy. The copy
    /// is the journal as it was at some time meanwhile: everything that was acknowledged before is in it. It can be opened as the
    /// journal can. The original does not know of it: only one of the two may go on.
    ///
    /// ```
    /// # use counterpoint::journal::{sealed::Stream, Journal};
    /// # use counterpoint_journal_files::FileJournal;
    /// # let folder = std::env::temp_dir().join(format!("counterpoint-copy-{}", std::process::id()));
    /// # let backup = folder.with_extension("backup");
    /// let stream = Stream::new("orders");
    /// let mut journal = FileJournal::new(&folder, stream.clone());
    /// journal.take_over()?;
    /// let copied = FileJournal::copy(&folder, &backup, &stream)?;
    /// assert_eq!(Some(copied.head), journal.head());
    /// # drop(journal);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # std::fs::remove_dir_all(&backup)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the target exists, a file cannot be read or written, or the journal is damaged. Nothing is left of the copy then.
    pub fn copy(folder: impl AsRef<Path>, to: impl AsRef<Path>, stream: &Stream) -> Result<Copied, CopyError> {
        copy::copy(folder.as_ref(), to.as_ref(), stream)
    }

    fn begin(&mut self) -> Result<Takeover, Problem> {
        // A lock that this journal holds already would block itself.
        self.writing = None;
        let (disk, folder, size) = (&*self.disk, &*self.folder, self.segment_bytes);
        disk.make_folder(folder)?;
        let mut lock = Lock::take(&self.disk, folder)?;
        let claimed = segment::claim(disk, folder)?;
        // From here on no other writer appends.
        let (mut found, fault) = folder::read(disk, folder, &self.stream, lock.was_used())?;
        // A torn record is the result of a crash. Any other fault needs the attention of an operator.
        if let Some(fault) = fault.filter(|fault| !fault.is_torn()) {
            return Err(fault.into());
        }
        let segment = match (found.last.take(), claimed) {
            (Some(last), Some((_, file))) => Segment::go_on(&self.stream, file, last, size)?,
            (None, None) => Segment::begin(disk, folder, &self.stream, found.head, size).map_err(io::Error::from)?,
            _ => return Err(io::Error::new(io::ErrorKind::WouldBlock, "another writer changes the folder").into()),
        };
        // The name of a segment or snapshot that was read may not be durable yet.
        disk.sync_folder()?;
        let epoch = found.known.map_or(Epoch::default(), |known| known.epoch);
        let epoch = epoch.max(found.head.epoch).max(lock.last_epoch()).next();
        let recorded = (epoch, segment.first(), segment.head());
        let head_file = HeadFile::begin(disk, folder, &self.stream, found.known, recorded)?;
        lock.claim(epoch)?;
        disk.sync_folder()?;
        folder::sweep(disk, folder, &found, self.history)?;
        let history = folder::history(disk, folder, &self.stream, &found, self.history)?;
        self.writing = Some(Writing { lock: Arc::new(lock), head_file, segment, condition: Condition::Sound });
        Ok(Takeover::new(epoch, found.snapshot.map(|(_, state)| state), found.entries).with_history(history))
    }
}

impl Journal for FileJournal {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        self.begin().map_err(|problem| match problem {
            Problem::Broken(broken) => broken.into(),
            Problem::Io(error) if error.kind() == io::ErrorKind::WouldBlock => {
                JournalError::held(format!("{}: {error}", self.folder.display()))
            }
            Problem::Io(error) => JournalError::new(format!("{}: {error}", self.folder.display())),
        })
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        let writing = self.writing.as_mut().ok_or_else(no_writer)?;
        if epoch != writing.lock.epoch() {
            return Err(AppendError::Fenced);
        }
        writing.check()?;
        writing.lock.check()?;
        let tail = writing.segment.head().seq;
        if after != tail {
            return Err(AppendError::Conflict { tail });
        }
        if writing.segment.len() >= self.segment_bytes {
            writing.roll(&*self.disk, &self.folder, &self.stream, self.segment_bytes)?;
        }
        writing.append(entries)
    }

    /// While another writer holds the folder, this fails. The entries of one that has come and gone are in the take-over.
    fn reclaim(&mut self, _: Epoch) -> Result<Option<Takeover>, AppendError> {
        self.take_over().map(Some).map_err(|error| AppendError::Refused(error.to_string().into()))
    }

    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: &[u8]) -> Result<(), AppendError> {
        self.new_archive().ok_or_else(no_writer)?.keep_snapshot(epoch, at, snapshot.to_vec())
    }

    fn archive(&mut self) -> Option<Box<dyn Archive>> {
        self.new_archive().map(|archive| Box::new(archive) as Box<dyn Archive>)
    }
}

fn no_writer() -> AppendError {
    AppendError::Refused("the journal has no writer: call `take_over` first".into())
}

impl FileJournal {
    fn new_archive(&self) -> Option<FileArchive> {
        let lock = Arc::clone(&self.writing.as_ref()?.lock);
        Some(FileArchive::new(Arc::clone(&self.disk), self.folder.clone(), self.stream.clone(), lock, self.history))
    }
}

impl Writing {
    fn check(&self) -> Result<(), AppendError> {
        match &self.condition {
            Condition::Sound => Ok(()),
            Condition::Unknown => Err(AppendError::Unknown),
            Condition::Broken(reason) => Err(AppendError::Refused(reason.as_str().into())),
        }
    }

    /// Begins a new segment. If it cannot be created, the last one continues to grow, and the next append tries again.
    fn roll(&mut self, disk: &dyn Disk, folder: &Path, stream: &Stream, size: u64) -> Result<(), AppendError> {
        match Segment::begin(disk, folder, stream, self.segment.head(), size) {
            Ok(segment) => {
                self.segment = segment;
                self.record_head();
            }
            Err(fault) if fault.perhaps => {
                // The new segment continues from here, so the last one must not.
                self.condition = Condition::Broken(format!("a segment was not created durably: {}", fault.error));
                return self.check();
            }
            Err(_) => {}
        }
        Ok(())
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), AppendError> {
        let records = self.segment.seal(self.lock.epoch(), entries).map_err(|error| match error {
            SealError::NotNext { .. } => AppendError::Conflict { tail: self.segment.head().seq },
            other => AppendError::Refused(other.to_string().into()),
        })?;
        let mut written = Ok(());
        if self.segment.is_full_for(&records) {
            written = self.segment.reserve(&records);
            if written.is_ok() {
                self.record_head();
            }
        }
        match written.and_then(|()| self.segment.write(&records)) {
            Ok(()) => Ok(()),
            Err(NotWritten::Refused(error)) => Err(AppendError::Refused(error.to_string().into())),
            Err(NotWritten::Broken(error)) => {
                self.condition = Condition::Broken(format!("space was not reserved durably: {error}"));
                self.check()
            }
            Err(NotWritten::Unknown) => {
                self.condition = Condition::Unknown;
                self.check()
            }
        }
    }

    /// Records what is durable in the head file. On an error the last record remains: less damage would be detected, but
    /// no entry depends on it.
    fn record_head(&mut self) {
        let _ = self.head_file.record(self.lock.epoch(), self.segment.first(), self.segment.head());
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // A writer that was replaced must not change the file of another one.
        if matches!(self.condition, Condition::Sound) && self.lock.check().is_ok() {
            self.record_head();
        }
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
