//! Durations of tasks by kind and agent.

#![expect(clippy::wildcard_enum_match_arm, reason = "a projection ignores most events")]

use super::sample::log;
use super::{Estimate, Sample, Spread};
use crate::base::id::{AgentId, TaskId};
use crate::base::name::Name;
use crate::base::structure::Table;
use crate::base::time::Time;
use crate::journal::Projection;
use crate::message::event::{ControlEvent, Entry, Event, Next, TaskEvent};
use crate::task::AttemptNumber;
use std::collections::VecDeque;

/// The number of tasks at an agent at which its own pace has half the weight.
const LIKE: f64 = 1.0;
/// The number of recent tasks that the pace of an agent covers.
const PACE: f64 = 64.0;

/// Durations of tasks by kind and agent, from the begin of the first attempt to the end of the task, learned from those that
/// succeeded. The pace of an agent at a kind is shrunk towards that of all agents, the more the fewer tasks it has ended.
///
/// The example is at [`Estimate`].
#[derive(Debug, Clone)]
pub struct Estimates {
    open: Table<TaskId, Open>,
    kinds: Table<Name, Kind>,
}

/// A task that has not ended.
#[derive(Debug, Clone)]
struct Open {
    kind: Name,
    /// The begin of its first attempt, and the agent of the last one.
    begun: Option<(Time, AgentId)>,
}

#[derive(Debug, Clone)]
struct Kind {
    count: u64,
    took: Sample,
    /// The agents of these durations.
    by: VecDeque<AgentId>,
    agents: Table<AgentId, Pace>,
}

/// The mean logarithm of the last durations at an agent.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    count: f64,
    mean: f64,
}

impl Pace {
    fn note(&mut self, log: f64) {
        self.count += 1.0;
        self.mean += (log - self.mean) / self.count.min(PACE);
    }
}

impl Kind {
    /// How much longer than others an agent takes, as a logarithm.
    fn pace(&self, agent: AgentId, grand: f64) -> f64 {
        let pace = self.agents.get(&agent).copied().unwrap_or_default();
        (pace.mean - grand) * pace.count / (pace.count + LIKE)
    }

    /// The durations as if this agent had performed all of them; of all agents if it has performed none.
    fn spread(&self, agent: Option<AgentId>) -> Option<Spread> {
        let known = agent.and_then(|agent| Some((agent, self.agents.get(&agent)?.count)));
        let (Some((agent, count)), Some(grand)) = (known, self.took.mean_log()) else { return self.took.spread() };
        let own = self.pace(agent, grand);
        let mut even = Sample::default();
        let logs = self.took.logs().zip(&self.by);
        logs.for_each(|(log, by)| even.note_log(log - self.pace(*by, grand) + own));
        // The pace itself is uncertain.
        even.widened((1.0 + 1.0 / (count + LIKE)).sqrt())
    }
}

impl Default for Estimates {
    /// With capacity for a million tasks under way, 1,024 kinds and 1,024 agents for each.
    fn default() -> Self {
        Self { open: Table::new(1_000_000), kinds: Table::new(1_024) }
    }
}

impl Estimates {
    /// The estimate for the next task of this kind, at this agent or at any; none if no task of the kind has succeeded. For an
    /// agent that has not performed any, it is that of all agents.
    #[must_use]
    pub fn of(&self, kind: &str, agent: Option<AgentId>) -> Option<Estimate> {
        let kind = self.kinds.get(&Name::from(kind))?;
        Some(Estimate::new(kind.count, kind.spread(agent)?))
    }

    /// The kinds with estimates, by name.
    pub fn kinds(&self) -> impl Iterator<Item = &Name> {
        self.kinds.iter().map(|(name, _)| name)
    }

    /// When the first attempt of a task that has not ended began, and at which agent the last one is.
    pub(in crate::observe) fn begun(&self, task: TaskId) -> Option<(Time, AgentId)> {
        self.open.get(&task)?.begun
    }

    fn task(&mut self, id: TaskId, event: &TaskEvent, now: Time) {
        match event {
            TaskEvent::Submitted { spec, .. } => {
                self.open.insert(id, Open { kind: spec.kind.clone(), begun: None });
            }
            TaskEvent::Assigned { to, .. } => {
                if let Some(open) = self.open.get_mut(&id) {
                    open.begun = Some((open.begun.map_or(now, |(since, _)| since), to.agent()));
                }
            }
            // The time for which the attempt was prefetched does not count.
            TaskEvent::Started { attempt: AttemptNumber::FIRST } => {
                if let Some(Open { begun: Some((since, _)), .. }) = self.open.get_mut(&id) {
                    *since = now;
                }
            }
            TaskEvent::Yielded { .. } => {
                if let Some(open) = self.open.get_mut(&id) {
                    open.begun = None;
                }
            }
            TaskEvent::Succeeded { .. } => self.succeeded(id, now),
            TaskEvent::AttemptFailed { next: Next::Retry { .. }, .. } => {}
            event if event.outcome().is_some() => drop(self.open.remove(&id)),
            _ => {}
        }
    }

    fn succeeded(&mut self, id: TaskId, now: Time) {
        let Some(Open { kind, begun: Some((since, agent)) }) = self.open.remove(&id) else { return };
        let took = log(now.since(since).as_secs_f64());
        if self.kinds.touch(&kind).is_none() {
            let (took, by) = (Sample::default(), VecDeque::new());
            self.kinds.insert(kind.clone(), Kind { count: 0, took, by, agents: Table::new(1_024) });
        }
        let Some(known) = self.kinds.get_mut(&kind) else { return };
        let mut pace = known.agents.get(&agent).copied().unwrap_or_default();
        pace.note(took);
        known.agents.insert(agent, pace);
        known.count = known.count.saturating_add(1);
        known.took.note_log(took);
        known.by.push_back(agent);
        let beyond = known.by.len().saturating_sub(known.took.len());
        known.by.drain(..beyond);
    }
}

impl Projection for Estimates {
    fn apply(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Task { task, event } => self.task(*task, event, entry.at),
            Event::Control(ControlEvent::TasksForgotten { tasks }) => {
                for task in tasks {
                    self.open.remove(task);
                }
            }
            _ => {}
        }
    }
}
