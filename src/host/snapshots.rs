//! Snapshots while the engine works: how often, how that goes, and the second state that is written down.

use crate::engine::{EngineSnapshot, Follower};
use crate::error::RestoreError;
use crate::event::Entry;
use crate::id::Seq;
use crate::journal::AppendError;
use crate::scheduler::Config;

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

impl SnapshotStatus {
    pub(super) fn note(&mut self, kept: &Kept) {
        match kept {
            Ok(at) => *self = Self { taken: self.taken.saturating_add(1), at: Some(*at), failed: None },
            Err(error) => self.failed = Some(error.clone()),
        }
    }
}

/// Follows the facts of an engine, and writes down the state that they lead to.
pub(super) struct Scribe {
    follower: Follower,
    every: usize,
    /// Facts since the last snapshot, or the last try.
    since: usize,
}

impl Scribe {
    /// One that follows from where the host has begun.
    pub(super) fn open(
        snapshots: Snapshots,
        config: &Config,
        snapshot: Option<&EngineSnapshot>,
    ) -> Result<Self, RestoreError> {
        let follower = match snapshot {
            Some(snapshot) => Follower::from_snapshot(config, snapshot)?,
            None => Follower::new(config),
        };
        Ok(Self { follower, every: snapshots.every, since: 0 })
    }

    /// Takes these facts, and says whether a snapshot is due.
    pub(super) fn follow(&mut self, facts: &[Entry]) -> Result<bool, AppendError> {
        facts.iter().try_for_each(|fact| self.follower.follow(fact)).map_err(refused)?;
        self.since = self.since.saturating_add(facts.len());
        Ok(self.since >= self.every)
    }

    /// How many more facts there must be until a snapshot is due.
    #[cfg(feature = "async")]
    pub(super) const fn until_due(&self) -> usize {
        self.every.saturating_sub(self.since)
    }

    /// The state, and the fact up to which it reaches.
    pub(super) fn write(&mut self) -> Result<(Seq, Vec<u8>), AppendError> {
        self.since = 0;
        let snapshot = serde_json::to_vec(&self.follower.snapshot()).map_err(refused)?;
        Ok((self.follower.last_seq(), snapshot))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn refused(error: impl ToString) -> AppendError {
    AppendError::Refused(error.to_string().into())
}
