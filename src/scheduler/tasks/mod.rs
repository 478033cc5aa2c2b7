//! All known tasks: accepted ones with their stages and dependencies, and finished ones until they are forgotten.

mod check;
mod flights;
mod follow_ups;
mod heartbeats;
mod pace;
mod task;

pub(crate) use follow_ups::FollowUp;
pub(crate) use heartbeats::{Heartbeats, Since};
pub(crate) use task::{Cancel, Ended, Held, Rare, Requests, Running, Stage, Submission, Task, Yielding};

use super::inconsistent::{Applied, InconsistentEvent};
use super::ix::{ClassIx, Place, TaskIx};
use super::timers::{Alarm, Timers};
use crate::base::id::{AgentId, AttemptId, Incarnation, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::{Arena, NearMap, Slot};
use crate::base::time::Time;
use crate::message::event::YieldReason;
use crate::task::{Failure, Rating, TaskOutcome, TaskSpec, Tier};
use core::time::Duration;
use flights::Flights;
use pace::Pace;
use std::collections::{BTreeSet, VecDeque};

/// Whether a task was submitted now or comes from a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An unknown dependency cannot succeed.
    Submit,
    /// An unknown dependency has succeeded and was forgotten since; otherwise the task would have ended.
    Snapshot,
}

/// An ended task with the dependents that were not updated.
#[derive(Debug)]
struct Unsettled {
    succeeded: bool,
    dependents: Vec<TaskId>,
    /// The number of updated ones.
    done: usize,
}

/// How many of the agents that failed a task it avoids.
const AVOID: usize = 8;

const UNKNOWN: InconsistentEvent = InconsistentEvent("there is no task at this index");

/// All known tasks.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    tasks: Arena<Task>,
    by_id: NearMap<TaskId, TaskIx>,
    /// For each task that has not succeeded, the tasks that depend on it.
    dependents: NearMap<TaskId, Vec<TaskId>>,
    /// Ended tasks whose dependents have not been updated, in the order in which they ended. Only the decision of a call
    /// that has exceeded its bound on work leaves any; a replay and a restore leave none.
    unsettled: VecDeque<Unsettled>,
    /// Events that must be emitted. Empty between calls, unless the last one has exceeded its bound on work.
    follow_ups: BTreeSet<(FollowUp, TaskId)>,
    flights: Flights,
    /// Finished tasks that are no dead letters, the oldest first.
    finished: VecDeque<TaskId>,
    /// Dead letters, the oldest first.
    dead: VecDeque<TaskId>,
    /// How many are not finished.
    active: u32,
    /// The task that was submitted last.
    submitted: Option<TaskIx>,
    /// The memory of attempts that have ended, for further ones.
    #[expect(clippy::vec_box, reason = "stages take the boxes")]
    spare: Vec<Box<Running>>,
    /// The memory of the ends of tasks that were forgotten, for further ones.
    #[expect(clippy::vec_box, reason = "stages take the boxes")]
    spare_ends: Vec<Box<Ended>>,
    pace: Pace,
}

/// How many attempts that have ended leave their memory to further ones.
const SPARE: usize = 64;
/// The same for ends of tasks, which are forgotten in batches.
const SPARE_ENDS: usize = 512;

const TOO_MANY: InconsistentEvent = InconsistentEvent("there are more tasks or attempts than can be counted");

impl Tasks {
    #[inline]
    pub(crate) fn ix(&self, id: TaskId) -> Option<TaskIx> {
        self.by_id.get(&id).copied()
    }

    #[inline]
    pub(crate) fn get(&self, at: TaskIx) -> Option<&Task> {
        self.tasks.get(at.0)
    }

    /// The place of the task with this id, which was submitted last or is looked up.
    pub(crate) fn submitted(&self, id: TaskId) -> Option<TaskIx> {
        self.submitted.filter(|at| self.get(*at).is_some_and(|task| task.id() == id)).or_else(|| self.ix(id))
    }

    /// The place of the task of an attempt: the one that the attempt names, or a look-up.
    #[inline]
    pub(crate) fn of_attempt(&self, attempt: AttemptId) -> Option<(TaskIx, &Task)> {
        let here = TaskIx(Slot::new(attempt.place()));
        if let Some(task) = self.get(here).filter(|task| task.id() == attempt.task()) {
            return Some((here, task));
        }
        let at = self.ix(attempt.task())?;
        Some((at, self.get(at)?))
    }

    pub(crate) fn by_id(&self, id: TaskId) -> Option<&Task> {
        self.get(self.ix(id)?)
    }

    /// Like [`ix`](Self::ix), with an error for an event that names an unknown task.
    pub(crate) fn known(&self, id: TaskId) -> Applied<TaskIx> {
        self.ix(id).ok_or(InconsistentEvent("the task of an event is unknown"))
    }

    /// The task of an event, at its place if that is known.
    #[inline]
    pub(crate) fn find(&self, id: TaskId, place: Place) -> Applied<TaskIx> {
        let Some(at) = place.task() else { return self.known(id) };
        debug_assert_eq!(self.get(at).map(Task::id), Some(id), "the place of an event is that of its task");
        Ok(at)
    }

    /// Like [`get`](Self::get), with an error for an event that changes an unknown task.
    #[inline]
    pub(crate) fn at(&self, at: TaskIx) -> Applied<&Task> {
        self.get(at).ok_or(UNKNOWN)
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, at: TaskIx) -> Applied<&mut Task> {
        self.tasks.get_mut(at.0).ok_or(UNKNOWN)
    }

    /// The task of an attempt that is under way.
    pub(crate) fn under_way(&self, attempt: AttemptId, place: Place) -> Applied<TaskIx> {
        let at = self.find(attempt.task(), place)?;
        let task = self.at(at)?;
        if task.running().is_none() || task.begun() != attempt.number().get() {
            return Err(InconsistentEvent("the attempt of an event is not the current one of its task"));
        }
        Ok(at)
    }

    /// The task of an attempt that this agent holds.
    pub(crate) fn held_by(&self, attempt: AttemptId, by: Incarnation, place: Place) -> Applied<TaskIx> {
        let at = self.under_way(attempt, place)?;
        if self.at(at)?.running().is_some_and(|running| running.by == by) {
            return Ok(at);
        }
        Err(InconsistentEvent("the attempt of an event is held by another agent"))
    }

    /// All known tasks, in no particular order.
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

    /// The average time between two ends of tasks: after how long a rejected submit may be repeated.
    pub(crate) fn gap(&self) -> Option<Duration> {
        self.pace.gap()
    }

    // ---- changes

    pub(crate) fn submit(&mut self, submission: &Submission<'_>) -> Applied<TaskIx> {
        let id = submission.spec.id;
        let active = self.active.checked_add(1).ok_or(TOO_MANY)?;
        let at = TaskIx(self.tasks.insert(Task::new(submission)));
        if let Some(known) = self.by_id.insert(id, at) {
            self.by_id.insert(id, known);
            self.tasks.remove(at.0);
            return Err(InconsistentEvent("a submitted task is known already"));
        }
        self.active = active;
        self.submitted = Some(at);
        Ok(at)
    }

    /// Records the dependencies of a task, and a follow-up if they have ended already.
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
            Stage::Joined { .. }
            | Stage::Backoff { .. }
            | Stage::Queued { .. }
            | Stage::Running(_)
            | Stage::Ended(_) => {
                return Err(InconsistentEvent("dependencies are recorded for a task that has begun"));
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

    /// Ends the wait for dependencies or for a back-off.
    pub(crate) fn make_ready(&mut self, id: TaskId) -> Applied<TaskIx> {
        let at = self.known(id)?;
        match self.at(at)?.stage {
            Stage::Blocked { on: 0 } | Stage::Backoff { .. } => {}
            Stage::Blocked { .. }
            | Stage::Joined { .. }
            | Stage::Queued { .. }
            | Stage::Running(_)
            | Stage::Ended(_) => {
                return Err(InconsistentEvent("a task that becomes ready did not wait"));
            }
        }
        self.follow_ups.remove(&(FollowUp::Ready, id));
        Ok(at)
    }

    /// The task waits for its next attempt, optionally in another tier.
    pub(crate) fn back_off(&mut self, at: TaskIx, until: Time, tier: Option<Tier>) -> Applied {
        let task = self.at_mut(at)?;
        task.tier = tier.unwrap_or(task.tier);
        task.wait(Stage::Backoff { until });
        Ok(())
    }

    /// The task waits for an agent in the queue of a class.
    #[inline]
    pub(crate) fn queue(&mut self, at: TaskIx, class: ClassIx) -> Applied<&Task> {
        let task = self.at_mut(at)?;
        task.wait(Stage::Queued { class });
        Ok(task)
    }

    pub(crate) fn set_tier(&mut self, at: TaskIx, tier: Tier) -> Applied {
        self.at_mut(at)?.tier = tier;
        Ok(())
    }

    /// An attempt begins. Its number is the next one.
    pub(crate) fn begin(&mut self, at: TaskIx, running: Running) -> Applied {
        let task = self.tasks.get_mut(at.0).ok_or(UNKNOWN)?;
        task.stage = Stage::Running(match self.spare.pop() {
            Some(mut spare) => {
                *spare = running;
                spare
            }
            None => Box::new(running),
        });
        Ok(())
    }

    fn running_mut(&mut self, at: TaskIx) -> Applied<&mut Running> {
        self.at_mut(at)?.running_mut().ok_or(InconsistentEvent("the attempt of an event has ended"))
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
            return Err(InconsistentEvent(
                "an attempt is requested back although it was requested back or cancelled before",
            ));
        }
        running.requests.get_or_insert_default().yielding = Some(Yielding { at: now, why });
        Ok(())
    }

    pub(crate) fn request_cancel(&mut self, at: TaskIx, reason: &Name, now: Time) -> Applied {
        let running = self.running_mut(at)?;
        running.requests.get_or_insert_default().cancel = Some(Cancel { at: now, reason: reason.clone() });
        Ok(())
    }

    /// The attempt was given back and does not count.
    pub(crate) fn note_yield(&mut self, at: TaskIx) -> Applied {
        let task = self.at_mut(at)?;
        let yielding = task.running().and_then(Running::yielding);
        let preempted = yielding.is_some_and(|yielding| matches!(yielding.why, YieldReason::Preempted { .. }));
        let rare = task.rare.get_or_insert_default();
        rare.yielded = rare.yielded.checked_add(1).ok_or(TOO_MANY)?;
        rare.preempted = rare.preempted.checked_add(u32::from(preempted)).ok_or(TOO_MANY)?;
        Ok(())
    }

    /// Adds the agent to those that the task avoids, because an attempt there has failed, and counts the failure for the rule
    /// of the task's retries that applies to it.
    pub(crate) fn note_failure(&mut self, at: TaskIx, by: AgentId, failure: &Failure) -> Applied {
        let task = self.at_mut(at)?;
        let (retry, rare) = (task.spec.policy.retry(), task.rare.get_or_insert_default());
        if let Some(rule) = retry.rule_for(failure) {
            rare.failed.resize(retry.rules.len(), 0);
            rare.failed.get_mut(rule).into_iter().for_each(|count| *count = count.saturating_add(1));
        }
        rare.avoid.retain(|agent| *agent != by);
        rare.avoid.push(by);
        let beyond = rare.avoid.len().saturating_sub(AVOID);
        rare.avoid.drain(..beyond);
        Ok(())
    }

    /// Marks the task as one whose outcome is unknown, if `unknown`. The mark is never removed.
    pub(crate) fn note_unknown(&mut self, at: TaskIx, unknown: bool) -> Applied {
        let task = self.at_mut(at)?;
        if unknown {
            task.rare.get_or_insert_default().outcome_unknown = true;
        }
        Ok(())
    }

    /// Records that the agent of the attempt is gone.
    pub(crate) fn orphan(&mut self, at: TaskIx) -> Applied {
        self.running_mut(at)?.held = None;
        let id = self.at(at)?.id();
        self.follow_ups.insert((FollowUp::Orphaned, id));
        Ok(())
    }

    /// Detaches an attempt that is about to end from its agent, and returns where the agent held it.
    pub(crate) fn release(&mut self, at: TaskIx) -> Applied<Option<Held>> {
        let held = self.running_mut(at)?.held.take();
        if !self.follow_ups.is_empty() {
            let id = self.at(at)?.id();
            self.follow_ups.remove(&(FollowUp::Orphaned, id));
        }
        Ok(held)
    }

    /// Records that the agent holds the attempt at another index.
    pub(crate) fn set_index(&mut self, at: TaskIx, index: u32) -> Applied {
        match &mut self.running_mut(at)?.held {
            Some(held) => held.index = index,
            None => return Err(InconsistentEvent("the agent of a moved attempt is gone")),
        }
        Ok(())
    }

    /// Ends the task. The tasks that depend on it are updated by [`settle_dependents`](Self::settle_dependents).
    pub(crate) fn end(&mut self, at: TaskIx, outcome: TaskOutcome, now: Time) -> Applied {
        let task = self.tasks.get_mut(at.0).ok_or(UNKNOWN)?;
        let id = task.id();
        let succeeded = matches!(outcome, TaskOutcome::Succeeded(_));
        let dead = outcome.is_dead_letter();
        let ended = Ended { at: now, outcome, begun: task.begun(), last: task.last(), rating: None };
        let ended = match self.spare_ends.pop() {
            Some(mut spare) => {
                *spare = ended;
                spare
            }
            None => Box::new(ended),
        };
        task.drop_heartbeats();
        let (seq, flight) = (task.seq, task.flight());
        let before = core::mem::replace(&mut task.stage, Stage::Ended(ended));
        if let Stage::Running(running) = before
            && self.spare.len() < SPARE
        {
            self.spare.push(running);
        }
        if dead { &mut self.dead } else { &mut self.finished }.push_back(id);
        if !self.follow_ups.is_empty() {
            for follow_up in [FollowUp::Orphaned, FollowUp::Ready, FollowUp::Unsatisfiable] {
                self.follow_ups.remove(&(follow_up, id));
            }
        }
        self.active =
            self.active.checked_sub(1).ok_or(InconsistentEvent("more tasks have ended than were submitted"))?;
        self.pace.note(now);
        if let Some(flight) = flight {
            self.flights.leave(flight, (seq, id));
        }
        self.land(id, succeeded);
        if self.dependents.len() > 0
            && let Some(dependents) = self.dependents.remove(&id)
        {
            self.unsettled.push_back(Unsettled { succeeded, dependents, done: 0 });
        }
        Ok(())
    }

    /// Records the end of a dependency. The waiting task may have ended before.
    fn dependency_ended(&mut self, waiting: TaskId, succeeded: bool) -> Applied {
        let Some(task) = self.ix(waiting).and_then(|at| self.tasks.get_mut(at.0)) else { return Ok(()) };
        let Stage::Blocked { on } = &mut task.stage else { return Ok(()) };
        if !succeeded {
            self.follow_ups.insert((FollowUp::Unsatisfiable, waiting));
            return Ok(());
        }
        *on = on.checked_sub(1).ok_or(InconsistentEvent("more dependencies of a task have ended than it has"))?;
        if *on == 0 && !self.follow_ups.contains(&(FollowUp::Unsatisfiable, waiting)) {
            self.follow_ups.insert((FollowUp::Ready, waiting));
        }
        Ok(())
    }

    /// Records the rating of an ended task that this agent performed last.
    pub(crate) fn rate(&mut self, id: TaskId, agent: AgentId, rating: Rating) -> Applied {
        let at = self.known(id)?;
        let Stage::Ended(ended) = &mut self.at_mut(at)?.stage else {
            return Err(InconsistentEvent("a rated task has not ended"));
        };
        if ended.last != Some(agent) || ended.rating.is_some() {
            return Err(InconsistentEvent("a rated task was performed by another agent, or has a rating"));
        }
        ended.rating = Some(rating);
        Ok(())
    }

    /// Turns a dead letter into an ordinary finished task.
    pub(crate) fn discard(&mut self, id: TaskId) -> Applied {
        let at = self.known(id)?;
        let Stage::Ended(ended) = &mut self.at_mut(at)?.stage else {
            return Err(InconsistentEvent("a discarded task has not ended"));
        };
        let TaskOutcome::DeadLettered(failure) = &ended.outcome else {
            return Err(InconsistentEvent("a discarded task is no dead letter"));
        };
        ended.outcome = TaskOutcome::Failed(failure.clone());
        remove_first(&mut self.dead, id);
        self.finished.push_back(id);
        Ok(())
    }

    pub(crate) fn forget(&mut self, id: TaskId) -> Applied {
        let at = self.known(id)?;
        let Some(ended) = self.at(at)?.end() else {
            return Err(InconsistentEvent("a forgotten task has not ended"));
        };
        remove_first(if ended.outcome.is_dead_letter() { &mut self.dead } else { &mut self.finished }, id);
        self.by_id.remove(&id);
        if let Some(Task { stage: Stage::Ended(mut ended), .. }) = self.tasks.remove(at.0)
            && self.spare_ends.len() < SPARE_ENDS
        {
            ended.outcome = TaskOutcome::Succeeded(Payload::NULL);
            self.spare_ends.push(ended);
        }
        Ok(())
    }

    /// Sets the task's timer to its next due time.
    #[inline]
    pub(crate) fn set_timer(&mut self, at: TaskIx, since: Since, timers: &mut Timers) -> Applied {
        let task = self.at_mut(at)?;
        if task.timer.is_some() || task.may_be_due() {
            move_timer(task, since, timers);
        }
        Ok(())
    }

    // ---- snapshots

    /// Adds a task of a snapshot, with its tier if that has changed. It counts as active until its end is added.
    pub(crate) fn put(&mut self, submission: &Submission<'_>, tier: Option<Tier>, rare: Rare) -> Applied<TaskIx> {
        let at = self.submit(submission)?;
        let task = self.at_mut(at)?;
        task.tier = tier.unwrap_or(task.tier);
        task.rare = (rare != Rare::default()).then(|| Box::new(rare));
        Ok(at)
    }

    /// Sets the stage of a task of a snapshot.
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

    /// Sets the lists of finished tasks and of dead letters of a snapshot. The error is the first listed task that has
    /// not ended.
    pub(crate) fn put_ended(&mut self, finished: &[TaskId], dead: &[TaskId]) -> Result<(), TaskId> {
        let open = |id: &&TaskId| !self.by_id(**id).is_some_and(Task::has_ended);
        if let Some(id) = finished.iter().chain(dead).find(open) {
            return Err(*id);
        }
        self.finished.extend(finished);
        self.dead.extend(dead);
        Ok(())
    }
}

#[inline(never)]
fn move_timer(task: &mut Task, since: Since, timers: &mut Timers) {
    let (alarm, due) = (Alarm::Task(task.spec.id), task.due(since));
    timers.set(&mut task.timer, alarm, due);
}

/// Removes a task from a list in which it is mostly the first.
fn remove_first(list: &mut VecDeque<TaskId>, id: TaskId) {
    match list.front() {
        Some(first) if *first == id => drop(list.pop_front()),
        _ => list.retain(|other| *other != id),
    }
}

#[cfg(test)]
mod tests;
