//! A store in memory, for tests and for trying things out in one process.

use crate::store::{Append, Deployment, Directed, DirectoryRow, Joined, Store, StoreError};
use crate::transport::{Inbox, Transport};
use counterpoint::cluster::{NodeId, Report, Session, ShardId};
use counterpoint::journal::{AppendError, Epoch, Journal as _, MemoryJournal, Takeover};
use counterpoint::{Entry, Seq, Time};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A store in memory. Clones share it, as connections share a database.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    start: Instant,
    /// Instead of the clock of this process.
    now: Option<Time>,
}

#[derive(Default)]
struct State {
    deployment: Option<Deployment>,
    row: Option<DirectoryRow>,
    version: u64,
    nodes: u64,
    sessions: u64,
    journals: BTreeMap<ShardId, MemoryJournal>,
    is_away: bool,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { state: Arc::default(), start: Instant::now(), now: None }
    }
}

impl MemoryStore {
    /// Sets the time of this connection, for simulations.
    pub const fn set_time(&mut self, now: Time) {
        self.now = Some(now);
    }

    /// Lets the store be away, or answer again.
    pub fn set_away(&self, is_away: bool) {
        self.state().is_away = is_away;
    }

    /// The entries of a shard since its last snapshot.
    #[must_use]
    pub fn entries(&self, shard: ShardId) -> Vec<Entry> {
        self.state().journals.get(&shard).map(MemoryJournal::entries).unwrap_or_default()
    }

    /// The directory, once a node has joined.
    #[must_use]
    pub fn directory(&self) -> Option<DirectoryRow> {
        self.state().row.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code below panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn present(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state();
        if state.is_away { Err(StoreError::Away("it was switched off".into())) } else { Ok(state) }
    }

    fn time(&self) -> Time {
        self.now.unwrap_or_else(|| Time::ZERO + Duration::from_secs(1) + self.start.elapsed())
    }

    fn change(
        &self,
        change: impl FnOnce(&mut DirectoryRow, Time, u64) -> Result<Directed, StoreError>,
    ) -> Result<Directed, StoreError> {
        let now = self.time();
        let mut state = self.present()?;
        let version = state.version.saturating_add(1);
        let mut row = state.row.clone().ok_or_else(|| StoreError::Foreign("no node has joined".into()))?;
        let directed = change(&mut row, now, version)?;
        (state.row, state.version) = (Some(row), version);
        Ok(directed)
    }
}

impl Store for MemoryStore {
    fn another(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(self.clone()))
    }

    fn join(&mut self, stated: &Deployment) -> Result<Joined, StoreError> {
        let now = self.time();
        let mut state = self.present()?;
        match &state.deployment {
            Some(known) => known.admits(stated)?,
            None => {
                state.row = Some(DirectoryRow::new(stated));
                state.deployment = Some(stated.clone());
            }
        }
        state.nodes = state.nodes.saturating_add(1);
        Ok(Joined::new(NodeId::new(state.nodes), "memory".into(), now))
    }

    fn session(&mut self) -> Result<Session, StoreError> {
        let mut state = self.present()?;
        state.sessions = state.sessions.saturating_add(1);
        Ok(Session::new(state.sessions))
    }

    fn report(&mut self, report: Report, address: &str) -> Result<Directed, StoreError> {
        self.change(|row, now, version| row.report(now, version, report, address))
    }

    fn relocate(&mut self, shard: ShardId, to: NodeId) -> Result<Directed, StoreError> {
        self.change(|row, now, version| row.relocate(now, version, shard, to))
    }

    fn take_over(&mut self, shard: ShardId) -> Result<Takeover, StoreError> {
        let mut state = self.present()?;
        let taken = state.journals.entry(shard).or_default().take_over();
        taken.map_err(|error| StoreError::Away(error.to_string()))
    }

    fn append_all(&mut self, appends: Vec<Append>) -> Vec<Result<(), AppendError>> {
        let mut state = self.state();
        let is_away = state.is_away;
        let mut append = |append: &Append| {
            if is_away {
                return Err(AppendError::Unknown);
            }
            let journal = state.journals.entry(append.shard).or_default();
            journal.append(append.epoch, append.after, &append.entries)
        };
        appends.iter().map(&mut append).collect()
    }

    fn keep_snapshot(&mut self, shard: ShardId, epoch: Epoch, at: Seq, state: Vec<u8>) -> Result<(), AppendError> {
        let mut present = self.state();
        if present.is_away {
            return Err(AppendError::Unknown);
        }
        present.journals.entry(shard).or_default().keep_snapshot(epoch, at, &state)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

/// A network in memory between the nodes of one process.
#[derive(Clone, Default)]
pub struct MemoryNetwork {
    nodes: Arc<Mutex<BTreeMap<NodeId, Inbox>>>,
}

impl MemoryNetwork {
    /// The transport of a node.
    #[must_use]
    pub fn join(&self, inbox: Inbox) -> Box<dyn Transport> {
        let node = inbox.node();
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).insert(node, inbox);
        Box::new(MemoryTransport { node, network: self.clone() })
    }
}

struct MemoryTransport {
    node: NodeId,
    network: MemoryNetwork,
}

impl Transport for MemoryTransport {
    fn address(&self) -> String {
        self.node.to_string()
    }

    fn send(&self, to: NodeId, _address: &str, bytes: Vec<u8>) {
        let inbox = self.network.nodes.lock().unwrap_or_else(PoisonError::into_inner).get(&to).cloned();
        if let Some(inbox) = inbox {
            let _refused = inbox.deliver(&bytes);
        }
    }
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryNetwork").finish_non_exhaustive()
    }
}
