//! A validated project, with indexes in place of ids and whole ticks in place of nanoseconds.

use super::fault::{InvalidProject, ProjectFault};
use super::model::{Project, Task, Work};
use crate::base::id::{AgentId, TaskId};
use crate::base::time::{Time, nanos_of};
use std::collections::BTreeMap;

/// A validated project, as the solvers take it: made by [`Project::check`].
///
/// Durations are counted in ticks, the greatest common divisor of all durations and times, so that no solver depends on the unit.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Nanoseconds in a tick.
    pub(super) tick: u64,
    pub(super) tasks: Vec<TaskId>,
    pub(super) agents: Vec<AgentId>,
    /// The modes of each task: an agent with a duration and a cost. A task without an agent has exactly one mode.
    pub(super) modes: Vec<Vec<Mode>>,
    /// The predecessors of each task, with their lags.
    pub(super) before: Vec<Vec<(usize, u64)>>,
    /// The successors of each task, with their lags.
    pub(super) then: Vec<Vec<(usize, u64)>>,
    /// The amount of each shared resource that each task uses. Resource indexes follow those of the agents.
    pub(super) uses: Vec<Vec<(usize, u64)>>,
    /// The capacities of the agents, then of the shared resources.
    pub(super) capacity: Vec<u64>,
    /// The absences of each agent, in order, disjoint and not adjacent.
    pub(super) away: Vec<Vec<(u64, u64)>>,
    /// For each agent, the ends of the work that already occupies a unit of its capacity.
    pub(super) busy: Vec<Vec<u64>>,
    pub(super) release: Vec<u64>,
    pub(super) due: Vec<Option<u64>>,
    pub(super) priority: Vec<u64>,
    /// A topological order of the tasks.
    pub(super) order: Vec<usize>,
    pub(super) budget: Option<u64>,
}

/// One way to execute a task, as in multi-mode project scheduling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mode {
    /// None for a task without an agent.
    pub(super) agent: Option<usize>,
    pub(super) span: u64,
    /// The cost that counts against the budget.
    pub(super) cost: u64,
    pub(super) preferred: bool,
}

/// The latest end of a plan: sums of two times stay far from overflow.
const END: u64 = u64::MAX / 8;

impl Problem {
    /// The number of tasks.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// The number of agents.
    #[must_use]
    pub fn agents(&self) -> usize {
        self.agents.len()
    }

    /// The time after this many ticks.
    pub(super) const fn time(&self, ticks: u64) -> Time {
        Time::from_nanos(ticks.saturating_mul(self.tick))
    }

    pub(super) fn of(project: &Project) -> Result<Self, InvalidProject> {
        let mut reader = Reader::new(project);
        let mut problem = reader.read();
        if reader.faults.is_empty() && problem.latest() > END {
            reader.faults.push(ProjectFault::TooLong);
        }
        if let Some(budget) = project.budget {
            let least = problem.modes.iter().map(|modes| modes.iter().map(|mode| mode.cost).min().unwrap_or(0));
            let least = least.fold(0, u64::saturating_add);
            if least > budget {
                reader.faults.push(ProjectFault::OverBudget { least, budget });
            }
        }
        if !reader.faults.is_empty() {
            return Err(InvalidProject { faults: reader.faults });
        }
        problem.divide();
        Ok(problem)
    }

    /// An upper bound on the end: all tasks in sequence, after all absences and releases.
    fn latest(&self) -> u64 {
        let spans = self.modes.iter().map(|modes| modes.iter().map(|mode| mode.span).max().unwrap_or(0));
        let lags = self.before.iter().flatten().map(|&(_, lag)| lag);
        let away = self.away.iter().flatten().map(|&(_, until)| until).max().unwrap_or(0);
        let release = self.release.iter().copied().max().unwrap_or(0);
        let busy = self.busy.iter().flatten().copied().max().unwrap_or(0);
        spans.chain(lags).chain([away, release, busy]).fold(0, u64::saturating_add)
    }

    /// Divides all durations and times by their greatest common divisor.
    fn divide(&mut self) {
        let mut divisor = 0;
        self.each_time(|time| divisor = gcd(divisor, *time));
        self.tick = divisor.max(1);
        let tick = self.tick;
        self.each_time(|time| *time /= tick);
        // A deadline between two ticks is met exactly if the task ends at the tick before it.
        self.due.iter_mut().flatten().for_each(|due| *due /= tick);
    }

    fn each_time(&mut self, mut act: impl FnMut(&mut u64)) {
        self.modes.iter_mut().flatten().for_each(|mode| act(&mut mode.span));
        self.before.iter_mut().chain(&mut self.then).flatten().for_each(|(_, lag)| act(lag));
        self.release.iter_mut().for_each(&mut act);
        self.busy.iter_mut().flatten().for_each(&mut act);
        for (from, until) in self.away.iter_mut().flatten() {
            act(from);
            act(until);
        }
    }
}

const fn gcd(mut one: u64, mut two: u64) -> u64 {
    while two != 0 {
        (one, two) = (two, one % two);
    }
    one
}

/// Resolves ids and collects the faults of a project.
struct Reader<'a> {
    project: &'a Project,
    tasks: BTreeMap<TaskId, usize>,
    agents: BTreeMap<AgentId, usize>,
    resources: BTreeMap<&'a str, usize>,
    faults: Vec<ProjectFault>,
}

impl<'a> Reader<'a> {
    fn new(project: &'a Project) -> Self {
        let mut faults = Vec::new();
        let (mut tasks, mut agents, mut resources) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (index, task) in project.tasks.iter().enumerate() {
            if tasks.insert(task.id, index).is_some() {
                faults.push(ProjectFault::DuplicateTask { task: task.id });
            }
        }
        for (index, agent) in project.agents.iter().enumerate() {
            if agents.insert(agent.id, index).is_some() {
                faults.push(ProjectFault::DuplicateAgent { agent: agent.id });
            }
            if agent.capacity == 0 {
                faults.push(ProjectFault::NoCapacity { agent: agent.id });
            }
            if agent.busy.len() > agent.capacity as usize {
                faults.push(ProjectFault::BusyBeyondCapacity { agent: agent.id });
            }
            if agent.away.iter().any(|window| window.from > window.until) {
                faults.push(ProjectFault::InvertedAbsence { agent: agent.id });
            }
        }
        for (index, resource) in project.resources.iter().enumerate() {
            if resources.insert(resource.name.as_str(), index).is_some() {
                faults.push(ProjectFault::DuplicateResource { resource: resource.name.clone() });
            }
        }
        Self { project, tasks, agents, resources, faults }
    }

    fn read(&mut self) -> Problem {
        let project = self.project;
        let mut then = vec![Vec::new(); project.tasks.len()];
        let before: Vec<_> = project.tasks.iter().map(|task| self.before(task)).collect();
        for (index, links) in before.iter().enumerate() {
            for &(first, lag) in links {
                if let Some(then) = then.get_mut(first) {
                    Vec::push(then, (index, lag));
                }
            }
        }
        let order = self.sorted(&before, &then);
        let shared = project.resources.iter().map(|resource| resource.capacity);
        Problem {
            tick: 1,
            tasks: project.tasks.iter().map(|task| task.id).collect(),
            agents: project.agents.iter().map(|agent| agent.id).collect(),
            modes: project.tasks.iter().map(|task| self.modes(task)).collect(),
            before,
            then,
            uses: project.tasks.iter().map(|task| self.uses(task)).collect(),
            capacity: project.agents.iter().map(|agent| u64::from(agent.capacity)).chain(shared).collect(),
            away: project.agents.iter().map(|agent| joined(agent.away.iter())).collect(),
            busy: project
                .agents
                .iter()
                .map(|agent| agent.busy.iter().map(|until| until.as_nanos()).collect())
                .collect(),
            release: project.tasks.iter().map(|task| task.release.as_nanos()).collect(),
            due: project.tasks.iter().map(|task| task.deadline.map(Time::as_nanos)).collect(),
            priority: project.tasks.iter().map(|task| u64::from(task.priority)).collect(),
            order,
            budget: project.budget,
        }
    }

    fn before(&mut self, task: &Task) -> Vec<(usize, u64)> {
        let mut before = BTreeMap::new();
        for link in &task.after {
            if let Some(&index) = self.tasks.get(&link.task) {
                let lag: &mut u64 = before.entry(index).or_default();
                *lag = nanos_of(link.lag).max(*lag);
            } else {
                self.faults.push(ProjectFault::UnknownTask { task: task.id, named: link.task });
            }
        }
        before.into_iter().collect()
    }

    fn uses(&mut self, task: &Task) -> Vec<(usize, u64)> {
        let mut uses = Vec::new();
        for (name, &amount) in &task.uses {
            let Some(&index) = self.resources.get(name.as_str()) else {
                self.faults.push(ProjectFault::UnknownResource { task: task.id, named: name.clone() });
                continue;
            };
            if self.project.resources.get(index).is_some_and(|resource| resource.capacity < amount) {
                self.faults.push(ProjectFault::ExceedsCapacity { task: task.id, resource: name.clone() });
            }
            if amount > 0 {
                uses.push((self.project.agents.len().saturating_add(index), amount));
            }
        }
        uses
    }

    fn modes(&mut self, task: &Task) -> Vec<Mode> {
        let named = match &task.work {
            Work::ByAgent(spans) => spans.keys().copied().collect(),
            Work::Fixed(_) | Work::ByLevel { .. } => Vec::new(),
        };
        for named in named.into_iter().chain(task.preferred.iter().copied()) {
            if !self.agents.contains_key(&named) {
                self.faults.push(ProjectFault::UnknownAgent { task: task.id, named });
            }
        }
        if !task.attended {
            let Work::Fixed(span) = task.work else {
                self.faults.push(ProjectFault::DurationNotFixed { task: task.id });
                return Vec::new();
            };
            return vec![Mode { agent: None, span: nanos_of(span), cost: 0, preferred: false }];
        }
        let able = self.project.agents.iter().enumerate().filter(|(_, agent)| {
            task.needs.iter().all(|(skill, level)| agent.skills.get(skill).is_some_and(|has| has >= level))
        });
        let modes: Vec<_> = able
            .filter_map(|(index, agent)| {
                let span = match &task.work {
                    Work::Fixed(span) => nanos_of(*span),
                    Work::ByAgent(spans) => *spans.get(&agent.id)?,
                    Work::ByLevel { skill, levels } => *levels.range(..=agent.skills.get(skill)?).next_back()?.1,
                };
                let cost = u128::from(span) * u128::from(agent.cost_per_second) / 1_000_000_000;
                let cost = cost.saturating_mul(u128::from(task.budget_permille)) / 1_000;
                let cost = u64::try_from(cost).unwrap_or(u64::MAX);
                Some(Mode { agent: Some(index), span, cost, preferred: task.preferred.contains(&agent.id) })
            })
            .collect();
        if modes.is_empty() {
            self.faults.push(ProjectFault::NoEligibleAgent { task: task.id });
        }
        modes
    }

    /// A topological order. Reports the tasks on cycles and on paths between cycles.
    fn sorted(&mut self, before: &[Vec<(usize, u64)>], then: &[Vec<(usize, u64)>]) -> Vec<usize> {
        let (order, mut held) = kahn(before, then, vec![true; before.len()]);
        if order.len() < before.len() {
            // What remains lies on a cycle or behind one; a second pass from the ends removes what only lies behind.
            let (_, rest) = kahn(then, before, held.clone());
            held = rest;
            let stuck = self.project.tasks.iter().zip(&held).filter(|(_, held)| **held);
            let tasks = stuck.map(|(task, _)| task.id).collect();
            self.faults.push(ProjectFault::Cycle { tasks });
        }
        order
    }
}

/// A topological order (Kahn's algorithm) of the tasks that are `held`, and the tasks that cannot be ordered.
pub(super) fn kahn(
    before: &[Vec<(usize, u64)>],
    then: &[Vec<(usize, u64)>],
    mut held: Vec<bool>,
) -> (Vec<usize>, Vec<bool>) {
    let is = |held: &[bool], index: usize| held.get(index).copied().unwrap_or(false);
    let pending = before.iter().map(|links| links.iter().filter(|(first, _)| is(&held, *first)).count());
    let mut pending: Vec<usize> = pending.collect();
    let mut order: Vec<usize> = pending
        .iter()
        .enumerate()
        .filter(|&(index, &pending)| pending == 0 && is(&held, index))
        .map(|(index, _)| index)
        .collect();
    let mut next = 0;
    while let Some(&index) = order.get(next) {
        next += 1;
        if let Some(held) = held.get_mut(index) {
            *held = false;
        }
        for &(later, _) in then.get(index).into_iter().flatten() {
            let left = pending.get_mut(later).map_or(usize::MAX, |pending| {
                *pending = pending.saturating_sub(1);
                *pending
            });
            if left == 0 && is(&held, later) {
                order.push(later);
            }
        }
    }
    (order, held)
}

/// The windows in order, with adjacent and overlapping ones merged and empty ones removed.
fn joined<'a>(windows: impl Iterator<Item = &'a super::model::Window>) -> Vec<(u64, u64)> {
    let mut all: Vec<(u64, u64)> = windows.map(|window| (window.from.as_nanos(), window.until.as_nanos())).collect();
    all.retain(|(from, until)| from < until);
    all.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (from, until) in all {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            Some(_) | None => joined.push((from, until)),
        }
    }
    joined
}
