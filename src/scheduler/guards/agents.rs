//! Guards of single agents, and of all of them as a pool.

use super::ward::{How, Want, Ward};
use super::{Attempt, Guards};
use crate::agent::{AgentStatus, Guard, Scope};
use crate::event::{AgentEvent, ControlEvent};
use crate::id::{AgentId, Incarnation};
use crate::resilience::outlier::Change;
use crate::scheduler::apply::state::State;
use crate::task::FailureKind;
use crate::time::Time;

/// All that bound single agents, in the order of their gates.
const ALL: [Guard; 4] = [Guard::Breaker, Guard::Outlier, Guard::Concurrency, Guard::Rate];

impl Guards {
    pub(super) fn agent_event(&mut self, state: &State, event: &AgentEvent, at: Time) {
        if !self.settings.watches_agents() {
            if let AgentEvent::Deregistered { by } | AgentEvent::Lost { by } = event {
                self.budgets.forget(&by.agent());
            }
            return;
        }
        match event {
            AgentEvent::Registered { by, spec } => {
                self.forget(by.agent());
                self.take_in(*by, spec.slots());
                self.note_down(state, by.agent(), at);
            }
            AgentEvent::Updated { by, spec } => {
                if let Some(ward) = self.places.get(&by.agent()).and_then(|slot| self.wards.get_mut(*slot)) {
                    ward.set_capacity(spec.slots(), &self.settings);
                }
                self.stirred.insert(by.agent());
            }
            AgentEvent::Draining { by } => {
                self.note_down(state, by.agent(), at);
                self.sweep(state, at);
            }
            AgentEvent::Deregistered { by } | AgentEvent::Lost { by } => {
                self.forget(by.agent());
                self.budgets.forget(&by.agent());
                self.sweep(state, at);
            }
            AgentEvent::Throttled { .. } => {}
        }
    }

    fn take_in(&mut self, by: Incarnation, capacity: u32) {
        let slot = self.wards.insert(Ward::new(by, capacity, &self.settings));
        self.places.insert(by.agent(), slot);
        self.stirred.insert(by.agent());
        if self.settings.outliers.is_some() {
            self.pool.join(by.agent());
        }
    }

    fn forget(&mut self, agent: AgentId) {
        if let Some(slot) = self.places.remove(&agent) {
            self.wards.remove(slot);
        }
        self.pool.leave(agent);
    }

    /// An operator has paused or resumed something.
    pub(super) fn pause(&mut self, state: &State, scope: &Scope, at: Time) {
        if let Scope::Agent(agent) = scope {
            self.note_down(state, *agent, at);
            self.sweep(state, at);
        }
    }

    /// Tells the pool whether the agent is out for a reason that the pool does not see.
    fn note_down(&mut self, state: &State, agent: AgentId, now: Time) {
        if self.settings.outliers.is_none() {
            return;
        }
        let Some(member) = state.fleet.by_id(agent) else { return };
        let open = self.ward(agent).and_then(|ward| ward.breaker(&self.settings, now));
        let open = open.is_some_and(|(slots, _)| slots == 0);
        self.pool.set_down(agent, open || member.paused.is_some() || member.status != AgentStatus::Online);
    }

    fn ward(&self, agent: AgentId) -> Option<&Ward> {
        self.wards.get(*self.places.get(&agent)?)
    }

    /// Tells the pool how an attempt has ended.
    pub(super) fn judge(&mut self, agent: AgentId, how: How, at: Time) {
        let Some(rules) = &self.settings.outliers else { return };
        let well = match how {
            How::Well => true,
            How::Badly(FailureKind::Transient | FailureKind::Overloaded | FailureKind::Unknown) => false,
            How::Badly(FailureKind::Permanent) | How::Neither => return,
        };
        if self.pool.record(rules, agent, well, at).is_some() {
            self.stirred.insert(agent);
            // Whoever is left out returns, perhaps before the next look.
            self.sweep_at = None;
        }
        self.expect_sweep();
    }

    /// Something has happened that the next sweep looks at. To find out when that is takes a look at everybody, so it is
    /// asked once for each sweep.
    pub(super) fn expect_sweep(&mut self) {
        if self.settings.outliers.is_some() && self.sweep_at.is_none() {
            self.sweep_at = self.pool.next_wakeup();
        }
    }

    /// After a sweep: nobody need look again while all are fit and nothing happens.
    fn expect_if_lively(&mut self) {
        self.sweep_at = None;
        if self.pool.in_panic() || self.pool.ejected() > 0 {
            self.expect_sweep();
        }
    }

    /// Lets the pool look at everything.
    pub(super) fn sweep(&mut self, state: &State, now: Time) {
        let Some(rules) = self.settings.outliers else { return };
        let agents: Vec<AgentId> = self.wards.iter().map(|(_, ward)| ward.agent()).collect();
        agents.iter().for_each(|agent| self.note_down(state, *agent, now));
        let mut changes = Vec::new();
        self.pool.sweep(&rules, now, &mut changes);
        self.expect_if_lively();
        for change in changes {
            match change {
                Change::Ejected { agent, .. } | Change::Returned { agent } => {
                    self.stirred.insert(agent);
                }
                Change::Panicked | Change::Calmed => self.stirred.extend(&agents),
            }
        }
    }

    /// Whether the panic is on record as it is.
    pub(super) fn panic(&self, state: &State) -> Option<ControlEvent> {
        let panic = self.settings.outliers.is_some() && self.pool.in_panic();
        if panic == state.standing.panic {
            return None;
        }
        let (fit, of) = self.pool.fit();
        let [fit, of] = [fit, of].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        Some(if panic { ControlEvent::Panicked { fit, of } } else { ControlEvent::Calmed { fit, of } })
    }

    /// What a guard wants of an agent.
    fn wish(&self, agent: AgentId, guard: Guard, now: Time) -> Want {
        let ward = self.ward(agent)?;
        match guard {
            Guard::Breaker if self.pool.in_panic() => None,
            Guard::Breaker => ward.breaker(&self.settings, now),
            Guard::Outlier => self.pool.ejected_until(agent).filter(|until| *until > now).map(|until| (0, Some(until))),
            Guard::Concurrency => ward.limit(),
            Guard::Rate => ward.rate(&self.settings, now),
        }
    }

    /// States what is not on record of an agent.
    pub(super) fn compare(&mut self, state: &State, agent: AgentId, now: Time) {
        let Some(member) = state.fleet.by_id(agent) else { return };
        for guard in ALL {
            let gate = member.gates.iter().find(|gate| gate.guard == guard).map(|gate| (gate.slots, gate.until));
            let wish = self.wish(agent, guard, now);
            if wish != gate {
                self.wanted.push_back(self.throttled(member.by, guard, wish).into());
            }
        }
    }

    fn throttled(&self, by: Incarnation, guard: Guard, wish: Want) -> AgentEvent {
        let shut = guard == Guard::Breaker && wish.is_some_and(|(slots, _)| slots == 0);
        let why = if shut { self.ward(by.agent()).and_then(Ward::why) } else { None };
        let (slots, until) = wish.map_or((None, None), |(slots, until)| (Some(slots), until));
        AgentEvent::Throttled { by, guard, slots, until, why }
    }

    /// What a guard says whose gate is due.
    pub(super) fn again(&mut self, state: &State, by: Incarnation, guard: Guard, now: Time) -> AgentEvent {
        if guard == Guard::Outlier && self.on {
            self.sweep(state, now);
        }
        let wish = self.wish(by.agent(), guard, now);
        self.throttled(by, guard, wish)
    }

    /// Every agent may be held back otherwise than guards want.
    pub(super) fn stir_all(&mut self, state: &State) {
        // Guards that were there may be gone: what they wanted is taken back.
        let gated = state.fleet.iter().any(|(_, member)| !member.gates.is_empty());
        self.on |= gated || !state.standing.is_calm();
        self.stirred.extend(state.fleet.iter().map(|(_, member)| member.by.agent()));
    }

    /// Who is left out, and whether that is suspended, is what is on record.
    pub(super) fn follow_pool(&mut self, state: &State) {
        if self.settings.outliers.is_none() {
            return;
        }
        self.pool.hold_panic(state.standing.panic);
        if !state.standing.panic {
            for (_, member) in state.fleet.iter() {
                let gate = member.gates.iter().find(|gate| gate.guard == Guard::Outlier);
                self.pool.hold(member.by.agent(), gate.and_then(|gate| gate.until));
            }
        }
        self.sweep_at = None;
        self.expect_sweep();
    }

    pub(super) fn recall_agents(&mut self, state: &State, at: Time) {
        if !self.settings.watches_agents() {
            return;
        }
        for (_, member) in state.fleet.iter() {
            self.take_in(member.by, member.spec.slots());
            for gate in &member.gates {
                self.recall_gate(member.by.agent(), (gate.guard, gate.slots, gate.until), at);
            }
            for slot in &member.held {
                let Some(task) = state.tasks.get(*slot) else { continue };
                let since = task.running().map_or(at, |running| running.since);
                self.resume(task.spec.id, member.by, since, at);
            }
            self.note_down(state, member.by.agent(), at);
        }
        if state.standing.panic {
            self.pool.hold_panic(true);
        }
    }

    fn recall_gate(&mut self, agent: AgentId, (guard, slots, until): (Guard, u32, Option<Time>), at: Time) {
        let Some(ward) = self.places.get(&agent).and_then(|slot| self.wards.get_mut(*slot)) else { return };
        match guard {
            Guard::Breaker if self.settings.breaker.is_some() => ward.recall_breaker(until.unwrap_or(at)),
            Guard::Breaker => {}
            Guard::Outlier => self.pool.hold(agent, until),
            Guard::Concurrency => ward.recall_limit(slots),
            Guard::Rate => ward.recall_rate(&self.settings, at),
        }
    }

    /// An attempt that was under way when the snapshot was taken: a probe of a breaker that let some through.
    fn resume(&mut self, task: crate::id::TaskId, by: Incarnation, since: Time, at: Time) {
        let Some(slot) = self.places.get(&by.agent()).copied() else { return };
        let Some(ward) = self.wards.get_mut(slot) else { return };
        let ticket = ward.carry(&self.settings, at);
        self.attempts.insert(task, Attempt { ward: slot, by, since, ticket });
    }
}
