//! Attempts are given back: for the sake of a task of the first tier, because they have not begun and another goes before
//! them, or because another agent would be done sooner.
//!
//! Nothing is taken by force. The agent is asked, the attempt stays its own until it answers, and what it answers counts:
//! that the attempt is given back, that it is done, that it failed. Only silence ends it, as with a cancellation.

use crate::agent::AgentStatus;
use crate::command::Accepted;
use crate::event::{TaskEvent, YieldReason};
use crate::id::{AttemptId, Incarnation, TaskId};
use crate::rejected::{Misuse, Rejected, Stale, WrongState};
use crate::scheduler::apply::state::{Alarm, Misfit, Running, State, Task, Yielding};
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::scheduler::queue::Rank;
use crate::structure::{Bits, Slot};
use crate::task::Tier;
use crate::time::Time;
use core::cmp::Reverse;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// When an attempt that has begun may be called back for the sake of a task of the first tier. Only tasks that
/// [say so](crate::TaskSpec::preemptible) are, of the lowest tier there is, the youngest attempt first: what is lost is the
/// least.
///
/// ```
/// use counterpoint::scheduler::Preemption;
/// use counterpoint::Config;
/// use std::time::Duration;
///
/// let config = Config::default().with_preemption(Preemption::default().with_least_run(Duration::from_secs(1)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Preemption {
    /// So often one task may be called back; then it is left to end.
    pub most_per_task: u32,
    /// No attempt is called back before it has run so long, so that none is before it could do anything.
    #[serde(with = "crate::time::span")]
    pub least_run: Duration,
}

impl Preemption {
    /// Sets how often one task may be called back.
    #[must_use]
    pub const fn with_most_per_task(mut self, most: u32) -> Self {
        self.most_per_task = most;
        self
    }

    /// Sets how long an attempt must have run.
    #[must_use]
    pub const fn with_least_run(mut self, span: Duration) -> Self {
        self.least_run = span;
        self
    }
}

impl Default for Preemption {
    /// Twice, at any moment.
    fn default() -> Self {
        Self { most_per_task: 2, least_run: Duration::ZERO }
    }
}

/// The attempts that may be called back, in the order in which they would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Callable {
    /// Of preemptible tasks below the first tier: the lowest tier first, then the youngest.
    pub(crate) preemptible: BTreeSet<(Reverse<Tier>, Reverse<Time>, Slot)>,
    /// Those that wait with their agents: the one that would be last in the order first.
    pub(crate) unstarted: BTreeSet<(Reverse<Rank>, Slot)>,
}

impl Callable {
    pub(crate) fn put(&mut self, slot: Slot, task: &Task, rank: Rank, on: bool) {
        let Some(running) = task.running() else { return };
        if task.preemptible {
            let key = (Reverse(task.tier), Reverse(running.since), slot);
            if on {
                self.preemptible.insert(key)
            } else {
                self.preemptible.remove(&key)
            };
        }
        if running.unstarted {
            let key = (Reverse(rank), slot);
            if on {
                self.unstarted.insert(key)
            } else {
                self.unstarted.remove(&key)
            };
        }
    }
}

impl Core {
    pub(crate) fn poll(&mut self, by: Incarnation, most: u32, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let place = self.state.fleet.living(by).ok_or(Rejected::Stale(Stale::Incarnation(by)))?;
        if !self.state.fleet.at(place.index()).is_some_and(|member| member.spec.polls) {
            return Err(Rejected::Misuse(Misuse::DoesNotPoll(by.agent())));
        }
        self.heard(by, tx.now);
        self.state.fleet.change(place, |member| member.asked = most);
        self.settle_and_pump(Some(place), tx);
        self.retire(tx);
        Ok(Accepted::Done)
    }

    pub(crate) fn start(&mut self, by: Incarnation, attempt: AttemptId, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let (_, task) = self.held_by(by, attempt)?;
        let unstarted = task.running().is_some_and(|running| running.unstarted);
        self.heard(by, tx.now);
        if !unstarted {
            return Ok(Accepted::Repeated);
        }
        self.emit(TaskEvent::Started { attempt }, tx);
        Ok(Accepted::Done)
    }

    pub(crate) fn give_up(
        &mut self,
        by: Incarnation,
        attempt: AttemptId,
        tx: &mut Tx<'_>,
    ) -> Result<Accepted, Rejected> {
        let (place, task) = self.held_by(by, attempt)?;
        let Some(running) = task.running() else { return Err(Rejected::Stale(Stale::Attempt(attempt))) };
        let drains = self.state.fleet.at(place.index()).is_some_and(|member| member.status == AgentStatus::Draining);
        if let Some(cancel) = &running.cancel {
            let (reason, happened) = (cancel.1.clone(), task.trace());
            self.emit(TaskEvent::Cancelled { task: attempt.task(), reason, happened }, tx);
        } else if running.yielding.is_some() || drains {
            self.hand_back(by, attempt, false, tx);
        } else {
            return Err(Rejected::State(WrongState::NotRequestedBack(attempt)));
        }
        self.heard(by, tx.now);
        self.after_end(place, tx);
        Ok(Accepted::Done)
    }

    /// The attempt is given back, and who was promised its agent gets it.
    pub(crate) fn hand_back(&mut self, by: Incarnation, attempt: AttemptId, unknown: bool, tx: &mut Tx<'_>) {
        let Some(task) = self.state.get(attempt.task()) else { return };
        let maybe = unknown || task.doubtful;
        let heir = task.running().and_then(|running| running.yielding.as_ref()?.why.by());
        self.emit(TaskEvent::Yielded { attempt, by, maybe }, tx);
        if let Some(heir) = heir {
            self.inherit(heir, by, tx);
        }
    }

    /// Gives a task that still waits to the agent that was cleared for it.
    pub(crate) fn inherit(&mut self, heir: TaskId, to: Incarnation, tx: &mut Tx<'_>) {
        let Some(task) = self.state.get(heir) else { return };
        let Some(class) = task.line() else { return };
        let Some(place) = self.state.fleet.living(to) else { return };
        let room = if task.is_urgent() { self.state.fleet.free() } else { self.state.fleet.open() };
        let able = self.state.classes.eligible(class).is_some_and(|eligible| eligible.contains(place.index()));
        let able = able && self.state.has_amounts(class, place);
        if able && room.contains(place.index()) && self.state.lanes.may_go(&task.strand(class)) {
            let attempt = AttemptId::new(heir, task.attempts.saturating_add(1));
            self.emit(TaskEvent::Assigned { attempt, to }, tx);
        }
    }

    /// Tasks of a class that found no agent get those of attempts that are called back for them, as far as there are any.
    pub(crate) fn make_room(&mut self, class: Slot, tx: &mut Tx<'_>) {
        let callable = &self.state.callable;
        if callable.unstarted.is_empty() && (self.config.preemption.is_none() || callable.preemptible.is_empty()) {
            return;
        }
        while let Some((task, victim, why)) = self.find_room(class, tx.now) {
            let attempt = AttemptId::new(victim, self.state.get(victim).map_or(0, |task| task.attempts));
            self.emit(TaskEvent::YieldRequested { attempt, why }, tx);
            if self.state.heirs.get(&task) != Some(&victim) {
                debug_assert!(false, "{victim} was asked to make room for {task}, and nobody knows");
                break;
            }
        }
        self.state.set_room_timer(self.config.preemption.as_ref(), class, tx.now);
    }

    /// Attempts have run long enough to be called back.
    pub(crate) fn room_due(&mut self, tx: &mut Tx<'_>) {
        // Another may have been set since this one was taken out of the wheel.
        if let Some((_, key)) = self.state.room.take() {
            self.state.wheel.cancel(key, Alarm::Room);
        }
        let classes: Vec<usize> = self.state.lanes.ready()[0].iter().collect();
        for class in classes.into_iter().filter_map(|class| u32::try_from(class).ok()) {
            self.make_room(Slot::new(class), tx);
        }
    }

    /// A task of the class that waits without a promise, whose attempt shall be called back for it, and why.
    fn find_room(&self, class: Slot, now: Time) -> Option<(TaskId, TaskId, YieldReason)> {
        // Whether an attempt that is given back leaves enough of a resource is not looked into.
        if self.state.is_heavy(class) {
            return None;
        }
        let heirs = &self.state.heirs;
        let slot = self.state.lanes.first_where(class.index(), |task| {
            let id = self.state.tasks.get(task).map(|task| task.spec.id);
            id.is_some_and(|id| !heirs.contains_key(&id))
        })?;
        let task = self.state.tasks.get(slot)?;
        let by = task.spec.id;
        let eligible = self.state.classes.eligible(task.line()?)?.bits();
        if let Some(victim) = self.state.unstarted_behind(task, eligible) {
            return Some((by, victim, YieldReason::Recalled { by }));
        }
        let rules = self.config.preemption.filter(|_| task.is_urgent())?;
        let victim = self.state.preemptible_for(eligible, &rules, now)?;
        Some((by, victim, YieldReason::Preempted { by }))
    }
}

impl State {
    /// The attempt that waits with an agent, would be the last in the order, and goes after this task.
    fn unstarted_behind(&self, task: &Task, eligible: &Bits) -> Option<TaskId> {
        let rank = self.rank(task);
        let behind = self.callable.unstarted.iter().take_while(|(Reverse(other), _)| *other > rank);
        // Room for the first tier alone is cleared by nobody else's attempt.
        behind.map(|(_, slot)| *slot).find_map(|slot| self.would_clear(slot, eligible, task.is_urgent()))
    }

    fn preemptible_for(&self, eligible: &Bits, rules: &Preemption, now: Time) -> Option<TaskId> {
        let slots = self.callable.preemptible.iter().map(|(_, since, slot)| (since.0, *slot));
        slots
            .filter(|(since, slot)| {
                now.since(*since) >= rules.least_run
                    && self.tasks.get(*slot).is_some_and(|task| task.preempted < rules.most_per_task)
            })
            .find_map(|(_, slot)| self.would_clear(slot, eligible, true))
    }

    /// Sees to it that a task of the first tier which waits in vain is looked at again when the next attempt has run long
    /// enough to be called back for it.
    fn set_room_timer(&mut self, rules: Option<&Preemption>, class: Slot, now: Time) {
        let Some(rules) = rules.filter(|rules| !rules.least_run.is_zero()) else { return };
        if !self.lanes.ready()[0].contains(class.index()) {
            return;
        }
        let young = self.callable.preemptible.iter().map(|(_, since, _)| since.0 + rules.least_run);
        let Some(next) = young.filter(|at| *at > now).min() else { return };
        if self.room.is_none_or(|(at, _)| next < at) {
            if let Some((_, key)) = self.room.take() {
                self.wheel.cancel(key, Alarm::Room);
            }
            self.room = Some((next, self.wheel.insert(next, Alarm::Room)));
        }
    }

    /// Whether one of these agents would have room if it gave this attempt back.
    fn would_clear(&self, slot: Slot, eligible: &Bits, urgent: bool) -> Option<TaskId> {
        let task = self.tasks.get(slot)?;
        let place = self.fleet.living(task.running()?.by)?;
        let member = self.fleet.at(place.index())?;
        let kept = if urgent { 0 } else { member.spec.reserved };
        let room = member.status == AgentStatus::Online
            && member.in_flight().saturating_sub(1) < member.slots().saturating_sub(kept);
        (room && eligible.contains(place.index())).then_some(task.spec.id)
    }

    pub(crate) fn started(&mut self, at: Time, attempt: AttemptId) -> Result<(), Misfit> {
        let slot = self.under_way(attempt)?;
        self.set_callable(slot, false);
        if let Some(running) = self.tasks.get_mut(slot).and_then(Task::running_mut) {
            running.unstarted = false;
            running.since = at;
        }
        self.set_callable(slot, true);
        self.set_timer(slot);
        Ok(())
    }

    pub(crate) fn yield_requested(&mut self, at: Time, attempt: AttemptId, why: YieldReason) -> Result<(), Misfit> {
        let slot = self.under_way(attempt)?;
        self.set_callable(slot, false);
        let Some(running) = self.tasks.get_mut(slot).and_then(Task::running_mut) else {
            return Err(Misfit("an attempt is called back that nobody holds"));
        };
        if running.cancel.is_some() || running.yielding.is_some() {
            return Err(Misfit("an attempt is called back twice, or after a cancellation"));
        }
        running.yielding = Some(Yielding { at, why });
        if let Some(heir) = why.by() {
            self.heirs.insert(heir, attempt.task());
        }
        self.set_timer(slot);
        Ok(())
    }

    pub(crate) fn yielded(&mut self, at: Time, attempt: AttemptId, by: Incarnation, maybe: bool) -> Result<(), Misfit> {
        let slot = self.current(attempt, by)?;
        self.doubt(slot, maybe);
        let preempted = self.tasks.get(slot).and_then(Task::running).and_then(|running| running.yielding.as_ref());
        let preempted = preempted.is_some_and(|yielding| matches!(yielding.why, YieldReason::Preempted { .. }));
        self.give_back(at, slot);
        if let Some(task) = self.tasks.get_mut(slot) {
            task.yields = task.yields.saturating_add(1);
            task.preempted = task.preempted.saturating_add(u32::from(preempted));
        }
        self.enqueue(slot);
        self.set_timer(slot);
        // Another agent may have room for it.
        self.opened.extend(self.tasks.get(slot).and_then(Task::line).map(|class| class.get()));
        Ok(())
    }

    /// The task of the attempt that is under way.
    fn under_way(&self, attempt: AttemptId) -> Result<Slot, Misfit> {
        let slot = self.slot(attempt.task()).ok_or(Misfit("an unknown task is attempted"))?;
        match self.tasks.get(slot) {
            Some(task) if task.running().is_some() && task.attempts == attempt.number() => Ok(slot),
            _ => Err(Misfit("an attempt is spoken of that is not the current one")),
        }
    }

    /// Lists the attempt among those that may be called back, or takes it off; one that was asked already is not listed.
    pub(crate) fn set_callable(&mut self, slot: Slot, on: bool) {
        let Some(task) = self.tasks.get(slot) else { return };
        if !task.preemptible && task.running().is_none_or(|running| !running.unstarted) {
            return;
        }
        let asked = task.running().is_none_or(Running::is_asked);
        let rank = self.discipline.rank((&task.spec, task.tier), task.expected, task.submitted, task.seq);
        self.callable.put(slot, task, rank, on && !asked);
    }

    /// What of an attempt is kept beside it is forgotten: it ends.
    pub(crate) fn release_callable(&mut self, slot: Slot) {
        self.set_callable(slot, false);
        let Some(task) = self.tasks.get(slot) else { return };
        let Some(heir) = task.running().and_then(|running| running.yielding.as_ref()?.why.by()) else { return };
        if self.heirs.get(&heir) == Some(&task.spec.id) {
            self.heirs.remove(&heir);
        }
    }
}
