//! Preemption: attempts are requested back for other tasks. An attempt that its agent has not started yields to a task
//! that comes before its own; an attempt of a preemptible task yields to a task of the critical tier.

use super::dispatch::Dispatch;
use super::timers::DueTimers;
use crate::base::id::{AttemptId, Incarnation, TaskId};
use crate::base::structure::Bits;
use crate::base::time::Time;
use crate::message::event::{TaskEvent, YieldReason};
use crate::scheduler::apply::{State, sub_queue};
use crate::scheduler::ix::{AgentIx, ClassIx, TaskIx};
use crate::scheduler::preemption::Preemption;
use crate::scheduler::queue::Arrival;
use crate::scheduler::tasks::{Running, Task};

/// An attempt to request back.
struct Victim {
    attempt: AttemptId,
    beneficiary: TaskId,
    why: YieldReason,
}

impl Dispatch<'_, '_> {
    /// Requests attempts back for tasks of these classes: first for the class whose first task comes first. The indices of
    /// classes change with a restore, so they must not decide.
    pub(super) fn preempt_for_all(&mut self, mut classes: Vec<ClassIx>) {
        if !self.has_candidates() {
            return;
        }
        let state = &self.core.reader.state;
        classes.sort_by_cached_key(|class| {
            let first = state.queues().first_where(*class, |_| true).and_then(|at| state.tasks().get(at));
            first.map(|task| (!task.is_urgent(), state.queues().rank(&Arrival::of(task))))
        });
        classes.into_iter().for_each(|class| self.preempt_for(class));
    }

    fn has_candidates(&self) -> bool {
        let (rules, candidates) = (self.core.reader.config.preemption, self.core.reader.state.candidates());
        candidates.has_unstarted() || (rules.is_some() && candidates.has_preemptible())
    }

    /// Requests attempts back for tasks of a class for which no agent has room, as long as there are candidates.
    pub(super) fn preempt_for(&mut self, class: ClassIx) {
        if !self.has_candidates() {
            return;
        }
        let rules = self.core.reader.config.preemption;
        while !self.is_cut()
            && let Some(Victim { attempt, beneficiary, why }) =
                victim(&self.core.reader.state, rules, class, self.tx.now)
        {
            let requested = TaskEvent::YieldRequested { attempt: attempt.number(), reason: why };
            self.core.emit(requested.of(attempt.task()), self.tx);
            if self.core.reader.state.candidates().victim_for(beneficiary) != Some(attempt.task()) {
                return self
                    .core
                    .anomaly(format_args!("{attempt} was requested back for {beneficiary}, which is not recorded"));
            }
            if matches!(why, YieldReason::Recalled { .. }) {
                self.recall_beside(attempt.task(), beneficiary);
            }
        }
        if let Some(at) = next_preemption(&self.core.reader.state, rules, class, self.tx.now) {
            self.core.reader.state.timers_mut().preempt_at(at);
        }
    }

    /// Requests back what has not begun at the agent that holds this victim, for the rest of what comes after the beneficiary.
    fn recall_beside(&mut self, victim: TaskId, beneficiary: TaskId) {
        let running = self.core.reader.state.tasks().by_id(victim).and_then(Task::running);
        if let Some(agent) = running.and_then(Running::agent) {
            self.recall_overtaken(beneficiary, agent);
        }
    }

    /// Requests back the attempts that wait at an agent and come after a task that is to be assigned to it, so that the agent
    /// begins the task first. Before the assignment: the rest of a batch, which is assigned with the task, stays.
    pub(super) fn recall_overtaken(&mut self, first: TaskId, agent: AgentIx) {
        let state = &self.core.reader.state;
        let (Some(task), Some(member)) = (state.tasks().by_id(first), state.index().fleet().get(agent)) else { return };
        let rank = state.queues().rank(&Arrival::of(task));
        // What fits into the capacity begins at once.
        let nothing_waits = member.spec.prefetch == 0 || member.in_flight() < member.spec.capacity;
        if nothing_waits || state.candidates().unstarted_behind(rank).next().is_none() {
            return;
        }
        let is_behind = |other: &&Task| {
            let waits = other.running().is_some_and(|running| running.unstarted && !running.is_requested());
            waits && is_comparable(state, task, other) && state.queues().rank(&Arrival::of(other)) > rank
        };
        let mut overtaken: Vec<AttemptId> =
            member.held.iter().filter_map(|at| state.tasks().get(*at)).filter(is_behind).map(Task::attempt).collect();
        overtaken.sort_unstable();
        self.tx.meter.visit(member.held.len());
        for attempt in overtaken {
            let reason = YieldReason::Overtaken { by: first };
            let requested = TaskEvent::YieldRequested { attempt: attempt.number(), reason };
            self.core.emit(requested.of(attempt.task()), self.tx);
        }
    }

    /// Assigns the beneficiary of a yield to the agent that gave the attempt back, if the beneficiary still waits.
    pub(super) fn hand_over(&mut self, beneficiary: TaskId, to: Incarnation) {
        let state = &self.core.reader.state;
        let Some(task) = state.tasks().by_id(beneficiary) else { return };
        let Some(class) = task.class() else { return };
        // When several timers are due at once, the one that ends the task may come after the one that has freed the place.
        if task.bound().is_some_and(|(at, _)| at <= self.tx.now) {
            return;
        }
        let (key, attempt) = (sub_queue(task, class), task.next_attempt());
        let agent = state.index().fleet().current(to);
        let eligible = state.index().classes().eligible(class);
        let able = agent.zip(eligible).is_some_and(|(agent, eligible)| eligible.contains(agent));
        if able && self.core.reader.has_room_for(&key, to) && state.queues().may_begin(&key) {
            if let Some(agent) = agent {
                self.recall_overtaken(beneficiary, agent);
            }
            self.core.emit(TaskEvent::Assigned { attempt: attempt.number(), to }.of(attempt.task()), self.tx);
        }
    }
}

impl DueTimers<'_, '_> {
    /// The preemption timer has fired: attempts may have run long enough.
    pub(super) fn preemption(&mut self) {
        let state = &mut self.core.reader.state;
        state.timers_mut().cancel_preemption();
        let classes: Vec<ClassIx> = state.queues().ready().urgent.iter().filter_map(ClassIx::at).collect();
        self.core.dispatch(self.tx).preempt_for_all(classes);
    }
}

/// The attempt to request back next for the class, whose beneficiary is the first task that has no victim yet.
fn victim(state: &State, rules: Option<Preemption>, class: ClassIx, now: Time) -> Option<Victim> {
    // Whether the end of an attempt would free enough of a resource is not evaluated.
    if state.index().uses_resources(class) {
        return None;
    }
    let at = state.queues().first_where(class, |at| {
        let task = state.tasks().get(at);
        task.is_some_and(|task| state.candidates().victim_for(task.id()).is_none())
    })?;
    let task = state.tasks().get(at)?;
    let beneficiary = task.id();
    let eligible = state.index().classes().eligible(class)?.bits();
    if let Some(attempt) = unstarted_behind(state, task, eligible) {
        return Some(Victim { attempt, beneficiary, why: YieldReason::Recalled { by: beneficiary } });
    }
    let rules = rules.filter(|_| task.is_urgent())?;
    let attempt = preemptible(state, &rules, eligible, now)?;
    Some(Victim { attempt, beneficiary, why: YieldReason::Preempted { by: beneficiary } })
}

/// The last attempt in the order of those that wait at an agent and come after this task.
fn unstarted_behind(state: &State, task: &Task, eligible: &Bits) -> Option<AttemptId> {
    let rank = state.queues().rank(&Arrival::of(task));
    let behind = state.candidates().unstarted_behind(rank);
    let mut comparable =
        behind.filter(|at| state.tasks().get(*at).is_some_and(|other| is_comparable(state, task, other)));
    // Reserved room is of no use to a task below the critical tier.
    comparable.find_map(|at| freeing(state, at, eligible, task.is_urgent()))
}

/// Whether ranks alone determine the order of two tasks. Under fair sharing, the order of tasks of different tenants depends
/// on what each tenant has received, except that the critical tier comes first.
fn is_comparable(state: &State, task: &Task, other: &Task) -> bool {
    let unequal = task.is_urgent() != other.is_urgent();
    unequal || !state.queues().shares_by_tenant() || other.spec.tenant == task.spec.tenant
}

fn preemptible(state: &State, rules: &Preemption, eligible: &Bits, now: Time) -> Option<AttemptId> {
    let old_enough = state.candidates().preemptible().filter(|(since, _)| now.since(*since) >= rules.least_run);
    let mut spared = old_enough
        .map(|(_, at)| at)
        .filter(|at| state.tasks().get(*at).is_some_and(|task| task.rare().preempted < rules.most_per_task));
    spared.find_map(|at| freeing(state, at, eligible, true))
}

/// The attempt of a task, if one of these agents holds it and would have room without it.
fn freeing(state: &State, at: TaskIx, eligible: &Bits, urgent: bool) -> Option<AttemptId> {
    let task = state.tasks().get(at)?;
    let agent = task.running()?.agent()?;
    let frees = state.index().fleet().get(agent)?.would_have_room(urgent);
    (frees && eligible.contains(agent.index())).then(|| task.attempt())
}

/// When the next attempt will have run long enough to be preempted, if a task of the critical tier waits in the class.
fn next_preemption(state: &State, rules: Option<Preemption>, class: ClassIx, now: Time) -> Option<Time> {
    let rules = rules.filter(|rules| !rules.least_run.is_zero())?;
    if !state.queues().ready().urgent.contains(class.index()) {
        return None;
    }
    state.candidates().preemptible().map(|(since, _)| since + rules.least_run).filter(|at| *at > now).min()
}
