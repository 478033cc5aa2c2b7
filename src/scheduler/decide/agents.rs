//! Commands about agents: they come, change, drain, leave, and give signs of life.

use crate::agent::{AgentSpec, AgentStatus};
use crate::command::{Accepted, AgentCommand};
use crate::event::AgentEvent;
use crate::id::{AgentId, Incarnation};
use crate::rejected::{Forbidden, Invalid, Overload, Rejected, Stale, Unknown};
use crate::scheduler::decide::submit::{bounded, named};
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::structure::Slot;
use crate::time::Time;
use std::sync::Arc;

impl Core {
    pub(crate) fn agent(&mut self, command: AgentCommand, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        match command {
            AgentCommand::Register(spec) => self.register(spec, tx),
            AgentCommand::Update { by, spec } => self.update(by, spec, tx),
            AgentCommand::Heartbeat { by } => {
                self.state.fleet.living(by).ok_or(Rejected::Stale(Stale::Incarnation(by)))?;
                self.heard(by, tx.now);
                Ok(Accepted::Done)
            }
            AgentCommand::Drain { agent } => self.drain(agent, tx),
            AgentCommand::Deregister { agent } => self.deregister(agent, tx),
            AgentCommand::Complete { by, attempt, output, usage } => self.complete(by, attempt, output, usage, tx),
            AgentCommand::Poll { by, most } => self.poll(by, most, tx),
            AgentCommand::Start { by, attempt } => self.start(by, attempt, tx),
            AgentCommand::Yield { by, attempt } => self.give_up(by, attempt, tx),
            AgentCommand::Fail { by, attempt, failure, usage } => self.fail(by, attempt, failure, usage, tx),
        }
    }

    fn register(&mut self, spec: AgentSpec, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        self.may_be(&spec)?;
        let known = self.state.fleet.place_of(spec.id).is_some();
        if !known && self.state.fleet.len() >= self.config.limits.agents as usize {
            let limit = self.config.limits.agents.into();
            return Err(Rejected::Capacity(Overload::AtCapacity { what: "agents".into(), limit, retry_after: None }));
        }
        let by = Incarnation::new(spec.id, self.state.lives.saturating_add(1));
        self.emit(AgentEvent::Registered { by, spec: Arc::new(spec) }, tx);
        if known {
            self.without(tx);
        } else {
            self.pump_newcomer(by, tx);
        }
        Ok(Accepted::Registered(by))
    }

    fn update(&mut self, by: Incarnation, spec: AgentSpec, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let place = self.state.fleet.living(by).ok_or(Rejected::Stale(Stale::Incarnation(by)))?;
        if spec.id != by.agent() {
            return Err(Rejected::Forbidden(Forbidden::ForeignAgent { by, agent: spec.id }));
        }
        self.may_be(&spec)?;
        self.heard(by, tx.now);
        if self.state.fleet.at(place.index()).is_some_and(|member| *member.spec == spec) {
            return Ok(Accepted::Repeated);
        }
        self.emit(AgentEvent::Updated { by, spec: Arc::new(spec) }, tx);
        self.pump_all(tx);
        self.retire(tx);
        Ok(Accepted::Done)
    }

    fn may_be(&self, spec: &AgentSpec) -> Result<(), Rejected> {
        let limits = &self.config.limits;
        if spec.id.is_engine_made() {
            return Err(Rejected::Invalid(Invalid::ReservedId(spec.id.get())));
        }
        if spec.capacity == 0 {
            return Err(Rejected::Invalid(Invalid::NoCapacity(spec.id)));
        }
        bounded("agent_capacity", spec.slots() as usize, limits.agent_capacity)?;
        bounded("list_len", spec.skills.len(), limits.list_len)?;
        bounded("list_len", spec.labels.len(), limits.list_len)?;
        bounded("list_len", spec.amounts.len(), limits.list_len)?;
        spec.amounts.keys().try_for_each(|name| named("resource", name, limits))?;
        spec.skills.keys().try_for_each(|skill| named("skill", skill, limits))?;
        for (label, value) in &spec.labels {
            named("label", label, limits)?;
            bounded("name_bytes", value.len(), limits.name_bytes)?;
        }
        spec.name.as_ref().map_or(Ok(()), |name| named("agent", name, limits))
    }

    fn drain(&mut self, agent: AgentId, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let member = self.state.fleet.by_id(agent).ok_or(Rejected::Unknown(Unknown::Agent(agent)))?;
        if member.status == AgentStatus::Draining {
            return Ok(Accepted::Repeated);
        }
        let by = member.by;
        self.emit(AgentEvent::Draining { by }, tx);
        self.pump_all(tx);
        self.retire(tx);
        Ok(Accepted::Done)
    }

    fn deregister(&mut self, agent: AgentId, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let by = self.state.fleet.by_id(agent).ok_or(Rejected::Unknown(Unknown::Agent(agent)))?.by;
        self.emit(AgentEvent::Deregistered { by }, tx);
        self.without(tx);
        Ok(Accepted::Done)
    }

    /// When the agent's lease runs out if it is not heard again.
    pub(crate) fn lease_until(&self, by: Incarnation) -> Option<Time> {
        let place = self.state.fleet.living(by)?;
        let member = self.state.fleet.at(place.index())?;
        member.spec.lease.map(|lease| member.heard + lease)
    }

    /// The agent's lease has run out, unless it has been heard since the timer was set.
    pub(crate) fn lease_due(&mut self, by: Incarnation, tx: &mut Tx<'_>) {
        let Some(place) = self.state.fleet.living(by) else { return };
        if self.lease_until(by).is_none_or(|until| until > tx.now) {
            self.state.set_lease(place);
            return;
        }
        self.emit(AgentEvent::Lost { by }, tx);
        self.without(tx);
    }

    /// What follows when a life is over: its attempts have failed, and tasks that avoided others may avoid them no more.
    fn without(&mut self, tx: &mut Tx<'_>) {
        self.settle_owed(tx);
        self.pump_all(tx);
        self.retire(tx);
    }

    fn pump_newcomer(&mut self, by: Incarnation, tx: &mut Tx<'_>) {
        if let Some(place) = self.state.fleet.living(by) {
            self.pump_agent(place, tx);
        }
        self.retire(tx);
    }

    /// Any word of an agent is a sign of life.
    pub(crate) fn heard(&mut self, by: Incarnation, now: Time) {
        if let Some(place) = self.state.fleet.living(by) {
            self.state.fleet.change(place, |member| member.heard = now);
        }
    }

    /// After a restore nobody could have been heard: every lease starts anew.
    pub(crate) fn renew_leases(&mut self, now: Time) {
        let places: Vec<Slot> = self.state.fleet.iter().map(|(place, _)| place).collect();
        for place in places {
            self.state.fleet.change(place, |member| member.heard = now);
        }
    }
}
