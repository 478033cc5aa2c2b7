//! The sub-queues of a lane whose tasks may begin, in the order of their first tasks.

use super::sub_queue::{SubQueueIx, Turn};
use crate::scheduler::inconsistent::{Applied, InconsistentEvent};
use crate::scheduler::ix::TaskIx;
use std::collections::BTreeMap;

/// A sub-queue with its first task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) turn: Turn,
    pub(super) at: SubQueueIx,
    pub(super) task: TaskIx,
}

/// The heads of a lane. Most lanes have one sub-queue, so the first head is kept apart from the others, and a lane with a
/// single one changes without a search.
#[derive(Debug, Clone, Default)]
pub(super) struct Heads {
    first: Option<Head>,
    others: BTreeMap<(Turn, SubQueueIx), TaskIx>,
}

impl Heads {
    pub(super) const fn first(&self) -> Option<&Head> {
        self.first.as_ref()
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    pub(super) fn contains(&self, turn: Turn, at: SubQueueIx) -> bool {
        self.first.is_some_and(|head| (head.turn, head.at) == (turn, at)) || self.others.contains_key(&(turn, at))
    }

    /// All heads in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Turn, SubQueueIx)> {
        let first = self.first.map(|head| (head.turn, head.at));
        first.into_iter().chain(self.others.keys().copied())
    }

    /// Replaces the head of a sub-queue, which was listed at `old`.
    #[inline]
    pub(super) fn replace(&mut self, at: SubQueueIx, old: Option<Turn>, new: Option<Head>) -> Applied {
        let is_listed = match &self.first {
            Some(first) => first.at == at && old.is_some(),
            None => old.is_none(),
        };
        if is_listed && self.others.is_empty() {
            self.first = new;
            return Ok(());
        }
        self.replace_among(at, old, new)
    }

    #[inline(never)]
    fn replace_among(&mut self, at: SubQueueIx, old: Option<Turn>, new: Option<Head>) -> Applied {
        if let Some(turn) = old {
            if self.first.is_some_and(|head| (head.turn, head.at) == (turn, at)) {
                self.first = None;
            } else if self.others.remove(&(turn, at)).is_none() {
                return Err(InconsistentEvent("a listed sub-queue is not among the heads of its lane"));
            }
        }
        for head in self.first.take().into_iter().chain(new) {
            self.others.insert((head.turn, head.at), head.task);
        }
        self.first = self.others.pop_first().map(|((turn, at), task)| Head { turn, at, task });
        Ok(())
    }

    /// Whether the first head comes before all others.
    pub(super) fn is_sound(&self) -> bool {
        match (&self.first, self.others.first_key_value()) {
            (Some(first), Some((other, _))) => (first.turn, first.at) < *other,
            (None, Some(_)) => false,
            (Some(_) | None, None) => true,
        }
    }
}
