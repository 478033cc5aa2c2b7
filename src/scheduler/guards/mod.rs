//! Guards: they watch the facts, and what they want is stated as facts.
//!
//! A guard sees every fact, also those of a journal, and learns from it. What it *wants* (an agent held back, tiers
//! refused) is compared with what is *on record* in the state; a difference becomes a fact when the call that led to it has
//! stated its own. So a guard decides nothing when facts become state, and what a crash cut off is found again by
//! comparing. What guards have seen is not in a snapshot; what they wanted is, and they go on from there. So do, after any
//! restore, those that go by time as well: a journal does not say when a host looked.

mod act;
mod agents;
mod known;
mod scaling;
mod settings;
mod standing;
mod waits;
mod ward;

pub(in crate::scheduler) use act::exhausted;
pub use scaling::Scaling;
pub(in crate::scheduler) use settings::Settings;
pub use settings::{Concurrency, Pressure};
pub use standing::Standing;

use crate::event::{ControlEvent, Entry, Event, Next, TaskEvent};
use crate::id::{AgentId, Incarnation, Seq, TaskId};
use crate::name::Name;
use crate::payload::Payload;
use crate::resilience::breaker::Ticket;
use crate::resilience::budget::Budgets;
use crate::resilience::outlier::Pool;
use crate::routing::Turn;
use crate::scheduler::apply::state::State;
use crate::structure::{Arena, IdMap, Random, Slot};
use crate::task::TaskSpec;
use crate::time::Time;
use core::time::Duration;
use known::Known;
use scaling::Watch;
use std::collections::{BTreeSet, VecDeque};
use waits::Waits;
use ward::{How, Ward};

/// All guards with what they have seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Guards {
    settings: Settings,
    seed: u64,
    /// Whether there is any guard at all.
    on: bool,
    wards: Arena<Ward>,
    places: IdMap<AgentId, Slot>,
    /// The attempts under way, as far as somebody waits for their ends.
    attempts: IdMap<TaskId, Attempt>,
    pool: Pool,
    /// When the pool is to be swept: never while nothing has happened and nobody is left out.
    sweep_at: Option<Time>,
    budgets: Budgets<AgentId>,
    waits: Waits,
    known: Known,
    watch: Watch,
    /// Agents of whom some guard may want something else than is on record.
    stirred: BTreeSet<AgentId>,
    /// Facts to state.
    wanted: VecDeque<Event>,
    /// Strategies that have changed their minds, which is not on record.
    turns: Vec<ControlEvent>,
}

/// An attempt under way.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    ward: Slot,
    by: Incarnation,
    since: Time,
    ticket: Option<Ticket>,
}

impl Guards {
    pub(super) fn new(settings: Settings, seed: u64) -> Self {
        let on = settings.watches_agents()
            || settings.watches_waits()
            || settings.retries.is_some()
            || settings.cache.is_some();
        Self { settings, seed, on, ..Self::default() }
    }

    /// Sees a fact that has become state.
    pub(super) fn observe(&mut self, state: &State, entry: &Entry) {
        if let Event::Control(ControlEvent::Rerouted { kind, .. }) = &entry.event {
            let other = |turn: &ControlEvent| !matches!(turn, ControlEvent::Rerouted { kind: of, .. } if of == kind);
            self.turns.retain(other);
        }
        if !self.on {
            return;
        }
        match &entry.event {
            Event::Agent(event) => self.agent_event(state, event, entry.at),
            Event::Task(event) => self.task_event(state, entry.seq, entry.at, event),
            Event::Control(ControlEvent::Paused { scope, .. } | ControlEvent::Resumed { scope }) => {
                self.pause(state, scope, entry.at);
            }
            Event::Control(_) | Event::Run(_) => {}
        }
    }

    fn task_event(&mut self, state: &State, seq: Seq, at: Time, event: &TaskEvent) {
        match event {
            TaskEvent::Submitted { spec, .. } => {
                if let Some(scaling) = &self.settings.scaling {
                    self.watch.advance(scaling, self.attempts.len(), at);
                    self.watch.came();
                }
                if self.settings.watches_waits() && spec.after.is_empty() {
                    self.waits.came(&self.settings, state, spec, at);
                }
            }
            TaskEvent::Assigned { attempt, to } => {
                self.began(attempt.task(), *to, at);
                if attempt.number() == 1 {
                    self.first(state, attempt.task(), *to, at);
                }
            }
            TaskEvent::AttemptFailed { attempt, by, failure, next, .. } => {
                self.ended(attempt.task(), How::Badly(failure.kind), seq, at);
                if let (Some((own, all)), Next::Retry { .. }) = (&self.settings.retries, next) {
                    // One that is insisted on is tried whatever the budget says.
                    let _paid = self.budgets.spend(own, all, &by.agent(), at);
                }
            }
            TaskEvent::Succeeded { attempt, output, .. } => {
                self.ended(attempt.task(), How::Well, seq, at);
                if let Some(task) = state.get(attempt.task()) {
                    self.known.learn(&self.settings, &task.spec, output, at, &mut Random::new(self.seed, seq.get()));
                }
            }
            TaskEvent::Answered { task, .. } => {
                if let Some(task) = state.get(*task) {
                    self.known.answered(&self.settings, &task.spec, at);
                }
            }
            TaskEvent::Cancelled { task, .. } | TaskEvent::Expired { task, .. } => {
                self.ended(*task, How::Neither, seq, at);
            }
            TaskEvent::Yielded { attempt, .. } => self.ended(attempt.task(), How::Neither, seq, at),
            TaskEvent::Started { attempt } => {
                if let Some(begun) = self.attempts.remove(&attempt.task()) {
                    self.attempts.insert(attempt.task(), Attempt { since: at, ..begun });
                }
            }
            TaskEvent::Ready { .. }
            | TaskEvent::Used { .. }
            | TaskEvent::YieldRequested { .. }
            | TaskEvent::CancelRequested { .. }
            | TaskEvent::Discarded { .. }
            | TaskEvent::Prioritised { .. }
            | TaskEvent::Forgotten { .. } => {}
        }
    }

    /// A task was given its first attempt.
    fn first(&mut self, state: &State, task: TaskId, to: Incarnation, at: Time) {
        if let Some((own, all)) = &self.settings.retries {
            self.budgets.earn(own, all, &to.agent(), at);
        }
        if self.settings.shed.is_some()
            && let Some(task) = state.get(task)
            && task.spec.after.is_empty()
        {
            self.waits.left(&self.settings, at.since(task.submitted), at);
        }
    }

    fn began(&mut self, task: TaskId, to: Incarnation, at: Time) {
        let Some(slot) = self.places.get(&to.agent()).copied() else { return };
        let Some(ward) = self.wards.get_mut(slot) else { return };
        if let Some(scaling) = &self.settings.scaling {
            self.watch.advance(scaling, self.attempts.len(), at);
        }
        let (ticket, stirred) = ward.began(&self.settings, at);
        if stirred {
            self.stirred.insert(to.agent());
        }
        self.attempts.insert(task, Attempt { ward: slot, by: to, since: at, ticket });
    }

    fn ended(&mut self, task: TaskId, how: How, seq: Seq, at: Time) {
        let under_way = self.attempts.len();
        let Some(Attempt { ward, by, since, ticket }) = self.attempts.remove(&task) else { return };
        if let Some(scaling) = &self.settings.scaling {
            self.watch.advance(scaling, under_way, at);
            self.watch.ended(at.since(since));
        }
        let Some(ward) = self.wards.get_mut(ward).filter(|ward| ward.by == by) else { return };
        let mut random = Random::new(self.seed, seq.next().get());
        if ward.ended(&self.settings, (ticket, since), how, at, &mut random) {
            self.stirred.insert(by.agent());
            self.expect_sweep();
        }
        self.judge(by.agent(), how, at);
    }

    /// The result of the task's like, and whose it is.
    pub(super) fn answer(&self, spec: &TaskSpec, now: Time) -> Option<(TaskId, Payload)> {
        self.known.answer(&self.settings, spec, now)
    }

    /// Whether the failure of an attempt of this agent may lead to another.
    pub(super) fn can_retry(&self, agent: AgentId, now: Time) -> bool {
        self.settings.retries.as_ref().is_none_or(|(own, all)| self.budgets.can_spend(own, all, &agent, now))
    }

    /// Whether a task that could not be done in time any more is dropped.
    pub(super) const fn drops_hopeless(&self) -> bool {
        self.settings.hopeless
    }

    /// After how long a refused task may be tried again.
    pub(super) fn retry_after(&self, now: Time) -> Option<Duration> {
        self.waits.retry_after(now)
    }

    /// Goes on from a snapshot: what was wanted is on record, what was seen is not.
    pub(super) fn recall(&mut self, state: &State, at: Time) {
        if !self.on {
            return;
        }
        self.recall_agents(state, at);
        if self.settings.watches_waits() {
            self.waits.recall(&self.settings, state, at);
        }
    }

    /// A strategy has changed its mind: that of a kind, or that of all others.
    pub(super) fn turned(&mut self, kind: Option<&Name>, turn: &Turn) {
        let Turn { to, why } = turn;
        let (to, why) = (Name::from(to.as_str()), Name::from(why.as_str()));
        self.turns.push(ControlEvent::Rerouted { kind: kind.cloned(), to, why });
    }

    /// After a restore: what goes by time alone goes on from what is on record. Time passes without being written down.
    fn follow(&mut self, state: &State, now: Time) {
        self.waits.follow_refused(&self.settings, state.standing.refused, now);
        self.waits.follow_mode(&self.settings, state.standing.mode.as_ref(), now);
        self.follow_pool(state);
        if let Some(scaling) = &self.settings.scaling {
            self.watch.begin(scaling, now);
        }
    }

    /// The next fact that should be stated.
    fn want(&mut self, state: &State, now: Time) -> Option<Event> {
        if !self.turns.is_empty() {
            // Applied, it is taken off the list.
            return self.turns.first().cloned().map(Event::from);
        }
        if !self.on {
            return None;
        }
        loop {
            if let Some(event) = self.wanted.pop_front() {
                return Some(event);
            }
            // A panic first: it is why guards let go of agents.
            if let Some(event) = self.panic(state) {
                return Some(event.into());
            }
            if let Some(agent) = self.stirred.pop_first() {
                self.compare(state, agent, now);
            } else if let Some(event) = self.waits.want(&self.settings, state).or_else(|| self.watch.want()) {
                return Some(event.into());
            } else {
                return None;
            }
        }
    }

    /// Looks at what is due.
    fn tick(&mut self, state: &State, now: Time) {
        if self.next_wakeup().is_some_and(|at| at <= now) {
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

    pub(super) fn next_wakeup(&self) -> Option<Time> {
        if !self.on {
            return None;
        }
        [self.sweep_at, self.waits.next_wakeup(), self.watch.next_wakeup()].into_iter().flatten().min()
    }
}
