//! Reading: tasks and agents as they stand.

use super::machine::Core;
use super::state::{Stage, Task};
use crate::agent::{AgentSpec, AgentStatus};
use crate::id::{AgentId, AttemptId, Incarnation, TaskId};
use crate::routing::Member;
use crate::task::{TaskOutcome, TaskSpec, TaskStatus};
use crate::time::Time;
use core::fmt;

/// A task as it stands.
#[derive(Clone, Copy)]
pub struct TaskView<'a> {
    task: &'a Task,
}

impl<'a> TaskView<'a> {
    /// What was submitted.
    #[must_use]
    pub fn spec(&self) -> &'a TaskSpec {
        &self.task.spec
    }

    /// When it was submitted.
    #[must_use]
    pub const fn submitted(&self) -> Time {
        self.task.submitted
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> TaskStatus {
        match &self.task.stage {
            Stage::Blocked { .. } => TaskStatus::Blocked,
            Stage::Backoff { .. } => TaskStatus::Backoff,
            Stage::Queued { .. } => TaskStatus::Queued,
            Stage::Running(running) if running.cancel.is_some() => TaskStatus::Cancelling,
            Stage::Running(_) => TaskStatus::Running,
            Stage::Ended(ended) => TaskStatus::from(&ended.end),
        }
    }

    /// How many attempts have begun.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.task.attempts
    }

    /// The attempt that is under way, and who holds it.
    #[must_use]
    pub fn running(&self) -> Option<(AttemptId, Incarnation)> {
        let running = self.task.running()?;
        Some((AttemptId::new(self.task.spec.id, self.task.attempts), running.by))
    }

    /// How and when it ended.
    #[must_use]
    pub fn outcome(&self) -> Option<(&'a TaskOutcome, Time)> {
        self.task.end().map(|ended| (&ended.end, ended.at))
    }
}

impl fmt::Debug for TaskView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {:?})", self.task.spec.id, self.task.spec.kind, self.status())
    }
}

/// An agent as it stands.
#[derive(Clone, Copy)]
pub struct AgentView<'a> {
    member: &'a Member,
}

impl<'a> AgentView<'a> {
    /// What it is.
    #[must_use]
    pub fn spec(&self) -> &'a AgentSpec {
        &self.member.spec
    }

    /// Its current life.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.member.by
    }

    /// Whether it takes work.
    #[must_use]
    pub const fn status(&self) -> AgentStatus {
        self.member.status
    }

    /// How many attempts it holds.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.member.held.len()
    }

    /// When it was last heard.
    #[must_use]
    pub const fn heard(&self) -> Time {
        self.member.heard
    }
}

impl fmt::Debug for AgentView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}/{})", self.member.by, self.in_flight(), self.member.spec.capacity)
    }
}

impl Core {
    pub(crate) fn view(&self, id: TaskId) -> Option<TaskView<'_>> {
        self.state.get(id).map(|task| TaskView { task })
    }

    pub(crate) fn agent_view(&self, id: AgentId) -> Option<AgentView<'_>> {
        self.state.fleet.by_id(id).map(|member| AgentView { member })
    }

    pub(crate) fn agent_views(&self) -> impl Iterator<Item = AgentView<'_>> {
        self.state.fleet.iter().map(|(_, member)| AgentView { member })
    }

    pub(crate) const fn queued(&self) -> [usize; 4] {
        self.state.lanes.by_tier()
    }

    pub(crate) fn dead_letters(&self) -> impl Iterator<Item = TaskView<'_>> {
        self.state.dead.iter().filter_map(|id| self.view(*id))
    }
}
