//! A plan: an agent, a start and an end for each task.

use crate::base::id::{AgentId, TaskId};
use crate::base::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The result of planning: the agent, the start and the end of every task of a project.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Plan {
    /// The tasks, in the order of the project.
    pub tasks: Vec<PlannedTask>,
}

impl Plan {
    /// Makes a plan of these tasks.
    #[must_use]
    pub fn of(tasks: impl IntoIterator<Item = PlannedTask>) -> Self {
        Self { tasks: tasks.into_iter().collect() }
    }

    /// The end of the last task, as the time since the epoch.
    #[must_use]
    pub fn makespan(&self) -> Duration {
        self.tasks.iter().map(|placed| placed.finish).max().unwrap_or_default().since(Time::ZERO)
    }
}

/// One task of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "hosts make plans of their own to have them validated")]
pub struct PlannedTask {
    /// The task.
    pub task: TaskId,
    /// The agent that does it; none for a task without an agent.
    pub agent: Option<AgentId>,
    /// The start.
    pub start: Time,
    /// The end.
    pub finish: Time,
}
