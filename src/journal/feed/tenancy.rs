//! The tenants that entries belong to.

use crate::base::id::{Incarnation, RunId, TaskId};
use crate::base::name::Name;
use crate::base::structure::Table;
use crate::message::event::{AgentEvent, ControlEvent, Entry, Event, RunEvent, TaskEvent};
use crate::task::agent::{AgentSpec, Scope};
use std::collections::BTreeSet;

/// Finds the entries that concern only some tenants. It stores their tasks, runs and agents; when it has evicted one, the
/// entries about it are not included any more.
#[derive(Debug)]
pub(super) struct Tenancy {
    tenants: BTreeSet<Name>,
    tasks: Table<TaskId, ()>,
    runs: Table<RunId, ()>,
    agents: Table<Incarnation, ()>,
}

impl Tenancy {
    pub(super) fn new(tenants: BTreeSet<Name>, bound: usize) -> Self {
        Self { tenants, tasks: Table::new(bound), runs: Table::new(bound), agents: Table::new(bound) }
    }

    /// Only the tenants that are among these, too.
    pub(super) fn narrowed(mut self, to: &BTreeSet<Name>) -> Self {
        self.tenants.retain(|tenant| to.contains(tenant));
        self
    }

    pub(super) const fn tenants(&self) -> &BTreeSet<Name> {
        &self.tenants
    }

    /// Whether the next entry concerns these tenants and nothing else.
    pub(super) fn includes(&mut self, entry: &Entry) -> bool {
        match &entry.event {
            Event::Task { task, event } => self.task(*task, event),
            Event::Run { run, event } => self.run(*run, event),
            Event::Node { run, .. } => self.runs.get(run).is_some(),
            Event::Agent { agent, event } => self.agent(*agent, event),
            Event::Control(event) => self.control(event),
            Event::Catalogue(_) | Event::Schedule { .. } => false,
        }
    }

    fn has(&self, tenant: Option<&Name>) -> bool {
        tenant.is_some_and(|tenant| self.tenants.contains(tenant))
    }

    fn task(&mut self, task: TaskId, event: &TaskEvent) -> bool {
        match event {
            TaskEvent::Submitted { spec, .. } => {
                let own = self.has(spec.tenant.as_ref());
                if own {
                    self.tasks.insert(task, ());
                }
                own
            }
            TaskEvent::YieldRequested { reason, .. } => {
                let named = reason.by();
                self.tasks.get(&task).is_some() && named.is_none_or(|by| self.tasks.get(&by).is_some())
            }
            TaskEvent::Joined { to } => self.tasks.get(&task).is_some() && self.tasks.get(to).is_some(),
            TaskEvent::Ready
            | TaskEvent::Deferred { .. }
            | TaskEvent::Assigned { .. }
            | TaskEvent::Started { .. }
            | TaskEvent::Yielded { .. }
            | TaskEvent::AttemptFailed { .. }
            | TaskEvent::Used { .. }
            | TaskEvent::Heartbeat { .. }
            | TaskEvent::Answered { .. }
            | TaskEvent::Succeeded { .. }
            | TaskEvent::CancelRequested { .. }
            | TaskEvent::Cancelled { .. }
            | TaskEvent::Expired { .. }
            | TaskEvent::Discarded { .. }
            | TaskEvent::Rated { .. } => self.tasks.get(&task).is_some(),
        }
    }

    fn run(&mut self, run: RunId, event: &RunEvent) -> bool {
        if let RunEvent::Started { spec, .. } = event {
            let own = self.has(spec.tenant.as_ref());
            if own {
                self.runs.insert(run, ());
            }
            return own;
        }
        self.runs.get(&run).is_some()
    }

    fn agent(&mut self, agent: Incarnation, event: &AgentEvent) -> bool {
        if let AgentEvent::Registered { spec } | AgentEvent::Updated { spec } = event {
            if self.serves_no_other(spec) {
                self.agents.insert(agent, ());
            } else {
                self.agents.remove(&agent);
            }
        }
        self.agents.get(&agent).is_some()
    }

    fn serves_no_other(&self, agent: &AgentSpec) -> bool {
        agent.tenants.as_ref().is_some_and(|tenants| tenants.is_subset(&self.tenants))
    }

    fn control(&mut self, event: &ControlEvent) -> bool {
        match event {
            ControlEvent::Paused { scope: Scope::Tenant(tenant), .. }
            | ControlEvent::Resumed { scope: Scope::Tenant(tenant) } => self.tenants.contains(tenant),
            ControlEvent::TasksPrioritised { tasks, .. } => tasks.iter().all(|task| self.tasks.get(task).is_some()),
            ControlEvent::TasksForgotten { tasks } => {
                for task in tasks {
                    self.tasks.remove(task);
                }
                false
            }
            ControlEvent::RunsForgotten { runs } => {
                for run in runs {
                    self.runs.remove(run);
                }
                false
            }
            // When they are made depends on the agents of all tenants, and they count tasks of several.
            ControlEvent::Unroutable(_)
            | ControlEvent::Routable { .. }
            | ControlEvent::Paused { .. }
            | ControlEvent::Resumed { .. }
            | ControlEvent::Panicked { .. }
            | ControlEvent::Calmed { .. }
            | ControlEvent::Shedding { .. }
            | ControlEvent::Degraded { .. }
            | ControlEvent::Rerouted { .. }
            | ControlEvent::ClockJumped { .. }
            | ControlEvent::ClockConfirmed { .. }
            | ControlEvent::Identified { .. }
            | ControlEvent::ClockReturned
            | ControlEvent::Scaling { .. } => false,
        }
    }
}
