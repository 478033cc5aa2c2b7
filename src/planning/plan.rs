//! A plan: who does what, from when to when.

use crate::id::{AgentId, TaskId};
use crate::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Every task of a project with its place in time, and who does it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Plan {
    /// In the order of the project's tasks.
    pub tasks: Vec<Placed>,
}

impl Plan {
    /// A plan of these.
    #[must_use]
    pub fn of(tasks: impl IntoIterator<Item = Placed>) -> Self {
        Self { tasks: tasks.into_iter().collect() }
    }

    /// When the last task ends, from the epoch on.
    #[must_use]
    pub fn makespan(&self) -> Duration {
        self.tasks.iter().map(|placed| placed.finish).max().unwrap_or_default().since(Time::ZERO)
    }
}

/// A task in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(
    clippy::exhaustive_structs,
    reason = "hosts make plans, too: of a timetable that they have, to have it validated"
)]
pub struct Placed {
    /// Which.
    pub task: TaskId,
    /// Who does it; none if nobody attends it.
    pub agent: Option<AgentId>,
    /// When it begins.
    pub start: Time,
    /// When it has ended.
    pub finish: Time,
}
