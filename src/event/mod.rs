//! Facts: what the core decided or learned. They are the journal, the audit trail and the feed of every observer.
//!
//! Applying a fact never decides anything again: whatever was chosen, drawn or measured is written down in it.

mod agent;
mod control;
mod run;
mod task;

pub use agent::AgentEvent;
pub use control::ControlEvent;
pub use run::{Opening, RunEvent};
pub use task::{Next, TaskEvent, YieldReason};

use crate::id::Seq;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// A fact with its place in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::exhaustive_structs,
    reason = "number, moment and fact are what an entry is; hosts build them from rows"
)]
pub struct Entry {
    /// From 1, without gaps.
    pub seq: Seq,
    /// When it became a fact; never before the entry before it.
    pub at: Time,
    /// The fact.
    pub event: Event,
}

/// A fact, by family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// About an agent.
    Agent(AgentEvent),
    /// About a task.
    Task(TaskEvent),
    /// About a workflow or a run.
    Run(RunEvent),
    /// About the scheduler as a whole.
    Control(ControlEvent),
}

impl From<AgentEvent> for Event {
    fn from(event: AgentEvent) -> Self {
        Self::Agent(event)
    }
}

impl From<TaskEvent> for Event {
    fn from(event: TaskEvent) -> Self {
        Self::Task(event)
    }
}

impl From<ControlEvent> for Event {
    fn from(event: ControlEvent) -> Self {
        Self::Control(event)
    }
}

impl From<RunEvent> for Event {
    fn from(event: RunEvent) -> Self {
        Self::Run(event)
    }
}
