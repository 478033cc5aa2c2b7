//! Snapshots while the engine runs: their status, and the writer that takes them. The writer uses no thread, no
//! channel and no future; each host runs it in its own way.

use super::durable::{Durable, Handover, Patience};
use crate::base::error::RestoreError;
use crate::base::id::Seq;
use crate::engine::{EngineSnapshot, Follower};
use crate::journal::{AppendError, Archive, Epoch};
use crate::message::event::Entry;
use crate::scheduler::Config;

/// The result of a snapshot: the number of the last event that it covers.
pub(super) type Kept = Result<Seq, AppendError>;

/// The status of the snapshots of a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SnapshotStatus {
    /// The number of snapshots that the journal has stored.
    pub taken: u64,
    /// The number of the last event that the newest snapshot covers.
    pub at: Option<Seq>,
    /// Why the last attempt failed, if it did. The next attempt follows after the same number of events; the journal
    /// retains all events until then.
    pub failed: Option<AppendError>,
}

impl SnapshotStatus {
    pub(super) fn note(&mut self, kept: &Kept) {
        match kept {
            Ok(at) => *self = Self { taken: self.taken.saturating_add(1), at: Some(*at), failed: None },
            Err(error) => self.failed = Some(error.clone()),
        }
    }
}

/// The serialisation of snapshots.
///
/// The code that reads and writes a whole state is a fifth of the library. Only functions that are generic over the journal
/// call [`packed`](Self::packed), so the compiler generates that code only in programs that open a journal.
#[derive(Clone, Copy)]
pub(super) struct Codec {
    write: fn(&EngineSnapshot) -> Result<Vec<u8>, AppendError>,
    read: fn(&[u8]) -> Result<EngineSnapshot, RestoreError>,
}

impl Codec {
    /// Snapshots in their binary form.
    #[inline]
    pub(super) fn packed() -> Self {
        Self { write: |snapshot| snapshot.to_bytes().map_err(refused), read: EngineSnapshot::from_bytes }
    }
}

/// The data that outlives a host.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "durable"), allow(dead_code, reason = "durable hosts take snapshots"))]
pub(super) enum Persistence {
    /// Nothing: the journal is new and in memory.
    Nothing,
    /// The events of the journal. An existing snapshot is read.
    Events(Codec),
    /// The events of the journal, and snapshots that are taken while the host runs.
    Snapshots(Codec, Durable),
}

impl Persistence {
    /// The state in a journal's snapshot.
    pub(super) fn read(self, snapshot: Option<&[u8]>) -> Result<Option<EngineSnapshot>, RestoreError> {
        match self {
            Self::Nothing => Ok(None),
            Self::Events(codec) | Self::Snapshots(codec, _) => snapshot.map(codec.read).transpose(),
        }
    }

    /// How long the host waits for its journal.
    pub(super) const fn patience(self) -> Patience {
        match self {
            Self::Nothing | Self::Events(_) => Patience::NONE,
            Self::Snapshots(_, durable) => Patience::of(durable),
        }
    }

    /// A writer of snapshots that starts from the host's first state; `None` if no snapshots are taken, in which
    /// case no archive is opened.
    pub(super) fn writer(
        self,
        config: &Config,
        snapshot: Option<&EngineSnapshot>,
        epoch: Epoch,
        archive: impl FnOnce() -> Option<Box<dyn Archive>>,
    ) -> Result<Option<SnapshotWriter>, RestoreError> {
        let Self::Snapshots(codec, durable) = self else { return Ok(None) };
        let Some(every) = durable.every() else { return Ok(None) };
        let follower = match snapshot {
            Some(snapshot) => Follower::from_snapshot(config, snapshot)?,
            None => Follower::new(config),
        };
        let handover = Handover::default();
        Ok(Some(SnapshotWriter { follower, codec, every, since: 0, epoch, archive: archive(), handover }))
    }
}

/// Follows the events of an engine, and takes snapshots of the resulting state.
pub(super) struct SnapshotWriter {
    follower: Follower,
    codec: Codec,
    every: usize,
    /// Events since the last snapshot, or the last attempt at one.
    since: usize,
    epoch: Epoch,
    /// Stores snapshots beside the writer of the journal; `None` if only the journal itself can.
    archive: Option<Box<dyn Archive>>,
    handover: Handover,
}

/// The result of a call to a [`SnapshotWriter`].
pub(super) enum Step {
    /// No snapshot was due.
    Followed,
    /// The archive has stored a snapshot, or failed to.
    Kept(Kept),
    /// A snapshot that the journal itself has to store.
    Written(Seq, Vec<u8>),
    /// The events are inconsistent; no more snapshots are taken.
    Lost(AppendError),
}

impl SnapshotWriter {
    /// Follows these events, and takes a snapshot if one is due or requested.
    pub(super) fn work(&mut self, events: &[Entry], requested: bool) -> Step {
        if let Err(error) = events.iter().try_for_each(|event| self.follower.follow(event)) {
            return Step::Lost(refused(error));
        }
        self.since = self.since.saturating_add(events.len());
        if self.since < self.every && !requested {
            return Step::Followed;
        }
        self.since = 0;
        if let Some((epoch, archive)) = self.handover.take() {
            (self.epoch, self.archive) = (epoch, archive);
        }
        let (epoch, at) = (self.epoch, self.follower.last_seq());
        match ((self.codec.write)(&self.follower.snapshot()), &mut self.archive) {
            (Err(error), _) => Step::Kept(Err(error)),
            (Ok(snapshot), Some(archive)) => match archive.keep_snapshot(epoch, at, snapshot) {
                Err(AppendError::Fenced) if self.handover.is_under_way() => {
                    Step::Kept(Err(refused("the host takes the journal over again")))
                }
                kept => Step::Kept(kept.map(|()| at)),
            },
            (Ok(snapshot), None) => Step::Written(at, snapshot),
        }
    }

    /// Where the host announces that it takes the journal over again.
    pub(super) fn handover(&self) -> Handover {
        self.handover.clone()
    }

    /// The number of events until a snapshot is due.
    #[cfg(feature = "async")]
    pub(super) const fn until_due(&self) -> usize {
        self.every.saturating_sub(self.since)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the error is not used afterwards")]
fn refused(error: impl ToString) -> AppendError {
    AppendError::Refused(error.to_string().into())
}
