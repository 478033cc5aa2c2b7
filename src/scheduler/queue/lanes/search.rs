//! Searches through the waiting tasks of lanes, which change nothing.

use super::{Heads, Lanes, Rank, Turn};
use crate::scheduler::ix::{ClassIx, TaskIx};

impl Lanes {
    /// The heads of a lane: those of the critical tier, then all others.
    fn heads_of(&self, class: ClassIx) -> impl Iterator<Item = &Heads> {
        self.lanes.each().filter_map(move |lanes| lanes.get(class.index())).map(|lane| &lane.heads)
    }

    /// The first task of a lane that may begin and passes `pass`, those of the critical tier before all others. A listed
    /// position may be outdated, in which case it is too early.
    pub(crate) fn first_where(&self, class: ClassIx, mut pass: impl FnMut(TaskIx) -> bool) -> Option<TaskIx> {
        for heads in self.heads_of(class) {
            let mut best: Option<(Turn, TaskIx)> = None;
            for (turn, at) in heads.iter() {
                if best.is_some_and(|(first, _)| first < turn) {
                    break;
                }
                let sub_queue = self.sub_queues.get(at.0)?;
                let tag = self.order_tag(sub_queue.key.accounts.tenant);
                let found =
                    sub_queue.first_where(&self.nodes, &mut pass).map(|(rank, task)| (Turn { tag, rank }, task));
                best = best.into_iter().chain(found).min();
            }
            if let Some((_, task)) = best {
                return Some(task);
            }
        }
        None
    }

    /// Up to `most` of the first tasks of these lanes by rank, whether they may begin or not, and the number of sub-queues that
    /// were visited.
    pub(crate) fn first_waiting(
        &self,
        classes: impl Iterator<Item = ClassIx>,
        urgent: bool,
        most: usize,
    ) -> (Vec<TaskIx>, usize) {
        let lanes = classes.filter_map(|class| self.lanes.of(urgent).get(class.index()));
        let (mut first, mut visited) = (Vec::new(), 0);
        for at in lanes.flat_map(|lane| &lane.sub_queues) {
            visited += 1;
            first.extend(
                self.sub_queues.get(at.0).map(|sub_queue| sub_queue.first(&self.nodes, most)).unwrap_or_default(),
            );
        }
        first.sort_unstable();
        (first.into_iter().take(most).map(|(_, task)| task).collect(), visited)
    }

    /// The number of tasks of a lane that may begin and come before this rank, counted up to `most`. Under fair sharing
    /// the tasks of other tenants are compared by rank, too, which is an approximation.
    pub(crate) fn count_ahead(&self, class: ClassIx, rank: Rank, most: usize) -> usize {
        let sub_queues = self.heads_of(class).flat_map(Heads::iter).filter_map(|(_, at)| self.sub_queues.get(at.0));
        let mut count = 0;
        for sub_queue in sub_queues {
            count += sub_queue.count_ahead(&self.nodes, rank, most.saturating_sub(count));
        }
        count
    }
}
