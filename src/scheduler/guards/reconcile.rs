//! Reconciliation of agent guards: the bounds of the guards of single agents and of the pool are compared with the
//! gates in the state.

use super::agent_guards::{AgentGuards, Ending, TargetBound};
use super::{Attempt, Guards};
use crate::base::id::{AgentId, Incarnation, TaskId};
use crate::base::structure::Slot;
use crate::base::time::Time;
use crate::message::event::{AgentEvent, ControlEvent};
use crate::resilience::outlier::Change;
use crate::scheduler::apply::State;
use crate::scheduler::index::Gate;
use crate::task::FailureKind;
use crate::task::agent::{AgentStatus, Guard, Scope};

/// All agent guards, in the order of their gates.
const ALL: [Guard; 4] = [Guard::Breaker, Guard::Outlier, Guard::Concurrency, Guard::Rate];

impl Guards {
    pub(super) fn agent_event(&mut self, state: &State, by: Incarnation, event: &AgentEvent, at: Time) {
        if !self.settings.watches_agents() {
            if let AgentEvent::Deregistered | AgentEvent::Lost = event {
                self.budgets.forget(&by.agent());
            }
            return;
        }
        match event {
            AgentEvent::Registered { spec } => {
                self.forget(by.agent());
                self.add(state, by, spec.slots());
                self.set_down(state, by.agent(), at);
            }
            AgentEvent::Updated { spec } => {
                if let Some(guards) = self.by_agent.get(&by.agent()).and_then(|slot| self.agents.get_mut(*slot)) {
                    guards.set_capacity(spec.slots(), &self.settings);
                }
                self.dirty.insert(by.agent());
            }
            AgentEvent::Draining => {
                self.set_down(state, by.agent(), at);
                self.sweep(state, at);
            }
            AgentEvent::Deregistered | AgentEvent::Lost => {
                self.forget(by.agent());
                self.budgets.forget(&by.agent());
                self.sweep(state, at);
            }
            AgentEvent::Throttled { .. } => {}
        }
    }

    fn add(&mut self, state: &State, by: Incarnation, capacity: u32) {
        let slot = self.agents.insert(AgentGuards::new(by, capacity, &self.settings));
        if let Some(at) = state.index().fleet().current(by) {
            self.by_index.resize(self.by_index.len().max(at.index() + 1), None);
            if let Some(place) = self.by_index.get_mut(at.index()) {
                *place = Some(slot);
            }
        }
        self.by_agent.insert(by.agent(), slot);
        self.dirty.insert(by.agent());
        if self.settings.outliers.is_some() {
            self.pool.join(by.agent());
        }
    }

    fn forget(&mut self, agent: AgentId) {
        if let Some(slot) = self.by_agent.remove(&agent) {
            self.agents.remove(slot);
        }
        self.pool.leave(agent);
    }

    /// Observes that an operator has paused or resumed a scope.
    pub(super) fn pause(&mut self, state: &State, scope: &Scope, at: Time) {
        if let Scope::Agent(agent) = scope {
            self.set_down(state, *agent, at);
            self.sweep(state, at);
        }
    }

    /// Updates in the pool whether the agent is down for a reason that the pool does not observe.
    fn set_down(&mut self, state: &State, agent: AgentId, now: Time) {
        if self.settings.outliers.is_none() {
            return;
        }
        let Some(member) = state.index().fleet().by_id(agent) else { return };
        let breaker = self.guards_of(agent).and_then(|guards| guards.breaker(&self.settings, now));
        let open = breaker.is_some_and(|target| target.is_closed());
        self.pool.set_down(agent, open || member.paused.is_some() || member.status != AgentStatus::Online);
    }

    fn guards_of(&self, agent: AgentId) -> Option<&AgentGuards> {
        self.agents.get(*self.by_agent.get(&agent)?)
    }

    /// Lets the pool count the successes of an agent up to now.
    pub(super) fn count_well(&mut self, slot: Slot) {
        if let Some(guards) = self.agents.get_mut(slot) {
            self.pool.record_well(guards.by.agent(), core::mem::take(&mut guards.well));
        }
    }

    /// Records in the pool that an attempt has ended without success, if that shows something about the agent.
    pub(super) fn record_failure(&mut self, agent: AgentId, ending: Ending, at: Time) {
        let Some(rules) = &self.settings.outliers else { return };
        match ending {
            Ending::Failure(FailureKind::Transient | FailureKind::Overloaded | FailureKind::Unknown) => {}
            Ending::Success | Ending::Failure(FailureKind::Permanent) | Ending::Neutral => return,
        }
        if self.pool.record(rules, agent, false, at).is_some() {
            self.dirty.insert(agent);
            // The return of an ejected agent may be due before the next sweep.
            self.sweep_at = None;
        }
        self.schedule_sweep();
    }

    /// Schedules the next sweep, if none is scheduled. Computing its time visits every agent, so it is done once per
    /// sweep.
    pub(super) fn schedule_sweep(&mut self) {
        if self.settings.outliers.is_some() && self.sweep_at.is_none() {
            self.sweep_at = self.pool.next_wakeup();
        }
    }

    /// Evaluates every agent of the pool. The next sweep is scheduled only while some agents are not healthy.
    pub(super) fn sweep(&mut self, state: &State, now: Time) {
        let Some(rules) = self.settings.outliers else { return };
        let slots: Vec<Slot> = self.agents.iter().map(|(slot, _)| slot).collect();
        slots.into_iter().for_each(|slot| self.count_well(slot));
        let agents: Vec<AgentId> = self.agents.iter().map(|(_, guards)| guards.agent()).collect();
        agents.iter().for_each(|agent| self.set_down(state, *agent, now));
        let mut changes = Vec::new();
        self.pool.sweep(&rules, now, &mut changes);
        self.sweep_at = None;
        if self.pool.in_panic() || self.pool.ejected() > 0 {
            self.schedule_sweep();
        }
        for change in changes {
            match change {
                Change::Ejected { agent, .. } | Change::Returned { agent } => {
                    self.dirty.insert(agent);
                }
                Change::Panicked | Change::Calmed => self.dirty.extend(&agents),
            }
        }
    }

    /// Whether the pool is in panic mode.
    pub(super) fn panics(&self) -> bool {
        self.settings.outliers.is_some() && self.pool.in_panic()
    }

    /// The event that sets the panic mode of the state to that of the pool, if they differ.
    pub(super) fn panic(&self, state: &State) -> Option<ControlEvent> {
        let panic = self.panics();
        if panic == state.standing().panic {
            return None;
        }
        let (fit, of) = self.pool.fit();
        let [fit, of] = [fit, of].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        Some(if panic { ControlEvent::Panicked { fit, of } } else { ControlEvent::Calmed { fit, of } })
    }

    /// The bound that a guard computes for an agent.
    fn target(&self, agent: AgentId, guard: Guard, now: Time) -> Option<TargetBound> {
        let guards = self.guards_of(agent)?;
        match guard {
            Guard::Breaker if self.pool.in_panic() => None,
            Guard::Breaker => guards.breaker(&self.settings, now),
            Guard::Outlier => self.pool.ejected_until(agent).filter(|until| *until > now).map(TargetBound::none_until),
            Guard::Concurrency => guards.limit(),
            Guard::Rate => guards.rate(&self.settings, now),
        }
    }

    /// Queues the events that set the gates of an agent to the bounds of its guards.
    pub(super) fn compare(&mut self, state: &State, agent: AgentId, now: Time) {
        let Some(member) = state.index().fleet().by_id(agent) else { return };
        for guard in ALL {
            let gate = member.gates.iter().find(|gate| gate.guard == guard);
            let gate = gate.map(|gate| TargetBound { slots: gate.slots, until: gate.until });
            let target = self.target(agent, guard, now);
            if target != gate {
                self.pending.push_back(self.throttled(member.by, guard, target).of(member.by));
            }
        }
    }

    fn throttled(&self, by: Incarnation, guard: Guard, target: Option<TargetBound>) -> AgentEvent {
        let closed = guard == Guard::Breaker && target.is_some_and(|target| target.is_closed());
        let reason = if closed { self.guards_of(by.agent()).and_then(AgentGuards::why) } else { None };
        let (slots, until) = (target.map(|target| target.slots), target.and_then(|target| target.until));
        AgentEvent::Throttled { guard, slots, until, reason }
    }

    /// The event for a gate whose time has come, with the bound that its guard computes now.
    pub(in crate::scheduler) fn evaluate(
        &mut self,
        state: &State,
        by: Incarnation,
        guard: Guard,
        now: Time,
    ) -> AgentEvent {
        if guard == Guard::Outlier && self.on {
            self.sweep(state, now);
        }
        let target = self.target(by.agent(), guard, now);
        self.throttled(by, guard, target)
    }

    /// After a restart: marks all agents as dirty.
    pub(super) fn mark_all(&mut self, state: &State) {
        // The configuration may have fewer guards than before: the gates of removed guards are opened.
        let members = || state.index().fleet().iter().map(|(_, member)| member);
        let gated = members().any(|member| !member.gates.is_empty());
        self.on |= gated || !state.standing().is_normal();
        self.dirty.extend(members().map(|member| member.by.agent()));
    }

    /// After a restart: ejects the agents with a gate of outlier ejection in the pool, unless panic mode suspends
    /// ejections.
    pub(super) fn resume_pool(&mut self, state: &State) {
        if self.settings.outliers.is_none() {
            return;
        }
        let panic = state.standing().panic;
        self.pool.hold_panic(panic);
        for (_, member) in state.index().fleet().iter().filter(|_| !panic) {
            let gate = member.gates.iter().find(|gate| gate.guard == Guard::Outlier);
            self.pool.hold(member.by.agent(), gate.and_then(|gate| gate.until));
        }
        self.sweep_at = None;
        self.schedule_sweep();
    }

    pub(super) fn restore_agents(&mut self, state: &State, at: Time) {
        if !self.settings.watches_agents() {
            return;
        }
        for (_, member) in state.index().fleet().iter() {
            self.add(state, member.by, member.spec.slots());
            for gate in &member.gates {
                self.restore_gate(member.by.agent(), gate, at);
            }
            for task in member.held.iter().filter_map(|task| state.tasks().get(*task)) {
                let since = task.running().map_or(at, |running| running.since);
                self.restore_attempt(task.id(), member.by, since, at);
            }
            self.set_down(state, member.by.agent(), at);
        }
        if state.standing().panic {
            self.pool.hold_panic(true);
        }
    }

    fn restore_gate(&mut self, agent: AgentId, gate: &Gate, at: Time) {
        let Some(guards) = self.by_agent.get(&agent).and_then(|slot| self.agents.get_mut(*slot)) else { return };
        match gate.guard {
            Guard::Breaker if self.settings.breaker.is_some() => guards.restore_breaker(gate.until.unwrap_or(at)),
            Guard::Breaker => {}
            Guard::Outlier => self.pool.hold(agent, gate.until),
            Guard::Concurrency => guards.restore_limit(gate.slots),
            Guard::Rate => guards.restore_rate(&self.settings, at),
        }
    }

    /// Restores an attempt that was under way when the snapshot was taken. It is a probe if the breaker is half open.
    fn restore_attempt(&mut self, task: TaskId, by: Incarnation, since: Time, at: Time) {
        let Some(slot) = self.by_agent.get(&by.agent()).copied() else { return };
        let Some(guards) = self.agents.get_mut(slot) else { return };
        let ticket = guards.carry(&self.settings, at);
        self.attempts.insert(task, Attempt { guards: slot, by, since, ticket });
    }
}
