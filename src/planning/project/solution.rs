//! The search for a plan.

use super::super::plan::{Plan, PlannedTask};
use super::super::problem::Problem;
use super::annealing::anneal;
use super::bounds::makespan_bound;
use super::destructive::destructive_bound;
use super::generate::{resume, start};
use super::genetic::evolve;
use super::network::{Network, at};
use super::sequence::{latest, mode};
use super::settings::{Goal, Measure, Progress, Settings};
use core::ops::ControlFlow;
use core::time::Duration;

/// A plan with its objective values and a lower bound.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Solution {
    /// The plan.
    pub plan: Plan,
    /// The end of the last task, as the time since the epoch.
    pub makespan: Duration,
    /// The cost that counts against the budget.
    pub cost: u64,
    /// A lower bound on the makespan of every plan.
    pub bound: Duration,
    /// The number of schedules that were evaluated.
    pub evaluations: u64,
}

impl Solution {
    /// Whether the makespan is proven to be the least.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.makespan <= self.bound
    }

    /// The relative gap between makespan and bound, as a fraction of the bound.
    #[must_use]
    pub fn gap(&self) -> f64 {
        if self.bound.is_zero() { 0.0 } else { self.makespan.as_secs_f64() / self.bound.as_secs_f64() - 1.0 }
    }
}

/// Searches for the best plan until it is proven optimal, the evaluations are used up, or the observer breaks.
///
/// The observer receives the progress. It is also the place to limit time, since this crate reads no clock. Without a break the
/// plan is a function of problem and settings alone.
///
/// ```
/// use counterpoint::planning::{Agent, Project, Settings, Task, plan_project, validate};
/// use counterpoint::{AgentId, TaskId};
/// use std::ops::ControlFlow;
/// use std::time::Duration;
///
/// let agents = (1..=2).map(|n| Agent::new(AgentId::new(n)).with_skill("weld", 1));
/// let tasks = [3, 3, 2, 2, 2].into_iter().enumerate();
/// let tasks = tasks.map(|(n, s)| Task::new(TaskId::new(n as u64), Duration::from_secs(s)).with_need("weld", 1));
/// let project = agents.fold(Project::default(), Project::with_agent);
/// let project = tasks.fold(project, Project::with_task);
///
/// let found = plan_project(&project.check()?, &Settings::default(), &mut |_| ControlFlow::Continue(()));
/// assert_eq!(found.makespan, Duration::from_secs(6));
/// assert!(found.is_proven());
/// assert_eq!(validate(&project, &found.plan).unwrap().makespan, found.makespan);
/// # Ok::<(), counterpoint::planning::InvalidProject>(())
/// ```
#[must_use]
pub fn plan_project(
    problem: &Problem,
    settings: &Settings,
    observer: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Solution {
    let network = Network::new(problem);
    let best = start(&network, &settings.goal);
    let bound = makespan_bound(&network, best.makespan);
    search(&network, best, bound, settings, observer)
}

/// Searches for a plan that is better than a given one, which may come from another version of the project. Tasks and agents of the
/// plan that the problem does not have are ignored; tasks without a place, or with an agent that cannot do them, are placed by a
/// priority rule.
///
/// If the plan satisfies the constraints of the problem, the result is no worse than it, whatever the settings.
///
/// ```
/// use counterpoint::planning::{Agent, PlannedTask, Plan, Project, Settings, Task, improve};
/// use counterpoint::{AgentId, TaskId, Time};
/// use std::ops::ControlFlow;
/// use std::time::Duration;
///
/// let agent = AgentId::new(1);
/// let task = |n| Task::new(TaskId::new(n), Duration::from_secs(2));
/// let project = Project::default().with_agent(Agent::new(agent)).with_task(task(1)).with_task(task(2));
/// let placed = |n, start| PlannedTask {
///     task: TaskId::new(n),
///     agent: Some(agent),
///     start: Time::from_secs(start),
///     finish: Time::from_secs(start + 2),
/// };
/// let lazy = Plan::of([placed(2, 1), placed(1, 9)]);
/// let found = improve(&project.check()?, &lazy, &Settings::default(), &mut |_| ControlFlow::Continue(()));
/// assert_eq!(found.makespan, Duration::from_secs(4));
/// assert_eq!(found.plan.tasks[1].start, Time::ZERO); // the order of the given plan is kept
/// # Ok::<(), counterpoint::planning::InvalidProject>(())
/// ```
#[must_use]
pub fn improve(
    problem: &Problem,
    plan: &Plan,
    settings: &Settings,
    observer: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Solution {
    let network = Network::new(problem);
    let best = resume(&network, plan, &settings.goal);
    let bound = makespan_bound(&network, best.makespan);
    search(&network, best, bound, settings, observer)
}

/// Searches for a better schedule than this.
pub(super) fn search(
    network: &Network<'_>,
    mut best: Best,
    bound: u64,
    settings: &Settings,
    observer: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Solution {
    let problem = network.problem;
    let mut monitor = SearchMonitor::new(bound, settings, problem, observer);
    if monitor.go_on(0, best.makespan) && !best.is_proven(&monitor) {
        if is_sequential(problem, &settings.goal) {
            anneal(network, &mut best, &mut monitor, settings.seed);
        } else {
            evolve(network, &mut best, &mut monitor, settings.seed);
        }
    }
    let evaluations = monitor.tried;
    let plan = best.plan(network);
    let nanos = |ticks: u64| Duration::from_nanos(ticks.saturating_mul(problem.tick));
    let (makespan, bound) = (nanos(best.makespan), nanos(monitor.bound));
    Solution { plan, makespan, cost: best.cost(network), bound, evaluations }
}

/// Whether appending tasks to their agents' sequences is enough: unit capacities, no absences, no shared resources.
fn is_sequential(problem: &Problem, goal: &Goal) -> bool {
    goal.0.first() == Some(&Measure::Makespan)
        && goal.0.len() == 1
        && problem.uses.iter().all(Vec::is_empty)
        && problem.away.iter().all(Vec::is_empty)
        && problem.capacity.iter().take(problem.agents()).all(|capacity| *capacity == 1)
        && problem.modes.iter().flatten().all(|mode| mode.agent.is_some())
}

/// The best schedule so far.
#[derive(Debug, Clone)]
pub(super) struct Best {
    pub(super) goal: Goal,
    pub(super) order: Vec<usize>,
    pub(super) modes: Vec<usize>,
    pub(super) ends: Vec<u64>,
    /// The last of the ends.
    pub(super) makespan: u64,
    /// The number of schedules that replaced the one before.
    pub(super) taken: u64,
}

impl Best {
    pub(super) fn is_proven(&self, monitor: &SearchMonitor<'_>) -> bool {
        self.goal.0 == [Measure::Makespan] && self.makespan <= monitor.bound
    }

    /// Replaces the schedule.
    pub(super) fn take(&mut self, order: &[usize], modes: &[usize], ends: &[u64]) {
        self.taken = self.taken.saturating_add(1);
        self.order.clear();
        self.order.extend_from_slice(order);
        self.modes.clear();
        self.modes.extend_from_slice(modes);
        self.ends.clear();
        self.ends.extend_from_slice(ends);
        self.makespan = latest(ends);
    }

    pub(super) fn cost(&self, network: &Network<'_>) -> u64 {
        cost(network, &self.modes)
    }

    pub(super) fn plan(&self, network: &Network<'_>) -> Plan {
        let problem = network.problem;
        let placed = problem.tasks.iter().enumerate().map(|(task, id)| {
            let (mode, end) = (mode(network, &self.modes, task), at(&self.ends, task));
            let agent = mode.agent.and_then(|agent| problem.agents.get(agent).copied());
            let start = problem.time(end.saturating_sub(mode.span));
            PlannedTask { task: *id, agent, start, finish: problem.time(end) }
        });
        Plan::of(placed)
    }
}

pub(super) fn cost(network: &Network<'_>, modes: &[usize]) -> u64 {
    (0..network.len()).map(|task| mode(network, modes, task).cost).fold(0, u64::saturating_add)
}

/// The objective values of a schedule, in order of the goal; less is better, compared lexicographically.
pub(super) fn worth(network: &Network<'_>, goal: &Goal, modes: &[usize], ends: &[u64]) -> Vec<u128> {
    let problem = network.problem;
    let tick = u128::from(problem.tick);
    let makespan = || u128::from(latest(ends)) * tick;
    let spent = || u128::from(cost(network, modes));
    let late = || {
        let ends = ends.iter().zip(&problem.due).zip(&problem.priority);
        let late = ends.map(|((end, due), priority)| {
            u128::from(end.saturating_sub(due.unwrap_or(u64::MAX))) * tick.saturating_mul((*priority).into())
        });
        late.fold(0, u128::saturating_add)
    };
    let one = |measure: &Measure| match measure {
        Measure::Makespan => makespan(),
        Measure::Cost => spent(),
        Measure::Tardiness => late(),
        Measure::Weighted { makespan: first, cost, tardiness } => {
            let sum = makespan().saturating_mul((*first).into());
            let sum = sum.saturating_add(spent().saturating_mul((*cost).into()));
            sum.saturating_add(late().saturating_mul((*tardiness).into()))
        }
    };
    goal.0.iter().map(one).collect()
}

/// Counts evaluated schedules and calls the observer.
pub(super) struct SearchMonitor<'a> {
    pub(super) tried: u64,
    next_report: u64,
    pub(super) bound: u64,
    settings: &'a Settings,
    problem: &'a Problem,
    observer: &'a mut dyn FnMut(&Progress) -> ControlFlow<()>,
}

impl<'a> SearchMonitor<'a> {
    pub(super) fn new(
        bound: u64,
        settings: &'a Settings,
        problem: &'a Problem,
        observer: &'a mut dyn FnMut(&Progress) -> ControlFlow<()>,
    ) -> Self {
        Self { tried: 0, next_report: 0, bound, settings, problem, observer }
    }

    /// The limit on evaluations.
    pub(super) const fn most(&self) -> u64 {
        self.settings.evaluations
    }

    /// Computes the destructive bound, which takes longer than the initial one, so only for searches that do not end soon.
    pub(super) fn tighten_bound(&mut self, network: &Network<'_>, makespan: u64) {
        self.bound = destructive_bound(network, self.bound, makespan.max(self.bound));
    }

    /// Adds to the evaluations; returns whether the search should continue.
    pub(super) fn go_on(&mut self, more: u64, makespan: u64) -> bool {
        self.tried = self.tried.saturating_add(more);
        if self.tried >= self.settings.evaluations {
            return false;
        }
        if self.tried >= self.next_report {
            self.next_report = self.tried.saturating_add(self.settings.report_every.max(1));
            let nanos = |ticks: u64| Duration::from_nanos(ticks.saturating_mul(self.problem.tick));
            let progress = Progress {
                evaluations: self.tried,
                limit: self.settings.evaluations,
                makespan: nanos(makespan),
                bound: nanos(self.bound),
            };
            return (self.observer)(&progress).is_continue();
        }
        true
    }
}
