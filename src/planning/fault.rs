//! What can be wrong with a project.

use super::validate::Breach;
use crate::id::{AgentId, TaskId};
use crate::name::Name;
use core::fmt;
use thiserror::Error;

/// A project that cannot be planned, with everything that is wrong with it.
///
/// ```
/// use counterpoint::planning::{Fault, Project, Task};
/// use counterpoint::TaskId;
/// use std::time::Duration;
///
/// let (lost, stuck) = (TaskId::new(9), TaskId::new(1));
/// let task = Task::new(stuck, Duration::from_secs(1)).after(lost).after(stuck);
/// let bad = Project::default().with_task(task).check().unwrap_err();
/// assert!(bad.faults.contains(&Fault::UnknownTask { task: stuck, named: lost }));
/// assert!(bad.faults.contains(&Fault::Cycle { tasks: vec![stuck] }));
/// assert!(bad.faults.contains(&Fault::NobodyCan { task: stuck }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub struct BadProblem {
    /// What is wrong, by task and agent.
    pub faults: Vec<Fault>,
}

impl fmt::Display for BadProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{fault}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// One thing that is wrong with a project.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// Two tasks have one id.
    #[error("{task} is there twice")]
    TaskTwice {
        /// The id.
        task: TaskId,
    },
    /// Two agents have one id.
    #[error("{agent} is there twice")]
    AgentTwice {
        /// The id.
        agent: AgentId,
    },
    /// Two resources have one name.
    #[error("resource {resource} is there twice")]
    ResourceTwice {
        /// The name.
        resource: Name,
    },
    /// A task comes after one that is not there.
    #[error("{task} comes after {named}, which is not there")]
    UnknownTask {
        /// The task.
        task: TaskId,
        /// What it names.
        named: TaskId,
    },
    /// A task names an agent that is not there.
    #[error("{task} names {named}, who is not there")]
    UnknownAgent {
        /// The task.
        task: TaskId,
        /// Whom it names.
        named: AgentId,
    },
    /// A task uses a resource that is not there.
    #[error("{task} uses {named}, which is not there")]
    UnknownResource {
        /// The task.
        task: TaskId,
        /// What it names.
        named: Name,
    },
    /// A task uses more of a resource than there is.
    #[error("{task} uses more of {resource} than there is")]
    TooMuch {
        /// The task.
        task: TaskId,
        /// Of what.
        resource: Name,
    },
    /// No agent has the skills of a task.
    #[error("nobody can do {task}")]
    NobodyCan {
        /// The task.
        task: TaskId,
    },
    /// A task without an agent takes as long as its agent says.
    #[error("{task} has no agent, so its duration is a fixed one")]
    NotFixed {
        /// The task.
        task: TaskId,
    },
    /// Tasks come after each other in a circle.
    #[error("{} tasks come after each other in a circle", tasks.len())]
    Cycle {
        /// Those that are in circles or between two.
        tasks: Vec<TaskId>,
    },
    /// An agent does nothing at once.
    #[error("{agent} has no capacity")]
    NoCapacity {
        /// The agent.
        agent: AgentId,
    },
    /// An agent has begun more than it does at once.
    #[error("{agent} has begun more than it does at once")]
    TooBusy {
        /// The agent.
        agent: AgentId,
    },
    /// An agent's absence ends before it begins.
    #[error("an absence of {agent} ends before it begins")]
    BadWindow {
        /// The agent.
        agent: AgentId,
    },
    /// Even the cheapest agents cost more than the budget.
    #[error("the cheapest agents cost {least}, the budget is {budget}")]
    OverBudget {
        /// The least cost.
        least: u64,
        /// The budget.
        budget: u64,
    },
    /// One after the other, the tasks end after the end of time.
    #[error("the project is longer than time can tell")]
    TooLong,
    /// A change names an agent that is not there.
    #[error("{agent} is not there")]
    NoSuchAgent {
        /// The agent.
        agent: AgentId,
    },
    /// A change names a task that is not there.
    #[error("{task} is not there")]
    NoSuchTask {
        /// The task.
        task: TaskId,
    },
    /// A plan breaks rules of the project that it is for.
    #[error("the plan breaks {} rules of the project", breaches.len())]
    BrokenPlan {
        /// Which.
        breaches: Vec<Breach>,
    },
}
