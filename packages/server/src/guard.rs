//! Ends process groups, also those of a process that was killed.
//!
//! Each command runs in a process group of its own. A *guard*, a child process, knows the groups that are alive; when the
//! pipe from its parent closes, it ends them with SIGKILL. A command cannot begin unknown to the guard: it is started as
//! `counterpoint step`, which waits for one byte on its standard input before it replaces itself by the command, and the
//! byte is sent after the guard was informed. A guard holds a lock while it lives, and the guard of the next process waits
//! for it. So no command of a killed process is alive when its run continues.

use rustix::process::{Pid, Signal, getppid, kill_process_group};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// The hidden commands of this program.
pub(crate) const GUARD: &str = "guard-of-processes";
pub(crate) const STEP: &str = "step-of-run";

/// The handle of a guard.
#[derive(Debug)]
pub(crate) struct Guard {
    program: PathBuf,
    lock: PathBuf,
    state: Mutex<State>,
    stopping: AtomicBool,
}

#[derive(Debug)]
struct State {
    process: Option<Process>,
    alive: BTreeSet<i32>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    pipe: ChildStdin,
}

impl Guard {
    /// Starts a guard. Returns when the guards of earlier processes of this folder have ended their groups.
    pub(crate) fn start(lock: &Path) -> io::Result<Self> {
        let program = std::env::current_exe()?;
        let process = Process::start(&program, lock)?;
        let state = State { process: Some(process), alive: BTreeSet::new() };
        Ok(Self { program, lock: lock.to_owned(), state: Mutex::new(state), stopping: AtomicBool::new(false) })
    }

    /// This program, which performs the hidden commands.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Asks all groups to end. From now on no attempt is answered: they are decided by the next process.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.alive.iter().for_each(|group| signal_group(*group, Signal::TERM));
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// The number of groups that have not ended.
    pub(crate) fn alive(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).alive.len()
    }

    /// Registers a group that is about to begin.
    pub(crate) fn begin(&self, group: i32) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.alive.insert(group);
        if state.process.as_mut().is_some_and(|process| process.send('+', group).is_ok()) {
            return Ok(());
        }
        // The guard was killed: another one takes over all groups.
        state.process = None;
        let mut process = Process::start(&self.program, &self.lock)?;
        for group in &state.alive {
            process.send('+', *group)?;
        }
        state.process = Some(process);
        Ok(())
    }

    /// Removes a group that has ended.
    pub(crate) fn end(&self, group: i32) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.alive.remove(&group);
        if let Some(process) = state.process.as_mut() {
            // A guard that is gone is replaced when the next group begins.
            let _ = process.send('-', group);
        }
    }
}

impl Process {
    fn start(program: &Path, lock: &Path) -> io::Result<Self> {
        let mut command = Command::new(program);
        // A group of its own, so that an interrupt at the terminal does not end it.
        command.arg(GUARD).arg(lock).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let (pipe, said) = (child.stdin.take(), child.stdout.take());
        let (Some(pipe), Some(mut said)) = (pipe, said) else { return Err(io::Error::other("the guard has no pipes")) };
        let mut ready = [0; 1];
        said.read_exact(&mut ready)
            .map_err(|error| io::Error::other(format!("the guard of processes did not start: {error}")))?;
        Ok(Self { child, pipe })
    }

    fn send(&mut self, what: char, group: i32) -> io::Result<()> {
        self.pipe.write_all(format!("{what}{group}\n").as_bytes())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The guard ends when its pipe is closed; the handle is dropped after this, so the guard is not waited for.
        let _ = self.child.try_wait();
    }
}

/// Sends a signal to a process group. A group without processes is no error.
pub(crate) fn signal_group(group: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(group).filter(|_| group > 1) {
        let _ = kill_process_group(pid, signal);
    }
}

/// The guard itself: `counterpoint guard-of-processes LOCK`.
pub(crate) fn guard_main(lock: &Path) -> ExitCode {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(lock);
    // Without the lock the groups of this parent are ended as well.
    let _locked: Option<File> = file.and_then(|file| file.lock().map(|()| file)).ok();
    if io::stdout().write_all(b"r").and_then(|()| io::stdout().flush()).is_err() {
        return ExitCode::FAILURE;
    }
    let mut alive: BTreeSet<i32> = BTreeSet::new();
    for line in BufReader::new(io::stdin()).lines() {
        let Ok(line) = line else { break };
        let (what, group) = line.split_at_checked(1).unwrap_or_default();
        match (what, group.parse::<i32>()) {
            ("+", Ok(group)) => _ = alive.insert(group),
            ("-", Ok(group)) => _ = alive.remove(&group),
            _ => {}
        }
    }
    for group in alive {
        signal_group(group, Signal::KILL);
    }
    ExitCode::SUCCESS
}

/// The beginning of a command: `counterpoint step-of-run PROGRAM [ARGUMENT...]`.
pub(crate) fn step_main(mut words: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    // One byte is read, and not more: the rest is the input of the command.
    let mut go = [0; 1];
    let read = io::stdin().as_fd().try_clone_to_owned().map(File::from).and_then(|mut file| file.read_exact(&mut go));
    if read.is_err() || getppid().is_none() {
        return ExitCode::from(127);
    }
    let Some(program) = words.next() else { return ExitCode::from(127) };
    let error = Command::new(&program).args(words).exec();
    // The program may have been rendered with a value of the environment, which may be a secret.
    eprintln!("counterpoint: the program of this command cannot be executed: {error}");
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
}
