//! Snapshots while the driver runs: a [`SnapshotWriter`] works wherever the user of the host runs blocking work.

use super::journal::{Away, Blocking};
use crate::base::id::Seq;
use crate::host::snapshots::{Kept, SnapshotStatus, SnapshotWriter, Step};
use crate::host::state::Reply;
use crate::journal::{AppendError, Archive};
use crate::message::effect::Outbox;
use crate::message::event::Entry;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_channel::oneshot;

/// The largest number of events that wait for the writer, unless a snapshot is due earlier or is being taken.
const CHUNK: usize = 4_096;

/// Sends events to the snapshot writer, and answers requests for snapshots.
pub(super) struct SnapshotTask {
    writer: Writer,
    away: Box<Away>,
    /// Durable events that the writer has not followed: always whole appends.
    events: Vec<Entry>,
    /// The number of the last of these events.
    last: Seq,
    /// Requests, each with the number of the event that its snapshot has to cover.
    requested: Vec<(Seq, Reply<Kept>)>,
    /// The requests that the snapshot being taken answers.
    pending: Vec<Reply<Kept>>,
    status: SnapshotStatus,
}

/// The options of a [`SnapshotTask`].
pub(super) struct Means {
    pub(super) archive: Option<Box<dyn Archive>>,
    pub(super) away: Box<Away>,
}

/// The location of the writer.
enum Writer {
    Idle(Box<SnapshotWriter>),
    /// It works on another thread.
    Away(oneshot::Receiver<Back>),
    /// It is here, and the journal itself has to store the snapshot that it wrote. `None`: the journal does so now.
    Written(Box<SnapshotWriter>, Option<(Seq, Vec<u8>)>),
    /// No more snapshots are taken.
    Gone(AppendError),
}

/// The writer, and the result of its work.
struct Back(Box<SnapshotWriter>, Step);

impl SnapshotTask {
    /// `tail` is the content of the journal after its last snapshot. It counts towards the next one: a host that always
    /// restarts early would otherwise never take a snapshot.
    pub(super) fn new(writer: SnapshotWriter, away: Box<Away>, (tail, last): (Vec<Entry>, Seq)) -> Self {
        let (writer, status) = (Writer::Idle(Box::new(writer)), SnapshotStatus::default());
        Self { writer, away, events: tail, last, requested: Vec::new(), pending: Vec::new(), status }
    }

    pub(super) fn status(&self) -> SnapshotStatus {
        self.status.clone()
    }

    /// Requests a snapshot that covers every event up to this one.
    pub(super) fn request(&mut self, up_to: Seq, reply: Reply<Kept>) {
        match &self.writer {
            Writer::Gone(error) => reply(Err(error.clone())),
            Writer::Idle(_) | Writer::Away(_) | Writer::Written(..) => self.requested.push((up_to, reply)),
        }
    }

    /// Takes the events of an append, which are durable and have been shown.
    pub(super) fn note(&mut self, outbox: &mut Outbox, last: Seq) {
        if !matches!(self.writer, Writer::Gone(_)) {
            outbox.drain_entries(&mut self.events);
            self.last = last;
        }
    }

    /// Whether the host should wait for it before it ends.
    pub(super) const fn is_busy(&self) -> bool {
        matches!(self.writer, Writer::Away(_) | Writer::Written(..)) || !self.requested.is_empty()
    }

    /// A snapshot for the journal itself to store, once.
    pub(super) const fn written(&mut self) -> Option<(Seq, Vec<u8>)> {
        match &mut self.writer {
            Writer::Written(_, snapshot) => snapshot.take(),
            Writer::Idle(_) | Writer::Away(_) | Writer::Gone(_) => None,
        }
    }

    /// Records the journal's result of storing that snapshot.
    pub(super) fn kept(&mut self, kept: &Kept) {
        let writer = core::mem::replace(&mut self.writer, Writer::Gone(AppendError::Unknown));
        self.writer = match writer {
            Writer::Written(writer, _) => Writer::Idle(writer),
            other @ (Writer::Idle(_) | Writer::Away(_) | Writer::Gone(_)) => other,
        };
        self.answer(kept);
    }

    /// Takes the writer back when it has finished, and sends it off again if there is work. Returns true if either
    /// happened.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let back = match &mut self.writer {
            Writer::Away(coming) => match Pin::new(coming).poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(back) => Some(back),
            },
            Writer::Idle(_) | Writer::Written(..) | Writer::Gone(_) => None,
        };
        let came_back = back.is_some();
        match back {
            Some(Ok(Back(writer, step))) => self.came_back(writer, step),
            Some(Err(_)) => self.lose(AppendError::Refused("the work that takes snapshots was dropped".into())),
            None => {}
        }
        self.send() || came_back
    }

    fn came_back(&mut self, writer: Box<SnapshotWriter>, step: Step) {
        match step {
            Step::Followed => self.writer = Writer::Idle(writer),
            Step::Kept(kept) => {
                self.writer = Writer::Idle(writer);
                self.answer(&kept);
            }
            Step::Written(at, snapshot) => self.writer = Writer::Written(writer, Some((at, snapshot))),
            Step::Lost(error) => self.lose(error),
        }
    }

    /// Sends the writer off if there are enough events, or they reach one for which a snapshot is requested.
    fn send(&mut self) -> bool {
        let Writer::Idle(writer) = &self.writer else { return false };
        let due = writer.until_due().min(CHUNK);
        let requested = self.requested.iter().any(|(up_to, _)| *up_to <= self.last);
        if self.events.len() < due && !requested {
            return false;
        }
        let (back, coming) = oneshot::channel();
        let Writer::Idle(mut writer) = core::mem::replace(&mut self.writer, Writer::Away(coming)) else { return false };
        let events = core::mem::take(&mut self.events);
        for (up_to, reply) in core::mem::take(&mut self.requested) {
            if up_to <= self.last {
                self.pending.push(reply);
            } else {
                self.requested.push((up_to, reply));
            }
        }
        let work: Blocking = Box::new(move || {
            let step = writer.work(&events, requested);
            drop(back.send(Back(writer, step)));
        });
        (self.away)(work);
        true
    }

    fn answer(&mut self, kept: &Kept) {
        self.status.note(kept);
        for reply in self.pending.drain(..) {
            reply(kept.clone());
        }
        if *kept == Err(AppendError::Fenced) {
            self.lose(AppendError::Fenced);
        }
    }

    fn lose(&mut self, error: AppendError) {
        self.events = Vec::new();
        self.status.failed = Some(error.clone());
        for reply in self.pending.drain(..).chain(self.requested.drain(..).map(|(_, reply)| reply)) {
            reply(Err(error.clone()));
        }
        self.writer = Writer::Gone(error);
    }
}
