//! Agents that join, leave and are looked up.

use super::{Crew, Worker};
use crate::base::id::{AgentId, TaskId};
use crate::base::name::Name;
use crate::base::structure::IdMap;
use crate::base::time::Time;
use crate::host::Agent;
use crate::message::command::AgentCommand;
use crate::sim::agent::AgentModel;
use crate::sim::distribution::Distribution;
use crate::sim::timeline::{Timeline, What};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Crew {
    /// Without agents.
    pub(in crate::sim) fn new(services: BTreeMap<Name, Distribution>, answers: Arc<dyn Agent>) -> Self {
        Self { workers: Vec::new(), by_agent: BTreeMap::new(), works: IdMap::default(), services, answers }
    }

    /// A new agent joins at the time of its model.
    pub(in crate::sim) fn hire_at(&mut self, time: &mut Timeline, model: AgentModel) -> usize {
        let at = model.joins.max(time.now);
        let number = self.enrol(model);
        time.push(at, What::Join(number, 0));
        number
    }

    /// Cancels an agent that has not joined. Returns whether that was still possible.
    pub(in crate::sim) fn call_off(&mut self, number: usize) -> bool {
        let Some(worker) = self.workers.get_mut(number).filter(|worker| worker.since.is_none()) else { return false };
        (worker.leaving, worker.alive) = (true, false);
        worker.generation += 1;
        true
    }

    pub(in crate::sim) fn enrol(&mut self, model: AgentModel) -> usize {
        let number = self.workers.len();
        self.by_agent.insert(model.spec.id, number);
        self.workers.push(Worker::new(model));
        number
    }

    /// Marks an agent as leaving. Returns its index, unless it is unknown or leaving already.
    pub(in crate::sim) fn retire(&mut self, agent: AgentId) -> Option<usize> {
        let number = self.number_of(agent)?;
        let worker = self.workers.get_mut(number).filter(|worker| !worker.leaving)?;
        worker.leaving = true;
        Some(number)
    }

    /// Removes a leaving agent without attempts. Returns the command that deregisters it.
    pub(in crate::sim) fn leave_if_idle(&mut self, now: Time, number: usize) -> Option<AgentCommand> {
        let worker = self.workers.get_mut(number)?;
        if !worker.leaving || !worker.alive || worker.unanswered() > 0 {
            return None;
        }
        worker.alive = false;
        worker.generation += 1;
        worker.clock_off(now);
        Some(AgentCommand::Deregister { agent: worker.spec.id })
    }

    /// The index of the last agent that joined with this id.
    pub(in crate::sim) fn number_of(&self, agent: AgentId) -> Option<usize> {
        self.by_agent.get(&agent).copied()
    }

    pub(in crate::sim) fn get(&self, number: usize) -> Option<&Worker> {
        self.workers.get(number)
    }

    pub(in crate::sim) fn iter(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter()
    }

    /// Sets the duration of a task at speed 1, instead of a draw.
    pub(in crate::sim) fn fix_work(&mut self, task: TaskId, work: Duration) {
        self.works.insert(task, work);
    }
}
