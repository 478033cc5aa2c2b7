//! Which node hosts which shard.

mod rank;

use super::node::NodeId;
use super::shard::{ShardId, Shards};
use rank::Rank;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A shard that a node is to host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Move {
    /// The shard.
    pub shard: ShardId,
    /// The live node that hosts it.
    pub from: Option<NodeId>,
    /// The node that is to host it.
    pub to: NodeId,
}

/// The live nodes with their weights: a node with weight 2 gets twice as many shards as one with weight 1. A node with weight 0
/// is drained: all its shards move to others, if there are others.
pub type Weights = BTreeMap<NodeId, u32>;

/// The next moves for shards of which each is hosted by a node, or by none. An empty plan means that nothing is to be moved.
///
/// A plan makes one of three changes, the first that is due:
///
/// 1. Shards without a live node go to live nodes. No other shard moves: **a node that leaves moves only its own shards**. Each
///    goes to the first node of its list with room, see below.
/// 2. A node with less than three quarters of its fair share, or none, is filled up to the fair share, rounded down, with the
///    shards that prefer it most, from nodes that have more than theirs. **A node that joins takes 1 of n**, and shards move
///    only to it.
/// 3. A node with more shards than its bound gives the surplus to nodes with room.
///
/// The list of a shard is that of weighted rendezvous hashing. A node has room up to 125 % of its fair share, rounded up
/// (bounded loads, Mirrokni, Thorup and Zadimoghaddam 2016). With bounds, a placement that depends on the live nodes alone
/// cannot keep the two guarantees: a shard that finds its node full displaces others. So a plan depends on the present hosts,
/// too. It is a function of its arguments alone: each node computes the same.
///
/// The work is in proportion to the shards times the nodes.
///
/// ```
/// use counterpoint::cluster::{NodeId, ShardId, Shards, plan};
/// use std::collections::BTreeMap;
///
/// let [ada, bob] = [1, 2].map(NodeId::new);
/// let mut hosts = BTreeMap::new();
/// let shards = Shards::new(4)?;
/// for step in plan(shards, &hosts, &BTreeMap::from([(ada, 1)])) {
///     hosts.insert(step.shard, step.to);
/// }
/// assert!(hosts.values().all(|node| *node == ada));
/// // A second node takes half of the shards.
/// let moves = plan(shards, &hosts, &BTreeMap::from([(ada, 1), (bob, 1)]));
/// assert_eq!(moves.len(), 2);
/// assert!(moves.iter().all(|step| (step.from, step.to) == (Some(ada), bob)));
/// # Ok::<(), counterpoint::cluster::BadShards>(())
/// ```
#[must_use]
pub fn plan(shards: Shards, hosts: &BTreeMap<ShardId, NodeId>, weights: &Weights) -> Vec<Move> {
    let mut planner = Planner::new(shards, hosts, weights);
    if planner.total == 0 {
        return Vec::new();
    }
    planner.adopt();
    if planner.moves.is_empty() {
        planner.fill();
    }
    if planner.moves.is_empty() {
        planner.shed();
    }
    planner.moves
}

struct Planner<'a> {
    shards: Shards,
    weights: &'a Weights,
    total: u64,
    /// The live host of each shard.
    hosts: BTreeMap<ShardId, NodeId>,
    held: BTreeMap<NodeId, BTreeSet<ShardId>>,
    moves: Vec<Move>,
}

impl<'a> Planner<'a> {
    fn new(shards: Shards, hosts: &BTreeMap<ShardId, NodeId>, weights: &'a Weights) -> Self {
        let is_known = |shard: ShardId| shard.get() < shards.count();
        let live = hosts.iter().filter(|(shard, node)| is_known(**shard) && weights.contains_key(node));
        let hosts: BTreeMap<ShardId, NodeId> = live.map(|(shard, node)| (*shard, *node)).collect();
        let mut held: BTreeMap<NodeId, BTreeSet<ShardId>> =
            weights.keys().map(|node| (*node, BTreeSet::new())).collect();
        for (shard, node) in &hosts {
            held.entry(*node).or_default().insert(*shard);
        }
        let total = weights.values().map(|weight| u64::from(*weight)).sum();
        Self { shards, weights, total, hosts, held, moves: Vec::new() }
    }

    /// Gives the shards without a live node to nodes.
    fn adopt(&mut self) {
        let orphans: Vec<ShardId> = self.shards.all().filter(|shard| !self.hosts.contains_key(shard)).collect();
        for shard in orphans {
            if let Some(node) = self.preferred(shard) {
                self.give(shard, node);
            }
        }
    }

    /// Fills the node with the smallest part of its fair share, if that is too small.
    fn fill(&mut self) {
        let needy = self.nodes().filter(|node| self.load(*node) < self.least(*node));
        let Some(needy) = needy.min_by_key(|node| self.permille(*node)) else { return };
        let mut offered: Vec<Rank> = self.hosts.keys().map(|shard| self.rank(*shard, needy)).collect();
        offered.sort_unstable_by(Rank::order);
        let bounds: [fn(&Self, NodeId) -> u64; 3] = [
            Self::bound,
            |planner, node| planner.share(node, Round::Up),
            |planner, node| planner.share(node, Round::Down),
        ];
        for bound in bounds {
            for shard in offered.iter().map(Rank::shard) {
                if self.load(needy) >= self.share(needy, Round::Down) {
                    return;
                }
                let donor = self.hosts.get(&shard).copied().filter(|node| *node != needy);
                if donor.is_some_and(|node| self.load(node) > bound(self, node)) {
                    self.give(shard, needy);
                }
            }
        }
    }

    /// Moves what exceeds the bound of a node to others.
    fn shed(&mut self) {
        let crowded: Vec<NodeId> = self.nodes().filter(|node| self.load(*node) > self.bound(*node)).collect();
        for node in crowded {
            let shards = self.held.get(&node).into_iter().flatten();
            let mut ranks: Vec<Rank> = shards.map(|shard| self.rank(*shard, node)).collect();
            ranks.sort_unstable_by(Rank::order);
            // The shard that prefers the node least is the first to go.
            for shard in ranks.iter().rev().map(Rank::shard) {
                if self.load(node) <= self.bound(node) {
                    break;
                }
                if let Some(to) = self.preferred(shard) {
                    self.give(shard, to);
                }
            }
        }
    }

    /// The first node with room in the list of a shard.
    fn preferred(&self, shard: ShardId) -> Option<NodeId> {
        let with_room = self.nodes().filter(|node| self.load(*node) < self.bound(*node));
        with_room.map(|node| self.rank(shard, node)).min_by(Rank::order).map(|rank| rank.node())
    }

    fn give(&mut self, shard: ShardId, to: NodeId) {
        let from = self.hosts.insert(shard, to);
        if let Some(held) = from.and_then(|from| self.held.get_mut(&from)) {
            held.remove(&shard);
        }
        self.held.entry(to).or_default().insert(shard);
        self.moves.push(Move { shard, from, to });
    }

    fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.weights.keys().copied()
    }

    fn rank(&self, shard: ShardId, node: NodeId) -> Rank {
        Rank::new(shard, node, self.weight(node))
    }

    fn weight(&self, node: NodeId) -> u32 {
        self.weights.get(&node).copied().unwrap_or(0)
    }

    fn load(&self, node: NodeId) -> u64 {
        self.held.get(&node).map_or(0, |held| held.len() as u64)
    }

    /// The fair share of a node times `times / 4`. The weights of all nodes are positive in sum.
    fn quarters(&self, node: NodeId, times: u64, round: Round) -> u64 {
        let product = u64::from(self.shards.count()).saturating_mul(times).saturating_mul(self.weight(node).into());
        let parts = self.total.saturating_mul(4);
        match round {
            Round::Down => product.checked_div(parts).unwrap_or(0),
            Round::Up => product.div_ceil(parts.max(1)),
        }
    }

    fn share(&self, node: NodeId, round: Round) -> u64 {
        self.quarters(node, 4, round)
    }

    /// The number of shards that a node has at most.
    fn bound(&self, node: NodeId) -> u64 {
        self.quarters(node, 5, Round::Up)
    }

    /// The number of shards below which a node is filled.
    fn least(&self, node: NodeId) -> u64 {
        self.quarters(node, 3, Round::Down).max(self.share(node, Round::Down).min(1))
    }

    /// The load of a node in permille of its fair share.
    fn permille(&self, node: NodeId) -> u64 {
        self.load(node).saturating_mul(1_000).checked_div(self.share(node, Round::Up)).unwrap_or(u64::MAX)
    }
}

#[derive(Clone, Copy)]
enum Round {
    Down,
    Up,
}
