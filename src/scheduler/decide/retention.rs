//! Removal of finished tasks from memory.

use super::dispatch::Dispatch;
use super::timers::DueTimers;
use crate::base::id::TaskId;
use crate::base::limits::FORGOTTEN_AT_ONCE;
use crate::base::time::Time;
use crate::message::event::ControlEvent;
use crate::scheduler::machine::Rest;
use crate::scheduler::reader::Reader;
use crate::scheduler::tasks::Task;

/// Finished tasks are removed in batches of this size, so that one event covers many.
const BATCH: usize = 256;

impl Dispatch<'_, '_> {
    /// Forgets the oldest finished tasks beyond the limits, up to [`FORGOTTEN_AT_ONCE`] of them, sets the rebalancing timer, and
    /// ends reports about tasks without an agent.
    pub(super) fn retain(&mut self) {
        self.core.schedule_rebalancing(self.tx.now);
        self.end_reports();
        let (limits, tasks) = (&self.core.reader.config.limits, self.core.reader.state.tasks());
        if tasks.has_unsettled() {
            return;
        }
        let most = limits.retention.finished_tasks as usize;
        let surplus = tasks.finished().len().saturating_sub(most);
        let dead = tasks.dead().len().saturating_sub(limits.retention.dead_letters as usize);
        if surplus < BATCH.min(most + 1) && dead == 0 {
            return;
        }
        let mut forgotten: Vec<TaskId> = Vec::new();
        if surplus >= BATCH.min(most + 1) {
            forgotten.extend(tasks.finished().iter().take(surplus.min(FORGOTTEN_AT_ONCE)));
        }
        forgotten.extend(tasks.dead().iter().take(dead.min(FORGOTTEN_AT_ONCE)));
        if surplus.max(dead) > FORGOTTEN_AT_ONCE {
            self.core.rest = Rest::Dispatch;
        }
        if !forgotten.is_empty() {
            self.tx.meter.visit(forgotten.len().saturating_mul(8));
            self.core.emit(ControlEvent::TasksForgotten { tasks: forgotten }, self.tx);
        }
    }
}

impl DueTimers<'_, '_> {
    /// Forgets the finished tasks that have reached the maximum age.
    pub(super) fn forget_aged(&mut self) {
        let is_due = self.core.reader.next_aged().is_some_and(|at| at <= self.tx.now);
        if !is_due || self.core.reader.state.tasks().has_unsettled() {
            return;
        }
        let aged = |id: &&TaskId| {
            self.core.reader.ended_at(**id).is_some_and(|at| self.core.reader.config.limits.is_aged(at, self.tx.now))
        };
        let finished = self.core.reader.state.tasks().finished().iter();
        let tasks: Vec<TaskId> = finished.take_while(aged).take(FORGOTTEN_AT_ONCE).copied().collect();
        self.tx.meter.visit(tasks.len().saturating_mul(8));
        self.core.emit(ControlEvent::TasksForgotten { tasks }, self.tx);
    }
}

impl Reader {
    /// When the oldest finished task reaches the maximum age.
    pub(in crate::scheduler) fn next_aged(&self) -> Option<Time> {
        self.config.limits.retention.finished_for?;
        let oldest = self.state.tasks().finished().front()?;
        self.config.limits.forgotten_at(self.ended_at(*oldest)?)
    }

    /// When a finished task ended.
    fn ended_at(&self, id: TaskId) -> Option<Time> {
        self.state.tasks().by_id(id).and_then(Task::end).map(|ended| ended.at)
    }
}
