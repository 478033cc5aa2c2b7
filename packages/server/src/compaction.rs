//! Snapshots of a journal while its server runs.
//!
//! A child process reads the journal, as anyone can beside the writer, restores the state from it, and writes the state to its
//! standard output; the server stores it. So the server needs no second copy of its state, and nothing waits.

use crate::serve::Place;
use crate::trouble::Trouble;
use counterpoint::engine::EngineSnapshot;
use counterpoint::journal::{Archive, Epoch, Journal};
use counterpoint::{Config, Engine, Seq};
use serde::{Deserialize, Serialize};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// The hidden command of this program that reads a journal.
pub(crate) const SNAPSHOT: &str = "snapshot-of-journal";

/// How often a journal is read that changes meanwhile, and the pause between two readings.
const TRIES: (usize, Duration) = (5, Duration::from_millis(200));

/// Where a journal is, as the settings have it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Source {
    pub(crate) journal: Option<String>,
    pub(crate) stream: Option<String>,
    pub(crate) data: PathBuf,
}

impl Source {
    pub(crate) fn place(&self) -> Result<Place, Trouble> {
        Place::of(self.journal.as_deref(), self.stream.as_deref(), &self.data)
    }
}

/// What a child process is asked for: the state after the entry `at`, which is durable.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    source: Source,
    at: u64,
}

/// Replaces entries by snapshots, after each `every` of them.
#[derive(Debug)]
pub(crate) struct Compaction {
    source: Source,
    every: u64,
    /// The entries since the last snapshot, or the last attempt at one.
    since: u64,
    epoch: Epoch,
    /// Whether an attempt is under way.
    busy: Arc<AtomicBool>,
}

impl Compaction {
    pub(crate) fn new(source: Source, every: u64) -> Self {
        Self { source, every: every.max(1), since: 0, epoch: Epoch::default(), busy: Arc::default() }
    }

    /// The journal was taken over with this epoch.
    pub(crate) const fn taken_over(&mut self, epoch: Epoch) {
        self.epoch = epoch;
    }

    /// So many entries more are durable, up to `at`. Begins a snapshot if one is due.
    pub(crate) fn appended(&mut self, entries: usize, at: Seq, journal: &mut dyn Journal) {
        self.since = self.since.saturating_add(entries as u64);
        if self.since < self.every || self.busy.swap(true, Ordering::AcqRel) {
            return;
        }
        self.since = 0;
        let (archive, request) = (journal.archive(), Request { source: self.source.clone(), at: at.get() });
        let (epoch, busy) = (self.epoch, Arc::clone(&self.busy));
        let work = move || {
            let stored = archive.ok_or_else(|| "the journal stores none".to_owned());
            if let Err(reason) = stored.and_then(|archive| compact(&request, epoch, archive)) {
                crate::terminal::say(&format!(
                    "no snapshot was stored, and the journal grows until the next one: {reason}"
                ));
            }
            busy.store(false, Ordering::Release);
        };
        if thread::Builder::new().name("compaction".to_owned()).spawn(work).is_err() {
            self.busy.store(false, Ordering::Release);
        }
    }
}

/// Stores a snapshot of the state after the entry of a request. Blocks.
fn compact(request: &Request, epoch: Epoch, mut archive: Box<dyn Archive>) -> Result<(), String> {
    let (at, state) = ask(request).map_err(|error| error.to_string())?;
    archive.keep_snapshot(epoch, at, state).map_err(|error| error.to_string())
}

/// The state as the child process computes it, and the number of its last entry.
fn ask(request: &Request) -> io::Result<(Seq, Vec<u8>)> {
    let request = serde_json::to_vec(request)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(SNAPSHOT).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    // Less than a pipe holds, so this does not block. The pipe is closed at its end.
    child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?.write_all(&request)?;
    let output = child.wait_with_output()?;
    match output.stdout.split_first_chunk::<8>() {
        Some((at, state)) if output.status.success() => Ok((Seq::new(u64::from_le_bytes(*at)), state.to_vec())),
        _ => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

/// The child process.
pub(crate) fn snapshot_main() -> ExitCode {
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn answer() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let Request { source, at } = serde_json::from_str(&text)?;
    let place = source.place().map_err(|trouble| trouble.to_string())?;
    let (at, mut tries) = (Seq::new(at), TRIES.0);
    let content = loop {
        tries -= 1;
        match place.read() {
            Ok(content) => break content,
            // A record was written while it was read.
            Err(_) if tries > 0 => thread::sleep(TRIES.1),
            Err(trouble) => return Err(trouble.to_string().into()),
        }
    };
    let snapshot = content.snapshot.as_deref().map(EngineSnapshot::from_bytes).transpose()?;
    let durable = content.entries.iter().take_while(|entry| entry.seq <= at).count();
    let entries = content.entries.get(..durable).unwrap_or_default();
    let engine = Engine::restore(Config::default(), snapshot.as_ref(), entries)?;
    drop(snapshot);
    let mut output = io::stdout().lock();
    output.write_all(&engine.last_seq().get().to_le_bytes())?;
    output.write_all(&engine.snapshot().to_bytes()?)?;
    output.flush()?;
    Ok(())
}
