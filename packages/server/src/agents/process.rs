//! Processes of agents: each in a group of its own, which is ended for certain.

use crate::guard::{Guard, STEP, signal_group};
use rustix::process::Signal;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

/// How much of the error output a failure shows.
const STDERR_BYTES: usize = 4 << 10;

/// A process group. Dropped, it is ended.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: i32,
    guard: Arc<Guard>,
}

impl Drop for Group {
    fn drop(&mut self) {
        signal_group(self.id, Signal::KILL);
        self.guard.end(self.id);
    }
}

/// What is started.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    /// The path of the program, and its arguments.
    pub(crate) words: &'a [OsString],
    pub(crate) folder: &'a Path,
    pub(crate) environment: &'a [(String, String)],
    /// Without the environment of this process.
    pub(crate) clean: bool,
}

/// Starts a program with three pipes, in a process group of its own. It begins when its standard input has one byte, which
/// it does not see.
pub(crate) fn start(program: &Program<'_>, guard: &Arc<Guard>) -> io::Result<(Child, Group)> {
    let mut command = Command::new(guard.program());
    if program.clean {
        command.env_clear();
    }
    command
        .arg(STEP)
        .args(program.words)
        .current_dir(program.folder)
        .envs(program.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let child = command.spawn()?;
    let id = child.id().and_then(|id| i32::try_from(id).ok()).ok_or_else(|| io::Error::other("no process id"))?;
    let group = Group { id, guard: Arc::clone(guard) };
    guard.begin(id)?;
    Ok((child, group))
}

/// Reads everything and retains the end.
pub(crate) async fn tail(mut from: impl AsyncRead + Unpin, into: &Mutex<Vec<u8>>) {
    let mut piece = vec![0; 16 << 10];
    while let Ok(size @ 1..) = from.read(&mut piece).await {
        let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
        into.extend_from_slice(piece.get(..size).unwrap_or_default());
        let beyond = into.len().saturating_sub(STDERR_BYTES);
        into.drain(..beyond);
    }
}
