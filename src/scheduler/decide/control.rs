//! Operators pause and resume tenants, kinds and agents.

use crate::agent::Scope;
use crate::command::{Accepted, ControlCommand};
use crate::event::ControlEvent;
use crate::name::Name;
use crate::rejected::{Overload, Rejected, Unknown};
use crate::scheduler::apply::state::{Misfit, State};
use crate::scheduler::decide::submit::{bounded, named};
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::scheduler::queue::accounts::Parties;
use crate::time::Time;

impl Core {
    pub(crate) fn control(&mut self, command: ControlCommand, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        match command {
            ControlCommand::Pause { scope, reason } => self.pause(scope, reason, tx),
            ControlCommand::Resume { scope } => self.resume_scope(scope, tx),
        }
    }

    fn pause(&mut self, scope: Scope, reason: Name, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let limits = &self.config.limits;
        bounded("name_bytes", reason.len(), limits.name_bytes)?;
        match &scope {
            Scope::Tenant(name) => named("tenant", name, limits)?,
            Scope::Kind(name) => named("kind", name, limits)?,
            Scope::Agent(_) => {}
        }
        if self.is_paused(&scope)? {
            return Ok(Accepted::Repeated);
        }
        let paused = [&self.state.tenants, &self.state.kinds].map(Parties::paused).iter().sum::<usize>();
        if paused >= limits.list_len as usize {
            let limit = limits.list_len.into();
            return Err(Rejected::Capacity(Overload::AtCapacity { what: "list_len".into(), limit, retry_after: None }));
        }
        self.emit(ControlEvent::Paused { scope, reason }, tx);
        self.settle_and_pump(None, tx);
        Ok(Accepted::Done)
    }

    fn resume_scope(&mut self, scope: Scope, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        if !self.is_paused(&scope)? {
            return Ok(Accepted::Repeated);
        }
        let place = if let Scope::Agent(id) = &scope { self.state.fleet.place_of(*id) } else { None };
        self.emit(ControlEvent::Resumed { scope }, tx);
        self.settle_and_pump(place, tx);
        self.retire(tx);
        Ok(Accepted::Done)
    }

    fn is_paused(&self, scope: &Scope) -> Result<bool, Rejected> {
        let paused = |parties: &Parties, name: &Name| {
            parties.find(name).and_then(|at| parties.get(at)).is_some_and(|party| party.paused.is_some())
        };
        match scope {
            Scope::Tenant(name) => Ok(paused(&self.state.tenants, name)),
            Scope::Kind(name) => Ok(paused(&self.state.kinds, name)),
            Scope::Agent(id) => {
                let member = self.state.fleet.by_id(*id).ok_or(Rejected::Unknown(Unknown::Agent(*id)))?;
                Ok(member.paused.is_some())
            }
        }
    }

    /// The rate of a tenant or a kind allows more.
    pub(crate) fn party_due(&mut self, tenant: Option<u32>, kind: Option<u32>, tx: &mut Tx<'_>) {
        if let Some(at) = tenant {
            self.state.tenants.rang(at);
            self.state.regate_tenant(at, tx.now);
        }
        if let Some(at) = kind {
            self.state.kinds.rang(at);
            self.state.regate_kind(at, tx.now);
        }
        self.settle_and_pump(None, tx);
        self.retire(tx);
    }
}

impl State {
    pub(crate) fn apply_control(&mut self, at: Time, event: &ControlEvent) -> Result<(), Misfit> {
        self.standing.apply(event);
        match event {
            ControlEvent::Paused { scope, reason } => self.set_paused(at, scope, Some(reason)),
            ControlEvent::Resumed { scope } => self.set_paused(at, scope, None),
            ControlEvent::Panicked { .. }
            | ControlEvent::Calmed { .. }
            | ControlEvent::Shedding { .. }
            | ControlEvent::Degraded { .. }
            | ControlEvent::Rerouted { .. }
            | ControlEvent::Scaling { .. } => Ok(()),
        }
    }

    fn set_paused(&mut self, at: Time, scope: &Scope, reason: Option<&Name>) -> Result<(), Misfit> {
        match scope {
            Scope::Tenant(name) => {
                let tenant = self.tenant_of(name);
                if let Some(party) = self.tenants.get_mut(tenant) {
                    party.paused = reason.cloned();
                }
                self.regate_tenant(tenant, at);
            }
            Scope::Kind(name) => {
                let kind = self.kind_of(name);
                if let Some(party) = self.kinds.get_mut(kind) {
                    party.paused = reason.cloned();
                }
                self.regate_kind(kind, at);
            }
            Scope::Agent(id) => {
                let place = self.fleet.place_of(*id).ok_or(Misfit("an unknown agent is paused or resumed"))?;
                self.bound(place, |member| member.paused = reason.cloned());
            }
        }
        Ok(())
    }
}
