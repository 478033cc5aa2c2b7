//! The tasks of one tenant and kind that wait in one lane, in order.

use super::Rank;
use crate::base::structure::Slot;
use crate::scheduler::inconsistent::{Applied, InconsistentEvent};
use crate::scheduler::ix::{AccountIxs, ClassIx, TaskIx};
use crate::task::Tier;
use std::collections::BTreeMap;

/// The properties that the tasks of a sub-queue share. The gate of a tenant or a kind closes whole sub-queues, so that
/// a gated task never blocks one that may begin.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct SubQueueKey {
    /// The requirement class, whose lane it is in.
    pub(crate) class: ClassIx,
    pub(crate) accounts: AccountIxs,
    /// Whether its tasks are of the critical tier, for which capacity may be reserved.
    pub(crate) urgent: bool,
}

/// The index of a sub-queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct SubQueueIx(pub(super) Slot);

/// A position in the order of a lane: the smallest is served first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Turn {
    /// The virtual time of the tenant under fair sharing; 0 otherwise.
    pub(crate) tag: u128,
    pub(crate) rank: Rank,
}

/// The position of a task in its sub-queue. Nodes are stored by task index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) rank: Rank,
    prev: u32,
    next: u32,
    /// Its sub-queue; [`NOWHERE`] if it is in none.
    at: u32,
    pub(super) tier: Tier,
    sorted: bool,
}

const NOWHERE: u32 = u32::MAX;

impl Node {
    pub(super) const AWAY: Self =
        Self { rank: Rank::FIRST, prev: NOWHERE, next: NOWHERE, at: NOWHERE, tier: Tier::Critical, sorted: false };

    /// The sub-queue that the task is in.
    pub(super) const fn sub_queue(&self) -> Option<SubQueueIx> {
        if self.at == NOWHERE { None } else { Some(SubQueueIx(Slot::new(self.at))) }
    }
}

#[derive(Debug, Clone, Copy)]
struct List {
    first: u32,
    last: u32,
    /// The rank of the first task, so that the head of a sub-queue is found without a look at its tasks.
    rank: Rank,
}

/// A sub-queue: a list per tier in order of arrival, and a sorted map of the few tasks that arrived out of order.
#[derive(Debug, Clone)]
pub(super) struct SubQueue {
    pub(super) key: SubQueueKey,
    tiers: [List; 4],
    sorted: BTreeMap<Rank, TaskIx>,
    pub(super) len: u32,
    /// Its position among the heads of its lane, if it is listed there.
    pub(super) listed: Option<Turn>,
    /// Whether the linger of its first task has elapsed.
    pub(super) lingered: bool,
    /// Whether it is in the list of sub-queues that have become empty.
    pub(super) idle: bool,
}

impl SubQueue {
    pub(super) const fn new(key: SubQueueKey) -> Self {
        let empty = List { first: NOWHERE, last: NOWHERE, rank: Rank::FIRST };
        Self { key, tiers: [empty; 4], sorted: BTreeMap::new(), len: 0, listed: None, lingered: false, idle: false }
    }

    /// Its first task.
    pub(super) fn head(&self) -> Option<(Rank, TaskIx)> {
        let mut best: Option<(Rank, u32)> = None;
        for list in &self.tiers {
            if list.first != NOWHERE && best.is_none_or(|(rank, _)| list.rank < rank) {
                best = Some((list.rank, list.first));
            }
        }
        let best = best.map(|(rank, first)| (rank, TaskIx(Slot::new(first))));
        if self.sorted.is_empty() {
            return best;
        }
        let sorted = self.sorted.first_key_value().map(|(&rank, &task)| (rank, task));
        best.into_iter().chain(sorted).min()
    }

    /// The first of its tasks that passes `pass`.
    pub(super) fn first_where(&self, nodes: &[Node], mut pass: impl FnMut(TaskIx) -> bool) -> Option<(Rank, TaskIx)> {
        let mut best: Option<(Rank, TaskIx)> = None;
        for list in &self.tiers {
            let mut at = list.first;
            while let Some(node) = nodes.get(at as usize) {
                if pass(TaskIx(Slot::new(at))) {
                    best = best.into_iter().chain([(node.rank, TaskIx(Slot::new(at)))]).min();
                    break;
                }
                at = node.next;
            }
        }
        let sorted = self.sorted.iter().find(|(_, task)| pass(**task)).map(|(&rank, &task)| (rank, task));
        best.into_iter().chain(sorted).min()
    }

    /// Up to `most` of its first tasks of each list: these contain its `most` first tasks.
    pub(super) fn first(&self, nodes: &[Node], most: usize) -> Vec<(Rank, TaskIx)> {
        let mut tasks: Vec<(Rank, TaskIx)> = self.sorted.iter().take(most).map(|(rank, task)| (*rank, *task)).collect();
        for list in &self.tiers {
            let mut at = list.first;
            for _ in 0..most {
                let Some(node) = nodes.get(at as usize) else { break };
                tasks.push((node.rank, TaskIx(Slot::new(at))));
                at = node.next;
            }
        }
        tasks
    }

    /// All of its tasks.
    pub(super) fn tasks(&self, nodes: &[Node]) -> Vec<(Rank, TaskIx)> {
        let mut tasks: Vec<(Rank, TaskIx)> = self.sorted.iter().map(|(rank, task)| (*rank, *task)).collect();
        for list in &self.tiers {
            let mut at = list.first;
            while let Some(node) = nodes.get(at as usize) {
                tasks.push((node.rank, TaskIx(Slot::new(at))));
                at = node.next;
            }
        }
        tasks
    }

    /// The number of its tasks that come before this rank, counted up to `most`.
    pub(super) fn count_ahead(&self, nodes: &[Node], rank: Rank, most: usize) -> usize {
        let mut count = 0;
        for list in &self.tiers {
            let mut at = list.first;
            while let Some(node) = nodes.get(at as usize).filter(|node| node.rank < rank && count < most) {
                count += 1;
                at = node.next;
            }
        }
        count + self.sorted.range(..rank).take(most.saturating_sub(count)).count()
    }

    /// Whether the rank of each list is that of its first task.
    pub(super) fn is_sound(&self, nodes: &[Node]) -> bool {
        self.tiers.iter().all(|list| nodes.get(list.first as usize).is_none_or(|node| node.rank == list.rank))
    }

    /// Appends a task to the list of its tier if its rank is the last one there, which it usually is; otherwise adds it
    /// to the sorted map.
    pub(super) fn push(&mut self, nodes: &mut [Node], at: SubQueueIx, tier: Tier, rank: Rank, task: TaskIx) -> Applied {
        self.len = self.len.checked_add(1).ok_or(TOO_MANY)?;
        let list = of_tier(&mut self.tiers, tier);
        let last = nodes.get_mut(list.last as usize);
        let sorted = last.as_ref().is_some_and(|last| last.rank >= rank);
        let mut node = Node { rank, prev: NOWHERE, next: NOWHERE, at: at.0.get(), tier, sorted };
        if sorted {
            self.sorted.insert(rank, task);
        } else {
            match last {
                Some(last) => {
                    last.next = task.0.get();
                    node.prev = list.last;
                }
                None => (list.first, list.rank) = (task.0.get(), rank),
            }
            list.last = task.0.get();
        }
        *nodes.get_mut(task.index()).ok_or(NO_POSITION)? = node;
        Ok(())
    }

    pub(super) fn remove(&mut self, nodes: &mut [Node], task: TaskIx) -> Applied {
        self.len = self.len.checked_sub(1).ok_or(NO_POSITION)?;
        let node = core::mem::replace(nodes.get_mut(task.index()).ok_or(NO_POSITION)?, Node::AWAY);
        if node.sorted {
            return self.sorted.remove(&node.rank).map(drop).ok_or(NO_POSITION);
        }
        let list = of_tier(&mut self.tiers, node.tier);
        let next = nodes.get_mut(node.next as usize).map(|next| {
            next.prev = node.prev;
            next.rank
        });
        if next.is_none() {
            list.last = node.prev;
        }
        match nodes.get_mut(node.prev as usize) {
            Some(prev) => prev.next = node.next,
            None => (list.first, list.rank) = (node.next, next.unwrap_or(Rank::FIRST)),
        }
        Ok(())
    }
}

const TOO_MANY: InconsistentEvent = InconsistentEvent("a sub-queue has more tasks than can be counted");
const NO_POSITION: InconsistentEvent = InconsistentEvent("a queued task has no position in its sub-queue");

const fn of_tier(tiers: &mut [List; 4], tier: Tier) -> &mut List {
    let [critical, high, normal, low] = tiers;
    match tier {
        Tier::Critical => critical,
        Tier::High => high,
        Tier::Normal => normal,
        Tier::Low => low,
    }
}
