//! Where a deployment keeps what must survive its nodes: journals, the directory, identities.

use crate::message::View;
use counterpoint::cluster::{
    BadShards, Directory, Instructions, NodeId, Report, ReportError, Session, ShardId, Shards,
};
use counterpoint::journal::{AppendError, Epoch, Takeover};
use counterpoint::{Entry, RestoreError, Seq, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use thiserror::Error;

/// What all nodes of a deployment must agree on. The first node that joins records it; a node that states something else is
/// refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Deployment {
    /// The number of shards.
    pub shards: Shards,
    /// How long a node that does not report counts as alive.
    pub lease: Duration,
    /// The environment: production, test. Keys for other systems differ between environments.
    pub environment: String,
    /// The version of what is stored.
    pub format: u16,
}

/// The version of what is stored that this build writes and reads.
pub const FORMAT: u16 = 1;

impl Deployment {
    /// A deployment with this number of shards, a lease of 3 s, and the environment `default`.
    #[must_use]
    pub fn new(shards: Shards) -> Self {
        Self { shards, lease: Duration::from_secs(3), environment: "default".into(), format: FORMAT }
    }

    /// Sets the lease.
    #[must_use]
    pub const fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets the environment.
    #[must_use]
    pub fn with_environment(mut self, name: impl Into<String>) -> Self {
        self.environment = name.into();
        self
    }

    /// Compares what a node states with what the deployment was created with.
    ///
    /// # Errors
    ///
    /// [`StoreError::Version`], [`StoreError::Environment`], [`StoreError::Shards`] or [`StoreError::Lease`].
    pub fn admits(&self, stated: &Self) -> Result<(), StoreError> {
        if self.format != stated.format {
            return Err(StoreError::Version { theirs: stated.format, ours: self.format });
        }
        if self.environment != stated.environment {
            let (theirs, ours) = (stated.environment.clone(), self.environment.clone());
            return Err(StoreError::Environment { theirs, ours });
        }
        if self.shards != stated.shards {
            let (theirs, ours) = (stated.shards.count(), self.shards.count());
            return Err(BadShards::Differ { theirs, ours }.into());
        }
        if self.lease != stated.lease {
            return Err(StoreError::Lease { theirs: stated.lease, ours: self.lease });
        }
        Ok(())
    }
}

/// What a node gets when it joins.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Joined {
    /// The number of the node: no node had it before.
    pub node: NodeId,
    /// The identity of the deployment, drawn when it was created.
    pub deployment: String,
    /// The time of the store.
    pub now: Time,
}

impl Joined {
    /// For implementations of [`Store`].
    #[must_use]
    pub const fn new(node: NodeId, deployment: String, now: Time) -> Self {
        Self { node, deployment, now }
    }
}

/// The entries of one shard, to be appended together with those of others.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Append {
    /// The shard.
    pub shard: ShardId,
    /// The epoch of the writer.
    pub epoch: Epoch,
    /// The number of the last entry before these.
    pub after: Seq,
    /// The entries. If there are none, the store only confirms that the epoch is the present one.
    pub entries: Vec<Entry>,
}

impl Append {
    /// Entries of a shard.
    #[must_use]
    pub const fn new(shard: ShardId, epoch: Epoch, after: Seq, entries: Vec<Entry>) -> Self {
        Self { shard, epoch, after, entries }
    }
}

/// The consequences of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Directed {
    /// The time of the store.
    pub now: Time,
    /// Where shards are.
    pub view: View,
    /// What nodes are to do: the one that has reported, and others if it changed.
    pub instructions: Vec<Instructions>,
    /// Whether the report has changed where shards are.
    pub changed: bool,
}

/// Where a deployment keeps what must survive its nodes: a journal for each shard with fenced appends, the directory as one row
/// with a version, and sequences. Each value is one connection; [`another`](Self::another) makes a further one.
///
/// **Safety is that of the appends**: after [`take_over`](Self::take_over) of a shard has returned an epoch, no append of an
/// earlier epoch succeeds. Everything else only has to make progress.
pub trait Store: Send {
    /// A further connection, for another thread.
    ///
    /// # Errors
    ///
    /// When there is none. [`StoreError::Away`] is tried again.
    fn another(&self) -> Result<Box<dyn Store>, StoreError>;

    /// Joins the deployment, which is created if it does not exist.
    ///
    /// # Errors
    ///
    /// When the store contains another deployment, or is away.
    fn join(&mut self, stated: &Deployment) -> Result<Joined, StoreError>;

    /// A number for a session of an agent, larger than all before.
    ///
    /// # Errors
    ///
    /// When the store is away.
    fn session(&mut self) -> Result<Session, StoreError>;

    /// Reports the state of a node to the directory. `address` is how other nodes reach it.
    ///
    /// # Errors
    ///
    /// When the directory refuses the report, or the store is away.
    fn report(&mut self, report: Report, address: &str) -> Result<Directed, StoreError>;

    /// Moves a shard to a live node.
    ///
    /// # Errors
    ///
    /// When the shard or the node does not exist, or the store is away.
    fn relocate(&mut self, shard: ShardId, to: NodeId) -> Result<Directed, StoreError>;

    /// Makes the caller the writer of the journal of a shard.
    ///
    /// # Errors
    ///
    /// When the journal is damaged, or the store is away.
    fn take_over(&mut self, shard: ShardId) -> Result<Takeover, StoreError>;

    /// Appends entries of several shards, durably, in one commit if that is possible. Whether one is stored does not depend on
    /// the others. The results are in the order of the appends.
    fn append_all(&mut self, appends: Vec<Append>) -> Vec<Result<(), AppendError>>;

    /// Stores a snapshot of a shard after the entry `at`.
    ///
    /// # Errors
    ///
    /// As for [`Journal::keep_snapshot`](counterpoint::journal::Journal::keep_snapshot).
    fn keep_snapshot(&mut self, shard: ShardId, epoch: Epoch, at: Seq, state: Vec<u8>) -> Result<(), AppendError>;
}

/// Why the store refuses a node, or does not answer.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The deployment has another number of shards, or no such shard.
    #[error(transparent)]
    Shards(#[from] BadShards),
    /// The deployment was created for another environment.
    #[error("the node states environment {theirs:?}, but the deployment is {ours:?}")]
    Environment {
        /// That of the node.
        theirs: String,
        /// That of the deployment.
        ours: String,
    },
    /// The stored data has another version.
    #[error("the node writes format {theirs}, but the deployment has format {ours}")]
    Version {
        /// That of the node.
        theirs: u16,
        /// That of the deployment.
        ours: u16,
    },
    /// The deployment has another lease.
    #[error("the node states a lease of {theirs:?}, but the deployment has {ours:?}")]
    Lease {
        /// That of the node.
        theirs: Duration,
        /// That of the deployment.
        ours: Duration,
    },
    /// The store contains journals, but not of this deployment.
    #[error("the store is not that of a deployment: {0}")]
    Foreign(String),
    /// The directory is an earlier one than this process has seen: the database was set back, or another one answers now. From
    /// then on this process changes it no more, whatever its version becomes. A node that starts anew takes it as it is.
    #[error("the directory has version {version}, but version {known} was seen: was the database set back?")]
    Stale {
        /// That of the directory when it was first found to be an earlier one.
        version: u64,
        /// The last one that had been seen then.
        known: u64,
    },
    /// The directory refuses the report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The node is not alive.
    #[error("{0} is not a live node")]
    NoNode(NodeId),
    /// The journal of a shard cannot be restored.
    #[error(transparent)]
    Broken(#[from] RestoreError),
    /// The store did not answer, or something else that may pass.
    #[error("the store does not answer: {0}")]
    Away(String),
}

/// The directory and the addresses of nodes, as they are stored in one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DirectoryRow {
    /// The directory.
    pub directory: Directory,
    /// How nodes are reached.
    pub addresses: BTreeMap<NodeId, String>,
}

impl DirectoryRow {
    /// That of a deployment without nodes.
    #[must_use]
    pub fn new(deployment: &Deployment) -> Self {
        Self { directory: Directory::new(deployment.shards, deployment.lease), addresses: BTreeMap::new() }
    }

    /// Applies a report, and returns its consequences. `version` is that under which the row will be stored.
    ///
    /// # Errors
    ///
    /// [`StoreError::Report`]: then nothing is to be stored.
    pub fn report(&mut self, now: Time, version: u64, report: Report, address: &str) -> Result<Directed, StoreError> {
        let before = self.places();
        let mut instructions = Vec::new();
        self.addresses.insert(report.node, address.into());
        self.directory.report(now, report, &mut instructions)?;
        Ok(self.directed(now, version, &before, instructions))
    }

    /// Moves a shard.
    ///
    /// # Errors
    ///
    /// [`StoreError::Shards`] or [`StoreError::NoNode`].
    pub fn relocate(&mut self, now: Time, version: u64, shard: ShardId, to: NodeId) -> Result<Directed, StoreError> {
        let before = self.places();
        let mut instructions = Vec::new();
        if !self.directory.nodes().contains_key(&to) {
            return Err(StoreError::NoNode(to));
        }
        self.directory.relocate(now, shard, to, &mut instructions)?;
        Ok(self.directed(now, version, &before, instructions))
    }

    fn places(&self) -> Vec<(ShardId, NodeId, Epoch)> {
        let shards = self.directory.shards().all();
        shards.filter_map(|shard| self.directory.host_of(shard).map(|(node, epoch)| (shard, node, epoch))).collect()
    }

    fn directed(
        &mut self,
        now: Time,
        version: u64,
        before: &[(ShardId, NodeId, Epoch)],
        instructions: Vec<Instructions>,
    ) -> Directed {
        let live = self.directory.nodes();
        self.addresses.retain(|node, _| live.contains_key(node));
        let hosts = self.places();
        let changed = hosts != before;
        let nodes = self.addresses.iter().map(|(node, address)| (*node, address.clone())).collect();
        Directed { now, view: View { version, hosts, nodes }, instructions, changed }
    }
}
