//! The model of a project: agents, tasks, dependencies, shared resources and the budget.
//!
//! A [`Project`] is plain data with the ids of the host. [`Project::check`] makes a [`Problem`](super::Problem) of it, or
//! reports all its faults at once.

mod agent;
mod task;

pub use agent::{Agent, Resource, Window};
pub use task::{Link, Task, Work};

use super::fault::InvalidProject;
use super::problem::Problem;
use crate::base::id::TaskId;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The tasks of a project, the agents and resources for them, and the budget.
///
/// ```
/// use counterpoint::planning::{Agent, Project, Resource, Task};
/// use counterpoint::{AgentId, TaskId};
/// use std::time::Duration;
///
/// let minutes = |n: u64| Duration::from_secs(60 * n);
/// let project = Project::default()
///     .with_agent(Agent::new(AgentId::new(1)).with_skill("paint", 2))
///     .with_resource(Resource::new("ladder", 1))
///     .with_task(Task::new(TaskId::new(1), minutes(20)).with_need("paint", 1).with_use("ladder", 1))
///     .with_task(Task::new(TaskId::new(2), minutes(10)).with_need("paint", 2).after(TaskId::new(1)));
/// assert_eq!(project.check()?.tasks(), 2);
/// # Ok::<(), counterpoint::planning::InvalidProject>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Project {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// The agents.
    pub agents: Vec<Agent>,
    /// The renewable resources that tasks share.
    pub resources: Vec<Resource>,
    /// The limit on the total cost, in millionths of the host's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
}

impl Project {
    /// Adds a task.
    #[must_use]
    pub fn with_task(mut self, task: Task) -> Self {
        self.tasks.push(task);
        self
    }

    /// Adds an agent.
    #[must_use]
    pub fn with_agent(mut self, agent: Agent) -> Self {
        self.agents.push(agent);
        self
    }

    /// Adds a shared resource.
    #[must_use]
    pub fn with_resource(mut self, resource: Resource) -> Self {
        self.resources.push(resource);
        self
    }

    /// Synchronises phases: no task of a phase begins before all tasks of the phase before it have ended. The barrier between two
    /// phases is a task without an agent and without duration.
    #[must_use]
    pub fn in_phases(mut self, phases: &[Vec<TaskId>]) -> Self {
        for (number, two) in phases.windows(2).enumerate() {
            let barrier = TaskId::from_key(&format!("barrier {number}"));
            for task in &mut self.tasks {
                if two.last().is_some_and(|later| later.contains(&task.id)) {
                    task.after.push(Link { task: barrier, lag: Duration::ZERO });
                }
            }
            let before = two.first().into_iter().flatten();
            let empty = Task::new(barrier, Duration::ZERO).unattended();
            // The barriers are chained, so that a phase without tasks keeps its neighbours apart.
            let chained = number.checked_sub(1).map(|last| TaskId::from_key(&format!("barrier {last}")));
            self.tasks.push(before.copied().chain(chained).fold(empty, Task::after));
        }
        self
    }

    /// Sets the limit on the total cost, in millionths of the host's unit.
    #[must_use]
    pub const fn with_budget(mut self, budget: u64) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Validates the project and makes the problem that solvers take.
    ///
    /// # Errors
    ///
    /// All faults of the project, see [`ProjectFault`](super::ProjectFault).
    pub fn check(&self) -> Result<Problem, InvalidProject> {
        Problem::of(self)
    }
}
