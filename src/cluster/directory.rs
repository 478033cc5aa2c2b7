//! The directory: which node hosts which shard.

use super::node::NodeId;
use super::placement::{Weights, plan};
use super::shard::{BadShards, ShardId, Shards};
use crate::base::time::Time;
use crate::journal::Epoch;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// The most nodes of a deployment.
const MOST_NODES: usize = 1_024;
/// The most handovers that a node takes part in at a time, on either side. Each shard waits for its own handover only.
const MOST_MOVING: usize = 4;

/// Which node hosts which shard, as a state machine: reports of nodes and the time in, instructions for nodes out.
///
/// Any node can drive it. It is data: a host stores it as one row with a version number, and writes it back only if the version is
/// still the one that it read. Its time is that of the store.
///
/// A node reports the whole set of its shards, on every change and at least three times per lease, with increasing numbers; the
/// directory answers with all that the node must do. So a lost message is made good by the next one, and an old one is
/// recognised by its number.
///
/// # Safety
///
/// The directory only has to be live. A shard's journal accepts entries only of the writer with the largest epoch: a node that
/// believes to host a shard that another node has taken over cannot change anything. The epochs come from the journals; of two
/// nodes that report a shard, the one with the larger epoch is right.
///
/// ```
/// use counterpoint::Time;
/// use counterpoint::cluster::{Directory, Instruction, NodeId, Report, ShardId, Shards};
/// use counterpoint::journal::Epoch;
/// use core::time::Duration;
///
/// let mut directory = Directory::new(Shards::new(2)?, Duration::from_secs(3));
/// let (node, mut out) = (NodeId::new(1), Vec::new());
/// directory.report(Time::ZERO, Report::new(node, 1, 2), &mut out)?;
/// assert_eq!(out[0].tasks, [0, 1].map(|shard| Instruction::TakeOver { shard: ShardId::new(shard), after: Epoch::default() }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Directory {
    shards: Shards,
    lease: Duration,
    now: Time,
    nodes: BTreeMap<NodeId, Member>,
    rows: BTreeMap<ShardId, Row>,
    /// The number of the last instructions.
    order: u64,
}

/// A live node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Member {
    weight: u32,
    until: Time,
    /// The number of its last report.
    number: u64,
}

/// A shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
struct Row {
    /// The largest epoch that a node has reported.
    epoch: Epoch,
    place: Place,
}

/// Where a shard is. A handover goes from `Hosted` over `Leaving` and `Assigned` to `Hosted`; a takeover from `Hosted` over
/// `Vacant` and `Assigned` to `Hosted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Place {
    /// No live node hosts it.
    #[default]
    Vacant,
    /// The node is to take it over.
    Assigned {
        /// The node.
        to: NodeId,
    },
    /// The node hosts it.
    Hosted {
        /// The node.
        by: NodeId,
    },
    /// The node hosts it and is to release it, because another one is to take it over.
    Leaving {
        /// The node that hosts it.
        from: NodeId,
        /// The node that is to take it over.
        to: NodeId,
    },
}

impl Place {
    /// The node that hosts the shard or is to take it over next.
    const fn node(self) -> Option<NodeId> {
        match self {
            Self::Vacant => None,
            Self::Assigned { to: node } | Self::Hosted { by: node } | Self::Leaving { from: node, .. } => Some(node),
        }
    }

    /// The node that will host the shard when all that is under way has been done.
    const fn target(self) -> Option<NodeId> {
        match self {
            Self::Vacant => None,
            Self::Assigned { to: node } | Self::Hosted { by: node } | Self::Leaving { to: node, .. } => Some(node),
        }
    }
}

/// The state of a node, as the node reports it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The node.
    pub node: NodeId,
    /// The number of the report: larger than that of all reports of the node before.
    pub number: u64,
    /// The number of shards with which it was set up.
    pub shards: u16,
    /// Its weight; 0 drains it.
    pub weight: u32,
    /// The shards that it hosts, with the epoch of each.
    pub hosted: BTreeMap<ShardId, Epoch>,
}

impl Report {
    /// The report of a node that hosts no shard, with weight 1.
    #[must_use]
    pub const fn new(node: NodeId, number: u64, shards: u16) -> Self {
        Self { node, number, shards, weight: 1, hosted: BTreeMap::new() }
    }

    /// Sets the weight.
    #[must_use]
    pub const fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Adds a shard that the node hosts.
    #[must_use]
    pub fn with_hosted(mut self, shard: ShardId, epoch: Epoch) -> Self {
        self.hosted.insert(shard, epoch);
        self
    }
}

/// All that a node must do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Instructions {
    /// The node.
    pub node: NodeId,
    /// Their number: larger than that of all instructions before.
    pub order: u64,
    /// What to do, by shard.
    pub tasks: Vec<Instruction>,
}

/// What a node must do with a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Instruction {
    /// Take over its journal, restore its engine, and host it.
    TakeOver {
        /// The shard.
        shard: ShardId,
        /// The largest epoch that is known. A node that hosts the shard in an earlier one was fenced without noticing it.
        after: Epoch,
    },
    /// Store a snapshot if its journal is long, finish its commands, and host it no longer.
    Release {
        /// The shard.
        shard: ShardId,
        /// The node that is to take it over. It may be notified at once, by [`Hosting::handed_over`](super::Hosting::handed_over).
        to: NodeId,
    },
}

impl Instruction {
    /// The shard.
    #[must_use]
    pub const fn shard(self) -> ShardId {
        match self {
            Self::TakeOver { shard, .. } | Self::Release { shard, .. } => shard,
        }
    }
}

/// A report that the directory refuses. It has changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The node was set up with another number of shards, or reports a shard that does not exist.
    #[error(transparent)]
    Shards(#[from] BadShards),
    /// A later report of the node has arrived before.
    #[error("report {number} of {node} is older than report {known}")]
    Old {
        /// The node.
        node: NodeId,
        /// The number of the report.
        number: u64,
        /// The number of the last report.
        known: u64,
    },
    /// The deployment has as many nodes as it can have.
    #[error("the deployment has {0} nodes already")]
    Full(usize),
}

impl Directory {
    /// The directory of a deployment without nodes. A node that has not reported for the duration of the lease counts as gone.
    #[must_use]
    pub fn new(shards: Shards, lease: Duration) -> Self {
        let rows = shards.all().map(|shard| (shard, Row::default())).collect();
        Self { shards, lease, now: Time::ZERO, nodes: BTreeMap::new(), rows, order: 0 }
    }

    /// Takes in a report, which renews the lease of the node, and answers with instructions for it, and for other nodes if they
    /// must do something else than before. A `now` before that of an earlier call counts as the earlier one.
    ///
    /// # Errors
    ///
    /// See [`ReportError`]. Leases may have expired nevertheless.
    pub fn report(&mut self, now: Time, report: Report, out: &mut Vec<Instructions>) -> Result<(), ReportError> {
        let before = self.duties();
        self.expire(now);
        let verdict = self.admit(&report);
        if verdict.is_ok() {
            self.reconcile(&report);
        }
        self.assign();
        self.instruct(&before, verdict.is_ok().then_some(report.node), out);
        verdict
    }

    /// Ends the leases that are over. To be called at [`next_wakeup`](Self::next_wakeup).
    pub fn tick(&mut self, now: Time, out: &mut Vec<Instructions>) {
        let before = self.duties();
        self.expire(now);
        self.assign();
        self.instruct(&before, None, out);
    }

    /// Moves a shard to another node, as an operator wants it. Later plans leave it there, unless the node gets more shards
    /// than it may have. Nothing happens if the shard is moving already, or the node is not live or drained.
    ///
    /// # Errors
    ///
    /// [`BadShards::Unknown`] if there is no such shard.
    pub fn relocate(
        &mut self,
        now: Time,
        shard: ShardId,
        to: NodeId,
        out: &mut Vec<Instructions>,
    ) -> Result<(), BadShards> {
        let shard = self.shards.shard(shard.get())?;
        let before = self.duties();
        self.expire(now);
        let takes = self.nodes.get(&to).is_some_and(|member| member.weight > 0);
        if let Some(row) = self.rows.get_mut(&shard).filter(|_| takes)
            && let Place::Hosted { by } = row.place
            && by != to
        {
            row.place = Place::Leaving { from: by, to };
        }
        self.assign();
        self.instruct(&before, None, out);
        Ok(())
    }

    /// The shards.
    #[must_use]
    pub const fn shards(&self) -> Shards {
        self.shards
    }

    /// When the next lease ends.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        self.nodes.values().map(|member| member.until).min()
    }

    /// Where a shard is, and the largest epoch of it that was reported.
    ///
    /// # Errors
    ///
    /// [`BadShards::Unknown`] if there is no such shard.
    pub fn place_of(&self, shard: ShardId) -> Result<(Place, Epoch), BadShards> {
        let shard = self.shards.shard(shard.get())?;
        Ok(self.rows.get(&shard).map(|row| (row.place, row.epoch)).unwrap_or_default())
    }

    /// The node to which commands for a shard are sent now; none while a takeover or the second half of a handover is under way.
    #[must_use]
    pub fn host_of(&self, shard: ShardId) -> Option<(NodeId, Epoch)> {
        let row = self.rows.get(&shard)?;
        match row.place {
            Place::Vacant | Place::Assigned { .. } => None,
            Place::Hosted { by } | Place::Leaving { from: by, .. } => Some((by, row.epoch)),
        }
    }

    /// The live nodes and their weights.
    #[must_use]
    pub fn nodes(&self) -> Weights {
        self.nodes.iter().map(|(node, member)| (*node, member.weight)).collect()
    }

    /// Checks all invariants. For tests.
    ///
    /// # Errors
    ///
    /// A description of the first broken one, which is a bug of this crate.
    pub fn check(&self) -> Result<(), String> {
        if !self.rows.keys().copied().eq(self.shards.all()) {
            return Err("the rows are not those of the shards".into());
        }
        for (shard, row) in &self.rows {
            let nodes = [row.place.node(), row.place.target()];
            if let Some(gone) = nodes.into_iter().flatten().find(|node| !self.nodes.contains_key(node)) {
                return Err(format!("shard {shard} is at {gone}, which has no lease"));
            }
            if let Place::Leaving { from, to } = row.place
                && from == to
            {
                return Err(format!("shard {shard} is moved from {from} to itself"));
            }
            let is_assignable = self.nodes.values().any(|member| member.weight > 0);
            if row.place == Place::Vacant && is_assignable {
                return Err(format!("shard {shard} is vacant, although a node could take it over"));
            }
        }
        match self.nodes.iter().find(|(_, member)| member.until <= self.now) {
            Some((node, _)) => Err(format!("the lease of {node} is over")),
            None => Ok(()),
        }
    }

    fn admit(&mut self, report: &Report) -> Result<(), ReportError> {
        if report.shards != self.shards.count() {
            return Err(BadShards::Differ { theirs: report.shards, ours: self.shards.count() }.into());
        }
        report.hosted.keys().try_for_each(|shard| self.shards.shard(shard.get()).map(drop))?;
        let known = self.nodes.get(&report.node).map(|member| member.number);
        match known {
            Some(known) if known >= report.number => {
                return Err(ReportError::Old { node: report.node, number: report.number, known });
            }
            None if self.nodes.len() >= MOST_NODES => return Err(ReportError::Full(MOST_NODES)),
            Some(_) | None => {}
        }
        let until = self.now + self.lease;
        self.nodes.insert(report.node, Member { weight: report.weight, until, number: report.number });
        Ok(())
    }

    /// Ends leases. What the nodes hosted becomes vacant, what they were to take over as well.
    fn expire(&mut self, now: Time) {
        self.now = self.now.max(now);
        self.nodes.retain(|_, member| member.until > self.now);
        for row in self.rows.values_mut() {
            let is_live = |node: &NodeId| self.nodes.contains_key(node);
            row.place = match row.place {
                Place::Vacant => Place::Vacant,
                Place::Assigned { to } if is_live(&to) => row.place,
                Place::Hosted { by } if is_live(&by) => row.place,
                Place::Leaving { from, to } => match (is_live(&from), is_live(&to)) {
                    (true, true) => row.place,
                    (true, false) => Place::Hosted { by: from },
                    (false, true) => Place::Assigned { to },
                    (false, false) => Place::Vacant,
                },
                Place::Assigned { .. } | Place::Hosted { .. } => Place::Vacant,
            };
        }
    }

    /// Compares what a node hosts with the rows.
    fn reconcile(&mut self, report: &Report) {
        let node = report.node;
        for (shard, row) in &mut self.rows {
            match report.hosted.get(shard) {
                // A larger epoch is always right: the journal has granted it, and accepts entries of no other writer.
                Some(epoch) if *epoch > row.epoch => *row = Row { epoch: *epoch, place: Place::Hosted { by: node } },
                // The node may have been given up, and another one was to take the shard over but has not done so yet.
                Some(epoch) if *epoch == row.epoch => {
                    if let Place::Vacant | Place::Assigned { .. } = row.place {
                        row.place = Place::Hosted { by: node };
                    }
                }
                // It does not know yet that another node has taken the shard over.
                Some(_) => {}
                None => {
                    row.place = match row.place {
                        Place::Hosted { by } if by == node => Place::Vacant,
                        Place::Leaving { from, to } if from == node => Place::Assigned { to },
                        Place::Vacant | Place::Hosted { .. } | Place::Leaving { .. } | Place::Assigned { .. } => {
                            row.place
                        }
                    };
                }
            }
        }
    }

    /// Makes the plan for the present nodes. While shards move, no further ones are moved between live nodes.
    fn assign(&mut self) {
        let weights = self.nodes();
        let hosts = self.rows.iter().filter_map(|(shard, row)| Some((*shard, row.place.target()?))).collect();
        let is_moving =
            self.rows.values().any(|row| matches!(row.place, Place::Leaving { .. } | Place::Assigned { .. }));
        for step in plan(self.shards, &hosts, &weights) {
            let Some(row) = self.rows.get_mut(&step.shard) else { continue };
            row.place = match row.place {
                Place::Vacant => Place::Assigned { to: step.to },
                Place::Hosted { by } if !is_moving => Place::Leaving { from: by, to: step.to },
                Place::Hosted { .. } | Place::Assigned { .. } | Place::Leaving { .. } => row.place,
            };
        }
    }

    /// What each node must do.
    fn duties(&self) -> BTreeMap<NodeId, Vec<Instruction>> {
        let mut duties: BTreeMap<NodeId, Vec<Instruction>> = BTreeMap::new();
        let mut moving: BTreeMap<NodeId, usize> = BTreeMap::new();
        for (shard, row) in &self.rows {
            if let Place::Assigned { to } = row.place {
                *moving.entry(to).or_default() += 1;
                duties.entry(to).or_default().push(Instruction::TakeOver { shard: *shard, after: row.epoch });
            }
        }
        for (shard, row) in &self.rows {
            let Place::Leaving { from, to } = row.place else { continue };
            if [from, to].iter().all(|node| moving.get(node).is_none_or(|count| *count < MOST_MOVING)) {
                [from, to].into_iter().for_each(|node| *moving.entry(node).or_default() += 1);
                duties.entry(from).or_default().push(Instruction::Release { shard: *shard, to });
            }
        }
        duties
    }

    fn instruct(
        &mut self,
        before: &BTreeMap<NodeId, Vec<Instruction>>,
        reporting: Option<NodeId>,
        out: &mut Vec<Instructions>,
    ) {
        let mut duties = self.duties();
        let changed =
            self.nodes.keys().filter(|node| reporting == Some(**node) || duties.get(node) != before.get(node));
        for node in changed.copied().collect::<Vec<_>>() {
            self.order = self.order.saturating_add(1);
            let tasks = duties.remove(&node).unwrap_or_default();
            out.push(Instructions { node, order: self.order, tasks });
        }
    }
}
