//! The tasks of one tenant and kind that wait in one lane, in order.

use super::Rank;
use crate::structure::Slot;
use std::collections::BTreeMap;

/// What the tasks of a strand have in common. A gate that closes for a tenant or a kind closes whole strands, so that what
/// may not go never stands before what may.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct StrandKey {
    /// The requirement class.
    pub(crate) lane: u32,
    pub(crate) tenant: u32,
    pub(crate) kind: u32,
    /// Whether they are of the first tier, for which capacity may be reserved.
    pub(crate) urgent: bool,
}

/// A place in the order: smaller goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Turn {
    /// What the tenant has had, where tenants share fairly; 0 where they do not.
    pub(crate) tag: u64,
    pub(crate) rank: Rank,
}

/// Where a task stands in line; kept beside the tasks, under the same index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) rank: Rank,
    prev: u32,
    next: u32,
    /// Its strand; [`NOWHERE`] if it stands in none.
    pub(super) strand: u32,
    pub(super) tier: u8,
    sorted: bool,
}

pub(super) const NOWHERE: u32 = u32::MAX;

impl Node {
    pub(super) const AWAY: Self =
        Self { rank: Rank::FIRST, prev: NOWHERE, next: NOWHERE, strand: NOWHERE, tier: 0, sorted: false };
}

#[derive(Debug, Clone, Copy)]
struct Line {
    first: u32,
    last: u32,
}

/// Four tiers in order of arrival, and the few that are out of order.
#[derive(Debug, Clone)]
pub(super) struct Strand {
    pub(super) key: StrandKey,
    tiers: [Line; 4],
    sorted: BTreeMap<Rank, Slot>,
    pub(super) len: u32,
    /// Where it stands among the heads of its lane, if it does.
    pub(super) listed: Option<Turn>,
    /// Whether its first task has waited for company long enough.
    pub(super) ripe: bool,
    /// Whether it stands in the list of strands that have been empty.
    pub(super) idle: bool,
}

impl Strand {
    pub(super) const fn new(key: StrandKey) -> Self {
        let empty = Line { first: NOWHERE, last: NOWHERE };
        Self { key, tiers: [empty; 4], sorted: BTreeMap::new(), len: 0, listed: None, ripe: false, idle: false }
    }

    /// Its first task.
    pub(super) fn head(&self, nodes: &[Node]) -> Option<(Rank, Slot)> {
        let in_line = self.tiers.iter().filter_map(|line| {
            let node = nodes.get(line.first as usize)?;
            Some((node.rank, Slot::new(line.first)))
        });
        let sorted = self.sorted.first_key_value().map(|(&rank, &task)| (rank, task));
        in_line.chain(sorted).min()
    }

    /// The first of its tasks that passes.
    pub(super) fn first_where(&self, nodes: &[Node], mut pass: impl FnMut(Slot) -> bool) -> Option<(Rank, Slot)> {
        let mut best: Option<(Rank, Slot)> = None;
        for line in &self.tiers {
            let mut at = line.first;
            while let Some(node) = nodes.get(at as usize) {
                if pass(Slot::new(at)) {
                    best = best.into_iter().chain([(node.rank, Slot::new(at))]).min();
                    break;
                }
                at = node.next;
            }
        }
        let sorted = self.sorted.iter().find(|(_, task)| pass(**task)).map(|(&rank, &task)| (rank, task));
        best.into_iter().chain(sorted).min()
    }

    /// How many of its tasks stand before this rank, counted up to `most`.
    pub(super) fn count_ahead(&self, nodes: &[Node], rank: Rank, most: usize) -> usize {
        let mut count = 0;
        for line in &self.tiers {
            let mut at = line.first;
            while let Some(node) = nodes.get(at as usize).filter(|node| node.rank < rank && count < most) {
                count += 1;
                at = node.next;
            }
        }
        count + self.sorted.range(..rank).take(most.saturating_sub(count)).count()
    }

    /// Appends where the order of arrival is the order of ranks, which it nearly always is; sorts in otherwise.
    pub(super) fn push(&mut self, nodes: &mut [Node], strand: u32, tier: u8, rank: Rank, task: Slot) {
        self.len += 1;
        let Some(line) = self.tiers.get_mut(usize::from(tier)) else { return };
        let last = nodes.get_mut(line.last as usize);
        let sorted = last.as_ref().is_some_and(|last| last.rank >= rank);
        let mut node = Node { rank, prev: NOWHERE, next: NOWHERE, strand, tier, sorted };
        if sorted {
            self.sorted.insert(rank, task);
        } else {
            match last {
                Some(last) => {
                    last.next = task.get();
                    node.prev = line.last;
                }
                None => line.first = task.get(),
            }
            line.last = task.get();
        }
        if let Some(place) = nodes.get_mut(task.index()) {
            *place = node;
        }
    }

    pub(super) fn remove(&mut self, nodes: &mut [Node], task: Slot) {
        let Some(node) = nodes.get_mut(task.index()).map(|node| core::mem::replace(node, Node::AWAY)) else { return };
        self.len = self.len.saturating_sub(1);
        if node.sorted {
            self.sorted.remove(&node.rank);
            return;
        }
        let Some(line) = self.tiers.get_mut(usize::from(node.tier)) else { return };
        match nodes.get_mut(node.prev as usize) {
            Some(prev) => prev.next = node.next,
            None => line.first = node.next,
        }
        match nodes.get_mut(node.next as usize) {
            Some(next) => next.prev = node.prev,
            None => line.last = node.prev,
        }
    }
}
