//! The waiting line of one requirement class.

use crate::id::Seq;
use crate::structure::{Arena, Slot};
use std::collections::BTreeMap;

/// A place in the order: smaller goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Rank {
    pub(crate) key: u64,
    pub(crate) seq: Seq,
}

/// By which a waiting task is found again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ticket {
    rank: Rank,
    lane: u32,
    place: Place,
}

impl Ticket {
    pub(crate) const fn lane(&self) -> usize {
        self.lane as usize
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    InLine { tier: u8, node: Slot },
    Sorted,
}

/// A waiting task in its tier's list.
#[derive(Debug, Clone)]
struct Node {
    rank: Rank,
    task: Slot,
    prev: Option<Slot>,
    next: Option<Slot>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Line {
    first: Option<Slot>,
    last: Option<Slot>,
}

/// The waiting line of one class: four tiers in order of arrival, and the few that are out of order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lane {
    tiers: [Line; 4],
    sorted: BTreeMap<Rank, Slot>,
    len: usize,
}

/// All lanes, with the nodes of their lists in one place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    nodes: Arena<Node>,
    by_tier: [usize; 4],
}

impl Lanes {
    pub(crate) fn push(&mut self, lane: usize, tier: usize, rank: Rank, task: Slot) -> Ticket {
        if lane >= self.lanes.len() {
            self.lanes.resize_with(lane + 1, Lane::default);
        }
        let number = u32::try_from(lane).unwrap_or(u32::MAX);
        if let Some(count) = self.by_tier.get_mut(tier) {
            *count += 1;
        }
        let Some(lane) = self.lanes.get_mut(lane) else {
            return Ticket { rank, lane: number, place: Place::Sorted };
        };
        lane.len += 1;
        let place = match lane.tiers.get_mut(tier) {
            Some(line) if in_order(line, &self.nodes, rank) => append(line, &mut self.nodes, tier, rank, task),
            _ => {
                lane.sorted.insert(rank, task);
                Place::Sorted
            }
        };
        Ticket { rank, lane: number, place }
    }

    pub(crate) fn remove(&mut self, ticket: &Ticket, tier: usize) {
        let Some(lane) = self.lanes.get_mut(ticket.lane as usize) else { return };
        match ticket.place {
            Place::Sorted => {
                lane.sorted.remove(&ticket.rank);
            }
            Place::InLine { tier, node } => {
                if let Some(line) = lane.tiers.get_mut(usize::from(tier)) {
                    unlink(line, &mut self.nodes, node);
                }
            }
        }
        lane.len -= 1;
        if let Some(count) = self.by_tier.get_mut(tier) {
            *count -= 1;
        }
    }

    /// The task that is next in a lane.
    pub(crate) fn head(&self, lane: usize) -> Option<(Rank, Slot)> {
        let lane = self.lanes.get(lane)?;
        let in_line =
            lane.tiers.iter().filter_map(|line| self.nodes.get(line.first?)).map(|node| (node.rank, node.task));
        let sorted = lane.sorted.iter().next().map(|(&rank, &task)| (rank, task));
        in_line.chain(sorted).min()
    }

    pub(crate) fn len_of(&self, lane: usize) -> usize {
        self.lanes.get(lane).map_or(0, |lane| lane.len)
    }

    /// How many wait, by tier.
    pub(crate) const fn by_tier(&self) -> [usize; 4] {
        self.by_tier
    }
}

/// Whether a newcomer with this rank belongs at the end of the line.
fn in_order(line: &Line, nodes: &Arena<Node>, rank: Rank) -> bool {
    line.last.and_then(|last| nodes.get(last)).is_none_or(|last| last.rank < rank)
}

fn append(line: &mut Line, nodes: &mut Arena<Node>, tier: usize, rank: Rank, task: Slot) -> Place {
    let node = nodes.insert(Node { rank, task, prev: line.last, next: None });
    match line.last.and_then(|last| nodes.get_mut(last)) {
        Some(last) => last.next = Some(node),
        None => line.first = Some(node),
    }
    line.last = Some(node);
    Place::InLine { tier: u8::try_from(tier).unwrap_or(u8::MAX), node }
}

fn unlink(line: &mut Line, nodes: &mut Arena<Node>, node: Slot) {
    let Some(gone) = nodes.remove(node) else { return };
    match gone.prev.and_then(|prev| nodes.get_mut(prev)) {
        Some(prev) => prev.next = gone.next,
        None => line.first = gone.next,
    }
    match gone.next.and_then(|next| nodes.get_mut(next)) {
        Some(next) => next.prev = gone.prev,
        None => line.last = gone.prev,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// In lock-step with a sorted map: the head of a lane is always the least rank in it.
        #[test]
        fn agrees_with_a_sorted_map(steps in prop::collection::vec((0_usize..3, 0_usize..4, 0_u64..20, any::<bool>()), 1..200)) {
            let mut lanes = Lanes::default();
            let mut model: BTreeMap<(usize, Rank), (Ticket, usize)> = BTreeMap::new();
            for (number, (lane, tier, key, push)) in (0_u32..).zip(steps) {
                if push {
                    let rank = Rank { key, seq: Seq::new(u64::from(number)) };
                    let ticket = lanes.push(lane, tier, rank, Slot::new(number));
                    model.insert((lane, rank), (ticket, tier));
                } else if let Some(&at) = model.keys().nth(usize::try_from(key).unwrap()) {
                    let (ticket, tier) = model.remove(&at).unwrap();
                    lanes.remove(&ticket, tier);
                }
                for lane in 0..3 {
                    let first = model.keys().find(|(at, _)| *at == lane).map(|(_, rank)| *rank);
                    prop_assert_eq!(lanes.head(lane).map(|(rank, _)| rank), first);
                    prop_assert_eq!(lanes.len_of(lane), model.keys().filter(|(at, _)| *at == lane).count());
                }
                prop_assert_eq!(lanes.by_tier().iter().sum::<usize>(), model.len());
            }
        }
    }
}
