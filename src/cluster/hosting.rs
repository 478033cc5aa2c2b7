//! The shards of one node.

use super::directory::{Instruction, Instructions, Report};
use super::node::NodeId;
use super::shard::{BadShards, ShardId, Shards};
use crate::journal::Epoch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// What a node does with its shards, as a state machine: instructions of the directory and results of its host in, work for its
/// host and reports out. Each shard goes from `Starting` over `Serving` to `Releasing`.
///
/// ```
/// use counterpoint::cluster::{Directory, Hosting, HostingEffect, NodeId, ShardId, Shards};
/// use counterpoint::Time;
/// use counterpoint::journal::Epoch;
/// use core::time::Duration;
///
/// let shards = Shards::new(1)?;
/// let mut directory = Directory::new(shards, Duration::from_secs(3));
/// let mut node = Hosting::new(NodeId::new(1), shards);
/// let (mut instructions, mut effects) = (Vec::new(), Vec::new());
/// directory.report(Time::ZERO, node.report(), &mut instructions)?;
/// node.instruct(&instructions[0], &mut effects)?;
/// let shard = ShardId::new(0);
/// assert_eq!(effects, [HostingEffect::Start { shard }]);
/// // The host takes over the journal and restores the engine.
/// node.started(shard, Epoch::new(1));
/// directory.report(Time::ZERO, node.report(), &mut instructions)?;
/// assert_eq!(directory.host_of(shard), Some((NodeId::new(1), Epoch::new(1))));
/// assert_eq!(node.accepts(shard)?, Epoch::new(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hosting {
    node: NodeId,
    shards: Shards,
    weight: u32,
    /// The number of the last report.
    number: u64,
    /// The number of the last instructions.
    order: u64,
    stages: BTreeMap<ShardId, Stage>,
}

/// How far a node is with a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Its journal is being taken over and its engine restored.
    Starting,
    /// Its engine executes commands.
    Serving {
        /// The epoch of its journal.
        epoch: Epoch,
    },
    /// Its engine stores a snapshot and finishes what it has begun. Then commands wait until another node serves the shard.
    Releasing {
        /// The epoch of its journal.
        epoch: Epoch,
    },
}

/// What the host of a node must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HostingEffect {
    /// Drop the engine of the shard if there is one, take over the journal and restore the engine, then call [`started`](Hosting::started) or
    /// [`dropped`](Hosting::dropped).
    Start {
        /// The shard.
        shard: ShardId,
    },
    /// Let the commands under way finish, drop the engine, then call [`dropped`](Hosting::dropped). The next host may be notified.
    Release {
        /// The shard.
        shard: ShardId,
        /// The node that is to take it over.
        to: NodeId,
    },
}

/// Why a node does not execute a command of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotServing {
    /// The shard does not exist.
    #[error(transparent)]
    Shards(#[from] BadShards),
    /// It starts here: repeat the command a little later.
    #[error("shard {0} is starting here")]
    Starting(ShardId),
    /// It moves to another node: repeat the command there.
    #[error("shard {0} moves to another node")]
    Moving(ShardId),
    /// Another node hosts it, or none: look into the directory.
    #[error("shard {0} is not hosted here")]
    Elsewhere(ShardId),
}

/// Instructions that a node does not follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InstructionError {
    /// They are for another node.
    #[error("the instructions are for {0}")]
    OtherNode(NodeId),
    /// Later ones have arrived before.
    #[error("instructions {order} are older than {known}")]
    Old {
        /// The number of the instructions.
        order: u64,
        /// The number of the last ones.
        known: u64,
    },
    /// They name a shard that does not exist.
    #[error(transparent)]
    Shards(#[from] BadShards),
}

impl Hosting {
    /// A node without shards, with weight 1.
    #[must_use]
    pub const fn new(node: NodeId, shards: Shards) -> Self {
        Self { node, shards, weight: 1, number: 0, order: 0, stages: BTreeMap::new() }
    }

    /// Sets the weight that the node reports: 0 drains it.
    pub const fn set_weight(&mut self, weight: u32) {
        self.weight = weight;
    }

    /// The next report for the directory. To be sent after every change and at least three times per lease.
    pub fn report(&mut self) -> Report {
        self.number = self.number.saturating_add(1);
        let report = Report::new(self.node, self.number, self.shards.count()).with_weight(self.weight);
        let hosted = self.stages.iter().filter_map(|(shard, stage)| match stage {
            Stage::Starting => None,
            Stage::Serving { epoch } | Stage::Releasing { epoch } => Some((*shard, *epoch)),
        });
        hosted.fold(report, |report, (shard, epoch)| report.with_hosted(shard, epoch))
    }

    /// Follows instructions.
    ///
    /// # Errors
    ///
    /// See [`InstructionError`]; nothing has changed.
    pub fn instruct(
        &mut self,
        instructions: &Instructions,
        out: &mut Vec<HostingEffect>,
    ) -> Result<(), InstructionError> {
        if instructions.node != self.node {
            return Err(InstructionError::OtherNode(instructions.node));
        }
        if instructions.order <= self.order {
            return Err(InstructionError::Old { order: instructions.order, known: self.order });
        }
        instructions.tasks.iter().try_for_each(|task| self.shards.shard(task.shard().get()).map(drop))?;
        self.order = instructions.order;
        for task in &instructions.tasks {
            match (*task, self.stages.get(&task.shard())) {
                (Instruction::TakeOver { shard, .. }, None) => self.start(shard, out),
                (
                    Instruction::TakeOver { shard, after },
                    Some(Stage::Serving { epoch } | Stage::Releasing { epoch }),
                ) if *epoch < after => {
                    self.start(shard, out);
                }
                (Instruction::Release { shard, to }, Some(Stage::Serving { epoch })) => {
                    let epoch = *epoch;
                    self.stages.insert(shard, Stage::Releasing { epoch });
                    out.push(HostingEffect::Release { shard, to });
                }
                // It is under way or done. The next report shows it.
                (Instruction::TakeOver { .. }, Some(_))
                | (Instruction::Release { .. }, None | Some(Stage::Starting | Stage::Releasing { .. })) => {}
            }
        }
        Ok(())
    }

    fn start(&mut self, shard: ShardId, out: &mut Vec<HostingEffect>) {
        self.stages.insert(shard, Stage::Starting);
        out.push(HostingEffect::Start { shard });
    }

    /// The node that has hosted a shard in an epoch has released it for this node. The directory will instruct this node, too, but
    /// it need not wait for that.
    ///
    /// # Errors
    ///
    /// [`BadShards::Unknown`] if there is no such shard.
    pub fn handed_over(&mut self, shard: ShardId, after: Epoch, out: &mut Vec<HostingEffect>) -> Result<(), BadShards> {
        let shard = self.shards.shard(shard.get())?;
        match self.stages.get(&shard) {
            Some(Stage::Serving { epoch } | Stage::Releasing { epoch }) if *epoch <= after => self.start(shard, out),
            None => self.start(shard, out),
            Some(_) => {}
        }
        Ok(())
    }

    /// The host has taken over the journal and restored the engine. Then [report](Self::report).
    pub fn started(&mut self, shard: ShardId, epoch: Epoch) {
        if let Some(stage @ Stage::Starting) = self.stages.get_mut(&shard) {
            *stage = Stage::Serving { epoch };
        }
    }

    /// The host has dropped the engine: it was released, did not start, or its journal refused an append because another writer has
    /// taken it over. Then [report](Self::report).
    pub fn dropped(&mut self, shard: ShardId) {
        self.stages.remove(&shard);
    }

    /// The epoch in which the node executes commands of a shard.
    ///
    /// # Errors
    ///
    /// See [`NotServing`].
    pub fn accepts(&self, shard: ShardId) -> Result<Epoch, NotServing> {
        match self.stages.get(&self.shards.shard(shard.get())?) {
            Some(Stage::Serving { epoch }) => Ok(*epoch),
            Some(Stage::Starting) => Err(NotServing::Starting(shard)),
            Some(Stage::Releasing { .. }) => Err(NotServing::Moving(shard)),
            None => Err(NotServing::Elsewhere(shard)),
        }
    }

    /// The shards of the node.
    #[must_use]
    pub const fn stages(&self) -> &BTreeMap<ShardId, Stage> {
        &self.stages
    }
}
