//! Application of the events that concern the whole scheduler.

use super::State;
use crate::base::id::Seq;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::event::ControlEvent;
use crate::scheduler::inconsistent::{Applied, InconsistentEvent};
use crate::scheduler::index::Bound;
use crate::scheduler::ix::AccountIx;
use crate::task::agent::Scope;

impl State {
    pub(super) fn apply_control(&mut self, (seq, at): (Seq, Time), event: &ControlEvent) -> Applied {
        self.standing.apply(event)?;
        match event {
            ControlEvent::Paused { scope, reason } => self.set_paused(at, scope, Some(reason)),
            ControlEvent::Resumed { scope } => self.set_paused(at, scope, None),
            ControlEvent::TasksPrioritised { tasks, tier, .. } => {
                tasks.iter().try_for_each(|task| self.set_tier(*task, *tier))
            }
            ControlEvent::TasksForgotten { tasks } => tasks.iter().try_for_each(|task| self.tasks.forget(*task)),
            ControlEvent::Unroutable(work) => {
                let task = self.tasks.at(self.tasks.known(work.task)?)?;
                let class = task.class().ok_or(InconsistentEvent("the task of a report does not wait for an agent"))?;
                self.index.report(class, task.room(), seq)
            }
            ControlEvent::Routable { report } => self.index.end_report(*report),
            ControlEvent::RunsForgotten { .. } => Err(InconsistentEvent("a scheduler without an engine has no runs")),
            // Applied to the standing above.
            ControlEvent::Identified { .. }
            | ControlEvent::Panicked { .. }
            | ControlEvent::Calmed { .. }
            | ControlEvent::Shedding { .. }
            | ControlEvent::Degraded { .. }
            | ControlEvent::Rerouted { .. }
            | ControlEvent::Scaling { .. }
            | ControlEvent::ClockJumped { .. }
            | ControlEvent::ClockConfirmed { .. }
            | ControlEvent::ClockReturned => Ok(()),
        }
    }

    fn set_paused(&mut self, at: Time, scope: &Scope, reason: Option<&Name>) -> Applied {
        let account = match scope {
            Scope::Tenant(name) => AccountIx::Tenant(self.queues.tenant(name)),
            Scope::Kind(name) => AccountIx::Kind(self.queues.kind(name)),
            Scope::Agent(id) => {
                let agent = self.index.fleet().index_of(*id);
                let agent = agent.ok_or(InconsistentEvent("the paused or resumed agent is unknown"))?;
                return self.bound(agent, Bound::Pause(reason));
            }
        };
        self.queues.set_paused(account, reason, at, &mut self.timers)
    }
}
