//! The thread that takes snapshots.

use super::message::{Message, receive};
use crate::base::id::Seq;
use crate::base::structure::threads::thread::{self, JoinHandle};
use crate::host::HostError;
use crate::host::snapshots::{Kept, SnapshotStatus, SnapshotWriter, Step};
use crate::host::state::Reply;
use crate::journal::AppendError;
use crate::message::event::Entry;
use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use parking_lot::Mutex;
use std::sync::Arc;

/// A message of the engine's owner to the thread.
pub(super) enum Request {
    /// Follow these events, which are durable.
    Follow(Vec<Entry>),
    /// Take a snapshot.
    Take(Reply<Kept>),
}

/// The host's handle of the thread that takes snapshots.
pub(super) struct SnapshotThread {
    status: Arc<Mutex<SnapshotStatus>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl SnapshotThread {
    /// Starts the thread from the owner's first state. The thread ends after the owner, which holds the sender.
    pub(super) fn start(
        writer: SnapshotWriter,
        tail: Vec<Entry>,
        owner: (Sender<Message>, Receiver<()>),
    ) -> Result<(Self, Sender<Request>), HostError> {
        // The tail counts towards the next snapshot: a host that always restarts early would otherwise never take one.
        let (sender, requests) = unbounded();
        let _ = sender.send(Request::Follow(tail));
        let status = Arc::new(Mutex::new(SnapshotStatus::default()));
        let mut work = Work { writer, owner, status: Arc::clone(&status) };
        let thread = thread::Builder::new()
            .name("counterpoint snapshots".into())
            .spawn(move || work.run(&requests))
            .map_err(|error| HostError::Thread(error.to_string()))?;
        Ok((Self { status, thread: Mutex::new(Some(thread)) }, sender))
    }

    pub(super) fn status(&self) -> SnapshotStatus {
        self.status.lock().clone()
    }

    /// Waits until the thread has ended.
    pub(super) fn join(&self) {
        if let Some(thread) = self.thread.lock().take() {
            // A panic is a bug, and its own message has reported it.
            let _ = thread.join();
        }
    }
}

/// The events and the requests for a snapshot that wait now. They are handled as one, so that a thread that is behind takes
/// the newest of the overdue snapshots alone.
fn waiting(first: Request, requests: &Receiver<Request>) -> (Vec<Entry>, Vec<Reply<Kept>>) {
    let (mut events, mut replies) = (Vec::new(), Vec::new());
    let others = (0..requests.len()).map_while(|_| requests.try_recv().ok());
    for request in core::iter::once(first).chain(others) {
        match request {
            Request::Follow(more) if events.is_empty() => events = more,
            Request::Follow(mut more) => events.append(&mut more),
            Request::Take(reply) => replies.push(reply),
        }
    }
    (events, replies)
}

/// The state of the thread.
struct Work {
    writer: SnapshotWriter,
    /// The inbox of the owner, and the channel that closes when the owner has ended.
    owner: (Sender<Message>, Receiver<()>),
    status: Arc<Mutex<SnapshotStatus>>,
}

impl Work {
    /// Follows until the owner has ended, another writer has taken over, or the events are inconsistent.
    fn run(&mut self, requests: &Receiver<Request>) {
        while let Ok(request) = requests.recv() {
            let (events, replies) = waiting(request, requests);
            let kept = match self.writer.work(&events, !replies.is_empty()) {
                Step::Followed => continue,
                Step::Kept(kept) => kept,
                Step::Written(at, snapshot) => self.keep(at, snapshot),
                Step::Lost(error) => {
                    self.status.lock().failed = Some(error);
                    return;
                }
            };
            self.status.lock().note(&kept);
            for reply in replies {
                reply(kept.clone());
            }
            if kept == Err(AppendError::Fenced) {
                return;
            }
        }
    }

    /// Stores a snapshot in the journal of the owner.
    fn keep(&self, at: Seq, snapshot: Vec<u8>) -> Kept {
        let (reply, answer) = bounded(1);
        let (owner, ended) = &self.owner;
        let sent = owner.send(Message::Keep { at, snapshot, reply });
        let answer = sent.ok().and_then(|()| receive(&answer, ended));
        answer.unwrap_or_else(|| Err(AppendError::Refused("the host has ended".into())))
    }
}
