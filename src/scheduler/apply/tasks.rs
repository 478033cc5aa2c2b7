//! Application of the events of tasks other than those of attempts.

use super::State;
use crate::base::id::{Seq, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::event::TaskEvent;
use crate::scheduler::inconsistent::{Applied, InconsistentEvent};
use crate::scheduler::index::{ClassKey, Excluded};
use crate::scheduler::ix::{AgentIx, ClassIx, Place, TaskIx};
use crate::scheduler::queue::{Arrival, SubQueueKey};
use crate::scheduler::tasks::{Origin, Submission, Task};
use crate::task::{TaskOutcome, TaskSpec, Tier};
use std::collections::BTreeSet;

impl State {
    pub(super) fn apply_task(
        &mut self,
        (seq, at): (Seq, Time),
        id: TaskId,
        place: Place,
        event: &TaskEvent,
    ) -> Applied {
        match event {
            TaskEvent::Submitted { spec, .. } if spec.id != id => {
                Err(InconsistentEvent("the event of a submit has another id than its spec"))
            }
            TaskEvent::Submitted { spec, replays, expected } => {
                let submission =
                    Submission { spec, seq, at, expected: *expected, accounts: self.queues.accounts_of(spec) };
                self.submitted(&submission, *replays, place)
            }
            TaskEvent::Ready => self.ready(id),
            TaskEvent::Assigned { attempt, to } => self.assigned(at, attempt.of(id), *to, place),
            TaskEvent::Started { attempt } => self.started(at, attempt.of(id), place),
            TaskEvent::YieldRequested { attempt, reason } => self.yield_requested(at, attempt.of(id), *reason, place),
            TaskEvent::Yielded { attempt, by, outcome_unknown } => {
                let task = self.tasks.held_by(attempt.of(id), *by, place)?;
                self.yielded(at, task, *outcome_unknown)
            }
            TaskEvent::AttemptFailed { attempt, by, failure, next, outcome_unknown, .. } => {
                let task = self.tasks.held_by(attempt.of(id), *by, place)?;
                self.tasks.note_unknown(task, *outcome_unknown)?;
                self.attempt_failed(at, task, *by, failure, *next)
            }
            TaskEvent::Used { attempt, by, .. } => self.tasks.held_by(attempt.of(id), *by, place).map(drop),
            TaskEvent::Heartbeat { attempt, by, details } => {
                let task = self.tasks.held_by(attempt.of(id), *by, place)?;
                let (before, accounts) = (self.tasks.at(task)?.bytes(), self.tasks.at(task)?.accounts);
                self.tasks.record_details(task, at, details)?;
                self.queues.resize(accounts, before, self.tasks.at(task)?.bytes())?;
                self.set_timer(task)
            }
            TaskEvent::Succeeded { attempt, by, output } => {
                let task = self.tasks.held_by(attempt.of(id), *by, place)?;
                self.end(at, task, TaskOutcome::Succeeded(output.clone()))
            }
            TaskEvent::Answered { output, .. } => {
                let task = self.tasks.find(id, place)?;
                if self.tasks.at(task)?.class().is_none() && self.tasks.at(task)?.flight().is_none() {
                    return Err(InconsistentEvent("a task that is answered is not queued and waits for no result"));
                }
                self.end(at, task, TaskOutcome::Succeeded(output.clone()))
            }
            TaskEvent::Deferred { until } => defer(self, self.tasks.find(id, place)?, *until),
            TaskEvent::Joined { to } => self.joined(self.tasks.find(id, place)?, *to),
            TaskEvent::CancelRequested { reason } => self.cancel_requested(at, self.tasks.find(id, place)?, reason),
            TaskEvent::Cancelled { reason, side_effects } => {
                let task = self.tasks.find(id, place)?;
                let (reason, side_effects) = (reason.clone(), side_effects.clone());
                self.end(at, task, TaskOutcome::Cancelled { reason, side_effects })
            }
            TaskEvent::Expired { bound, outcome_unknown } => {
                let task = self.tasks.find(id, place)?;
                self.tasks.note_unknown(task, *outcome_unknown)?;
                self.end(at, task, TaskOutcome::Expired(*bound))
            }
            TaskEvent::Discarded { .. } => self.tasks.discard(id),
            TaskEvent::Rated { agent, rating, .. } => self.tasks.rate(id, *agent, *rating),
        }
    }

    fn submitted(&mut self, submission: &Submission<'_>, replays: Option<TaskId>, place: Place) -> Applied {
        let Submission { spec, accounts, .. } = *submission;
        let task = self.tasks.submit(submission)?;
        if let Some(dead) = replays {
            self.tasks.discard(dead)?;
        }
        self.queues.enter(accounts, spec.payload.bytes())?;
        self.queues.deferrals_mut().submitted();
        if spec.after.is_empty() {
            enqueue_at(self, task, None, place)?;
        } else {
            self.tasks.block(task, spec, Origin::Submit)?;
        }
        self.set_timer(task)
    }

    fn ready(&mut self, id: TaskId) -> Applied {
        let task = self.tasks.make_ready(id)?;
        self.enqueue(task)?;
        self.set_timer(task)
    }

    fn joined(&mut self, at: TaskIx, to: TaskId) -> Applied {
        if self.tasks.at(at)?.class().is_none() {
            return Err(InconsistentEvent("a task that is to wait for a result is not queued"));
        }
        self.dequeue(at, None)?;
        self.tasks.join(at, to)?;
        self.set_timer(at)
    }

    /// Queues a task that has become ready in the class of its needs and of the agents that it avoids.
    pub(super) fn enqueue(&mut self, at: TaskIx) -> Applied {
        self.enqueue_excluding(at, None)
    }

    /// Queues a task. The agents that it excludes are given if they were determined before, because it does not become ready.
    pub(super) fn enqueue_excluding(&mut self, at: TaskIx, excluded: Option<Excluded>) -> Applied {
        enqueue_at(self, at, excluded, Place::ById)
    }

    /// Removes a task from its queue, if it is in one: for an agent, or for another reason.
    pub(super) fn dequeue(&mut self, at: TaskIx, to: Option<AgentIx>) -> Applied {
        let task = self.tasks.at(at)?;
        let Some(class) = task.class() else { return Ok(()) };
        let (key, room) = (sub_queue(task, class), task.room());
        self.queues.remove(&Arrival::of(task), at)?;
        if self.queues.has_batches()
            && let Some(next) = self.queues.first_lingering(&key)
        {
            self.linger(next)?;
        }
        match to {
            Some(agent) => self.index.serve(class, room, agent),
            None => self.index.leave(class, room),
        }
    }

    /// Gives the tenants to which an agent is confined requirement classes of their own, and moves their waiting tasks
    /// there: once for each tenant.
    pub(super) fn separate<'a>(&mut self, tenants: impl IntoIterator<Item = &'a Name>) -> Applied {
        for tenant in self.index.separate(tenants) {
            let mut classes = BTreeSet::new();
            for task in self.queues.queued_by(&tenant) {
                let excluded = self.excluded(task)?;
                self.dequeue(task, None)?;
                self.enqueue_excluding(task, excluded)?;
                classes.extend(self.tasks.at(task)?.class());
            }
            self.queues.reopen(classes);
        }
        Ok(())
    }

    /// The agents that a queued task excludes, as they were determined when it became ready; none if it is not queued.
    pub(crate) fn excluded(&self, at: TaskIx) -> Applied<Option<Excluded>> {
        let class = self.tasks.at(at)?.class();
        Ok(class.and_then(|class| self.index.classes().key(class)).map(|key| key.excluded.clone()))
    }

    /// Sets the linger timer for a task of a batched kind.
    fn linger(&mut self, at: TaskIx) -> Applied {
        let task = self.tasks.at(at)?;
        self.queues.linger(task.accounts.kind, task.submitted, &mut self.timers)
    }

    /// Moves a waiting task to another tier. Its position among tasks of equal rank does not change.
    pub(crate) fn set_tier(&mut self, id: TaskId, tier: Tier) -> Applied {
        let at = self.tasks.known(id)?;
        let task = self.tasks.at(at)?;
        if !task.is_waiting() {
            return Err(InconsistentEvent("a task that changes its tier does not wait"));
        }
        let queued = task.class().is_some();
        let excluded = self.excluded(at)?;
        if queued {
            self.dequeue(at, None)?;
        }
        self.tasks.set_tier(at, tier)?;
        if queued { self.enqueue_excluding(at, excluded) } else { Ok(()) }
    }

    /// Ends a task.
    pub(super) fn end(&mut self, now: Time, at: TaskIx, outcome: TaskOutcome) -> Applied {
        let task = self.tasks.at(at)?;
        if task.has_ended() {
            return Err(InconsistentEvent("a task that ends has ended already"));
        }
        let (accounts, bytes) = (task.accounts, task.bytes());
        self.dequeue(at, None)?;
        self.end_attempt(now, at)?;
        self.queues.leave(accounts, bytes, now)?;
        self.tasks.end(at, outcome, now)?;
        self.set_timer(at)
    }

    #[inline]
    pub(super) fn set_timer(&mut self, at: TaskIx) -> Applied {
        self.tasks.set_timer(at, self.since, &mut self.timers)
    }

    /// The requirement class of a task that no agent has failed.
    pub(crate) fn class_key(&self, spec: &TaskSpec) -> ClassKey {
        let affinity = spec.affinity.as_deref();
        let apart = affinity.map_or(&[][..], |affinity| &affinity.apart_from);
        let executors = apart.iter().filter_map(|task| self.tasks.by_id(*task)?.last());
        ClassKey {
            needs: spec.needs.clone(),
            tenant: self.index.classes().tenant_of_class(spec.tenant.as_ref()),
            excluded: Excluded::of(affinity, executors),
            avoid: Box::default(),
        }
    }
}

/// Queues a task, which may be new, see [`Place::Newcomer`].
fn enqueue_at(state: &mut State, at: TaskIx, excluded: Option<Excluded>, place: Place) -> Applied {
    let task = state.tasks.at(at)?;
    let room = task.room();
    let plain =
        task.rare().avoid.is_empty() && !task.traits.is_affine() && state.index.classes().separated().is_empty();
    let class = if plain {
        state.index.join_plain(&task.spec.needs, room)?
    } else {
        let key = ClassKey { avoid: task.rare().avoid.clone().into(), ..state.class_key(&task.spec) };
        let key = ClassKey { excluded: excluded.unwrap_or(key.excluded), ..key };
        state.index.join(key, room)?
    };
    let task = state.tasks.queue(at, class)?;
    let is_new = place == Place::Newcomer && plain && !task.traits.uses_resources();
    state.queues.push(sub_queue(task, class), &Arrival::of(task), at, is_new)?;
    if state.queues.has_batches() { state.linger(at) } else { Ok(()) }
}

/// Moves a queued task behind others.
fn defer(state: &mut State, at: TaskIx, until: Time) -> Applied {
    if state.tasks.at(at)?.class().is_none() {
        return Err(InconsistentEvent("a task that is deferred is not queued"));
    }
    let excluded = state.excluded(at)?;
    state.dequeue(at, None)?;
    if state.tasks.at_mut(at)?.defer(until).is_some() {
        return Err(InconsistentEvent("a task is deferred for the second time"));
    }
    state.queues.deferrals_mut().deferred();
    state.enqueue_excluding(at, excluded)
}

/// The sub-queue of a task that waits in a class.
pub(crate) fn sub_queue(task: &Task, class: ClassIx) -> SubQueueKey {
    SubQueueKey { class, accounts: task.accounts, urgent: task.is_urgent() }
}
