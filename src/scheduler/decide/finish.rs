//! Attempts end: the words of agents, and what they lead to.

use crate::command::Accepted;
use crate::event::TaskEvent;
use crate::id::{AttemptId, Incarnation, TaskId};
use crate::limits::AGED_AT_ONCE;
use crate::payload::Payload;
use crate::rejected::{Rejected, Stale, Unknown};
use crate::scheduler::apply::state::Task;
use crate::scheduler::decide::submit::fits;
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::structure::Slot;
use crate::task::{Failure, FailureKind, Happened, InDoubt, Usage};
use crate::time::Time;

/// Finished tasks leave memory in batches of this size, so that one fact serves many.
const BATCH: usize = 256;

impl Core {
    pub(crate) fn complete(
        &mut self,
        by: Incarnation,
        attempt: AttemptId,
        output: Payload,
        usage: Usage,
        tx: &mut Tx<'_>,
    ) -> Result<Accepted, Rejected> {
        let (place, task) = self.held_by(by, attempt)?;
        fits(&self.config.limits, &output)?;
        let cancel = task.running().and_then(|running| running.cancel.as_ref()).map(|cancel| cancel.1.clone());
        let event = match cancel {
            // The cancellation came first; that the work was done all the same is recorded, and never routed on.
            Some(reason) => TaskEvent::Cancelled { task: attempt.task(), reason, happened: Happened::Yes(output) },
            None => TaskEvent::Succeeded { attempt, by, output },
        };
        let heir = task.running().and_then(|running| running.yielding.as_ref()?.why.by());
        self.used(by, attempt, usage, tx);
        self.emit(event, tx);
        if let Some(heir) = heir {
            self.inherit(heir, by, tx);
        }
        self.heard(by, tx.now);
        self.after_end(place, tx);
        Ok(Accepted::Done)
    }

    pub(crate) fn fail(
        &mut self,
        by: Incarnation,
        attempt: AttemptId,
        failure: Failure,
        usage: Usage,
        tx: &mut Tx<'_>,
    ) -> Result<Accepted, Rejected> {
        let (place, _) = self.held_by(by, attempt)?;
        crate::scheduler::decide::submit::bounded(
            "payload_bytes",
            failure.message.len(),
            self.config.limits.payload_bytes,
        )?;
        self.used(by, attempt, usage, tx);
        self.attempt_failed(by, attempt, failure, tx);
        self.heard(by, tx.now);
        self.after_end(place, tx);
        Ok(Accepted::Done)
    }

    /// What an attempt used up, if that is anything. Of a task that is under a budget, an agent that says no cost has that of
    /// its rates.
    fn used(&mut self, by: Incarnation, attempt: AttemptId, mut usage: Usage, tx: &mut Tx<'_>) {
        let budgeted = self.state.get(attempt.task()).filter(|task| task.spec.reserved.is_some());
        if let Some(task) = budgeted.filter(|_| usage.cost == 0) {
            let since = task.running().map_or(tx.now, |running| running.since);
            let place = self.state.fleet.living(by);
            let spec = place.and_then(|place| self.state.fleet.at(place.index())).map(|member| &member.spec);
            usage.cost = spec.map_or(0, |spec| spec.cost_of(tx.now.since(since)));
        }
        if !usage.is_nothing() {
            self.emit(TaskEvent::Used { attempt, by, usage }, tx);
        }
    }

    /// The attempt has failed, by whoever's word: the agent's, a timeout's.
    pub(crate) fn attempt_failed(&mut self, by: Incarnation, attempt: AttemptId, failure: Failure, tx: &mut Tx<'_>) {
        let id = attempt.task();
        let Some(task) = self.state.get(id) else { return };
        // Who insists tries until it is known: a failure for good settles what was in doubt before.
        let insist = task.spec.policy.retry().in_doubt == InDoubt::Insist;
        let settled = insist && failure.kind == FailureKind::Permanent;
        let maybe = !settled && (task.doubtful || failure.kind == FailureKind::Unknown);
        let running = task.running();
        let cancel = running.and_then(|running| running.cancel.as_ref());
        if cancel.is_none()
            && failure.kind != FailureKind::Permanent
            && running.is_some_and(|running| running.yielding.is_some())
        {
            self.hand_back(by, attempt, failure.kind == FailureKind::Unknown, tx);
            return;
        }
        let event = match cancel {
            Some(cancel) => {
                let happened = if maybe { Happened::Maybe } else { Happened::No };
                TaskEvent::Cancelled { task: id, reason: cancel.1.clone(), happened }
            }
            None => {
                let next = self.retry_or_end(task, &failure, tx);
                let (next, beyond_budget) = self.afford(by, (task, maybe), next, tx.now);
                TaskEvent::AttemptFailed { attempt, by, failure, next, maybe, beyond_budget }
            }
        };
        self.emit(event, tx);
    }

    /// The agent has room again, others may go on, and some of what is finished may be forgotten.
    pub(crate) fn after_end(&mut self, place: Slot, tx: &mut Tx<'_>) {
        self.settle_and_pump(Some(place), tx);
        self.retire(tx);
    }

    /// The fence: only the current attempt of a task, only from the life of the agent that holds it.
    pub(crate) fn held_by(&self, by: Incarnation, attempt: AttemptId) -> Result<(Slot, &Task), Rejected> {
        let place = self.state.fleet.living(by).ok_or(Rejected::Stale(Stale::Incarnation(by)))?;
        let task = self.state.get(attempt.task()).ok_or_else(|| Rejected::Unknown(Unknown::Task(attempt.task())))?;
        let running = task.running().filter(|_| task.attempts == attempt.number());
        let running = running.ok_or(Rejected::Stale(Stale::Attempt(attempt)))?;
        if running.by != by {
            return Err(Rejected::Stale(Stale::NotHolder { attempt, by, holder: running.by }));
        }
        Ok((place, task))
    }

    /// Forgets the oldest of what is finished, beyond the limits.
    pub(crate) fn retire(&mut self, tx: &mut Tx<'_>) {
        self.watch_balance(tx.now);
        let limits = &self.config.limits;
        let surplus = self.state.finished.len().saturating_sub(limits.finished_tasks as usize);
        let dead = self.state.dead.len().saturating_sub(limits.dead_letters as usize);
        let mut tasks: Vec<TaskId> = Vec::new();
        if surplus >= BATCH.min(limits.finished_tasks as usize + 1) {
            tasks.extend(self.state.finished.iter().take(surplus));
        }
        tasks.extend(self.state.dead.iter().take(dead));
        if !tasks.is_empty() {
            self.emit(TaskEvent::Forgotten { tasks }, tx);
        }
    }

    /// When the oldest of what is finished has been so for too long.
    pub(crate) fn next_aged(&self) -> Option<Time> {
        self.config.limits.forgotten_at(self.ended(*self.state.finished.front()?)?)
    }

    fn ended(&self, id: TaskId) -> Option<Time> {
        self.state.get(id).and_then(Task::end).map(|ended| ended.at)
    }

    /// Forgets what has been finished for too long.
    pub(crate) fn retire_aged(&mut self, tx: &mut Tx<'_>) {
        if self.next_aged().is_none_or(|at| at > tx.now) {
            return;
        }
        let aged = |id: &&TaskId| self.ended(**id).is_some_and(|at| self.config.limits.is_aged(at, tx.now));
        let tasks: Vec<TaskId> = self.state.finished.iter().take_while(aged).take(AGED_AT_ONCE).copied().collect();
        self.emit(TaskEvent::Forgotten { tasks }, tx);
    }
}
