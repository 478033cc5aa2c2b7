//! The task tensor: the probability that each agent does each task, by level.
//!
//! The first axis is tasks, the second agents, the third levels: priorities, or depths in the order of dependencies. A task is on
//! one level, so its entries on all other levels are 0. [`rounds`](TaskTensor::rounds) converts probabilities to assignments.

mod rounds;
mod sinkhorn;

pub use rounds::AssignmentRound;
pub use sinkhorn::SinkhornSettings;

use super::fault::InvalidProject;
use super::model::Project;
use super::problem::Problem;
use crate::base::id::{AgentId, TaskId};
use ndarray::{Array3, ArrayView1, ArrayView2, ArrayView3, Axis};
use thiserror::Error;

/// Probabilities of assignments, by task, agent and level: `T[tasks, agents, levels]`.
///
/// A pinned assignment is exactly 1.0 and stays so under normalisation; a masked one stays 0.
///
/// ```
/// use counterpoint::planning::{Agent, TensorAxis, Project, Task, TaskTensor};
/// use counterpoint::{AgentId, TaskId};
/// use std::time::Duration;
///
/// let task = |n| Task::new(TaskId::new(n), Duration::from_secs(1));
/// let project = Project::default()
///     .with_agent(Agent::new(AgentId::new(1)).with_skill("paint", 1))
///     .with_agent(Agent::new(AgentId::new(2)))
///     .with_task(task(1).with_need("paint", 1))
///     .with_task(task(2).after(TaskId::new(1)));
/// let mut tensor = TaskTensor::by_depth(&project.check()?)?;
/// assert_eq!(tensor.values().dim(), (2, 2, 2));
/// assert_eq!(tensor.level(0).row(0).to_vec(), [1.0, 0.0]); // no other agent can do it
/// assert_eq!(tensor.level(1).row(1).to_vec(), [0.5, 0.5]);
///
/// tensor.pin(TaskId::new(2), AgentId::new(2))?;
/// tensor.normalise(TensorAxis::Agents);
/// let rounds = tensor.rounds(&[1, 1])?;
/// assert_eq!(rounds[1].pairs, [(TaskId::new(2), AgentId::new(2))]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TaskTensor {
    tasks: Vec<TaskId>,
    agents: Vec<AgentId>,
    /// The level of each task.
    level_of: Vec<usize>,
    values: Array3<f64>,
    /// The mask: whether an agent can do a task.
    open: Array3<bool>,
    /// The column of the agent to which each task is pinned.
    pinned: Vec<Option<usize>>,
}

/// An axis of a [`TaskTensor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the tensor has three axes")]
pub enum TensorAxis {
    /// The first axis. Normalised along it, the entries of an agent on a level sum to 1.
    Tasks,
    /// The second axis. Normalised along it, the entries of a task sum to 1: probabilities.
    Agents,
    /// The third axis. Normalised along it, the entries of a task and an agent sum to 1.
    Levels,
}

/// The error of an operation on a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The tensor would exceed the limit on entries.
    #[error("a tensor of {tasks} tasks, {agents} agents and {levels} levels exceeds {} entries", MOST_ENTRIES)]
    TooLarge {
        /// The number of tasks.
        tasks: usize,
        /// The number of agents.
        agents: usize,
        /// The number of levels.
        levels: usize,
    },
    /// The project is invalid.
    #[error(transparent)]
    Problem(#[from] InvalidProject),
    /// The dimensions of scores or capacities differ from those of the tensor.
    #[error("the dimensions of scores or capacities differ from those of the tensor")]
    Shape,
    /// A task or an agent occurs twice.
    #[error("a task or an agent occurs twice")]
    Duplicate,
    /// A score is not finite, or the temperature is not positive.
    #[error("a score is not finite, or the temperature is not positive")]
    InvalidValue,
    /// The level of a task is out of range.
    #[error("the level of task {task} is out of range")]
    NoLevel {
        /// The task.
        task: TaskId,
    },
    /// The task or the agent is unknown, or the assignment is masked.
    #[error("task {task} cannot be done by agent {agent}")]
    Masked {
        /// The task.
        task: TaskId,
        /// The agent.
        agent: AgentId,
    },
}

/// The limit on entries: a larger tensor would exceed the memory of many machines.
const MOST_ENTRIES: usize = 1 << 27;

impl TaskTensor {
    /// Makes a tensor of tasks with their levels, each below `levels`. `can` is the mask; the agents of a task that it allows are
    /// equally likely.
    ///
    /// # Errors
    ///
    /// [`TensorError::NoLevel`], [`TensorError::Duplicate`] or [`TensorError::TooLarge`].
    pub fn new(
        tasks: &[(TaskId, usize)],
        agents: &[AgentId],
        levels: usize,
        can: impl Fn(TaskId, AgentId) -> bool,
    ) -> Result<Self, TensorError> {
        if let Some(&(task, _)) = tasks.iter().find(|(_, level)| *level >= levels) {
            return Err(TensorError::NoLevel { task });
        }
        let mut ids: Vec<TaskId> = tasks.iter().map(|task| task.0).collect();
        let mut names = agents.to_vec();
        ids.sort_unstable();
        names.sort_unstable();
        if ids.windows(2).any(|two| two.first() == two.last()) || names.windows(2).any(|two| two.first() == two.last())
        {
            return Err(TensorError::Duplicate);
        }
        let shape = shape(tasks.len(), agents.len(), levels)?;
        let mut tensor = Self {
            tasks: tasks.iter().map(|task| task.0).collect(),
            agents: agents.to_vec(),
            level_of: tasks.iter().map(|task| task.1).collect(),
            values: Array3::zeros(shape),
            open: Array3::from_elem(shape, false),
            pinned: vec![None; tasks.len()],
        };
        for (row, &(task, level)) in tasks.iter().enumerate() {
            for (column, &agent) in agents.iter().enumerate() {
                if let Some(open) = tensor.open.get_mut((row, column, level)) {
                    *open = can(task, agent);
                }
            }
        }
        tensor.values.zip_mut_with(&tensor.open, |value, open| *value = f64::from(u8::from(*open)));
        tensor.normalise(TensorAxis::Agents);
        Ok(tensor)
    }

    /// Makes a tensor of a problem with depths as levels: a task is one level below its deepest predecessor. Tasks without an agent are
    /// left out, but count for the depth of their successors.
    ///
    /// # Errors
    ///
    /// [`TensorError::TooLarge`].
    pub fn by_depth(problem: &Problem) -> Result<Self, TensorError> {
        let mut depths = vec![0; problem.tasks()];
        for &task in &problem.order {
            let before = problem.before.get(task).into_iter().flatten();
            let depth = before.map(|link| depths.get(link.0).map_or(0, |depth: &usize| depth + 1)).max().unwrap_or(0);
            depths.iter_mut().skip(task).take(1).for_each(|slot| *slot = depth);
        }
        let levels = depths.iter().max().map_or(0, |deepest| deepest + 1);
        Self::of_problem(problem, levels, |task| depths.get(task).copied().unwrap_or(0))
    }

    /// Makes a tensor of a problem with its distinct priorities as levels, the highest first.
    ///
    /// # Errors
    ///
    /// [`TensorError::TooLarge`].
    pub fn by_priority(problem: &Problem) -> Result<Self, TensorError> {
        let mut ranks = problem.priority.clone();
        ranks.sort_unstable_by(|one, two| two.cmp(one));
        ranks.dedup();
        let rank = |task: usize| ranks.iter().position(|rank| problem.priority.get(task) == Some(rank)).unwrap_or(0);
        Self::of_problem(problem, ranks.len(), rank)
    }

    fn of_problem(problem: &Problem, levels: usize, level: impl Fn(usize) -> usize) -> Result<Self, TensorError> {
        let able = |task: usize| problem.modes.get(task).into_iter().flatten().filter_map(|mode| mode.agent);
        let rows: Vec<usize> = (0..problem.tasks()).filter(|task| able(*task).next().is_some()).collect();
        let shape = shape(rows.len(), problem.agents(), levels)?;
        let mut tensor = Self {
            tasks: rows.iter().filter_map(|row| problem.tasks.get(*row).copied()).collect(),
            agents: problem.agents.clone(),
            level_of: rows.iter().map(|row| level(*row)).collect(),
            values: Array3::zeros(shape),
            open: Array3::from_elem(shape, false),
            pinned: vec![None; rows.len()],
        };
        for (row, task) in rows.iter().enumerate() {
            for agent in able(*task) {
                tensor.open.get_mut((row, agent, level(*task))).into_iter().for_each(|open| *open = true);
            }
        }
        tensor.values.zip_mut_with(&tensor.open, |value, open| *value = f64::from(u8::from(*open)));
        tensor.normalise(TensorAxis::Agents);
        Ok(tensor)
    }

    /// The tasks of the first axis.
    #[must_use]
    pub fn tasks(&self) -> &[TaskId] {
        &self.tasks
    }

    /// The agents of the second axis.
    #[must_use]
    pub fn agents(&self) -> &[AgentId] {
        &self.agents
    }

    /// The whole array.
    #[must_use]
    pub fn values(&self) -> ArrayView3<'_, f64> {
        self.values.view()
    }

    /// The mask: true where an agent can do a task, on the level of the task.
    #[must_use]
    pub fn mask(&self) -> ArrayView3<'_, bool> {
        self.open.view()
    }

    /// One level, by task and agent; empty if there is no such level.
    #[must_use]
    pub fn level(&self, level: usize) -> ArrayView2<'_, f64> {
        self.values.axis_iter(Axis(2)).nth(level).unwrap_or_else(|| ndarray::aview2::<f64, 0>(&[]))
    }

    /// The level of a task.
    #[must_use]
    pub fn level_of(&self, task: TaskId) -> Option<usize> {
        self.level_of.get(self.row(task)?).copied()
    }

    /// The tasks that no agent can do.
    pub fn orphans(&self) -> impl Iterator<Item = TaskId> {
        let rows = self.open.axis_iter(Axis(0)).zip(&self.tasks);
        rows.filter(|(open, _)| !open.iter().any(|open| *open)).map(|(_, task)| *task)
    }

    /// Pins a task to an agent: exactly 1.0 there, and 0 for all other agents.
    ///
    /// # Errors
    ///
    /// [`TensorError::Masked`] if the task or agent is unknown or the mask excludes the assignment.
    pub fn pin(&mut self, task: TaskId, agent: AgentId) -> Result<(), TensorError> {
        let masked = || TensorError::Masked { task, agent };
        let column = self.agents.iter().position(|one| *one == agent).ok_or_else(masked)?;
        let row = self.row(task).ok_or_else(masked)?;
        let level = self.level_of.get(row).copied().ok_or_else(masked)?;
        if self.open.get((row, column, level)) != Some(&true) {
            return Err(masked());
        }
        self.pinned.iter_mut().skip(row).take(1).for_each(|slot| *slot = Some(column));
        self.values.index_axis_mut(Axis(0), row).fill(0.0);
        self.values.get_mut((row, column, level)).into_iter().for_each(|value| *value = 1.0);
        Ok(())
    }

    /// The agent to which a task is pinned.
    #[must_use]
    pub fn pinned(&self, task: TaskId) -> Option<AgentId> {
        let column = self.pinned.get(self.row(task)?).copied().flatten()?;
        self.agents.get(column).copied()
    }

    /// Scales all entries that are not pinned so that the sums along an axis are 1, including pinned entries. A sum stays 0 if
    /// everything is masked; if pinned entries sum to 1 or more, all others become 0.
    pub fn normalise(&mut self, axis: TensorAxis) {
        let along = match axis {
            TensorAxis::Tasks => Axis(0),
            TensorAxis::Agents => Axis(1),
            TensorAxis::Levels => Axis(2),
        };
        let certain = self.certain();
        for (mut lane, certain) in self.values.lanes_mut(along).into_iter().zip(certain.lanes(along)) {
            let (fixed, loose) = sums(lane.view(), certain);
            let scale = if loose > 0.0 { (1.0 - fixed).max(0.0) / loose } else { 0.0 };
            lane.zip_mut_with(&certain, |value, certain| *value = if *certain { 1.0 } else { *value * scale });
        }
    }

    fn row(&self, task: TaskId) -> Option<usize> {
        self.tasks.iter().position(|one| *one == task)
    }

    /// True for pinned assignments.
    fn certain(&self) -> Array3<bool> {
        let mut certain = Array3::from_elem(self.values.dim(), false);
        for (row, (column, level)) in self.pinned.iter().zip(&self.level_of).enumerate() {
            let slot = column.and_then(|column| certain.get_mut((row, column, *level)));
            slot.into_iter().for_each(|slot| *slot = true);
        }
        certain
    }
}

impl Project {
    /// The task tensor of the project by depth, see [`TaskTensor::by_depth`].
    ///
    /// # Errors
    ///
    /// [`TensorError::Problem`] with the faults of the project, or [`TensorError::TooLarge`].
    pub fn tensor(&self) -> Result<TaskTensor, TensorError> {
        TaskTensor::by_depth(&self.check()?)
    }
}

fn shape(tasks: usize, agents: usize, levels: usize) -> Result<(usize, usize, usize), TensorError> {
    let entries = tasks.checked_mul(agents).and_then(|pairs| pairs.checked_mul(levels));
    let fits = entries.is_some_and(|entries| entries <= MOST_ENTRIES) && levels <= MOST_ENTRIES;
    if fits { Ok((tasks, agents, levels)) } else { Err(TensorError::TooLarge { tasks, agents, levels }) }
}

fn sums(lane: ArrayView1<'_, f64>, certain: ArrayView1<'_, bool>) -> (f64, f64) {
    lane.iter().zip(certain).fold(
        (0.0, 0.0),
        |(fixed, loose), (value, certain)| {
            if *certain { (fixed + 1.0, loose) } else { (fixed, loose + value) }
        },
    )
}
