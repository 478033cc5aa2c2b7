//! Snapshots while the engine runs: their interval, their status, and the writer that takes them. The writer uses no thread, no
//! channel and no future; each host runs it in its own way.

use crate::base::error::RestoreError;
use crate::base::id::Seq;
use crate::engine::{EngineSnapshot, Follower};
use crate::journal::{AppendError, Archive, Epoch};
use crate::message::event::Entry;
use crate::scheduler::Config;

/// The result of a snapshot: the number of the last event that it covers.
pub(super) type Kept = Result<Seq, AppendError>;

/// The interval between snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshots {
    every: usize,
}

impl Snapshots {
    /// A snapshot after every `events` events; 0 counts as 1. A restart reads one snapshot, at most that many events, and those
    /// that were appended while the last snapshot was written.
    #[must_use]
    pub const fn every(events: usize) -> Self {
        Self { every: if events == 0 { 1 } else { events } }
    }
}

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

/// Follows the events of an engine, and takes snapshots of the resulting state.
pub(super) struct SnapshotWriter {
    follower: Follower,
    every: usize,
    /// Events since the last snapshot, or the last attempt at one.
    since: usize,
    epoch: Epoch,
    /// Stores snapshots beside the writer of the journal; `None` if only the journal itself can.
    archive: Option<Box<dyn Archive>>,
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
    /// A writer that starts from the host's first state.
    pub(super) fn open(
        snapshots: Snapshots,
        config: &Config,
        snapshot: Option<&EngineSnapshot>,
        (epoch, archive): (Epoch, Option<Box<dyn Archive>>),
    ) -> Result<Self, RestoreError> {
        let follower = match snapshot {
            Some(snapshot) => Follower::from_snapshot(config, snapshot)?,
            None => Follower::new(config),
        };
        Ok(Self { follower, every: snapshots.every, since: 0, epoch, archive })
    }

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
        let (epoch, at) = (self.epoch, self.follower.last_seq());
        match (serde_json::to_vec(&self.follower.snapshot()), &mut self.archive) {
            (Err(error), _) => Step::Kept(Err(refused(error))),
            (Ok(snapshot), Some(archive)) => Step::Kept(archive.keep_snapshot(epoch, at, snapshot).map(|()| at)),
            (Ok(snapshot), None) => Step::Written(at, snapshot),
        }
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
