//! Snapshots while the engine works: a thread that follows its facts and serialises there.

use super::owner::Message;
use crate::engine::{EngineSnapshot, Follower};
use crate::event::Entry;
use crate::host::HostError;
use crate::host::desk::Reply;
use crate::id::Seq;
use crate::journal::{AppendError, Archive, Epoch};
use crate::scheduler::Config;
use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use parking_lot::Mutex;
use std::sync::Arc;
use std::thread::JoinHandle;

/// What came of a snapshot: up to which fact it reaches.
pub(super) type Kept = Result<Seq, AppendError>;

/// How often snapshots are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshots {
    every: usize,
}

impl Snapshots {
    /// One after so many facts; 0 counts as 1. A restart reads that many facts and one snapshot at the most, and some that
    /// came while the last one was written.
    #[must_use]
    pub const fn every(facts: usize) -> Self {
        Self { every: if facts == 0 { 1 } else { facts } }
    }
}

/// How taking snapshots goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SnapshotStatus {
    /// How many have been kept.
    pub taken: u64,
    /// Up to which fact the last of them reaches.
    pub at: Option<Seq>,
    /// Why the last try failed, if it did. The next one is made after as many facts again; the journal keeps them all until
    /// then.
    pub failed: Option<AppendError>,
}

/// What the follower is told.
pub(super) enum Told {
    /// These have become durable.
    Facts(Vec<Entry>),
    /// Take a snapshot.
    Now(Reply<Kept>),
}

/// The host's end of the thread that takes snapshots.
pub(super) struct Archivist {
    status: Arc<Mutex<SnapshotStatus>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Archivist {
    /// Starts the thread on the state that the owner has begun with. What it is told ends with the owner.
    pub(super) fn start(
        snapshots: Snapshots,
        config: &Config,
        (snapshot, tail): (Option<EngineSnapshot>, Vec<Entry>),
        (epoch, hand): (Epoch, Option<Box<dyn Archive>>),
        owner: (Sender<Message>, Receiver<()>),
    ) -> Result<(Self, Sender<Told>), HostError> {
        let follower = match &snapshot {
            Some(snapshot) => Follower::from_snapshot(config, snapshot)?,
            None => Follower::new(config),
        };
        // The tail counts: a host that never lives long enough would never take one otherwise.
        let (told, news) = unbounded();
        let _ = told.send(Told::Facts(tail));
        let status = Arc::new(Mutex::new(SnapshotStatus::default()));
        let mut scribe =
            Scribe { follower, every: snapshots.every, since: 0, epoch, hand, owner, status: Arc::clone(&status) };
        let thread = std::thread::Builder::new()
            .name("counterpoint snapshots".into())
            .spawn(move || scribe.work(&news))
            .map_err(|error| HostError::Thread(error.to_string()))?;
        Ok((Self { status, thread: Mutex::new(Some(thread)) }, told))
    }

    pub(super) fn status(&self) -> SnapshotStatus {
        self.status.lock().clone()
    }

    /// Waits until the thread has ended, which it does after the owner.
    pub(super) fn join(&self) {
        if let Some(thread) = self.thread.lock().take() {
            // A panic is a bug that its own message has told.
            let _ = thread.join();
        }
    }
}

/// The thread's own.
struct Scribe {
    follower: Follower,
    every: usize,
    /// Facts since the last snapshot, or the last try.
    since: usize,
    epoch: Epoch,
    hand: Option<Box<dyn Archive>>,
    /// Its inbox, and what closes when it has ended.
    owner: (Sender<Message>, Receiver<()>),
    status: Arc<Mutex<SnapshotStatus>>,
}

impl Scribe {
    /// Follows until the owner has ended, another writer has taken over, or the facts make no sense.
    fn work(&mut self, news: &Receiver<Told>) {
        for told in news {
            let kept = match told {
                Told::Facts(facts) => {
                    if let Err(error) = facts.iter().try_for_each(|fact| self.follower.follow(fact)) {
                        self.status.lock().failed = Some(AppendError::Refused(error.to_string().into()));
                        return;
                    }
                    self.since = self.since.saturating_add(facts.len());
                    if self.since < self.every { Ok(Seq::ZERO) } else { self.take() }
                }
                Told::Now(reply) => {
                    let kept = self.take();
                    reply(kept.clone());
                    kept
                }
            };
            if kept == Err(AppendError::Fenced) {
                return;
            }
        }
    }

    fn take(&mut self) -> Kept {
        self.since = 0;
        let at = self.follower.last_seq();
        let kept = serde_json::to_vec(&self.follower.snapshot())
            .map_err(|error| AppendError::Refused(error.to_string().into()))
            .and_then(|snapshot| self.keep(at, snapshot));
        let mut status = self.status.lock();
        match &kept {
            Ok(at) => {
                *status = SnapshotStatus { taken: status.taken.saturating_add(1), at: Some(*at), failed: None };
            }
            Err(error) => status.failed = Some(error.clone()),
        }
        kept
    }

    fn keep(&mut self, at: Seq, snapshot: Vec<u8>) -> Kept {
        if let Some(hand) = &mut self.hand {
            return hand.keep_snapshot(self.epoch, at, snapshot).map(|()| at);
        }
        let (reply, answer) = bounded(1);
        let (owner, ended) = &self.owner;
        let asked = owner.send(Message::Keep { at, snapshot, reply });
        let answer = asked.ok().and_then(|()| super::told(&answer, ended));
        answer.unwrap_or_else(|| Err(AppendError::Refused("the host has ended".into())))
    }
}
