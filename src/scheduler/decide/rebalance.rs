//! Rebalancing: attempts that wait at a busy agent are requested back when another agent would finish them sooner.

use super::timers::DueTimers;
use crate::base::time::Time;
use crate::message::event::{TaskEvent, YieldReason};
use crate::scheduler::machine::Core;

impl Core {
    /// Sets the timer while any attempt waits at an agent.
    pub(super) fn schedule_rebalancing(&mut self, now: Time) {
        if let Some(every) = self.guards.rebalances_every()
            && self.reader.state.candidates().has_unstarted()
        {
            self.reader.state.timers_mut().rebalance_at(now + every);
        }
    }
}

impl DueTimers<'_, '_> {
    /// Compares the loads, and sets the timer again while any attempt waits at an agent.
    pub(super) fn rebalance(&mut self) {
        self.core.reader.state.timers_mut().rebalanced();
        for id in self.core.guards.misplaced(&self.core.reader.state, self.tx.now) {
            // The event of an earlier step may have changed the attempt.
            let Some(task) = self.core.reader.state.tasks().by_id(id) else { continue };
            if task.running().is_some_and(|running| running.unstarted && !running.is_requested()) {
                let (attempt, reason) = (task.attempt().number(), YieldReason::Rebalanced);
                self.core.emit(TaskEvent::YieldRequested { attempt, reason }.of(id), self.tx);
            }
        }
        self.core.schedule_rebalancing(self.tx.now);
    }
}
