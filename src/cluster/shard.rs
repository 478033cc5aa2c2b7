//! Shards, and the partitions of keys and ids that belong to them.

use crate::base::id::{PARTITIONS, RunId, TaskId, number_in, partition_of_key, stable_hash};
use crate::engine::Engine;
use core::fmt;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One of the 4,096 parts into which all ids and keys are divided.
///
/// The number of partitions never changes. A shard owns a range of partitions, so a change of the number of shards moves whole
/// partitions, and the ids in journals stay valid. The partition of an id is
///
/// - for an id of a host or a tenant: a hash of its number. Consecutive numbers are in different partitions.
/// - for an id that an engine created with [partitioned ids](crate::Config::with_partitioned_ids): the partition of the run for
///   which it was created, carried in the bits 50 to 61 of the id.
///
/// ```
/// use counterpoint::cluster::{Partition, PartitionKey};
///
/// // What belongs together gets ids of one partition.
/// let north = PartitionKey::new("tenant north");
/// assert_eq!(Partition::of_task(north.task("invoice 1")), north.partition());
/// assert_eq!(Partition::of_run(north.run("order 7")), north.partition());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(u16);

impl Partition {
    /// The partition of a task.
    #[must_use]
    pub const fn of_task(task: TaskId) -> Self {
        Self(task.partition())
    }

    /// The partition of a run.
    #[must_use]
    pub const fn of_run(run: RunId) -> Self {
        Self(run.partition())
    }

    /// The partition of a text key: 12 bits of a 64-bit FNV-1a hash with a final mix, the same on every machine and in every
    /// version. Schedules belong to the partition of their id.
    #[must_use]
    pub fn of_key(key: &str) -> Self {
        Self(partition_of_key(key))
    }

    /// Its number, from 0 to 4,095.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {}", self.0)
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key by which a host keeps tasks and runs together: a tenant, a customer, an order. All ids that are made from it are in
/// one partition, so one engine knows all of them: tasks may depend on each other, and a business key is unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionKey(Box<str>);

impl PartitionKey {
    /// The key with this text.
    #[must_use]
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// Its partition.
    #[must_use]
    pub fn partition(&self) -> Partition {
        Partition::of_key(&self.0)
    }

    /// The id of a task of this key. The same two keys give the same id on every machine and in every version.
    ///
    /// The id has 50 bits of a hash of both keys, beside the partition. If keys are spread evenly over the partitions, a
    /// collision is as improbable as with [`TaskId::from_key`]; if all are in one partition, the probability of a collision is
    /// 1 in 2,250 among a million keys. A task that is given its [key](crate::TaskSpec::keyed) is rejected on a collision.
    #[must_use]
    pub fn task(&self, key: &str) -> TaskId {
        TaskId::new(self.number(key))
    }

    /// The id of a run of this key, as [`task`](Self::task).
    #[must_use]
    pub fn run(&self, key: &str) -> RunId {
        RunId::new(self.number(key))
    }

    fn number(&self, key: &str) -> u64 {
        let both = format!("{} {} {key}", self.0.len(), self.0);
        number_in(self.partition().get(), stable_hash(both.as_bytes()))
    }
}

/// The number of a shard: one engine with its own journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(u16);

impl ShardId {
    /// The shard with this number. Whether a deployment has it, [`Shards::shard`] knows.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number, from 0.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The index into a slice over all shards.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

impl fmt::Debug for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The shards of a deployment: their number is a power of two up to 4,096, and fixed when the deployment is created.
///
/// ```
/// use counterpoint::cluster::{Partition, ShardId, Shards};
/// use counterpoint::TaskId;
///
/// let shards = Shards::new(64)?;
/// let shard = shards.shard_of(Partition::of_task(TaskId::from_key("order-17")));
/// assert_eq!(shard, ShardId::new(1));
/// // With twice as many shards, each shard is divided into two.
/// let doubled = Shards::new(128)?;
/// assert_eq!(doubled.shard_of(Partition::of_task(TaskId::from_key("order-17"))).get() / 2, shard.get());
/// # Ok::<(), counterpoint::cluster::BadShards>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Shards(u16);

impl Shards {
    /// The largest number of shards: that of the partitions.
    pub const MOST: u16 = 4_096;

    /// A deployment with this number of shards.
    ///
    /// # Errors
    ///
    /// [`BadShards::Count`] if it is not a power of two from 1 to 4,096.
    pub const fn new(count: u16) -> Result<Self, BadShards> {
        if count.is_power_of_two() && count <= Self::MOST { Ok(Self(count)) } else { Err(BadShards::Count(count)) }
    }

    /// The number of shards.
    #[must_use]
    pub const fn count(self) -> u16 {
        self.0
    }

    /// All shards, in order.
    pub fn all(self) -> impl ExactSizeIterator<Item = ShardId> {
        (0..self.0).map(ShardId)
    }

    /// The shard with this number.
    ///
    /// # Errors
    ///
    /// [`BadShards::Unknown`] if the deployment has no such shard.
    pub const fn shard(self, number: u16) -> Result<ShardId, BadShards> {
        if number < self.0 {
            Ok(ShardId(number))
        } else {
            Err(BadShards::Unknown { shard: ShardId(number), shards: self.0 })
        }
    }

    /// The shard that owns a partition.
    #[must_use]
    pub const fn shard_of(self, partition: Partition) -> ShardId {
        ShardId(partition.0 / self.width())
    }

    /// The partitions of a shard: the first and the last one.
    ///
    /// # Errors
    ///
    /// [`BadShards::Unknown`] if the deployment has no such shard.
    pub fn partitions_of(self, shard: ShardId) -> Result<(Partition, Partition), BadShards> {
        let first = self.shard(shard.get())?.get().saturating_mul(self.width());
        Ok((Partition(first), Partition(first.saturating_add(self.width() - 1))))
    }

    /// Checks that the tasks and runs of an engine belong to a shard. Visits all of them.
    ///
    /// # Errors
    ///
    /// [`BadShards::Unknown`] or [`BadShards::Foreign`].
    pub fn check(self, shard: ShardId, engine: &Engine) -> Result<(), BadShards> {
        self.shard(shard.get())?;
        let tasks = engine.tasks().map(|task| Partition::of_task(task.spec().id));
        let runs = engine.runs().map(|run| Partition::of_run(run.id()));
        match tasks.chain(runs).map(|partition| self.shard_of(partition)).find(|owner| *owner != shard) {
            Some(owner) => Err(BadShards::Foreign { shard, owner, shards: self.count() }),
            None => Ok(()),
        }
    }

    const fn width(self) -> u16 {
        // The count is never zero.
        match Self::MOST.checked_div(self.0) {
            Some(width) => width,
            None => Self::MOST,
        }
    }
}

const _: () = assert!(Shards::MOST as u64 == PARTITIONS, "a shard has at least one partition");

impl TryFrom<u16> for Shards {
    type Error = BadShards;

    fn try_from(count: u16) -> Result<Self, BadShards> {
        Self::new(count)
    }
}

impl From<Shards> for u16 {
    fn from(shards: Shards) -> Self {
        shards.0
    }
}

/// A number of shards, or a shard, that a deployment cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadShards {
    /// The number of shards must be a power of two from 1 to 4,096.
    #[error("{0} shards: the number of shards must be a power of two from 1 to 4096")]
    Count(u16),
    /// The deployment has no such shard.
    #[error("shard {shard} does not exist: the deployment has {shards} shards")]
    Unknown {
        /// The shard.
        shard: ShardId,
        /// The number of shards of the deployment.
        shards: u16,
    },
    /// A journal contains tasks or runs of another shard: it belongs to that shard, or to a deployment with another number of
    /// shards.
    #[error("the journal of shard {shard} contains what belongs to shard {owner} of {shards}")]
    Foreign {
        /// The shard.
        shard: ShardId,
        /// The shard that owns a task or a run of the journal.
        owner: ShardId,
        /// The number of shards of the deployment.
        shards: u16,
    },
    /// Two parts of a deployment were set up with different numbers of shards.
    #[error("{theirs} shards were stated, but the deployment has {ours}")]
    Differ {
        /// The stated number.
        theirs: u16,
        /// The number of shards of the deployment.
        ours: u16,
    },
}
