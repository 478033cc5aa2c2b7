//! Guards observe events, and emit their decisions as events.
//!
//! A guard observes every event, also while a journal is replayed, and updates its statistics. Its *target* (a bound on
//! an agent, the tiers to reject) is compared with the *state*, and a difference is emitted as an event after the event
//! that led to it (reconciliation). A guard therefore makes no decision while events are applied, and a comparison
//! after a restart finds the decisions that a crash cut off. A snapshot does not contain the statistics of guards but
//! the state that they decided, from which they continue. After any restore, guards that depend on time continue from
//! the state as well: a journal does not record when a host evaluated them.

mod agent_guards;
mod rebalance;
mod reconcile;
mod results;
mod scaling;
mod settings;
mod waits;

pub use scaling::Scaling;
pub(in crate::scheduler) use settings::Settings;
pub use settings::{Concurrency, Pressure};

use crate::base::id::{AgentId, AttemptNumber, Incarnation, Seq, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::{Arena, IdMap, Random, Slot};
use crate::base::time::Time;
use crate::message::event::{ControlEvent, Entry, Event, Next, TaskEvent};
use crate::resilience::breaker::Ticket;
use crate::resilience::budget::Budgets;
use crate::resilience::outlier::Pool;
use crate::routing::Rerouting;
use crate::scheduler::apply::State;
use crate::scheduler::ix::Place;
use crate::scheduler::reroutings::Reroutings;
use crate::task::TaskSpec;
use agent_guards::{AgentGuards, Ending};
use core::time::Duration;
use results::Results;
use scaling::Watch;
use std::collections::{BTreeSet, VecDeque};
use waits::Waits;

/// All guards with their statistics.
#[derive(Debug, Clone, Default)]
pub(super) struct Guards {
    settings: Settings,
    seed: u64,
    /// Whether any guard is configured.
    on: bool,
    agents: Arena<AgentGuards>,
    by_agent: IdMap<AgentId, Slot>,
    /// The same by the index of the agent in the fleet; outdated for agents that are gone.
    by_index: Vec<Option<Slot>>,
    /// The attempts under way whose ends a guard observes.
    attempts: IdMap<TaskId, Attempt>,
    pool: Pool,
    /// When the pool is swept next; none while no result has arrived and no agent is ejected.
    sweep_at: Option<Time>,
    budgets: Budgets<AgentId>,
    waits: Waits,
    results: Results,
    watch: Watch,
    /// Agents whose gates may differ from the targets of guards.
    dirty: BTreeSet<AgentId>,
    /// Events to emit.
    pending: VecDeque<Event>,
    reroutings: Reroutings,
}

/// An attempt under way.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    guards: Slot,
    by: Incarnation,
    since: Time,
    ticket: Option<Ticket>,
}

impl Guards {
    pub(super) fn new(settings: Settings, seed: u64) -> Self {
        let on = settings.watches_agents()
            || settings.watches_waits()
            || settings.retries.is_some()
            || !settings.pure.is_empty();
        Self { settings, seed, on, ..Self::default() }
    }

    /// Observes an event that has been applied.
    pub(super) fn observe(&mut self, state: &State, entry: &Entry, place: Place) {
        self.reroutings.observe(entry);
        if !self.on {
            return;
        }
        match &entry.event {
            Event::Agent { agent, event } => self.agent_event(state, *agent, event, entry.at),
            Event::Task { task, event } => self.task_event(state, (*task, place), event, (entry.seq, entry.at)),
            Event::Control(ControlEvent::Paused { scope, .. } | ControlEvent::Resumed { scope }) => {
                self.pause(state, scope, entry.at);
            }
            Event::Control(_)
            | Event::Catalogue(_)
            | Event::Run { .. }
            | Event::Node { .. }
            | Event::Schedule { .. } => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "guards read what they use")]
    fn task_event(&mut self, state: &State, (task, place): (TaskId, Place), event: &TaskEvent, (seq, at): (Seq, Time)) {
        if event.ends_task() {
            self.over(state, task);
        }
        match event {
            TaskEvent::Submitted { spec, .. } => {
                if let Some(scaling) = &self.settings.scaling {
                    self.watch.advance(scaling, self.attempts.len(), at);
                    self.watch.note_arrival();
                }
                if self.settings.watches_waits() && spec.after.is_empty() {
                    self.waits.note_submit(&self.settings, state, spec, at);
                }
                if spec.after.is_empty() {
                    self.results.is_performed(&self.settings, spec);
                }
            }
            TaskEvent::Ready => {
                if let Some(task) = state.tasks().by_id(task).filter(|_| !self.settings.pure.is_empty()) {
                    self.results.is_performed(&self.settings, &task.spec);
                }
            }
            TaskEvent::Assigned { attempt, to } => {
                self.began(task, *to, place, at);
                if *attempt == AttemptNumber::FIRST {
                    self.first(state, task, *to, at);
                }
            }
            TaskEvent::AttemptFailed { by, failure, next, .. } => {
                self.ended(task, Ending::Failure(failure.kind), seq, at);
                if let (Some((own, all)), Next::Retry { .. }) = (&self.settings.retries, next) {
                    // With `InDoubt::Insist` a task is retried even if the budget is exhausted.
                    let _paid = self.budgets.spend(own, all, &by.agent(), at);
                }
            }
            TaskEvent::Succeeded { output, .. } => {
                self.ended(task, Ending::Success, seq, at);
                if self.settings.cache.is_some()
                    && let Some(task) = state.tasks().by_id(task)
                {
                    self.results.learn(&self.settings, &task.spec, output, at, &mut Random::new(self.seed, seq.get()));
                }
            }
            TaskEvent::Answered { .. } => {
                if let Some(task) = state.tasks().by_id(task) {
                    self.results.answered(&self.settings, &task.spec, at);
                }
            }
            TaskEvent::Cancelled { .. } | TaskEvent::Expired { .. } | TaskEvent::Yielded { .. } => {
                self.ended(task, Ending::Neutral, seq, at);
            }
            TaskEvent::Started { .. } => {
                if let Some(begun) = self.attempts.remove(&task) {
                    self.attempts.insert(task, Attempt { since: at, ..begun });
                }
            }
            _ => {}
        }
    }

    /// Observes the first attempt of a task.
    fn first(&mut self, state: &State, task: TaskId, to: Incarnation, at: Time) {
        if let Some((own, all)) = &self.settings.retries {
            self.budgets.earn(own, all, &to.agent(), at);
        }
        if self.settings.shed.is_some()
            && let Some(task) = state.tasks().by_id(task)
            && task.spec.after.is_empty()
        {
            self.waits.note_start(&self.settings, at.since(task.submitted), at);
        }
    }

    /// The guards of an incarnation of an agent, which is at this place.
    fn slot_of(&self, agent: Incarnation, place: Place) -> Option<Slot> {
        let here = place.agent().and_then(|at| *self.by_index.get(at.index())?);
        let here = here.filter(|slot| self.agents.get(*slot).is_some_and(|guards| guards.by == agent));
        here.or_else(|| self.by_agent.get(&agent.agent()).copied())
    }

    fn began(&mut self, task: TaskId, to: Incarnation, place: Place, at: Time) {
        let Some(slot) = self.slot_of(to, place) else { return };
        let Some(guards) = self.agents.get_mut(slot) else { return };
        if let Some(scaling) = &self.settings.scaling {
            self.watch.advance(scaling, self.attempts.len(), at);
        }
        let (ticket, dirty) = guards.began(&self.settings, at);
        if dirty {
            self.dirty.insert(to.agent());
        }
        self.attempts.insert(task, Attempt { guards: slot, by: to, since: at, ticket });
    }

    /// Forgets a task of a pure kind that has ended.
    fn over(&mut self, state: &State, task: TaskId) {
        if let Some(task) = state.tasks().by_id(task).filter(|task| !self.settings.pure.is_empty() && task.has_ended())
        {
            self.results.over(&self.settings, &task.spec);
        }
    }

    fn ended(&mut self, task: TaskId, ending: Ending, seq: Seq, at: Time) {
        let under_way = self.attempts.len();
        let Some(Attempt { guards: slot, by, since, ticket }) = self.attempts.remove(&task) else { return };
        if let Some(scaling) = &self.settings.scaling {
            self.watch.advance(scaling, under_way, at);
            self.watch.ended(at.since(since));
        }
        let Some(guards) = self.agents.get_mut(slot).filter(|guards| guards.by == by) else { return };
        let mut random = Random::new(self.seed, seq.next().get());
        let dirty = guards.ended(&self.settings, (ticket, since), ending, at, &mut random);
        // The pool counts successes with the next failure or sweep: a search of the agent there takes 180 instructions.
        let is_well = ending == Ending::Success;
        guards.well = guards.well.saturating_add(is_well.into());
        if dirty {
            self.dirty.insert(by.agent());
        }
        if is_well || dirty {
            self.schedule_sweep();
        }
        if !is_well {
            self.count_well(slot);
            self.record_failure(by.agent(), ending, at);
        }
    }

    /// Whether any guard is configured.
    pub(super) const fn is_on(&self) -> bool {
        self.on
    }

    /// Whether tasks of the kind are pure.
    #[inline]
    pub(super) fn is_pure(&self, spec: &TaskSpec) -> bool {
        !self.settings.pure.is_empty() && self.settings.pure.contains(&spec.kind)
    }

    /// The equal task that is waiting or under way, for whose result a task waits.
    pub(super) fn lead(&self, state: &State, spec: &TaskSpec) -> Option<TaskId> {
        self.results.lead(&self.settings, state, spec)
    }

    /// The cached result of an equal task, and the id of that task.
    pub(super) fn answer(&self, spec: &TaskSpec, now: Time) -> Option<(TaskId, Payload)> {
        self.results.answer(&self.settings, spec, now)
    }

    /// Whether the retry budget allows another attempt after a failure at this agent.
    pub(super) fn can_retry(&self, agent: AgentId, now: Time) -> bool {
        self.settings.retries.as_ref().is_none_or(|(own, all)| self.budgets.can_spend(own, all, &agent, now))
    }

    /// Whether infeasible tasks are dropped when they are dispatched.
    pub(super) const fn drops_infeasible(&self) -> bool {
        self.settings.infeasible
    }

    /// The time after which a rejected submit may be repeated.
    pub(super) fn retry_after(&self, now: Time) -> Option<Duration> {
        self.waits.retry_after(now)
    }

    /// Continues from the state of a snapshot, which does not contain statistics.
    pub(super) fn restore(&mut self, state: &State, at: Time) {
        if !self.on {
            return;
        }
        self.restore_agents(state, at);
        if self.settings.watches_waits() {
            self.waits.restore(&self.settings, state, at);
        }
        self.results.restore(&self.settings, state);
    }

    /// Records that the strategy of a kind, or the general one, has changed its routing.
    pub(super) fn rerouted(&mut self, kind: Option<&Name>, rerouting: &Rerouting) {
        self.reroutings.add(kind, rerouting);
    }

    /// After a restore: guards that depend on time continue from the state, and every gate is compared.
    pub(super) fn resume(&mut self, state: &State, now: Time) {
        let standing = state.standing();
        self.waits.resume_shedding(&self.settings, standing.refused, now);
        self.waits.resume_degradation(&self.settings, standing.mode.as_ref(), now);
        self.resume_pool(state);
        if let Some(scaling) = &self.settings.scaling {
            self.watch.begin(scaling, now);
        }
        self.mark_all(state);
    }

    /// Whether events were determined that are valid in the present state only.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether the state may differ from the targets of guards.
    #[inline]
    pub(super) fn may_differ(&self, state: &State) -> bool {
        if !self.on {
            return !self.reroutings.is_empty();
        }
        let is_listed = !self.dirty.is_empty() || !self.pending.is_empty() || !self.reroutings.is_empty();
        is_listed
            || self.panics() != state.standing().panic
            || self.waits.may_differ(&self.settings, state)
            || self.watch.has_advice()
    }

    /// The next event to emit.
    pub(super) fn next_event(&mut self, state: &State, now: Time) -> Option<Event> {
        if !self.reroutings.is_empty() {
            return self.reroutings.next_event();
        }
        if !self.on {
            return None;
        }
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Some(event);
            }
            // Panic mode comes first: it is the reason for which guards lift their bounds.
            if let Some(event) = self.panic(state) {
                return Some(event.into());
            }
            if let Some(agent) = self.dirty.pop_first() {
                self.compare(state, agent, now);
            } else if let Some(event) =
                self.waits.difference(&self.settings, state).or_else(|| self.watch.take_advice())
            {
                return Some(event.into());
            } else {
                return None;
            }
        }
    }

    /// Evaluates the guards that are due.
    pub(super) fn tick(&mut self, state: &State, now: Time) {
        if self.is_due(now) {
            if self.sweep_at.is_some_and(|at| at <= now) {
                self.sweep(state, now);
            }
            self.waits.tick(&self.settings, state, now);
            if let Some(scaling) = &self.settings.scaling {
                let seen = (self.attempts.len(), self.waits.oldest(state, now));
                self.watch.tick(scaling, state, seen, now);
            }
        }
    }

    /// Whether any guard is due.
    pub(super) fn is_due(&self, now: Time) -> bool {
        let is_due = |at: Option<Time>| at.is_some_and(|at| at <= now);
        self.on && (is_due(self.sweep_at) || self.waits.is_due(now) || is_due(self.watch.next_wakeup()))
    }

    pub(super) fn next_wakeup(&self) -> Option<Time> {
        if !self.on {
            return None;
        }
        [self.sweep_at, self.waits.next_wakeup(), self.watch.next_wakeup()].into_iter().flatten().min()
    }
}
