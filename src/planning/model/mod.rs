//! The model: who can do what, in what order, with what, and by when.
//!
//! A [`Project`] is data as a host writes it down, with its own ids. [`Project::check`] makes a [`Problem`](super::Problem)
//! of it, or reports everything that is wrong with it at once.

mod agent;
mod task;

pub use agent::{Agent, Resource, Window};
pub use task::{Link, Task, Work};

use super::fault::BadProblem;
use super::problem::Problem;
use crate::id::TaskId;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Tasks, those who do them, what they share, and what it may cost.
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
/// # Ok::<(), counterpoint::planning::BadProblem>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Project {
    /// What is to be done.
    pub tasks: Vec<Task>,
    /// Who does it.
    pub agents: Vec<Agent>,
    /// What tasks use together and give back: renewable resources.
    pub resources: Vec<Resource>,
    /// What all of it may cost, in millionths of whatever the host counts in.
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

    /// Synchronises phases: no task of one begins before all of the phase before it have ended. Between two phases a task is put
    /// in that nobody attends and that takes no time: the barrier.
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
            // A phase without tasks still keeps those around it apart.
            let chained = number.checked_sub(1).map(|last| TaskId::from_key(&format!("barrier {last}")));
            self.tasks.push(before.copied().chain(chained).fold(empty, Task::after));
        }
        self
    }

    /// Sets what all of it may cost.
    #[must_use]
    pub const fn with_budget(mut self, budget: u64) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The problem that solvers take.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, see [`Fault`](super::Fault).
    pub fn check(&self) -> Result<Problem, BadProblem> {
        Problem::of(self)
    }
}
