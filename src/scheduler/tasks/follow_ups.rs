//! What the end of a task requires of others: events that must be emitted, and dependents that are updated.

use super::Tasks;
use crate::base::id::TaskId;
use crate::scheduler::inconsistent::Applied;

/// An event that must be emitted because of an earlier event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FollowUp {
    /// The agent of the task's attempt is gone: the attempt fails with its outcome unknown.
    Orphaned,
    /// All dependencies of the task have succeeded: it becomes ready.
    Ready,
    /// A dependency of the task did not succeed: it is cancelled.
    Unsatisfiable,
    /// The equal task for whose result it waits has succeeded: it is answered.
    Answered,
}

impl Tasks {
    pub(crate) fn next_follow_up(&self) -> Option<(FollowUp, TaskId)> {
        let answered = || self.flights.next_answered().map(|task| (FollowUp::Answered, task));
        self.follow_ups.first().copied().or_else(answered)
    }

    /// Whether events must be emitted, or dependents of ended tasks be updated. No ended task may be forgotten then: after
    /// a restore, an unknown dependency counts as one that has succeeded.
    pub(crate) fn has_unsettled(&self) -> bool {
        !self.follow_ups.is_empty() || !self.unsettled.is_empty() || self.flights.has_landed()
    }

    /// Updates up to `most` dependents of ended tasks. Returns their number.
    pub(crate) fn settle_dependents(&mut self, most: usize) -> Applied<usize> {
        let mut settled = 0;
        while settled < most
            && let Some(first) = self.unsettled.front_mut()
        {
            let succeeded = first.succeeded;
            match first.dependents.get(first.done).copied() {
                Some(waiting) => {
                    first.done += 1;
                    settled += 1;
                    self.dependency_ended(waiting, succeeded)?;
                }
                None => drop(self.unsettled.pop_front()),
            }
        }
        Ok(settled)
    }

    /// Removes a follow-up. False if there was none.
    pub(crate) fn drop_follow_up(&mut self, follow_up: FollowUp, id: TaskId) -> bool {
        match follow_up {
            FollowUp::Answered => self.flights.drop_answered(id),
            FollowUp::Orphaned | FollowUp::Ready | FollowUp::Unsatisfiable => self.follow_ups.remove(&(follow_up, id)),
        }
    }

    pub(crate) fn is_orphaned(&self, id: TaskId) -> bool {
        self.follow_ups.contains(&(FollowUp::Orphaned, id))
    }
}
