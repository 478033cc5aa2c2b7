//! All data that the dashboard shows, folded from events.

use counterpoint::journal::Projection;
use counterpoint::message::AgentEvent;
use counterpoint::observe::{Alerts, Metrics, Progress, describe};
use counterpoint::task::Guard;
use counterpoint::{AgentId, Entry, Event, RunId, Seq, Time};
use std::collections::{BTreeMap, VecDeque};

/// Lines of the story that are kept.
const LINES: usize = 64;
/// Runs that are listed, the latest first.
const RUNS: usize = 32;

/// An agent as the heat map shows it.
#[derive(Debug, Clone, Default)]
pub struct AgentRow {
    /// Its name, or its id.
    pub name: String,
    /// How many attempts it may hold.
    pub capacity: u32,
    /// Whether it takes anything new.
    pub state: &'static str,
    /// What guards bound it to.
    pub guards: BTreeMap<String, u32>,
}

/// What the facts up to a moment tell. A fold: the same for a live host and for a journal.
#[derive(Debug, Clone, Default)]
pub struct Board {
    /// Figures.
    pub metrics: Metrics,
    /// What a person should look at.
    pub alerts: Alerts,
    /// How far runs are.
    pub progress: Progress,
    /// Agents, by their ids.
    pub agents: BTreeMap<AgentId, AgentRow>,
    /// Runs that no other run owns, the latest first.
    pub runs: VecDeque<RunId>,
    /// The last facts in words.
    pub story: VecDeque<(Time, String)>,
    /// The last fact.
    pub seq: Seq,
    /// Its moment.
    pub at: Time,
}

impl Board {
    fn agent(&mut self, agent: AgentId, event: &AgentEvent) {
        match event {
            AgentEvent::Registered { spec } | AgentEvent::Updated { spec } => {
                let row = self.agents.entry(agent).or_default();
                row.name = spec.name.as_ref().map_or_else(|| agent.to_string(), ToString::to_string);
                row.capacity = spec.capacity;
                row.state = "";
            }
            AgentEvent::Draining => self.state(agent, "drains"),
            AgentEvent::Deregistered => self.state(agent, "left"),
            AgentEvent::Lost => self.state(agent, "lost"),
            AgentEvent::Throttled { guard, slots, .. } => {
                if let Some(row) = self.agents.get_mut(&agent) {
                    match slots {
                        Some(slots) => row.guards.insert(short(*guard), *slots),
                        None => row.guards.remove(&short(*guard)),
                    };
                }
            }
            _ => {}
        }
    }

    fn state(&mut self, agent: AgentId, state: &'static str) {
        if let Some(row) = self.agents.get_mut(&agent) {
            row.state = state;
            row.guards.clear();
        }
    }
}

fn short(guard: Guard) -> String {
    guard.to_string()
}

impl Projection for Board {
    fn apply(&mut self, entry: &Entry) {
        self.metrics.apply(entry);
        self.alerts.apply(entry);
        self.progress.apply(entry);
        match &entry.event {
            Event::Agent { agent, event } => self.agent(agent.agent(), event),
            Event::Run { run, event: counterpoint::message::RunEvent::Started { owner: None, .. } } => {
                self.runs.push_front(*run);
                self.runs.truncate(RUNS);
            }
            _ => {}
        }
        self.story.push_back((entry.at, describe(entry)));
        if self.story.len() > LINES {
            self.story.pop_front();
        }
        (self.seq, self.at) = (entry.seq, entry.at);
    }
}
