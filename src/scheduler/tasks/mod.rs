//! All known tasks: accepted ones with their stages and dependencies, finished ones until they are forgotten.

mod pace;
mod task;

pub(crate) use task::{Attempts, Cancel, Ended, Held, Running, Stage, Submission, Task, Yielding};

use super::inconsistent::{Applied, InconsistentEvent};
use super::ix::{ClassIx, TaskIx};
use super::timers::{Alarm, Timers};
use crate::base::id::{AgentId, AttemptId, Incarnation, TaskId};
use crate::base::name::Name;
use crate::base::structure::{Arena, NearMap};
use crate::base::time::Time;
use crate::message::event::YieldReason;
use crate::task::{TaskOutcome, TaskSpec, Tier};
use core::time::Duration;
use pace::Pace;
use std::collections::{BTreeSet, VecDeque};

/// An event that must follow from others before a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FollowUp {
    /// The agent of the task's attempt is gone: the attempt failed, its outcome unknown.
    Orphaned,
    /// All that the task waited for has succeeded: it is ready.
    Ready,
    /// A task that it waited for did not succeed: it is cancelled.
    Unsatisfiable,
}

/// Whether a task was submitted now or comes from a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A dependency that is unknown never succeeds.
    Submit,
    /// A dependency that is unknown has succeeded and was forgotten since, or the task would have ended.
    Snapshot,
}

/// How many of the agents that failed a task it remembers to avoid.
const AVOID: usize = 8;

const UNKNOWN: InconsistentEvent = InconsistentEvent("there is no such task");

/// All known tasks.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    tasks: Arena<Task>,
    by_id: NearMap<TaskId, TaskIx>,
    /// For each task that has not succeeded, those that wait for it.
    dependents: NearMap<TaskId, Vec<TaskId>>,
    /// Events that must follow. Empty between calls.
    follow_ups: BTreeSet<(FollowUp, TaskId)>,
    /// Finished tasks that are no dead letters, the oldest first.
    finished: VecDeque<TaskId>,
    /// Dead letters, the oldest first.
    dead: VecDeque<TaskId>,
    /// How many are not finished.
    active: u32,
    pace: Pace,
}

impl Tasks {
    pub(crate) fn ix(&self, id: TaskId) -> Option<TaskIx> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn get(&self, at: TaskIx) -> Option<&Task> {
        self.tasks.get(at.0)
    }

    pub(crate) fn by_id(&self, id: TaskId) -> Option<&Task> {
        self.get(self.ix(id)?)
    }

    /// Like [`ix`](Self::ix), for an event that names the task.
    pub(crate) fn known(&self, id: TaskId) -> Applied<TaskIx> {
        self.ix(id).ok_or(InconsistentEvent("an event is about a task that is unknown"))
    }

    /// Like [`get`](Self::get), for an event that changes the task.
    pub(crate) fn at(&self, at: TaskIx) -> Applied<&Task> {
        self.get(at).ok_or(UNKNOWN)
    }

    fn at_mut(&mut self, at: TaskIx) -> Applied<&mut Task> {
        self.tasks.get_mut(at.0).ok_or(UNKNOWN)
    }

    /// The task of an attempt that is under way.
    pub(crate) fn under_way(&self, attempt: AttemptId) -> Applied<TaskIx> {
        let at = self.known(attempt.task())?;
        let task = self.at(at)?;
        if task.running().is_none() || task.attempts.begun != attempt.number().get() {
            return Err(InconsistentEvent("an event is about an attempt that is not the current one"));
        }
        Ok(at)
    }

    /// The task of an attempt that this agent holds.
    pub(crate) fn held_by(&self, attempt: AttemptId, by: Incarnation) -> Applied<TaskIx> {
        let at = self.under_way(attempt)?;
        if self.at(at)?.running().is_some_and(|running| running.by == by) {
            return Ok(at);
        }
        Err(InconsistentEvent("an event is about an attempt that another agent holds"))
    }

    /// All of them, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (TaskIx, &Task)> {
        self.tasks.iter().map(|(slot, task)| (TaskIx(slot), task))
    }

    /// How many are not finished.
    pub(crate) const fn active(&self) -> u32 {
        self.active
    }

    /// Finished tasks that are no dead letters, the oldest first.
    pub(crate) const fn finished(&self) -> &VecDeque<TaskId> {
        &self.finished
    }

    /// Dead letters, the oldest first.
    pub(crate) const fn dead(&self) -> &VecDeque<TaskId> {
        &self.dead
    }

    /// The time between two ends of tasks: how long a refused submit should wait.
    pub(crate) fn gap(&self) -> Option<Duration> {
        self.pace.gap()
    }

    // ---- follow-ups

    pub(crate) fn next_follow_up(&self) -> Option<(FollowUp, TaskId)> {
        self.follow_ups.first().copied()
    }

    /// Drops a follow-up. False if it was gone already.
    pub(crate) fn drop_follow_up(&mut self, follow_up: FollowUp, id: TaskId) -> bool {
        self.follow_ups.remove(&(follow_up, id))
    }

    pub(crate) fn is_orphaned(&self, id: TaskId) -> bool {
        self.follow_ups.contains(&(FollowUp::Orphaned, id))
    }

    // ---- changes

    pub(crate) fn submit(&mut self, submission: &Submission<'_>) -> Applied<TaskIx> {
        let id = submission.spec.id;
        if self.ix(id).is_some() {
            return Err(InconsistentEvent("a task is submitted twice"));
        }
        let at = TaskIx(self.tasks.insert(Task::new(submission)));
        self.by_id.insert(id, at);
        self.active = self.active.saturating_add(1);
        Ok(at)
    }

    /// Records what a task waits for, and what follows if that has ended already.
    pub(crate) fn block(&mut self, at: TaskIx, spec: &TaskSpec, origin: Origin) -> Applied {
        let (mut open, mut unsatisfiable) = (0, false);
        for &before in &spec.after {
            match self.by_id(before).map(|task| task.end().map(|ended| &ended.outcome)) {
                Some(Some(TaskOutcome::Succeeded(_))) => {}
                Some(None) => {
                    open += 1;
                    self.wait_for(before, spec.id);
                }
                Some(Some(_)) => unsatisfiable = true,
                None => unsatisfiable |= origin == Origin::Submit,
            }
        }
        match &mut self.at_mut(at)?.stage {
            Stage::Blocked { on } => *on = open,
            Stage::Backoff { .. } | Stage::Queued { .. } | Stage::Running(_) | Stage::Ended(_) => {
                return Err(InconsistentEvent("a task waits for others after it has begun"));
            }
        }
        if unsatisfiable {
            self.follow_ups.insert((FollowUp::Unsatisfiable, spec.id));
        } else if open == 0 {
            self.follow_ups.insert((FollowUp::Ready, spec.id));
        }
        Ok(())
    }

    fn wait_for(&mut self, before: TaskId, task: TaskId) {
        let mut waiting = self.dependents.remove(&before).unwrap_or_default();
        waiting.push(task);
        self.dependents.insert(before, waiting);
    }

    /// All that the task waited for has happened.
    pub(crate) fn make_ready(&mut self, id: TaskId) -> Applied<TaskIx> {
        let at = self.known(id)?;
        match self.at(at)?.stage {
            Stage::Blocked { on: 0 } | Stage::Backoff { .. } => {}
            Stage::Blocked { .. } | Stage::Queued { .. } | Stage::Running(_) | Stage::Ended(_) => {
                return Err(InconsistentEvent("a task is ready that did not wait"));
            }
        }
        self.follow_ups.remove(&(FollowUp::Ready, id));
        Ok(at)
    }

    /// The task waits in the queue of a class.
    pub(crate) fn queue(&mut self, at: TaskIx, class: ClassIx) -> Applied {
        self.at_mut(at)?.stage = Stage::Queued { class };
        Ok(())
    }

    /// The task waits for its next attempt, perhaps in another tier.
    pub(crate) fn back_off(&mut self, at: TaskIx, until: Time, tier: Option<Tier>) -> Applied {
        let task = self.at_mut(at)?;
        task.tier = tier.unwrap_or(task.tier);
        task.stage = Stage::Backoff { until };
        Ok(())
    }

    pub(crate) fn set_tier(&mut self, at: TaskIx, tier: Tier) -> Applied {
        self.at_mut(at)?.tier = tier;
        Ok(())
    }

    /// An attempt begins.
    pub(crate) fn begin(&mut self, at: TaskIx, running: Running) -> Applied {
        let task = self.at_mut(at)?;
        task.attempts.begun = task.attempts.begun.saturating_add(1);
        task.last = Some(running.by.agent());
        task.stage = Stage::Running(Box::new(running));
        Ok(())
    }

    fn running_mut(&mut self, at: TaskIx) -> Applied<&mut Running> {
        self.at_mut(at)?.running_mut().ok_or(InconsistentEvent("an event is about an attempt that has ended"))
    }

    /// The agent has begun to work on the attempt.
    pub(crate) fn start(&mut self, at: TaskIx, now: Time) -> Applied {
        let running = self.running_mut(at)?;
        (running.unstarted, running.since) = (false, now);
        Ok(())
    }

    pub(crate) fn request_yield(&mut self, at: TaskIx, why: YieldReason, now: Time) -> Applied {
        let running = self.running_mut(at)?;
        if running.is_requested() {
            return Err(InconsistentEvent("an attempt is requested back twice, or after a cancellation"));
        }
        running.yielding = Some(Yielding { at: now, why });
        Ok(())
    }

    pub(crate) fn request_cancel(&mut self, at: TaskIx, reason: &Name, now: Time) -> Applied {
        let running = self.running_mut(at)?;
        running.cancel = Some(Cancel { at: now, reason: reason.clone() });
        Ok(())
    }

    /// The attempt was given back and does not count.
    pub(crate) fn note_yield(&mut self, at: TaskIx) -> Applied {
        let task = self.at_mut(at)?;
        let yielding = task.running().and_then(|running| running.yielding.as_ref());
        let preempted = yielding.is_some_and(|yielding| matches!(yielding.why, YieldReason::Preempted { .. }));
        task.attempts.yielded = task.attempts.yielded.saturating_add(1);
        task.attempts.preempted = task.attempts.preempted.saturating_add(u32::from(preempted));
        Ok(())
    }

    /// The agent has failed the task, which avoids it from now on.
    pub(crate) fn note_failure(&mut self, at: TaskIx, by: AgentId) -> Applied {
        let task = self.at_mut(at)?;
        let others = task.avoid.iter().copied().filter(|agent| *agent != by);
        let avoid: Vec<AgentId> = others.chain([by]).collect();
        task.avoid = avoid.get(avoid.len().saturating_sub(AVOID)..).unwrap_or_default().into();
        Ok(())
    }

    /// Once the outcome of an attempt is unknown, that the task may have had its effect stays so.
    pub(crate) fn note_unknown(&mut self, at: TaskIx, unknown: bool) -> Applied {
        self.at_mut(at)?.outcome_unknown |= unknown;
        Ok(())
    }

    /// The agent of the attempt is gone.
    pub(crate) fn orphan(&mut self, at: TaskIx) -> Applied {
        self.running_mut(at)?.held = None;
        let id = self.at(at)?.id();
        self.follow_ups.insert((FollowUp::Orphaned, id));
        Ok(())
    }

    /// The attempt is about to end: its agent does not hold it any more.
    pub(crate) fn release(&mut self, at: TaskIx) -> Applied<Option<Held>> {
        let held = self.running_mut(at)?.held.take();
        let id = self.at(at)?.id();
        self.follow_ups.remove(&(FollowUp::Orphaned, id));
        Ok(held)
    }

    /// The agent holds the attempt at another index.
    pub(crate) fn set_index(&mut self, at: TaskIx, index: u32) -> Applied {
        match &mut self.running_mut(at)?.held {
            Some(held) => held.index = index,
            None => return Err(InconsistentEvent("an attempt is held by an agent that is gone")),
        }
        Ok(())
    }

    /// The task is finished. What follows for the tasks that wait for it is recorded.
    pub(crate) fn end(&mut self, at: TaskIx, outcome: TaskOutcome, now: Time) -> Applied {
        let task = self.at_mut(at)?;
        let id = task.id();
        let succeeded = matches!(outcome, TaskOutcome::Succeeded(_));
        let dead = outcome.is_dead_letter();
        task.stage = Stage::Ended(Box::new(Ended { at: now, outcome }));
        if dead { &mut self.dead } else { &mut self.finished }.push_back(id);
        for follow_up in [FollowUp::Orphaned, FollowUp::Ready, FollowUp::Unsatisfiable] {
            self.follow_ups.remove(&(follow_up, id));
        }
        self.active = self.active.saturating_sub(1);
        self.pace.note(now);
        for waiting in self.dependents.remove(&id).unwrap_or_default() {
            self.dependency_ended(waiting, succeeded);
        }
        Ok(())
    }

    /// A task that waits for several may have ended before the last of them.
    fn dependency_ended(&mut self, waiting: TaskId, succeeded: bool) {
        let Some(task) = self.ix(waiting).and_then(|at| self.tasks.get_mut(at.0)) else { return };
        let Stage::Blocked { on } = &mut task.stage else { return };
        if !succeeded {
            self.follow_ups.insert((FollowUp::Unsatisfiable, waiting));
            return;
        }
        *on = on.saturating_sub(1);
        if *on == 0 && !self.follow_ups.contains(&(FollowUp::Unsatisfiable, waiting)) {
            self.follow_ups.insert((FollowUp::Ready, waiting));
        }
    }

    /// A dead letter is no longer one; it is remembered like any failed task.
    pub(crate) fn discard(&mut self, id: TaskId) -> Applied {
        let at = self.known(id)?;
        let Stage::Ended(ended) = &mut self.at_mut(at)?.stage else {
            return Err(InconsistentEvent("a task is discarded that has not ended"));
        };
        let TaskOutcome::DeadLettered(failure) = &ended.outcome else {
            return Err(InconsistentEvent("a task is discarded that is no dead letter"));
        };
        ended.outcome = TaskOutcome::Failed(failure.clone());
        self.dead.retain(|dead| *dead != id);
        self.finished.push_back(id);
        Ok(())
    }

    pub(crate) fn forget(&mut self, id: TaskId) -> Applied {
        let at = self.known(id)?;
        let Some(ended) = self.at(at)?.end() else {
            return Err(InconsistentEvent("a task is forgotten that has not ended"));
        };
        let list = if ended.outcome.is_dead_letter() { &mut self.dead } else { &mut self.finished };
        match list.front() {
            Some(first) if *first == id => {
                list.pop_front();
            }
            _ => list.retain(|other| *other != id),
        }
        self.by_id.remove(&id);
        self.tasks.remove(at.0);
        Ok(())
    }

    /// Sets the task's timer to what is due next.
    pub(crate) fn set_timer(&mut self, at: TaskIx, grace: Duration, timers: &mut Timers) -> Applied {
        let task = self.at_mut(at)?;
        let (alarm, due) = (Alarm::Task(task.spec.id), task.due(grace));
        timers.set(&mut task.timer, alarm, due);
        Ok(())
    }

    // ---- snapshots

    /// Puts a task of a snapshot. It counts as active until its end is put.
    pub(crate) fn put(&mut self, submission: &Submission<'_>, past: Past) -> Applied<TaskIx> {
        let at = self.submit(submission)?;
        let task = self.at_mut(at)?;
        task.tier = past.tier.unwrap_or(task.tier);
        task.attempts = past.attempts;
        task.outcome_unknown = past.outcome_unknown;
        task.avoid = past.avoid.into();
        task.last = past.last;
        Ok(at)
    }

    /// Puts the stage of a task of a snapshot.
    pub(crate) fn put_stage(&mut self, at: TaskIx, stage: Stage) -> Applied {
        let task = self.at_mut(at)?;
        let id = task.id();
        if let Stage::Running(running) = &stage
            && running.held.is_none()
        {
            self.follow_ups.insert((FollowUp::Orphaned, id));
        }
        self.active -= u32::from(matches!(stage, Stage::Ended(_)));
        self.at_mut(at)?.stage = stage;
        Ok(())
    }

    /// Puts the lists of finished tasks and of dead letters. The task that is listed and has not ended, if there is one.
    pub(crate) fn put_ended(&mut self, finished: &[TaskId], dead: &[TaskId]) -> Result<(), TaskId> {
        let open = |id: &&TaskId| !self.by_id(**id).is_some_and(Task::has_ended);
        if let Some(id) = finished.iter().chain(dead).find(open) {
            return Err(*id);
        }
        self.finished.extend(finished);
        self.dead.extend(dead);
        Ok(())
    }

    /// How many timers the tasks have.
    pub(crate) fn timers(&self) -> usize {
        self.tasks.iter().filter(|(_, task)| task.timer.is_some()).count()
    }

    /// Whether ids, lists and counts are those of the tasks.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.by_id.len() != self.tasks.len() {
            return Err(format!("{} ids for {} tasks", self.by_id.len(), self.tasks.len()));
        }
        for (at, task) in self.iter() {
            if self.ix(task.id()) != Some(at) {
                return Err(format!("the id of {} leads elsewhere", task.id()));
            }
            if task.running().is_some() && task.attempts.begun == 0 {
                return Err(format!("{} runs without an attempt", task.id()));
            }
        }
        let active = self.iter().filter(|(_, task)| !task.has_ended()).count();
        if active != self.active as usize {
            return Err(format!("{active} tasks are active, {} are counted", self.active));
        }
        self.check_ended()
    }

    /// Every task that has ended is once in the list that its end belongs to, and no other task is.
    fn check_ended(&self) -> Result<(), String> {
        let mut listed = BTreeSet::new();
        for (ids, dead) in [(&self.finished, false), (&self.dead, true)] {
            for id in ids {
                let end = self.by_id(*id).and_then(Task::end);
                if end.map(|ended| ended.outcome.is_dead_letter()) != Some(dead) || !listed.insert(id) {
                    return Err(format!("{id} is in the wrong list of ended tasks"));
                }
            }
        }
        let ended = self.iter().filter(|(_, task)| task.has_ended()).count();
        if ended != listed.len() {
            return Err(format!("{ended} tasks have ended, {} are listed", listed.len()));
        }
        Ok(())
    }
}

/// What a snapshot says of a task, beside its submission and its stage.
#[derive(Debug, Clone, Default)]
pub(crate) struct Past {
    pub(crate) tier: Option<Tier>,
    pub(crate) attempts: Attempts,
    pub(crate) outcome_unknown: bool,
    pub(crate) avoid: Vec<AgentId>,
    pub(crate) last: Option<AgentId>,
}

#[cfg(test)]
mod tests;
