//! Events of agents.

use super::State;
use crate::base::id::{AgentId, Incarnation};
use crate::base::time::Time;
use crate::message::event::AgentEvent;
use crate::scheduler::inconsistent::{Applied, InconsistentEvent};
use crate::scheduler::index::{Bound, Reopened};
use crate::scheduler::ix::AgentIx;
use crate::task::agent::AgentSpec;
use std::sync::Arc;

impl State {
    pub(super) fn apply_agent(&mut self, at: Time, by: Incarnation, event: &AgentEvent) -> Applied {
        match event {
            AgentEvent::Registered { spec } => self.registered(at, by, spec),
            AgentEvent::Updated { spec } => self.updated(by, spec),
            AgentEvent::Draining => {
                let agent = self.current(by)?;
                self.index.drain(agent)
            }
            AgentEvent::Deregistered | AgentEvent::Lost => {
                self.current(by)?;
                self.remove_agent(by.agent())
            }
            AgentEvent::Throttled { guard, slots, until, .. } => {
                let agent = self.current(by)?;
                self.bound(agent, Bound::Gate { guard: *guard, slots: *slots, until: *until })?;
                self.index.fleet_mut().set_gate_timer(agent, &mut self.timers)
            }
        }
    }

    fn current(&self, by: Incarnation) -> Applied<AgentIx> {
        self.index
            .fleet()
            .current(by)
            .ok_or(InconsistentEvent("the incarnation of an event is not the current one of its agent"))
    }

    fn registered(&mut self, at: Time, by: Incarnation, spec: &Arc<AgentSpec>) -> Applied {
        if by.agent() != spec.id || Some(by.number()) != self.incarnations.checked_add(1) {
            return Err(InconsistentEvent("the number of a registered incarnation is not the next one"));
        }
        self.incarnations = by.number();
        let paused = self.index.fleet().by_id(spec.id).and_then(|member| member.paused.clone());
        self.remove_agent(spec.id)?;
        let agent = self.index.register(by, spec, paused.as_ref(), at)?;
        self.separate(spec.tenants.iter().flatten())?;
        self.index.fleet_mut().set_lease_timer(agent, &mut self.timers)
    }

    fn updated(&mut self, by: Incarnation, spec: &Arc<AgentSpec>) -> Applied {
        let agent = self.current(by)?;
        if spec.id != by.agent() {
            return Err(InconsistentEvent("an update changes the id of an agent"));
        }
        self.index.update(agent, spec)?;
        self.separate(spec.tenants.iter().flatten())?;
        self.index.fleet_mut().set_lease_timer(agent, &mut self.timers)
    }

    /// Removes the agent, if it is registered, and orphans its attempts.
    fn remove_agent(&mut self, id: AgentId) -> Applied {
        let held = self.index.remove(id, &mut self.timers)?;
        held.into_iter().try_for_each(|task| self.tasks.orphan(task))
    }

    /// Changes a bound of an agent, and reopens the classes whose tasks may begin because of it: the agent may have
    /// room, or backups may have become eligible.
    pub(super) fn bound(&mut self, agent: AgentIx, bound: Bound<'_>) -> Applied {
        match self.index.set_bound(agent, bound)? {
            Reopened::None => {}
            Reopened::Any => self.queues.reopen_ready(|_| true),
            Reopened::Of(agent) => {
                let serves = self.index.fleet().get(agent).map(|member| &member.classes);
                self.queues.reopen_ready(|class| serves.is_some_and(|classes| classes.contains(class.index())));
            }
        }
        Ok(())
    }
}
