//! The ready nodes: first in, first out, with or without tiers.

use std::collections::VecDeque;

use super::NodeIx;

/// The number of tiers: one bit of a word each.
const TIERS: usize = u64::BITS as usize;

/// The nodes that may start, in order.
#[derive(Debug, Clone)]
pub(super) enum ReadyQueue {
    Plain(VecDeque<NodeIx>),
    // Boxed because it is a kilobyte, and most graphs have no tiers.
    Tiered(Box<Tiered>),
}

impl ReadyQueue {
    pub(super) fn tiered(tiers: Vec<u8>) -> Self {
        Self::Tiered(Box::new(Tiered::new(tiers)))
    }

    #[inline]
    pub(super) fn push(&mut self, node: NodeIx) {
        match self {
            Self::Plain(queue) => queue.push_back(node),
            Self::Tiered(queue) => queue.push(node),
        }
    }

    /// Moves up to `max` nodes to the end of `buf`; returns their number.
    #[inline]
    pub(super) fn take(&mut self, buf: &mut Vec<NodeIx>, max: usize) -> usize {
        let before = buf.len();
        match self {
            Self::Plain(queue) => buf.extend(queue.drain(..max.min(queue.len()))),
            Self::Tiered(queue) => buf.extend(std::iter::from_fn(|| queue.pop()).take(max)),
        }
        buf.len() - before
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Plain(queue) => queue.len(),
            Self::Tiered(queue) => queue.len,
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::Plain(queue) => queue.clear(),
            Self::Tiered(queue) => queue.clear(),
        }
    }
}

/// One list per tier, linked through one array, and a word whose bits mark the lists that are not empty. A heap is
/// several times slower with thousands of ready nodes, and would need a counter to be first in, first out.
#[derive(Debug, Clone)]
pub(super) struct Tiered {
    /// The tier of each node.
    tiers: Vec<u8>,
    /// The successor of each node in its list.
    behind: Vec<Option<NodeIx>>,
    ends: [Option<(NodeIx, NodeIx)>; TIERS],
    occupied: u64,
    len: usize,
}

impl Tiered {
    fn new(mut tiers: Vec<u8>) -> Self {
        let last = u8::try_from(TIERS - 1).unwrap_or(u8::MAX);
        for tier in &mut tiers {
            *tier = (*tier).min(last);
        }
        Self { behind: vec![None; tiers.len()], tiers, ends: [None; TIERS], occupied: 0, len: 0 }
    }

    fn push(&mut self, node: NodeIx) {
        let Some(&tier) = self.tiers.get(node.index()) else {
            return;
        };
        let Some(ends) = self.ends.get_mut(usize::from(tier)) else {
            return;
        };
        if let Some(slot) = self.behind.get_mut(node.index()) {
            *slot = None;
        }
        match ends {
            Some((_, last)) => {
                if let Some(slot) = self.behind.get_mut(last.index()) {
                    *slot = Some(node);
                }
                *last = node;
            }
            None => {
                *ends = Some((node, node));
                self.occupied |= 1 << tier;
            }
        }
        self.len += 1;
    }

    fn pop(&mut self) -> Option<NodeIx> {
        let tier = self.occupied.trailing_zeros();
        let ends = self.ends.get_mut(tier as usize)?;
        let (first, last) = (*ends)?;
        *ends = self.behind.get(first.index()).copied().flatten().map(|next| (next, last));
        if ends.is_none() {
            self.occupied &= !(1 << tier);
        }
        self.len -= 1;
        Some(first)
    }

    fn clear(&mut self) {
        self.ends = [None; TIERS];
        self.occupied = 0;
        self.len = 0;
    }
}
