//! Heartbeats of attempts. Their details are recorded at a bounded rate, and before the attempt ends without success, so that
//! the next attempt gets the last ones.

use super::attempts::Attempts;
use super::validate::detailed;
use crate::base::id::{AttemptId, Incarnation, TaskId};
use crate::base::payload::Payload;
use crate::message::command::Accepted;
use crate::message::event::TaskEvent;
use crate::message::rejected::Rejected;
use crate::scheduler::apply::{keep_details, note_heartbeat};
use crate::scheduler::ix::TaskIx;

impl Attempts<'_, '_> {
    pub(super) fn heartbeat(
        &mut self,
        by: Incarnation,
        attempt: AttemptId,
        details: Payload,
    ) -> Result<Accepted, Rejected> {
        let (agent, at) = self.core.reader.held(by, attempt)?;
        if !details.is_null() {
            detailed(&self.core.reader.config.limits, &details)?;
            self.core.admission(self.tx.now).details(at, &details)?;
        }
        self.core.note_message(agent, self.tx.now);
        let noted = note_heartbeat(&mut self.core.reader.state, at, self.tx.now);
        self.core.must(noted);
        if !details.is_null() {
            self.keep_details(attempt.task(), at, details);
        }
        Ok(Accepted::Done)
    }

    /// Records details now if an event may record them already, and keeps them for later otherwise.
    fn keep_details(&mut self, id: TaskId, at: TaskIx, details: Payload) {
        let Some(task) = self.core.reader.state.tasks().get(at) else { return };
        let interval = self.core.reader.config.limits.tasks.details_interval;
        let recorded = task.heartbeats().and_then(|beats| beats.recorded.as_ref());
        let due = recorded.map_or(self.tx.now, |(at, _)| *at + interval);
        let known = recorded.is_some_and(|(_, last)| *last == details);
        // The same details again change nothing, but they replace those that wait.
        if known && task.details_due().is_none() {
            return;
        }
        let pending = if known { None } else { Some((due, details)) };
        let kept = keep_details(&mut self.core.reader.state, at, pending);
        self.core.must(kept);
        if due <= self.tx.now {
            self.record_details(id);
        }
    }

    /// Records the details that wait, if there are any.
    pub(super) fn record_details(&mut self, id: TaskId) {
        let Some(task) = self.core.reader.state.tasks().by_id(id) else { return };
        let pending = task.heartbeats().and_then(|beats| beats.pending.as_ref());
        if let (Some((_, details)), Some(running)) = (pending, task.running()) {
            let (attempt, by, details) = (task.attempt().number(), running.by, details.clone());
            self.core.emit(TaskEvent::Heartbeat { attempt, by, details }.of(id), self.tx);
        }
    }
}
