//! The thread that takes snapshots.

use super::owner::Message;
use crate::event::Entry;
use crate::host::HostError;
use crate::host::desk::Reply;
use crate::host::snapshots::{Kept, Scribe, SnapshotStatus};
use crate::id::Seq;
use crate::journal::{AppendError, Archive, Epoch};
use crate::structure::threads::thread::{self, JoinHandle};
use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use parking_lot::Mutex;
use std::sync::Arc;

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
        scribe: Scribe,
        tail: Vec<Entry>,
        (epoch, hand): (Epoch, Option<Box<dyn Archive>>),
        owner: (Sender<Message>, Receiver<()>),
    ) -> Result<(Self, Sender<Told>), HostError> {
        // The tail counts: a host that never lives long enough would never take one otherwise.
        let (told, news) = unbounded();
        let _ = told.send(Told::Facts(tail));
        let status = Arc::new(Mutex::new(SnapshotStatus::default()));
        let mut clerk = Clerk { scribe, epoch, hand, owner, status: Arc::clone(&status) };
        let thread = thread::Builder::new()
            .name("counterpoint snapshots".into())
            .spawn(move || clerk.work(&news))
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
struct Clerk {
    scribe: Scribe,
    epoch: Epoch,
    hand: Option<Box<dyn Archive>>,
    /// Its inbox, and what closes when it has ended.
    owner: (Sender<Message>, Receiver<()>),
    status: Arc<Mutex<SnapshotStatus>>,
}

impl Clerk {
    /// Follows until the owner has ended, another writer has taken over, or the facts make no sense.
    fn work(&mut self, news: &Receiver<Told>) {
        for told in news {
            let kept = match told {
                Told::Facts(facts) => match self.scribe.follow(&facts) {
                    Err(error) => {
                        self.status.lock().failed = Some(error);
                        return;
                    }
                    Ok(true) => self.take(),
                    Ok(false) => Ok(Seq::ZERO),
                },
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
        let kept = self.scribe.write().and_then(|(at, snapshot)| self.keep(at, snapshot));
        self.status.lock().note(&kept);
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
