//! The folder of journals: `.counterpoint`.
//!
//! Each run has a folder of its own, `runs/NAME`, with its journal, its description and a lock. So runs do not wait for each
//! other, and a run is removed by removing its folder.

use crate::trouble::Trouble;
use counterpoint::journal::sealed::Stream;
use counterpoint::{Entry, RunId};
use counterpoint_journal_files::FileJournal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// The mode of folders.
const OWNER: u32 = 0o700;

/// Locks a file. Another process may hold the lock for a moment: one that only looks, or the child of one that was killed while it
/// started a command, which has the files of its parent until the command begins.
pub(crate) fn lock(file: &File) -> Result<(), TryLockError> {
    let until = Instant::now() + Duration::from_secs(2);
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
            locked => return locked,
        }
    }
}

/// The folder of all runs.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    root: PathBuf,
}

/// The folder of a run.
#[derive(Debug, Clone)]
pub(crate) struct RunFolder {
    /// The name of the run.
    pub(crate) name: String,
    /// The folder.
    pub(crate) path: PathBuf,
}

/// The description of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// The name of its workflow.
    pub(crate) workflow: String,
    /// The workflow file, as an absolute path.
    pub(crate) file: PathBuf,
    /// Its input, with defaults.
    pub(crate) input: Value,
    /// When it was begun.
    pub(crate) begun: String,
}

/// How a run ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct End {
    /// `succeeded`, `failed` or `compensated`.
    pub(crate) outcome: String,
    /// When.
    pub(crate) at: String,
}

/// The right to perform a run, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    _lock: File,
}

impl Data {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder of cached results.
    pub(crate) fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    fn runs_folder(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// The folder of a run, which need not exist.
    pub(crate) fn run(&self, name: &str) -> Result<RunFolder, Trouble> {
        let plain = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
        if name.is_empty() || name.len() > 128 || name.starts_with('.') || !name.chars().all(plain) {
            return Err(Trouble::Usage(format!(
                "`{name}` is no name of a run: letters, digits, `-`, `_` and `.`, at most 128"
            )));
        }
        Ok(RunFolder { name: name.to_owned(), path: self.runs_folder().join(name) })
    }

    /// A run that exists.
    pub(crate) fn known(&self, name: &str) -> Result<RunFolder, Trouble> {
        let run = self.run(name)?;
        if run.meta().is_some() {
            return Ok(run);
        }
        let all = self.all()?;
        let names = all.iter().map(|run| run.name.as_str());
        let near = crate::agents::reader::did_you_mean(crate::agents::reader::nearest(name, names));
        Err(Trouble::Unknown(format!("there is no run `{name}` in {}{near}", self.root.display())))
    }

    /// All runs, by name.
    pub(crate) fn all(&self) -> Result<Vec<RunFolder>, Trouble> {
        let folder = self.runs_folder();
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Trouble::io(&folder, &error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| Trouble::io(&folder, &error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let run = RunFolder { name, path: entry.path() };
            if run.meta().is_some() {
                found.push(run);
            }
        }
        found.sort_by_key(|run| (run.series(), run.name.clone()));
        Ok(found)
    }

    /// Excludes other processes from choosing a run, until the file is dropped: of two that begin the same work at once, the
    /// second finds the run of the first.
    pub(crate) fn choosing(&self) -> Result<File, Trouble> {
        let folder = self.runs_folder();
        make_folder(&folder)?;
        let path = folder.join(".lock");
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = open.map_err(|error| Trouble::io(&path, &error))?;
        file.lock().map_err(|error| Trouble::io(&path, &error))?;
        Ok(file)
    }

    /// The newest run of a workflow with this input that has not ended.
    pub(crate) fn unfinished(&self, workflow: &str, input: &Value) -> Result<Option<RunFolder>, Trouble> {
        let all = self.all()?;
        let fits = |run: &&RunFolder| {
            run.end().is_none() && run.meta().is_some_and(|meta| meta.workflow == workflow && meta.input == *input)
        };
        Ok(all.iter().rev().find(fits).cloned())
    }

    /// Creates the folder of a new run.
    pub(crate) fn create(&self, name: Option<&str>, meta: &Meta) -> Result<RunFolder, Trouble> {
        let folder = self.runs_folder();
        make_folder(&folder)?;
        if let Some(name) = name {
            let run = self.run(name)?;
            return run.begin(meta).map(|()| run);
        }
        let plain: String =
            meta.workflow.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '-' }).take(64).collect();
        for number in 1..=u32::MAX {
            let run = self.run(&format!("{}-{number}", plain.trim_matches('-')))?;
            if !run.path.exists() {
                match run.begin(meta) {
                    // Another process has begun a run at the same time.
                    Err(Trouble::Busy(_)) => {}
                    other => return other.map(|()| run),
                }
            }
        }
        Err(Trouble::Broken("all numbers of runs are taken".to_owned()))
    }
}

impl RunFolder {
    /// The id of the run in its journal.
    pub(crate) fn id(&self) -> RunId {
        RunId::from_key(&self.name)
    }

    /// The number at the end of the name, so that runs are listed in the order of their numbers.
    fn series(&self) -> (String, u64) {
        let (name, number) = self.name.rsplit_once('-').unwrap_or((&self.name, ""));
        (name.to_owned(), number.parse().unwrap_or_default())
    }

    fn begin(&self, meta: &Meta) -> Result<(), Trouble> {
        match DirBuilder::new().mode(OWNER).create(&self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // A folder without a description is what a crash has left behind before the run began.
                if self.meta().is_some() || self.journal().exists() {
                    return Err(Trouble::Busy(format!("the run `{}` exists", self.name)));
                }
            }
            Err(error) => return Err(Trouble::io(&self.path, &error)),
        }
        let bytes = serde_json::to_vec_pretty(meta).map_err(|error| Trouble::Broken(error.to_string()))?;
        write_whole(&self.path.join("run.json"), &bytes).map_err(|error| Trouble::io(&self.path, &error))
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    pub(crate) fn stream() -> Stream {
        Stream::new("counterpoint-run")
    }

    pub(crate) fn meta(&self) -> Option<Meta> {
        serde_json::from_slice(&std::fs::read(self.path.join("run.json")).ok()?).ok()
    }

    pub(crate) fn end(&self) -> Option<End> {
        serde_json::from_slice(&std::fs::read(self.path.join("end.json")).ok()?).ok()
    }

    pub(crate) fn set_end(&self, end: Option<&End>) -> Result<(), Trouble> {
        let path = self.path.join("end.json");
        let written = match end {
            Some(end) => {
                serde_json::to_vec_pretty(end).map_err(io::Error::from).and_then(|bytes| write_whole(&path, &bytes))
            }
            None => std::fs::remove_file(&path).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            }),
        };
        written.map_err(|error| Trouble::io(&path, &error))
    }

    /// Whether a process performs the run.
    pub(crate) fn is_performed(&self) -> bool {
        let file = File::open(self.path.join("pid"));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Takes the right to perform the run.
    pub(crate) fn hold(&self) -> Result<Held, Trouble> {
        let path = self.path.join("pid");
        let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = open.map_err(|error| Trouble::io(&path, &error))?;
        match lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                return Err(Trouble::Busy(format!("run `{}` is performed by process {}", self.name, pid.trim())));
            }
            Err(TryLockError::Error(error)) => return Err(Trouble::io(&path, &error)),
        }
        let written =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(|error| Trouble::io(&path, &error))?;
        Ok(Held { _lock: file })
    }

    /// The entries of the journal, also while another process writes them.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, Trouble> {
        let folder = self.journal();
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let (contents, fault) =
            FileJournal::read(&folder, &Self::stream()).map_err(|error| Trouble::io(&folder, &error))?;
        match fault.filter(|fault| !fault.is_torn()) {
            Some(fault) => Err(Trouble::Broken(format!("{}: {fault}", folder.display()))),
            None => Ok(contents.entries),
        }
    }
}

/// Creates a folder and those around it that do not exist, for their owner only: journals contain the data of runs.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Trouble> {
    let made = DirBuilder::new().recursive(true).mode(OWNER).create(folder);
    made.map_err(|error| Trouble::io(folder, &error))
}

/// The time, for people.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// Writes a file so that it has either its old content or the new one, readable by its owner only.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(OWNER).create(folder)?;
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let part = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&part)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written
}
