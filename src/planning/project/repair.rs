//! Repair of a plan after its project has changed: the order and the agents of the plan are kept as far as they help.

use super::super::plan::{Plan, PlannedTask};
use super::super::problem::{Mode, Problem};
use super::profile::{Profile, Steps};
use crate::base::time::nanos_of;
use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{BTreeMap, BinaryHeap};

/// A repaired plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Repair {
    /// The plan: a feasible one of the whole project.
    pub plan: Plan,
    /// The number of planned tasks that another agent does than before.
    pub moved: u32,
    /// The number of planned tasks that begin later than before.
    pub delayed: u32,
    /// The number of times at which a task was tried with an agent: at most the number of tasks times that of agents.
    pub tries: u64,
}

/// Makes a feasible plan of a project from the plan of an earlier state of it, in one pass.
///
/// Tasks are placed in the order of the plan, each as early as possible. A task keeps its agent if it can begin with it when
/// planned, and otherwise unless another agent would end it earlier by more than `stability`, the price of a change. So a zero
/// price gives the earliest ends, and a large one keeps every assignment that is still possible. Tasks without a place in the plan
/// follow the others, in gaps where they fit. Tasks of the plan that the project does not have are ignored.
///
/// The pass is much shorter than a search: it is meant to run between two events. Use [`improve`](super::super::improve) on its
/// result where there is time.
///
/// ```
/// use counterpoint::planning::{Agent, Project, Task, repair, validate};
/// use counterpoint::planning::{Rule, Scheme, generate};
/// use counterpoint::{AgentId, TaskId, Time};
/// use std::time::Duration;
///
/// let agent = |id| Agent::new(AgentId::new(id));
/// let task = |id| Task::new(TaskId::new(id), Duration::from_secs(10));
/// let project = Project::default().with_agent(agent(1)).with_agent(agent(2)).with_task(task(1)).with_task(task(2));
/// let plan = generate(&project.check()?, Scheme::Serial, Rule::LatestFinish);
///
/// // The first agent is busy for eight seconds more: the task waits for it, unless that costs more than a change.
/// let mut later = project;
/// later.agents[0] = agent(1).with_busy(Time::from_secs(8));
/// let kept = repair(&later.check()?, &plan, Duration::from_secs(60));
/// assert_eq!((kept.moved, kept.delayed), (0, 1));
/// assert_eq!(validate(&later, &kept.plan).unwrap().makespan, Duration::from_secs(18));
/// # Ok::<(), counterpoint::planning::InvalidProject>(())
/// ```
#[must_use]
pub fn repair(problem: &Problem, plan: &Plan, stability: Duration) -> Repair {
    let mut pass = Pass::new(problem, plan, nanos_of(stability) / problem.tick);
    while let Some(Reverse((_, task))) = pass.ready.pop() {
        pass.place(task);
    }
    pass.into_repair()
}

/// The place of a task in the earlier plan, in ticks.
#[derive(Debug, Clone, Copy)]
struct Before {
    start: u64,
    /// The index of its mode; none if the agent can no longer do it.
    mode: Option<usize>,
}

/// Where a task is placed.
#[derive(Debug, Clone, Copy, Default)]
struct Placed {
    mode: usize,
    start: u64,
    end: u64,
}

struct Pass<'a> {
    problem: &'a Problem,
    before: Vec<Option<Before>>,
    stability: u64,
    profile: Steps<'a>,
    placed: Vec<Placed>,
    /// The earliest start of each task, by the ends of its predecessors.
    earliest: Vec<u64>,
    pending: Vec<usize>,
    /// The tasks whose predecessors are placed, by planned start.
    ready: BinaryHeap<Reverse<(u64, usize)>>,
    /// What the budget leaves beyond the cheapest modes of the tasks that are not placed.
    spare: u64,
    moved: u32,
    delayed: u32,
    tries: u64,
}

impl<'a> Pass<'a> {
    fn new(problem: &'a Problem, plan: &Plan, stability: u64) -> Self {
        let mut profile = Steps::new(problem);
        profile.clear(true);
        let planned: BTreeMap<_, _> = plan.tasks.iter().map(|one| (one.task, one)).collect();
        let agents: BTreeMap<_, usize> = problem.agents.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        let before = problem.tasks.iter().zip(&problem.modes).map(|(id, modes)| {
            let one = planned.get(id)?;
            let agent = one.agent.and_then(|agent| agents.get(&agent).copied());
            let mode = modes.iter().position(|mode| mode.agent == agent);
            Some(Before { start: one.start.as_nanos() / problem.tick, mode })
        });
        let cheapest = problem.modes.iter().map(|modes| cheapest(modes)).fold(0, u64::saturating_add);
        let mut pass = Self {
            before: before.collect(),
            stability,
            profile,
            placed: vec![Placed::default(); problem.tasks.len()],
            earliest: problem.release.clone(),
            pending: problem.before.iter().map(Vec::len).collect(),
            ready: BinaryHeap::new(),
            spare: problem.budget.map_or(u64::MAX, |budget| budget.saturating_sub(cheapest)),
            moved: 0,
            delayed: 0,
            tries: 0,
            problem,
        };
        for task in 0..problem.tasks.len() {
            pass.offer(task);
        }
        pass
    }

    /// Makes a task ready if all its predecessors are placed.
    fn offer(&mut self, task: usize) {
        if self.pending.get(task) == Some(&0) {
            let start = self.before.get(task).copied().flatten().map_or(u64::MAX, |before| before.start);
            self.ready.push(Reverse((start, task)));
        }
    }

    fn place(&mut self, task: usize) {
        let before = self.before.get(task).copied().flatten();
        let Some(best) = self.choose(task, before) else { return };
        let Some(mode) = self.problem.modes.get(task).and_then(|modes| modes.get(best.mode)) else { return };
        if let Some(before) = before {
            self.moved += u32::from(before.mode != Some(best.mode));
            self.delayed += u32::from(best.start > before.start);
        }
        self.spare = self.spare.saturating_sub(mode.cost.saturating_sub(self.least_cost(task)));
        self.profile.take(task, mode, best.start);
        self.placed.iter_mut().skip(task).take(1).for_each(|placed| *placed = best);
        for &(next, lag) in self.problem.then.get(task).into_iter().flatten() {
            let from = best.end.saturating_add(lag);
            self.earliest.iter_mut().skip(next).take(1).for_each(|earliest| *earliest = from.max(*earliest));
            self.pending.iter_mut().skip(next).take(1).for_each(|pending| *pending = pending.saturating_sub(1));
            self.offer(next);
        }
    }

    /// The planned mode if it is in time; otherwise the mode with the earliest end, where the planned one has an advantage.
    fn choose(&mut self, task: usize, before: Option<Before>) -> Option<Placed> {
        let kept = before.and_then(|before| Some((before, self.fit(task, before.mode?)?)));
        let ready = self.earliest.get(task).copied().unwrap_or(0);
        if let Some((before, fit)) = kept
            && fit.start <= before.start.max(ready)
        {
            return Some(fit);
        }
        let own = before.and_then(|before| before.mode);
        let mut best = kept.map(|(_, fit)| fit);
        let worth = |fit: &Placed| if Some(fit.mode) == own { fit.end } else { fit.end.saturating_add(self.stability) };
        let mut least = best.as_ref().map(worth);
        let stability = if own.is_some() { self.stability } else { 0 };
        for (index, mode) in self.problem.modes.get(task)?.iter().enumerate() {
            let bound = ready.saturating_add(mode.span).saturating_add(stability);
            if Some(index) == own || least.is_some_and(|least| bound >= least) {
                continue;
            }
            let Some(fit) = self.fit(task, index) else { continue };
            let end = fit.end.saturating_add(stability);
            if least.is_none_or(|least| end < least) {
                (best, least) = (Some(fit), Some(end));
            }
        }
        best
    }

    /// The earliest place with a mode, if the budget allows that.
    fn fit(&mut self, task: usize, index: usize) -> Option<Placed> {
        let mode = self.problem.modes.get(task)?.get(index)?;
        if mode.cost.saturating_sub(self.least_cost(task)) > self.spare {
            return None;
        }
        self.tries += 1;
        let start = self.profile.earliest(task, mode, self.earliest.get(task).copied().unwrap_or(0));
        Some(Placed { mode: index, start, end: start.saturating_add(mode.span) })
    }

    fn least_cost(&self, task: usize) -> u64 {
        self.problem.modes.get(task).map_or(0, |modes| cheapest(modes))
    }

    fn into_repair(self) -> Repair {
        let problem = self.problem;
        let tasks = problem.tasks.iter().zip(&problem.modes).zip(&self.placed).map(|((task, modes), placed)| {
            let agent = modes.get(placed.mode).and_then(|mode| mode.agent);
            PlannedTask {
                task: *task,
                agent: agent.and_then(|agent| problem.agents.get(agent).copied()),
                start: problem.time(placed.start),
                finish: problem.time(placed.end),
            }
        });
        let Self { moved, delayed, tries, .. } = self;
        Repair { plan: Plan::of(tasks), moved, delayed, tries }
    }
}

fn cheapest(modes: &[Mode]) -> u64 {
    modes.iter().map(|mode| mode.cost).min().unwrap_or(0)
}
