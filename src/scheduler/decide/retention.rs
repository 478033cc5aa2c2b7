//! Removal of finished tasks from memory.

use super::dispatch::Dispatch;
use crate::base::id::TaskId;
use crate::base::limits::AGED_AT_ONCE;
use crate::base::time::Time;
use crate::message::event::ControlEvent;
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::scheduler::tasks::Task;

/// Finished tasks are removed in batches of this size, so that one event covers many.
const BATCH: usize = 256;

impl Dispatch<'_, '_> {
    /// Forgets the oldest finished tasks beyond the limits, and sets the rebalancing timer.
    pub(super) fn retain(&mut self) {
        self.core.schedule_rebalancing(self.tx.now);
        let (limits, tasks) = (&self.core.reader.config.limits, self.core.reader.state.tasks());
        let most = limits.retention.finished_tasks as usize;
        let surplus = tasks.finished().len().saturating_sub(most);
        let dead = tasks.dead().len().saturating_sub(limits.retention.dead_letters as usize);
        let mut forgotten: Vec<TaskId> = Vec::new();
        if surplus >= BATCH.min(most + 1) {
            forgotten.extend(tasks.finished().iter().take(surplus));
        }
        forgotten.extend(tasks.dead().iter().take(dead));
        if !forgotten.is_empty() {
            self.core.emit(ControlEvent::TasksForgotten { tasks: forgotten }, self.tx);
        }
    }
}

impl Core {
    /// When the oldest finished task reaches the maximum age.
    pub(in crate::scheduler) fn next_aged(&self) -> Option<Time> {
        let oldest = self.reader.state.tasks().finished().front()?;
        self.reader.config.limits.forgotten_at(self.ended(*oldest)?)
    }

    fn ended(&self, id: TaskId) -> Option<Time> {
        self.reader.state.tasks().by_id(id).and_then(Task::end).map(|ended| ended.at)
    }

    /// Forgets the finished tasks that have reached the maximum age.
    pub(super) fn forget_aged(&mut self, tx: &mut Tx<'_>) {
        if self.next_aged().is_none_or(|at| at > tx.now) {
            return;
        }
        let aged = |id: &&TaskId| self.ended(**id).is_some_and(|at| self.reader.config.limits.is_aged(at, tx.now));
        let finished = self.reader.state.tasks().finished().iter();
        let tasks: Vec<TaskId> = finished.take_while(aged).take(AGED_AT_ONCE).copied().collect();
        self.emit(ControlEvent::TasksForgotten { tasks }, tx);
    }
}
