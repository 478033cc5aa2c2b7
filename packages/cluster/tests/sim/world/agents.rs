//! Agents: parts of the processes to which they are connected.

use super::{Event, World, ms};
use counterpoint::cluster::NodeId;
use counterpoint::{AgentCommand, AgentId, AgentSpec, AttemptId, Payload};
use counterpoint_cluster::{Input, Store as _, Work};

impl World {
    pub(super) fn connect(&mut self, at: usize) -> Result<(), String> {
        if self.agents[at].home.is_some() {
            return Ok(());
        }
        let session = self.store.session();
        let (Some(node), Ok(session)) = (self.some_node(), session) else {
            self.after(ms(500), Event::Connect(at));
            return Ok(());
        };
        self.agents[at].home = Some(node);
        self.agents[at].session = session;
        self.agents[at].untold.remove(&node);
        let spec = AgentSpec::new(AgentId::new(at as u64 + 1)).with_skill("work", 1).with_capacity(self.setup.slots);
        self.input(node, Input::Connect { agent: spec, session })
    }

    /// The connection of an agent is over: what it performs is given up.
    pub(super) fn cut_off(&mut self, at: usize) {
        let agent = &mut self.agents[at];
        agent.home = None;
        agent.life += 1;
        agent.running.clear();
        agent.begun.clear();
        self.performed.retain(|_, of| *of != at);
    }

    pub(super) fn begin(&mut self, node: NodeId, agent: AgentId, work: Work) -> Result<(), String> {
        if !self.assigned.contains(&work.attempt) {
            return Err(format!("{} began before its assignment was durable", work.attempt));
        }
        let at = agent.get() as usize - 1;
        let slots = self.setup.slots as usize;
        let service = self.index.get(&work.attempt.task()).map_or(ms(1), |task| self.tasks[*task].service);
        let state = &mut self.agents[at];
        if state.home != Some(node) && state.untold.contains_key(&node) {
            return Ok(());
        }
        if state.home != Some(node) {
            return Err(format!("{node} lets agent {agent} begin, which is not connected there"));
        }
        if !state.begun.insert(work.attempt) {
            return Err(format!("agent {agent} begins {} again", work.attempt));
        }
        let (life, attempt) = (state.life, work.attempt);
        state.running.insert(attempt, work);
        if state.running.len() > slots {
            return Err(format!("agent {agent} has {slots} slots and performs {} attempts", state.running.len()));
        }
        // Until the last task arrives: what comes then is the end of the simulation, and not the load.
        state.busy += (self.now + service).min(self.faults_end).since(self.now);
        self.after(service, Event::Done { agent: at, life, attempt });
        Ok(())
    }

    pub(super) fn done(&mut self, at: usize, life: u32, attempt: AttemptId) -> Result<(), String> {
        if self.agents[at].life != life {
            return Ok(());
        }
        let Some(home) = self.agents[at].home else { return Ok(()) };
        if self.processes.get(&home).is_some_and(|process| process.stopped.is_some()) {
            // The agent is a part of the process.
            self.after(ms(100), Event::Done { agent: at, life, attempt });
            return Ok(());
        }
        let Some(work) = self.agents[at].running.remove(&attempt) else { return Ok(()) };
        *self.effects.entry(attempt.task()).or_default() += 1;
        self.performed.insert(attempt, at);
        let result = AgentCommand::Complete {
            by: work.by,
            attempt,
            output: Payload::NULL,
            usage: counterpoint::task::Usage::default(),
        };
        self.input(home, Input::Ended { agent: AgentId::new(at as u64 + 1), attempt, result })
    }
}
