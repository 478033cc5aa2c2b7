//! The fractional allocation of a project's work, as a linear program.

use super::program::{Constraint, LinearProgram, LpError, Relation, Variable};
use crate::base::id::{AgentId, TaskId};
use crate::planning::problem::{Mode, Problem};
use core::time::Duration;
use std::collections::BTreeMap;

/// The modes of each task that are included at first, in addition to its cheapest.
const FEW: usize = 3;

/// The fraction of a task that an agent does.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct WorkShare {
    /// The task.
    pub task: TaskId,
    /// The agent.
    pub agent: AgentId,
    /// The fraction, above 0 and up to 1.
    pub part: f64,
}

/// The optimal allocation of divisible tasks: a lower bound on the makespan, and the constraints that determine it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Allocation {
    /// A lower bound on the makespan of every plan within the budget.
    pub completion: Duration,
    /// The shares, by task, then by agent; the shares of a task sum to 1.
    pub shares: Vec<WorkShare>,
    /// The shadow prices of the constraints.
    pub prices: ShadowPrices,
}

/// The shadow prices of an [`Allocation`]: by how many seconds a small relaxation would reduce the completion, for each unit.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct ShadowPrices {
    /// For each agent, by a unit of capacity.
    pub agents: Vec<(AgentId, f64)>,
    /// For each shared resource, in the order of the project, by a unit of capacity.
    pub resources: Vec<f64>,
    /// By a unit of the host's currency (a million millionths) of budget; none without a budget.
    pub budget: Option<f64>,
    /// For each binding link, as predecessor and successor, by a second of its lag.
    pub links: Vec<(TaskId, TaskId, f64)>,
}

/// Computes the allocation with the earliest completion: each task is divided among agents with its skills, the work of an agent or
/// shared resource is at most its capacity times the completion, a task begins when all of each predecessor has ended, and the
/// budget is kept.
///
/// Every plan is such an allocation, so the completion is a lower bound on the makespan. Absences are ignored.
///
/// ```
/// use counterpoint::planning::{Agent, Project, Task, allocate};
/// use counterpoint::{AgentId, TaskId};
/// use std::time::Duration;
///
/// let agents = (1..=2).map(|n| Agent::new(AgentId::new(n)));
/// let tasks = (1..=3).map(|n| Task::new(TaskId::new(n), Duration::from_secs(2)));
/// let project = tasks.fold(agents.fold(Project::default(), Project::with_agent), Project::with_task);
/// let found = allocate(&project.check()?)?;
/// assert_eq!(found.completion.as_secs_f64().round(), 3.0); // six seconds of work for two agents; whole tasks take four
/// assert!((found.prices.agents[0].1 - 1.5).abs() < 1e-6); // half an agent more saves three quarters of a second
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`LpError::Numerical`] if the durations are of very different sizes. A checked problem always has an allocation.
pub fn allocate(problem: &Problem) -> Result<Allocation, LpError> {
    let mut model = Model::new(problem)?;
    model.tasks()?;
    model.rooms()?;
    model.read()
}

struct Model<'a> {
    problem: &'a Problem,
    program: LinearProgram,
    /// Ticks in a time unit of the program.
    unit: f64,
    /// Cost in a money unit of the program.
    money: f64,
    end: Variable,
    /// The fraction of each task in each mode; none if the task has only one mode.
    parts: Vec<Vec<Option<Variable>>>,
    starts: Vec<Option<Variable>>,
    links: Vec<(usize, usize, Constraint)>,
    rooms: Vec<Option<Constraint>>,
    budget: Option<Constraint>,
}

impl<'a> Model<'a> {
    fn new(problem: &'a Problem) -> Result<Self, LpError> {
        // The longest duration with the fastest agents as unit, since an extremely slow agent would scale all others to zero.
        let quickest = problem.modes.iter().filter_map(|modes| modes.iter().map(|mode| mode.span).min());
        let unit = quickest.max().unwrap_or(0).max(1) as f64;
        let money = problem.modes.iter().flatten().map(|mode| mode.cost).max().unwrap_or(0).max(1) as f64;
        let mut program = LinearProgram::minimise();
        let end = program.variable("completion", 1.0, 0.0, f64::INFINITY)?;
        let (parts, starts) = (vec![Vec::new(); problem.tasks()], vec![None; problem.tasks()]);
        let rooms = vec![None; problem.capacity.len()];
        Ok(Self { problem, program, unit, money, end, parts, starts, links: Vec::new(), rooms, budget: None })
    }

    fn modes(&self, task: usize) -> &'a [Mode] {
        self.problem.modes.get(task).map_or(&[], Vec::as_slice)
    }

    /// The contribution of a task to a sum: the terms of its fractions, and a constant.
    fn sum(&self, task: usize, of: impl Fn(&Mode) -> f64) -> (Vec<(Variable, f64)>, f64) {
        let (mut terms, mut constant) = (Vec::new(), 0.0);
        for (mode, part) in self.modes(task).iter().zip(self.parts.get(task).into_iter().flatten()) {
            match part {
                Some(part) => terms.push((*part, of(mode))),
                None => constant += of(mode),
            }
        }
        (terms, constant)
    }

    fn span(&self, mode: &Mode) -> f64 {
        mode.span as f64 / self.unit
    }

    /// The fractions of each task sum to 1; it ends before its successors begin.
    fn tasks(&mut self) -> Result<(), LpError> {
        let problem = self.problem;
        for (task, modes) in problem.modes.iter().enumerate() {
            let parts = if modes.len() == 1 {
                vec![None]
            } else {
                let parts = modes.iter().map(|_| self.program.variable("", 0.0, 0.0, f64::INFINITY).map(Some));
                let parts = parts.collect::<Result<Vec<_>, _>>()?;
                let terms = parts.iter().flatten().map(|part| (*part, 1.0));
                self.program.constraint("", terms, Relation::Equal, 1.0)?;
                parts
            };
            self.parts.iter_mut().skip(task).take(1).for_each(|slot| slot.clone_from(&parts));
        }
        let even = self.even();
        for task in 0..problem.tasks() {
            let release = problem.release.get(task).copied().unwrap_or(0) as f64 / self.unit;
            let longest = self.modes(task).iter().map(|mode| self.span(mode)).fold(0.0, f64::max);
            let linked =
                [&problem.before, &problem.then].iter().any(|links| links.get(task).is_some_and(|l| !l.is_empty()));
            if !linked && release + longest <= even {
                continue;
            }
            let start = self.program.variable("", 0.0, release, f64::INFINITY)?;
            self.starts.iter_mut().skip(task).take(1).for_each(|slot| *slot = Some(start));
            if problem.then.get(task).is_none_or(Vec::is_empty) {
                self.follows(task, self.end, 0)?;
            }
        }
        for task in 0..problem.tasks() {
            for &(first, lag) in problem.before.get(task).into_iter().flatten() {
                if let Some(Some(start)) = self.starts.get(task).copied() {
                    let link = self.follows(first, start, lag)?;
                    self.links.push((first, task, link));
                }
            }
        }
        Ok(())
    }

    /// The total work with the fastest agents, spread evenly over all capacity: a lower bound on the completion. A task without links
    /// that is shorter cannot determine the completion, so it needs no start.
    fn even(&self) -> f64 {
        let attended = self.problem.modes.iter().filter(|modes| modes.iter().all(|mode| mode.agent.is_some()));
        let quickest = attended.map(|modes| modes.iter().map(|mode| self.span(mode)).fold(f64::INFINITY, f64::min));
        let capacity = self.problem.capacity.iter().take(self.problem.agents()).copied().fold(0, u64::saturating_add);
        quickest.filter(|span| span.is_finite()).sum::<f64>() / (capacity.max(1) as f64)
    }

    /// Constrains a variable to be no earlier than the end of a task plus a lag.
    fn follows(&mut self, task: usize, later: Variable, lag: u64) -> Result<Constraint, LpError> {
        let (mut terms, constant) = self.sum(task, |mode| -self.span(mode));
        terms.push((later, 1.0));
        terms.extend(self.starts.get(task).copied().flatten().map(|start| (start, -1.0)));
        self.program.constraint("", terms, Relation::AtLeast, lag as f64 / self.unit - constant)
    }

    /// The capacity constraints of agents and shared resources, and the budget.
    fn rooms(&mut self) -> Result<(), LpError> {
        let problem = self.problem;
        let agents = problem.agents();
        let mut terms: Vec<Vec<(Variable, f64)>> = vec![Vec::new(); problem.capacity.len()];
        let mut constants = vec![0.0; problem.capacity.len()];
        let mut spent: (Vec<(Variable, f64)>, f64) = (Vec::new(), 0.0);
        for task in 0..problem.tasks() {
            for (index, mode) in self.modes(task).iter().enumerate() {
                let part = self.parts.get(task).and_then(|parts| parts.get(index).copied()).flatten();
                let uses = problem.uses.get(task).into_iter().flatten().copied();
                for (room, amount) in uses.chain(mode.agent.map(|agent| (agent, 1))) {
                    let capacity = problem.capacity.get(room).copied().unwrap_or(1).max(1) as f64;
                    let work = self.span(mode) * amount as f64 / capacity;
                    match part {
                        Some(part) => terms.get_mut(room).into_iter().for_each(|terms| terms.push((part, work))),
                        None => constants.iter_mut().skip(room).take(1).for_each(|sum| *sum += work),
                    }
                }
                match part {
                    Some(part) => spent.0.push((part, mode.cost as f64 / self.money)),
                    None => spent.1 += mode.cost as f64 / self.money,
                }
            }
        }
        debug_assert!(agents <= terms.len(), "agents come first");
        for (room, (mut terms, constant)) in terms.into_iter().zip(constants).enumerate() {
            if terms.is_empty() && constant == 0.0 {
                continue;
            }
            terms.push((self.end, -1.0));
            let constraint = self.program.constraint("", terms, Relation::AtMost, -constant)?;
            self.rooms.iter_mut().skip(room).take(1).for_each(|slot| *slot = Some(constraint));
        }
        if let Some(budget) = problem.budget {
            let most = budget as f64 / self.money - spent.1;
            self.budget = Some(self.program.constraint("budget", spent.0, Relation::AtMost, most)?);
        }
        Ok(())
    }

    /// The fractions that sifting excludes at first: all but a few of each task. The cheapest mode is included, so that the budget can
    /// be kept, and the modes of the agents with the least load in a greedy assignment.
    fn aside(&self) -> Vec<bool> {
        let mut aside = vec![false; self.program.columns.len()];
        let mut mark = |part: Option<Variable>, is_aside: bool| {
            part.into_iter().for_each(|part| aside.iter_mut().skip(part.0).take(1).for_each(|slot| *slot = is_aside));
        };
        let mut loads = vec![0.0; self.problem.agents()];
        for (task, parts) in self.parts.iter().enumerate() {
            let load = |mode: &Mode| {
                let agent = mode.agent.and_then(|agent| Some((loads.get(agent)?, self.problem.capacity.get(agent)?)));
                let (load, capacity) = agent.map_or((0.0, 1), |(load, capacity)| (*load, (*capacity).max(1)));
                load + self.span(mode) / capacity as f64
            };
            let mut ways: Vec<_> =
                self.modes(task).iter().zip(parts).map(|(mode, part)| (load(mode), mode, *part)).collect();
            ways.sort_by(|one, two| one.0.total_cmp(&two.0));
            ways.iter().for_each(|(_, _, part)| mark(*part, true));
            mark(ways.iter().min_by_key(|(_, mode, _)| mode.cost).and_then(|(_, _, part)| *part), false);
            ways.iter().take(FEW).for_each(|(_, _, part)| mark(*part, false));
            if let Some((load, Mode { agent: Some(agent), .. }, _)) = ways.first() {
                loads.iter_mut().skip(*agent).take(1).for_each(|slot| *slot = *load);
            }
        }
        aside
    }

    fn read(self) -> Result<Allocation, LpError> {
        let solution = self.program.solve_with_few(self.aside())?;
        let problem = self.problem;
        let mut shares = Vec::new();
        for ((modes, parts), task) in problem.modes.iter().zip(&self.parts).zip(&problem.tasks) {
            let mut of: BTreeMap<usize, f64> = BTreeMap::new();
            for (mode, part) in modes.iter().zip(parts) {
                let part = part.map_or(1.0, |part| solution.value(part).clamp(0.0, 1.0));
                mode.agent.into_iter().for_each(|agent| *of.entry(agent).or_default() += part);
            }
            for (agent, part) in of.into_iter().filter(|(_, part)| *part > 1e-9) {
                let agent = problem.agents.get(agent).copied();
                shares.extend(agent.map(|agent| WorkShare { task: *task, agent, part }));
            }
        }
        let nanos = |ticks: f64| Duration::from_secs_f64(ticks.max(0.0) * problem.tick as f64 * 1e-9);
        // Constraints hold within a tolerance, so the objective is reduced by it to remain a valid bound.
        let completion = nanos((solution.objective - 1e-6 * solution.objective.max(1.0)) * self.unit);
        let seconds = self.unit * problem.tick as f64 * 1e-9;
        let price = |constraint: Constraint| solution.price(constraint).unwrap_or(0.0);
        // The constraint of a capacity c is work / c <= end, so one more unit relaxes it by work / c² = end / c.
        let room = |room: usize| {
            let capacity = problem.capacity.get(room).copied().unwrap_or(1).max(1) as f64;
            let dual = self.rooms.get(room).copied().flatten().map_or(0.0, price);
            (-dual * solution.objective * seconds / capacity).max(0.0)
        };
        let ids = |task: usize| problem.tasks.get(task).copied();
        let links = self.links.iter().map(|(first, task, link)| (ids(*first), ids(*task), price(*link)));
        let links = links.filter(|link| link.2 > 1e-9);
        let prices = ShadowPrices {
            agents: problem.agents.iter().enumerate().map(|(index, agent)| (*agent, room(index))).collect(),
            resources: (problem.agents()..problem.capacity.len()).map(room).collect(),
            budget: self.budget.map(|budget| (-price(budget)).max(0.0) * seconds * 1e6 / self.money),
            links: links.filter_map(|(first, task, price)| Some((first?, task?, price))).collect(),
        };
        Ok(Allocation { completion, shares, prices })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::structure::Random;
    use crate::planning::{Agent, Project, Task, Work};

    fn model(problem: &Problem) -> Model<'_> {
        let mut model = Model::new(problem).unwrap();
        model.tasks().unwrap();
        model.rooms().unwrap();
        model
    }

    fn by_agent(id: u64, seconds: impl IntoIterator<Item = (u64, u64)>) -> Task {
        let seconds = seconds.into_iter().map(|(agent, secs)| (AgentId::new(agent), secs * 1_000_000_000));
        Task::of(TaskId::new(id), Work::ByAgent(seconds.collect()))
    }

    /// A team with some extremely slow agents and some of large capacity.
    fn team(random: &mut Random) -> Project {
        let agents = 5 + random.below(8) as u64;
        let mut project = Project::default();
        for id in 0..agents {
            let capacity = [1, 1, 2, 50][random.below(4)];
            let cost = 1_000_000 * (1 + random.below(9) as u64);
            project =
                project.with_agent(Agent::new(AgentId::new(id)).with_capacity(capacity).with_cost_per_second(cost));
        }
        for id in 0..1 + random.below(40) as u64 {
            let slow = [1, 1, 1, 1_000_000][random.below(4)];
            project =
                project.with_task(by_agent(id, (0..agents).map(|agent| (agent, (1 + random.below(9) as u64) * slow))));
        }
        project
    }

    #[test]
    fn sifting_finds_the_allocation_of_all_fractions() {
        let mut stood_aside = 0;
        for seed in 0..60 {
            let problem = team(&mut Random::new(seed, 0)).check().unwrap();
            let model = model(&problem);
            let all = model.program.solve().unwrap().objective;
            let aside = model.aside();
            stood_aside += aside.iter().filter(|aside| **aside).count();
            let few = model.program.solve_with_few(aside).unwrap().objective;
            assert!((all - few).abs() <= 1e-6 * all.max(1.0), "seed {seed}: {all} {few}");
        }
        assert!(stood_aside > 1_000, "{stood_aside}");
    }

    /// An agent that would take ten days for a task, and an agent with a capacity of a thousand.
    #[test]
    fn an_extremely_slow_agent_does_not_affect_precision() {
        let agents = (0..100).map(|id| Agent::new(AgentId::new(id)).with_capacity(if id == 99 { 1_000 } else { 1 }));
        let project = agents.fold(Project::default(), Project::with_agent);
        let tasks = (2..=1_001).map(|id| Task::new(TaskId::new(id), Duration::from_secs(5)));
        let project = tasks.fold(project, Project::with_task).with_task(by_agent(1, [(0, 5), (1, 864_000)]));
        let found = allocate(&project.check().unwrap()).unwrap();
        assert!((found.completion.as_secs_f64() - 5.0).abs() < 1e-3, "{:?}", found.completion);
    }
}
