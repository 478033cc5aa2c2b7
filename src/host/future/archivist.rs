//! Snapshots while the driver goes on: a second state follows the facts, wherever the host's user has work done that blocks.

use super::journal::{Away, Blocking};
use crate::effect::Outbox;
use crate::event::Entry;
use crate::host::desk::Reply;
use crate::host::snapshots::{Kept, Scribe, SnapshotStatus, Snapshots};
use crate::id::Seq;
use crate::journal::{AppendError, Archive, Epoch};
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_channel::oneshot;

/// So many facts wait at the most before they are followed, if no snapshot is due earlier and none is being taken.
const CHUNK: usize = 4_096;

/// Who sees that snapshots are taken, and tells those who asked for one.
pub(super) struct Archivist {
    place: Place,
    away: Box<Away>,
    /// Durable facts that have not been followed, whole appends always.
    facts: Vec<Entry>,
    /// The number of the last of them.
    last: Seq,
    /// Who wants a snapshot that reaches up to this fact.
    asked: Vec<(Seq, Reply<Kept>)>,
    /// Who is told of the one that is being taken.
    promised: Vec<Reply<Kept>>,
    status: SnapshotStatus,
}

/// What it takes to take snapshots.
pub(super) struct Means {
    pub(super) often: Snapshots,
    /// The journal's second hand.
    pub(super) hand: Option<Box<dyn Archive>>,
    pub(super) away: Box<Away>,
}

/// Where the one is who follows.
enum Place {
    Here(Box<Clerk>),
    Away(oneshot::Receiver<Back>),
    /// Here, but what it wrote is still to be kept by the journal, or is being kept: it is there until then.
    Wrote(Box<Clerk>, Option<(Seq, Vec<u8>)>),
    /// There will be no more snapshots.
    Gone(AppendError),
}

struct Clerk {
    scribe: Scribe,
    epoch: Epoch,
    /// The journal's second hand, which blocks.
    hand: Option<Box<dyn Archive>>,
}

/// The one who follows, and what came of its work.
struct Back(Box<Clerk>, Came);

enum Came {
    Followed,
    Kept(Kept),
    Wrote(Seq, Vec<u8>),
    Lost(AppendError),
}

impl Archivist {
    /// `tail` is what the journal held after its last snapshot. It counts: a host that never lives long enough would never
    /// take one otherwise.
    pub(super) fn new(
        scribe: Scribe,
        Means { hand, away, .. }: Means,
        epoch: Epoch,
        (facts, last): (Vec<Entry>, Seq),
    ) -> Self {
        let place = Place::Here(Box::new(Clerk { scribe, epoch, hand }));
        let status = SnapshotStatus::default();
        Self { place, away, facts, last, asked: Vec::new(), promised: Vec::new(), status }
    }

    pub(super) fn status(&self) -> SnapshotStatus {
        self.status.clone()
    }

    /// Somebody wants a snapshot of all up to this fact.
    pub(super) fn ask(&mut self, up_to: Seq, reply: Reply<Kept>) {
        match &self.place {
            Place::Gone(error) => reply(Err(error.clone())),
            Place::Here(_) | Place::Away(_) | Place::Wrote(..) => self.asked.push((up_to, reply)),
        }
    }

    /// Takes the facts of an append that are durable and have been shown.
    pub(super) fn note(&mut self, outbox: &mut Outbox, last: Seq) {
        if !matches!(self.place, Place::Gone(_)) {
            outbox.drain_entries(&mut self.facts);
            self.last = last;
        }
    }

    /// Whether something is on its way that should end before the host does.
    pub(super) const fn is_busy(&self) -> bool {
        matches!(self.place, Place::Away(_) | Place::Wrote(..)) || !self.asked.is_empty()
    }

    /// A snapshot that the journal itself is to keep, once.
    pub(super) fn wrote(&mut self) -> Option<(Seq, Vec<u8>)> {
        match &mut self.place {
            Place::Wrote(_, snapshot) => snapshot.take(),
            Place::Here(_) | Place::Away(_) | Place::Gone(_) => None,
        }
    }

    /// What became of that one.
    pub(super) fn kept(&mut self, kept: &Kept) {
        let place = core::mem::replace(&mut self.place, Place::Gone(AppendError::Unknown));
        self.place = match place {
            Place::Wrote(clerk, _) => Place::Here(clerk),
            other @ (Place::Here(_) | Place::Away(_) | Place::Gone(_)) => other,
        };
        self.tell(kept);
    }

    /// Hears what came of the work that is away, and sends the next there.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let came = match &mut self.place {
            Place::Away(coming) => match Pin::new(coming).poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(back) => Some(back),
            },
            Place::Here(_) | Place::Wrote(..) | Place::Gone(_) => None,
        };
        let came_back = came.is_some();
        match came {
            Some(Ok(Back(clerk, came))) => self.came(clerk, came),
            Some(Err(_)) => self.lose(AppendError::Refused("who takes snapshots did not come back".into())),
            None => {}
        }
        self.send() || came_back
    }

    fn came(&mut self, clerk: Box<Clerk>, came: Came) {
        match came {
            Came::Followed => self.place = Place::Here(clerk),
            Came::Kept(kept) => {
                self.place = Place::Here(clerk);
                self.tell(&kept);
            }
            Came::Wrote(at, snapshot) => self.place = Place::Wrote(clerk, Some((at, snapshot))),
            Came::Lost(error) => self.lose(error),
        }
    }

    /// Sends the facts away if there are enough of them, or a snapshot is wanted that they reach.
    fn send(&mut self) -> bool {
        let Place::Here(clerk) = &self.place else { return false };
        let due = clerk.scribe.until_due().min(CHUNK);
        let wanted = self.asked.iter().any(|(up_to, _)| *up_to <= self.last);
        if self.facts.len() < due && !wanted {
            return false;
        }
        let (back, coming) = oneshot::channel();
        let Place::Here(clerk) = core::mem::replace(&mut self.place, Place::Away(coming)) else { return false };
        let facts = core::mem::take(&mut self.facts);
        for (up_to, reply) in core::mem::take(&mut self.asked) {
            if up_to <= self.last {
                self.promised.push(reply);
            } else {
                self.asked.push((up_to, reply));
            }
        }
        let work: Blocking = Box::new(move || drop(back.send(clerk.work(&facts, wanted))));
        (self.away)(work);
        true
    }

    fn tell(&mut self, kept: &Kept) {
        self.status.note(kept);
        for reply in self.promised.drain(..) {
            reply(kept.clone());
        }
        if *kept == Err(AppendError::Fenced) {
            self.lose(AppendError::Fenced);
        }
    }

    fn lose(&mut self, error: AppendError) {
        self.facts = Vec::new();
        self.status.failed = Some(error.clone());
        for reply in self.promised.drain(..).chain(self.asked.drain(..).map(|(_, reply)| reply)) {
            reply(Err(error.clone()));
        }
        self.place = Place::Gone(error);
    }
}

impl Clerk {
    /// Follows these facts, and takes a snapshot if one is due or wanted.
    fn work(mut self: Box<Self>, facts: &[Entry], wanted: bool) -> Back {
        let came = match self.scribe.follow(facts) {
            Err(error) => Came::Lost(error),
            Ok(due) if due || wanted => self.take(),
            Ok(_) => Came::Followed,
        };
        Back(self, came)
    }

    fn take(&mut self) -> Came {
        match (self.scribe.write(), &mut self.hand) {
            (Err(error), _) => Came::Kept(Err(error)),
            (Ok((at, snapshot)), Some(hand)) => Came::Kept(hand.keep_snapshot(self.epoch, at, snapshot).map(|()| at)),
            (Ok((at, snapshot)), None) => Came::Wrote(at, snapshot),
        }
    }
}
