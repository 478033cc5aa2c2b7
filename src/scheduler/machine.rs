//! State, configuration and strategies together: what decides.

use super::apply::state::{Misfit, Setup, State};
use super::config::Config;
use super::guards::Guards;
use super::index::pools::Pools;
use super::log::Tx;
use crate::effect::{Effect, Outbox};
use crate::event::{ControlEvent, Entry, Event, TaskEvent};
use crate::id::{AttemptId, Incarnation, TaskId};
use crate::name::Name;
use crate::structure::{Bits, Random};
use crate::task::FailureKind;
use crate::time::Time;
use std::collections::BTreeSet;

/// The scheduler without its own numbering, so that an engine can number its facts together with others.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) state: State,
    pub(super) config: Config,
    pub(super) guards: Guards,
    /// Classes in which tasks wait although agents have room, because the strategy wants it so.
    pub(super) held_back: Bits,
    /// After a restart: until when an answer is awaited, for each attempt that was not asked for again. Soft.
    pub(super) awaited: BTreeSet<(Time, AttemptId)>,
}

impl Core {
    pub(crate) fn new(config: Config) -> Self {
        let state = State::new(Setup {
            discipline: config.discipline,
            grace: config.limits.cancel_grace,
            skills: config.skills.clone(),
            tenants: config.tenants.clone(),
            kinds: config.kinds.clone(),
            pools: Pools::new(config.pools.clone()),
            batches: config.batches.clone(),
        });
        let guards = Guards::new(config.guards.clone(), config.seed);
        Self { state, config, guards, held_back: Bits::default(), awaited: BTreeSet::new() }
    }

    /// A fact of the journal becomes state.
    pub(crate) fn replay(&mut self, entry: &Entry) -> Result<(), Misfit> {
        match &entry.event {
            Event::Agent(event) => self.state.apply_agent(entry.at, event)?,
            Event::Task(event) => self.state.apply_task(entry.seq, entry.at, event)?,
            Event::Control(event) => self.state.apply_control(entry.at, event)?,
            Event::Run(_) => return Err(Misfit("a scheduler on its own runs no workflows")),
        }
        self.observe(entry);
        self.guards.observe(&self.state, entry);
        Ok(())
    }

    /// A decision becomes a fact, and so does what guards want because of it.
    pub(super) fn emit(&mut self, event: impl Into<Event>, tx: &mut Tx<'_>) {
        self.state_fact(event.into(), tx);
        self.heed(tx);
    }

    /// A decision becomes a fact: effects are derived, the state changes, the strategies see it, the caller gets it.
    pub(super) fn state_fact(&mut self, event: Event, tx: &mut Tx<'_>) {
        let entry = tx.entry(event);
        self.derive(&entry, tx.out);
        let applied = self.replay(&entry);
        debug_assert_eq!(applied, Ok(()), "the core decided {entry:?}, which does not follow");
        self.derive_after(&entry, tx.out);
        tx.record(entry);
    }

    /// Effects that depend on how things stood before the fact: an agent must stop what it still does.
    fn derive(&self, entry: &Entry, out: &mut Outbox) {
        let Event::Task(event) = &entry.event else { return };
        let id = if let TaskEvent::Yielded { attempt, maybe: true, .. } = event {
            // By its silence, for all that can be told: it may still be at it.
            attempt.task()
        } else if let TaskEvent::CancelRequested { task, .. } | TaskEvent::Expired { task, .. } = event {
            *task
        } else if let TaskEvent::AttemptFailed { attempt, failure, .. } = event
            && failure.kind == FailureKind::Unknown
        {
            attempt.task()
        } else {
            return;
        };
        let Some(task) = self.state.get(id) else { return };
        let Some(running) = task.running() else { return };
        if self.state.fleet.living(running.by).is_some() {
            out.ask(Effect::Cancel { attempt: AttemptId::new(id, task.attempts), from: running.by });
        }
    }

    fn derive_after(&self, entry: &Entry, out: &mut Outbox) {
        if let Event::Control(ControlEvent::Scaling { agents, advised, .. }) = &entry.event {
            out.ask(Effect::Scale { fact: entry.seq, agents: *agents, advised: *advised });
        }
        if let Event::Task(TaskEvent::Assigned { attempt, .. }) = &entry.event
            && let Some(dispatch) = self.dispatch_effect(attempt.task())
        {
            out.ask(dispatch);
        }
        if let Event::Task(TaskEvent::YieldRequested { attempt, .. }) = &entry.event
            && let Some(ask) = self.yield_effect(attempt.task())
        {
            out.ask(ask);
        }
    }

    fn yield_effect(&self, id: TaskId) -> Option<Effect> {
        let task = self.state.get(id)?;
        let running = task.running()?;
        let until = running.yielding.as_ref()?.at + self.config.limits.cancel_grace;
        Some(Effect::Yield { attempt: AttemptId::new(id, task.attempts), from: running.by, until })
    }

    pub(super) fn dispatch_effect(&self, id: TaskId) -> Option<Effect> {
        let task = self.state.get(id)?;
        let running = task.running()?;
        let begun = task.bounded && !running.unstarted;
        let timeout = if begun { task.spec.policy.attempt_timeout() } else { None };
        let timeout = timeout.map(|span| running.since + span);
        let total = task.bound().map(|(at, _)| at);
        Some(Effect::Dispatch {
            attempt: AttemptId::new(id, task.attempts),
            to: running.by,
            task: task.spec.clone(),
            until: [timeout, total].into_iter().flatten().min(),
        })
    }

    /// For whom a task is done.
    pub(crate) fn tenant_of(&self, id: TaskId) -> Option<Option<&Name>> {
        self.state.get(id).map(|task| task.spec.tenant.as_ref())
    }

    /// Who holds an attempt that is under way.
    pub(crate) fn holder_of(&self, attempt: AttemptId) -> Option<Incarnation> {
        let task = self.state.get(attempt.task()).filter(|task| task.attempts == attempt.number())?;
        task.running().map(|running| running.by)
    }

    /// Lets go of what the next decision would look at.
    pub(crate) fn decide_nothing(&mut self) {
        self.state.opened.clear();
    }

    fn observe(&mut self, entry: &Entry) {
        self.config.strategy.observe(entry);
        if let Some(turn) = self.config.strategy.turned() {
            self.guards.turned(None, &turn);
        }
        for (kind, strategy) in &mut self.config.by_kind {
            strategy.observe(entry);
            if let Some(turn) = strategy.turned() {
                self.guards.turned(Some(kind), &turn);
            }
        }
        if let Some(estimator) = &mut self.config.estimator {
            estimator.observe(entry);
        }
    }

    /// What is owed to the outside: the attempts that agents hold, and the cancellations that they have not answered.
    pub(crate) fn outstanding(&self, out: &mut Outbox) {
        let mut held: Vec<TaskId> = self
            .state
            .fleet
            .iter()
            .flat_map(|(_, member)| &member.held)
            .filter_map(|slot| Some(self.state.tasks.get(*slot)?.spec.id))
            .collect();
        held.sort_unstable();
        for id in held {
            if let Some(dispatch) = self.dispatch_effect(id) {
                out.ask(dispatch);
            }
            if let Some(ask) = self.yield_effect(id) {
                out.ask(ask);
            }
            if let Some(task) = self.state.get(id)
                && let Some(running) = task.running()
                && running.cancel.is_some()
            {
                out.ask(Effect::Cancel { attempt: AttemptId::new(id, task.attempts), from: running.by });
            }
        }
    }

    pub(crate) fn next_wakeup(&self) -> Option<Time> {
        let next = [self.state.wheel.next(), self.guards.next_wakeup(), self.next_awaited(), self.next_aged()];
        next.into_iter().flatten().min()
    }

    pub(super) fn random(&self, tx: &Tx<'_>) -> Random {
        Random::new(self.config.seed, tx.next_seq().get())
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }
}
