//! A file system in memory that fails on request, and that loses what was not made durable when it crashes.

use crate::disk::{Disk, DiskFile, Identity, Open};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The unit that is written or not written at a crash.
const SECTOR: usize = 512;

/// What happens to an operation that changes something or opens a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The machine crashes during the operation.
    Crash,
    /// No space is left: files do not grow, or in part. New names need space, too.
    Full,
    /// The device reports an error; a part of a write has taken place, a rename has not.
    Failed,
    /// The same, but the operation has taken place; of a flush, the system believes that it has.
    FailedLate,
    /// A signal interrupts it.
    Interrupted,
    /// A write takes place in part.
    Short,
    /// No file can be opened.
    Descriptors,
}

#[derive(Debug, Clone, Default)]
struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
    /// The sectors of the content that are not durable, and that a flush makes durable.
    dirty: BTreeSet<usize>,
}

#[derive(Debug, Clone, Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// The names after each change that is not durable.
    pending: Vec<BTreeMap<PathBuf, usize>>,
    locked: BTreeSet<usize>,
    /// Handles of an earlier process are closed.
    process: u64,
    steps: usize,
    /// Faults by the number of the step. The last one lasts if `lasting`.
    faults: BTreeMap<usize, Fault>,
    lasting: Option<Fault>,
    crashed: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct FakeDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct FakeFile {
    disk: FakeDisk,
    inode: usize,
    process: u64,
    holds: Mutex<bool>,
}

fn failed(reason: &str) -> io::Error {
    io::Error::other(reason.to_owned())
}

impl State {
    /// Counts a step and returns its fault.
    fn step(&mut self) -> io::Result<Option<Fault>> {
        if self.crashed {
            return Err(failed("the machine is off"));
        }
        let step = self.steps;
        self.steps += 1;
        let fault = self.faults.get(&step).copied().or(self.lasting);
        self.crashed = fault == Some(Fault::Crash);
        Ok(fault)
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Changes names, unless the step fails.
    fn rename(&mut self, change: impl FnOnce(&mut BTreeMap<PathBuf, usize>)) -> io::Result<()> {
        match self.step()? {
            Some(Fault::Failed) => return Err(failed("the name was not changed")),
            Some(Fault::Full) => return Err(io::ErrorKind::StorageFull.into()),
            Some(fault @ (Fault::FailedLate | Fault::Crash)) => {
                change(&mut self.names);
                self.pending.push(self.names.clone());
                return Err(failed(if fault == Fault::Crash { "crash" } else { "the name was changed" }));
            }
            Some(Fault::Interrupted | Fault::Short | Fault::Descriptors) | None => {}
        }
        change(&mut self.names);
        self.pending.push(self.names.clone());
        Ok(())
    }
}

impl Inode {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = at + bytes.len();
        if self.content.len() < end {
            self.content.resize(end, 0);
        }
        self.content[at..end].copy_from_slice(bytes);
        self.dirty.extend(at / SECTOR..=(end - 1) / SECTOR);
    }

    fn flush(&mut self, sector: usize) {
        let range = sector * SECTOR..((sector + 1) * SECTOR).min(self.content.len());
        if self.durable.len() < range.end {
            self.durable.resize(range.end, 0);
        }
        self.durable[range.clone()].copy_from_slice(&self.content[range]);
    }
}

impl FakeDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A disk of its own with the same content, on which no process runs.
    pub(super) fn copy(&self) -> Self {
        let copy = Self(Arc::new(Mutex::new(self.state().clone())));
        copy.kill();
        copy
    }

    /// The number of steps so far.
    pub(super) fn steps(&self) -> usize {
        self.state().steps
    }

    pub(super) fn fail_at(&self, step: usize, fault: Fault) {
        self.state().faults.insert(step, fault);
    }

    /// Makes every step fail from now on, or none.
    pub(super) fn fail_always(&self, fault: Option<Fault>) {
        self.state().lasting = fault;
    }

    /// Ends the process. The system keeps what the process wrote.
    pub(super) fn kill(&self) {
        let mut state = self.state();
        state.process += 1;
        state.locked.clear();
        state.faults.clear();
        state.steps = 0;
        (state.lasting, state.crashed) = (None, false);
    }

    /// Ends the machine: of what is not durable, each sector is there or not, and some of the names.
    pub(super) fn crash(&self, dice: &mut Dice) {
        self.kill();
        let mut state = self.state();
        for inode in &mut state.inodes {
            for sector in std::mem::take(&mut inode.dirty) {
                if dice.below(2) == 0 {
                    inode.flush(sector);
                }
            }
            inode.content = inode.durable.clone();
        }
        let kept = dice.below(state.pending.len() as u64 + 1) as usize;
        let names = if kept == 0 { state.durable_names.clone() } else { state.pending[kept - 1].clone() };
        state.pending.clear();
        state.names = names.clone();
        state.durable_names = names;
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    pub(super) fn content(&self, path: &Path) -> Vec<u8> {
        let state = self.state();
        state.inodes[state.names[path]].content.clone()
    }

    /// Replaces the content of a file, durably.
    pub(super) fn put(&self, path: &Path, content: Vec<u8>) {
        let mut state = self.state();
        let inode = Inode { durable: content.clone(), content, dirty: BTreeSet::new() };
        state.inodes.push(inode);
        let number = state.inodes.len() - 1;
        state.names.insert(path.to_owned(), number);
        state.durable_names.insert(path.to_owned(), number);
    }

    pub(super) fn take_away(&self, path: &Path) -> Vec<u8> {
        let content = self.content(path);
        let mut state = self.state();
        state.names.remove(path);
        state.durable_names.remove(path);
        content
    }
}

impl Disk for FakeDisk {
    fn make_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn paths(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.files())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        if let Some(fault @ (Fault::Descriptors | Fault::Crash | Fault::Failed)) = state.step()? {
            return Err(failed(&format!("not read: {fault:?}")));
        }
        let inode = state.find(path)?;
        Ok(state.inodes[inode].content.clone())
    }

    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        let inode = match (state.find(path), how) {
            (Ok(inode), Open::Existing | Open::OrCreate) => {
                if let Some(fault @ (Fault::Descriptors | Fault::Crash | Fault::Failed)) = state.step()? {
                    return Err(failed(&format!("not opened: {fault:?}")));
                }
                inode
            }
            (Err(error), Open::Existing) => return Err(error),
            (_, Open::OrCreate | Open::Fresh) => {
                let now = state.faults.get(&state.steps).copied().or(state.lasting);
                if now == Some(Fault::Descriptors) {
                    state.steps += 1;
                    return Err(failed("no descriptor is free"));
                }
                let number = state.inodes.len();
                state.inodes.push(Inode::default());
                state.rename(|names| {
                    names.insert(path.to_owned(), number);
                })?;
                number
            }
        };
        let process = state.process;
        drop(state);
        Ok(Box::new(FakeFile { disk: self.clone(), inode, process, holds: Mutex::new(false) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.find(from)?;
        state.rename(|names| {
            names.remove(from);
            names.insert(to.to_owned(), inode);
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.find(path)?;
        state.rename(|names| {
            names.remove(path);
        })
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut state = self.state();
        match state.step()? {
            Some(Fault::Failed | Fault::FailedLate | Fault::Crash) => Err(failed("the names are not durable")),
            Some(Fault::Full | Fault::Interrupted | Fault::Short | Fault::Descriptors) | None => {
                state.durable_names = state.names.clone();
                state.pending.clear();
                Ok(())
            }
        }
    }

    fn identity(&self, path: &Path) -> io::Result<Option<Identity>> {
        let state = self.state();
        if state.crashed {
            return Err(failed("the machine is off"));
        }
        state.find(path).map(|inode| Some((0, inode as u64)))
    }
}

impl FakeFile {
    fn inode<T>(&self, act: impl FnOnce(&mut Inode, Option<Fault>) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.state();
        if state.process != self.process {
            return Err(failed("the process has ended"));
        }
        let fault = state.step()?;
        act(&mut state.inodes[self.inode], fault)
    }
}

impl DiskFile for FakeFile {
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<usize> {
        let (at, part) = (at as usize, bytes.len().div_ceil(2));
        self.inode(|inode, fault| match fault {
            None | Some(Fault::Descriptors) => {
                inode.write(at, bytes);
                Ok(bytes.len())
            }
            Some(Fault::Short) => {
                inode.write(at, &bytes[..part]);
                Ok(part)
            }
            Some(Fault::Interrupted) => Err(io::ErrorKind::Interrupted.into()),
            // What is there can be overwritten.
            Some(Fault::Full) if at + bytes.len() <= inode.content.len() => {
                inode.write(at, bytes);
                Ok(bytes.len())
            }
            Some(Fault::Full) => {
                inode.write(at, &bytes[..part]);
                Err(io::ErrorKind::StorageFull.into())
            }
            Some(Fault::Failed) => {
                inode.write(at, &bytes[..part]);
                Err(failed("the device failed"))
            }
            Some(Fault::FailedLate | Fault::Crash) => {
                inode.write(at, bytes);
                Err(failed("the device failed, late"))
            }
        })
    }

    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.state();
        if state.process != self.process || state.crashed {
            return Err(failed("the process has ended"));
        }
        let rest = state.inodes[self.inode].content.get(at as usize..).unwrap_or_default();
        let count = rest.len().min(bytes.len());
        bytes[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn sync(&self) -> io::Result<()> {
        self.inode(|inode, fault| match fault {
            Some(Fault::Crash | Fault::Failed) => Err(failed("not flushed")),
            // As Linux does: the pages count as clean, and the next flush succeeds.
            Some(Fault::FailedLate) => {
                inode.dirty.clear();
                Err(failed("not flushed, and forgotten"))
            }
            Some(Fault::Full | Fault::Interrupted | Fault::Short | Fault::Descriptors) | None => {
                for sector in std::mem::take(&mut inode.dirty) {
                    inode.flush(sector);
                }
                Ok(())
            }
        })
    }

    fn try_lock(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        if state.crashed || !state.locked.insert(self.inode) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        *self.holds.lock().unwrap_or_else(PoisonError::into_inner) = true;
        Ok(())
    }

    fn identity(&self) -> io::Result<Option<Identity>> {
        Ok(Some((0, self.inode as u64)))
    }
}

impl Drop for FakeFile {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if *self.holds.lock().unwrap_or_else(PoisonError::into_inner) && state.process == self.process {
            state.locked.remove(&self.inode);
        }
    }
}

/// Numbers that depend only on the seed.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
