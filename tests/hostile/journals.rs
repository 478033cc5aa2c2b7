//! Journals that fail, and what hosts ask of them.

use counterpoint::host::Durable;
use counterpoint::host::thread::ThreadHost;
use counterpoint::journal::{AppendError, Archive, Epoch, Journal, JournalError, MemoryJournal, Takeover};
use counterpoint::{Config, Engine, Entry, Seq, TaskId, TaskSpec};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Counts the archives that are opened, and the snapshots that these refuse.
#[derive(Clone, Default)]
struct Counting {
    within: MemoryJournal,
    opened: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

struct Refusing(Arc<AtomicUsize>);

impl Archive for Refusing {
    fn keep_snapshot(&mut self, _: Epoch, _: Seq, _: Vec<u8>) -> Result<(), AppendError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(AppendError::Refused("the archive is damaged".into()))
    }
}

impl Journal for Counting {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        self.within.take_over()
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        self.within.append(epoch, after, entries)
    }

    fn archive(&mut self) -> Option<Box<dyn Archive>> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Some(Box::new(Refusing(Arc::clone(&self.refused))))
    }
}

fn submit(host: &ThreadHost, tasks: u64) {
    for task in 1..=tasks {
        let _handle = host.submit(TaskSpec::new(TaskId::new(task), "work")).unwrap();
    }
}

#[test]
fn a_host_without_snapshots_opens_no_archive() {
    let journal = Counting::default();
    let host = ThreadHost::open(Config::default(), journal.clone()).unwrap();
    submit(&host, 20);
    assert!(host.take_snapshot().is_err());
    host.shut_down(Duration::ZERO).unwrap();
    assert_eq!(journal.opened.load(Ordering::Relaxed), 0);
    let host = ThreadHost::durable(Config::default(), journal.clone(), Durable::new().snapshot_every(1_000)).unwrap();
    host.shut_down(Duration::ZERO).unwrap();
    assert_eq!(journal.opened.load(Ordering::Relaxed), 1);
}

/// An archive that stores nothing costs nothing but its snapshots: the entries stay, and the next host restores from them.
#[test]
fn without_its_archive_a_host_continues_from_entries() {
    let journal = Counting::default();
    let host = ThreadHost::durable(Config::default(), journal.clone(), Durable::new().snapshot_every(5)).unwrap();
    submit(&host, 30);
    // The regular snapshots are refused, and so is one on demand.
    while host.snapshots().unwrap().failed.is_none() {
        std::thread::yield_now();
    }
    assert!(host.take_snapshot().is_err());
    let status = host.snapshots().unwrap();
    let damaged = AppendError::Refused("the archive is damaged".into());
    assert_eq!((status.taken, status.at, status.failed), (0, None, Some(damaged)));
    host.shut_down(Duration::ZERO).unwrap();
    assert!(journal.refused.load(Ordering::Relaxed) > 1);
    let host = ThreadHost::open(Config::default(), journal.within.clone()).unwrap();
    let known = |engine: &Engine| (1..=30).filter(|task| engine.task(TaskId::new(*task)).is_some()).count();
    assert_eq!(host.inspect(known).unwrap(), 30);
    host.shut_down(Duration::ZERO).unwrap();
}
