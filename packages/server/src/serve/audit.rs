//! The file of operations: `audit.jsonl`, one of a caller in each line, the last ones at the end.
//!
//! It is written beside the journal, in its own thread. A full disk loses lines of it, which are counted, but no operation.

use crate::folder::make_folder;
use crate::terminal;
use crate::trouble::Trouble;
use counterpoint_http::Operation;
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// The number of lines that may wait to be written.
const WAITING: usize = 16_384;
/// The size at which a file is followed by another one.
const BYTES: u64 = 64 << 20;
/// The number of earlier files that are kept.
const EARLIER: u32 = 8;

/// How long the end of the server waits for the last lines.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes operations to a file. When it is dropped, the last lines are written.
pub(super) struct AuditFile {
    lines: SyncSender<String>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Lines that were passed on and are not written.
    waiting: AtomicU64,
    /// Lines that will never be.
    lost: AtomicU64,
}

impl AuditFile {
    /// Opens the file.
    pub(super) fn open(path: &Path) -> Result<Self, Trouble> {
        make_folder(path.parent().unwrap_or(Path::new(".")))?;
        let mut file = Lines::open(path).map_err(|error| Trouble::io(path, &error))?;
        let (lines, receiver) = sync_channel(WAITING);
        let counts: Arc<Counts> = Arc::default();
        let counted = Arc::clone(&counts);
        let writer = thread::Builder::new().name("audit".to_owned()).spawn(move || file.write_all(&receiver, &counted));
        writer.map_err(|error| Trouble::Broken(format!("the thread of the audit log: {error}")))?;
        Ok(Self { lines, counts })
    }

    /// What passes operations on to the file.
    pub(super) fn sink(&self) -> impl Fn(&Operation) + Send + Sync + 'static {
        let (lines, counts) = (self.lines.clone(), Arc::clone(&self.counts));
        move |operation| {
            counts.waiting.fetch_add(1, Ordering::Relaxed);
            // An operation has a JSON form.
            let line = serde_json::to_string(operation).unwrap_or_default();
            if lines.try_send(line).is_err() {
                counts.waiting.fetch_sub(1, Ordering::Relaxed);
                counts.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for AuditFile {
    fn drop(&mut self) {
        let end = Instant::now() + PATIENCE;
        while self.counts.waiting.load(Ordering::Relaxed) > 0 && Instant::now() < end {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

struct Lines {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Lines {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, bytes })
    }

    fn write_all(&mut self, lines: &Receiver<String>, counts: &Counts) {
        let mut is_full = false;
        while let Ok(first) = lines.recv() {
            let mut text = first + "\n";
            let mut count = 1;
            for line in lines.try_iter().take(1_000) {
                text.push_str(&line);
                text.push('\n');
                count += 1;
            }
            let missing = counts.lost.swap(0, Ordering::Relaxed);
            if missing > 0 {
                text.push_str(&json!({"lost": missing}).to_string());
                text.push('\n');
            }
            match self.write(&text) {
                Ok(()) => is_full = false,
                Err(error) => {
                    counts.lost.fetch_add(missing + count, Ordering::Relaxed);
                    if !is_full {
                        terminal::say(&format!("{}: {error}; lines of the audit log are lost", self.path.display()));
                    }
                    is_full = true;
                }
            }
            counts.waiting.fetch_sub(count, Ordering::Relaxed);
        }
    }

    /// Writes these lines whole, or nothing that a reader would take for one.
    fn write(&mut self, text: &str) -> io::Result<()> {
        if self.bytes >= BYTES {
            self.turn()?;
        }
        let written = self.file.write_all(text.as_bytes());
        if written.is_err() {
            // What was written of them is removed.
            self.file.set_len(self.bytes)?;
        }
        written?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Begins another file. The earlier ones have numbers, the latest of them 1.
    fn turn(&mut self) -> io::Result<()> {
        let numbered = |number: u32| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..EARLIER).rev() {
            match std::fs::rename(numbered(number), numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::rename(&self.path, numbered(1))?;
        *self = Self::open(&self.path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_followed_by_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut lines = Lines::open(&path).unwrap();
        for number in 0..20 {
            lines.write(&format!("{number}\n")).unwrap();
            lines.bytes = BYTES;
        }
        let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(
            (text("audit.jsonl"), text("audit.jsonl.1"), text("audit.jsonl.8")),
            ("19\n".into(), "18\n".into(), "11\n".into())
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 9);
    }
}
