//! The task tensor: how likely each task is done by each agent, on each level.
//!
//! The first axis is tasks, the second agents, the third levels: of priority, or of depth in the order of tasks. A task is on
//! one level, so all that is likely of it is there. [`rounds`](TaskTensor::rounds) goes the way back, from likelihoods to who
//! does what.

mod rounds;
mod sinkhorn;

pub use rounds::Round;
pub use sinkhorn::Soft;

use super::fault::BadProblem;
use super::model::Project;
use super::problem::Problem;
use crate::id::{AgentId, TaskId};
use ndarray::{Array3, ArrayView1, ArrayView2, ArrayView3, Axis};
use thiserror::Error;

/// Likelihoods of assignments, by task, agent and level: `T[tasks, agents, levels]`.
///
/// What is certain is exactly 1.0 and stays so whatever is normalised; what cannot be is masked, and stays 0.
///
/// ```
/// use counterpoint::planning::{Agent, AxisOf, Project, Task, TaskTensor};
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
/// assert_eq!(tensor.level(0).row(0).to_vec(), [1.0, 0.0]); // nobody else can
/// assert_eq!(tensor.level(1).row(1).to_vec(), [0.5, 0.5]);
///
/// tensor.pin(TaskId::new(2), AgentId::new(2))?;
/// tensor.normalise(AxisOf::Agents);
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
    /// What can be.
    open: Array3<bool>,
    /// What is certain: the agent's place.
    pinned: Vec<Option<usize>>,
}

/// One of the axes of a [`TaskTensor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the tensor has three axes")]
pub enum AxisOf {
    /// The first. Normalised along it, the tasks of an agent on a level share 1.
    Tasks,
    /// The second. Normalised along it, the agents of a task share 1: probabilities.
    Agents,
    /// The third. Normalised along it, the levels of a task and an agent share 1.
    Levels,
}

/// Why a tensor is not what is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TensorError {
    /// Tasks, agents and levels make more entries than are kept.
    #[error("{tasks} tasks, {agents} agents and {levels} levels are more than {} entries", MOST_ENTRIES)]
    TooLarge {
        /// How many tasks.
        tasks: usize,
        /// How many agents.
        agents: usize,
        /// How many levels.
        levels: usize,
    },
    /// The project makes no sense.
    #[error(transparent)]
    Problem(#[from] BadProblem),
    /// Numbers of tasks, agents, scores or capacities do not go together.
    #[error("the numbers of tasks, agents, scores and capacities do not go together")]
    Shape,
    /// A task or an agent is there twice.
    #[error("a task or an agent is there twice")]
    Twice,
    /// A score is no number, or the temperature is not above 0.
    #[error("a score is no number, or the temperature is not above 0")]
    NotANumber,
    /// A task is on a level that is not there.
    #[error("{task} is on a level that is not there")]
    NoLevel {
        /// Which.
        task: TaskId,
    },
    /// There is no such task, or no such agent, or the one cannot be done by the other.
    #[error("{task} cannot be done by {agent}")]
    Masked {
        /// Which.
        task: TaskId,
        /// Who.
        agent: AgentId,
    },
}

/// A tensor with more entries is not made: it would not fit the memory of many machines.
const MOST_ENTRIES: usize = 1 << 27;

impl TaskTensor {
    /// A tensor of tasks with their levels, of so many, in which `can` says who can do what; among those all are as likely.
    ///
    /// # Errors
    ///
    /// [`TensorError::NoLevel`], [`TensorError::Twice`] and [`TensorError::TooLarge`].
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
            return Err(TensorError::Twice);
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
        tensor.normalise(AxisOf::Agents);
        Ok(tensor)
    }

    /// The tensor of a problem whose levels are depths: a task is one level below the deepest that it comes after. Tasks that
    /// nobody attends are left out; what comes after them counts them all the same.
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

    /// The tensor of a problem whose levels are priorities, the highest first: as many as differ.
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
        tensor.normalise(AxisOf::Agents);
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

    /// All of it.
    #[must_use]
    pub fn values(&self) -> ArrayView3<'_, f64> {
        self.values.view()
    }

    /// What can be: true where an agent can do a task, on the level of the task.
    #[must_use]
    pub fn mask(&self) -> ArrayView3<'_, bool> {
        self.open.view()
    }

    /// One level, by task and agent; empty if there is no such level.
    #[must_use]
    pub fn level(&self, level: usize) -> ArrayView2<'_, f64> {
        self.values.axis_iter(Axis(2)).nth(level).unwrap_or_else(|| ndarray::aview2::<f64, 0>(&[]))
    }

    /// On which level a task is.
    #[must_use]
    pub fn level_of(&self, task: TaskId) -> Option<usize> {
        self.level_of.get(self.row(task)?).copied()
    }

    /// The tasks that no agent can do.
    pub fn orphans(&self) -> impl Iterator<Item = TaskId> {
        let rows = self.open.axis_iter(Axis(0)).zip(&self.tasks);
        rows.filter(|(open, _)| !open.iter().any(|open| *open)).map(|(_, task)| *task)
    }

    /// Makes it certain that an agent does a task: exactly 1.0 there, and 0 for the others.
    ///
    /// # Errors
    ///
    /// [`TensorError::Masked`] when it cannot be.
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

    /// The agent that certainly does a task.
    #[must_use]
    pub fn pinned(&self, task: TaskId) -> Option<AgentId> {
        let column = self.pinned.get(self.row(task)?).copied().flatten()?;
        self.agents.get(column).copied()
    }

    /// Scales what is not certain so that along an axis all sums are 1, together with what is certain. Where nothing can be
    /// the sum stays 0; where what is certain makes 1 or more, the rest becomes 0.
    pub fn normalise(&mut self, axis: AxisOf) {
        let along = match axis {
            AxisOf::Tasks => Axis(0),
            AxisOf::Agents => Axis(1),
            AxisOf::Levels => Axis(2),
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

    /// True where an assignment is certain.
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
    /// Everything that is wrong with the project, and [`TensorError::TooLarge`].
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
