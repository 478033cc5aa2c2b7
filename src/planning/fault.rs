//! The errors of a project.

use crate::base::id::{AgentId, TaskId};
use crate::base::name::Name;
use core::fmt;
use thiserror::Error;

/// A project that cannot be planned, with every fault that was found.
///
/// ```
/// use counterpoint::planning::{ProjectFault, Project, Task};
/// use counterpoint::TaskId;
/// use std::time::Duration;
///
/// let (lost, stuck) = (TaskId::new(9), TaskId::new(1));
/// let task = Task::new(stuck, Duration::from_secs(1)).after(lost).after(stuck);
/// let bad = Project::default().with_task(task).check().unwrap_err();
/// assert!(bad.faults.contains(&ProjectFault::UnknownTask { task: stuck, named: lost }));
/// assert!(bad.faults.contains(&ProjectFault::Cycle { tasks: vec![stuck] }));
/// assert!(bad.faults.contains(&ProjectFault::NoEligibleAgent { task: stuck }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub struct InvalidProject {
    /// The faults, in the order of tasks and agents.
    pub faults: Vec<ProjectFault>,
}

impl fmt::Display for InvalidProject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{fault}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// One fault of a project.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProjectFault {
    /// Two tasks have the same id.
    #[error("duplicate task {task}")]
    DuplicateTask {
        /// The id.
        task: TaskId,
    },
    /// Two agents have the same id.
    #[error("duplicate agent {agent}")]
    DuplicateAgent {
        /// The id.
        agent: AgentId,
    },
    /// Two resources have the same name.
    #[error("duplicate resource {resource}")]
    DuplicateResource {
        /// The name.
        resource: Name,
    },
    /// A task depends on a task that the project does not have.
    #[error("task {task} depends on the unknown task {named}")]
    UnknownTask {
        /// The task.
        task: TaskId,
        /// The id in its link.
        named: TaskId,
    },
    /// A task names an agent that the project does not have.
    #[error("task {task} names the unknown agent {named}")]
    UnknownAgent {
        /// The task.
        task: TaskId,
        /// The id that it names.
        named: AgentId,
    },
    /// A task uses a resource that the project does not have.
    #[error("task {task} uses the unknown resource {named}")]
    UnknownResource {
        /// The task.
        task: TaskId,
        /// The name that it gives.
        named: Name,
    },
    /// A task uses more of a resource than its capacity.
    #[error("task {task} uses more of resource {resource} than its capacity")]
    ExceedsCapacity {
        /// The task.
        task: TaskId,
        /// The resource.
        resource: Name,
    },
    /// No agent has the skills of a task, or a duration for it.
    #[error("no agent can do task {task}")]
    NoEligibleAgent {
        /// The task.
        task: TaskId,
    },
    /// The duration of a task without an agent depends on the agent.
    #[error("task {task} has no agent, so its duration must be fixed")]
    DurationNotFixed {
        /// The task.
        task: TaskId,
    },
    /// The dependencies of tasks form a cycle.
    #[error("the dependencies of {} tasks form a cycle", tasks.len())]
    Cycle {
        /// The tasks on cycles and on paths between cycles.
        tasks: Vec<TaskId>,
    },
    /// An agent has a capacity of zero.
    #[error("agent {agent} has no capacity")]
    NoCapacity {
        /// The agent.
        agent: AgentId,
    },
    /// An agent has more work under way than its capacity.
    #[error("agent {agent} has more work under way than its capacity")]
    BusyBeyondCapacity {
        /// The agent.
        agent: AgentId,
    },
    /// An absence of an agent ends before it begins.
    #[error("an absence of agent {agent} ends before it begins")]
    InvertedAbsence {
        /// The agent.
        agent: AgentId,
    },
    /// The cost with the cheapest agent for each task exceeds the budget.
    #[error("the least cost {least} exceeds the budget {budget}")]
    OverBudget {
        /// The least cost.
        least: u64,
        /// The budget.
        budget: u64,
    },
    /// The tasks in sequence end after the latest time that can be represented.
    #[error("the project is longer than the range of time")]
    TooLong,
}
