//! All data that the dashboard shows, folded from events.

use counterpoint::journal::Projection;
use counterpoint::message::{AgentEvent, RunPhase};
use counterpoint::observe::{AgentFigures, Alerts, Metrics, MetricsSnapshot, Names, Progress, RunProgress, Signal};
use counterpoint::task::Guard;
use counterpoint::{AgentId, Entry, Event, RunId, Seq, Time};
use std::collections::{BTreeMap, VecDeque};

/// Lines of the story that are kept.
const LINES: usize = 64;
/// Runs that are listed, the latest first.
const RUNS: usize = 32;

/// The share of failed attempts from which an agent needs attention, and the attempts that a share needs to count.
pub const FAILING: f64 = 0.2;
const ENOUGH: u64 = 5;
/// The share of tasks that are to be in time.
pub const IN_TIME: f64 = 0.95;

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
    /// The names of agents, tasks, runs and nodes.
    pub names: Names,
    /// The last facts in words.
    pub story: VecDeque<(Time, String)>,
    /// The last fact.
    pub seq: Seq,
    /// Its moment.
    pub at: Time,
}

impl Board {
    /// What an operator should look at: the alerts, and all that is not as it should be in the figures of tasks and agents.
    #[must_use]
    pub fn concerns(&self, metrics: &MetricsSnapshot) -> Vec<String> {
        let name = |agent: &AgentId| self.agents.get(agent).map_or_else(|| agent.to_string(), |row| row.name.clone());
        let mut concerns: Vec<String> = self
            .alerts
            .active()
            .map(|alert| match &alert.signal {
                Signal::Failures(agent) => format!("failures of {}: {}", name(agent), alert.statistic),
                _ => alert.to_string(),
            })
            .collect();
        for (id, row) in self.agents.iter().filter(|(_, row)| row.state != "left") {
            let figures = metrics.agents.get(id).copied().unwrap_or_default();
            let mut causes = Vec::new();
            if row.state == "lost" {
                causes.push("lost".to_owned());
            }
            if let Some(share) = row.failing(figures) {
                causes.push(format!("{:.0} % of its attempts fail", share * 100.0));
            }
            causes.extend(row.bounds());
            if !causes.is_empty() {
                concerns.push(format!("{}: {}", row.name, causes.join(", ")));
            }
        }
        for (tier, waits) in metrics.waits.iter().filter(|(_, waits)| waits.late > 0) {
            concerns.push(format!("{tier} tasks: {} wait longer than their target", waits.late));
        }
        let counts = &metrics.all.counts;
        let lost = counts.failed + counts.dead_lettered + counts.expired;
        if lost > 0 {
            concerns.push(format!("tasks: {lost} failed for good"));
        }
        if let Some(share) = metrics.all.in_time.share().filter(|share| *share < IN_TIME) {
            concerns.push(format!("tasks: only {:.0} % are in time", share * 100.0));
        }
        let failed = self.runs.iter().filter_map(|run| self.progress.run(*run)).filter(has_failed).count();
        if failed > 0 {
            concerns.push(format!("runs: {failed} of the last {} have not succeeded", self.runs.len()));
        }
        concerns
    }

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

/// Whether a run has ended without success. A run that handled the failure of a node has not failed.
#[must_use]
pub fn has_failed(run: &RunProgress) -> bool {
    run.phase == RunPhase::Finished && run.outcome.as_deref().is_some_and(|outcome| outcome != "succeeded")
}

impl AgentRow {
    /// The share of failed attempts, if it is so large that the agent needs attention.
    #[must_use]
    pub fn failing(&self, figures: AgentFigures) -> Option<f64> {
        figures.error_rate().filter(|share| figures.succeeded + figures.failed >= ENOUGH && *share >= FAILING)
    }

    /// What guards bound the agent to, in words.
    #[must_use]
    pub fn bounds(&self) -> Vec<String> {
        let words = |(guard, slots): (&String, &u32)| match (guard.as_str(), slots) {
            ("breaker", 0) => "breaker open".to_owned(),
            ("breaker", _) => "breaker half-open".to_owned(),
            (_, 0) => format!("{guard}: closed"),
            _ => format!("{guard}: {slots} at once"),
        };
        self.guards.iter().map(words).collect()
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
        self.names.apply(entry);
        self.story.push_back((entry.at, self.names.describe(entry)));
        if self.story.len() > LINES {
            self.story.pop_front();
        }
        (self.seq, self.at) = (entry.seq, entry.at);
    }
}
