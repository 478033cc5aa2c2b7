//! Many engines as one deployment: shards on nodes, and agents that all shards use.
//!
//! An [`Engine`](crate::Engine) has one owner, one journal and one core. A deployment has a fixed number of shards ([`Shards`]), each an engine with its
//! own journal. This module contains the decisions of a deployment, without I/O: a host passes messages and the time in, and
//! performs what comes out. Journals, the row of the directory and messages between nodes are the host's.
//!
//! | type | decides |
//! |---|---|
//! | [`Partition`], [`PartitionKey`], [`Shards`], [`Target`] | which shard a key, an id or a command belongs to |
//! | [`plan`] | which node hosts which shard |
//! | [`Directory`], [`Hosting`] | takeovers and handovers: of the deployment, and of one node |
//! | [`Digest`], [`Home`], [`Counter`] | which task an agent gets: hints of shards, the search of a home, the answer of a shard |
//! | [`QuotaDivision`] | which part of a quota each shard gets |
//! | [`Gather`] | lists over all shards |
//!
//! # Keys and ids
//!
//! All ids are divided into 4,096 partitions, and each shard owns a range of them. An engine with
//! [partitioned ids](crate::Config::with_partitioned_ids) gives each child run and task the partition of the run for which it creates
//! them, and a run that a schedule starts is in the partition of the schedule. So each id routes itself, and no two shards create the
//! same one, also after the number of shards was doubled. What must be in one shard, because tasks depend on each other or a
//! business key must be unique, gets ids of one [`PartitionKey`].
//!
//! ```
//! use counterpoint::cluster::{PartitionKey, Shards, Target};
//! use counterpoint::{Command, TaskSpec};
//!
//! let shards = Shards::new(64)?;
//! let order = PartitionKey::new("order 17");
//! let charge = TaskSpec::new(order.task("charge"), "charge");
//! let ship = TaskSpec::new(order.task("ship"), "ship").with_after([charge.id]);
//! let shard = Target::of(&Command::submit(ship), shards)?;
//! assert_eq!(shard, Target::of(&Command::submit(charge), shards)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Safety and liveness
//!
//! The journal of a shard accepts entries only of the writer that has taken it over last. Two nodes that both believe to host a
//! shard therefore do no harm: one of them cannot append. Leases, the directory and the messages between nodes only have to make
//! progress: each message contains the whole state of its sender, so a lost one is made good by the next, and each has a
//! number, so an old one is refused.
//!
//! # What is exact
//!
//! | | in a shard | in a deployment |
//! |---|---|---|
//! | no task lost, none accepted twice | exact | exact |
//! | no agent has more attempts than slots | exact | exact until its home crashes |
//! | order of tiers and virtual deadlines | exact | within the age of a digest |
//! | shares of tenants | exact | by shard |
//! | quotas | exact | each shard has a part; the sum is never more than the quota |
//! | guards on agents | exact | learned by each shard |
//! | unique business keys | exact | exact within a partition key |
//! | lists and counts | exact | each shard as of its sequence number |
//!
//! An agent with reserved slots or resources of its own cannot be used by several shards ([`HomeError::OneShard`]).

mod counter;
mod digest;
mod directory;
mod gather;
mod home;
mod hosting;
mod node;
mod placement;
mod quota;
mod route;
mod shard;

#[cfg(feature = "threads")]
pub(crate) use counter::registration;
pub use counter::{Counter, Poll, PollAnswer, PollError, Session};
pub use digest::{ClassDigest, Digest, TaskRank};
pub use directory::{Directory, Instruction, Instructions, Place, Report, ReportError};
pub use gather::{Gather, GatherError, ListCursor, ListPage, Position, Rows};
pub use home::{Home, HomeEffect, HomeError, HomeRules};
pub use hosting::{Hosting, HostingEffect, InstructionError, NotServing, Stage};
pub use node::NodeId;
pub use placement::{Move, Weights, plan};
pub use quota::{Part, QuotaDivision, QuotaError};
pub use route::{Misrouted, Target};
pub use shard::{BadShards, Partition, PartitionKey, ShardId, Shards};
