//! The Pareto front of makespan and cost.

use super::super::problem::Problem;
use super::bounds::makespan_bound;
use super::generate::{resume, start};
use super::network::Network;
use super::settings::{Goal, Measure, Progress, Settings};
use super::solution::{Solution, search};
use core::ops::ControlFlow;

/// A set of plans of which none is both shorter and cheaper than another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ParetoFront {
    /// The plans, in order of makespan, so with falling cost.
    pub plans: Vec<Solution>,
}

impl ParetoFront {
    /// The plan of least makespan within a budget.
    #[must_use]
    pub fn within(&self, budget: u64) -> Option<&Solution> {
        self.plans.iter().find(|plan| plan.cost <= budget)
    }

    /// The cheapest plan within a makespan.
    #[must_use]
    pub fn done_by(&self, makespan: core::time::Duration) -> Option<&Solution> {
        self.plans.iter().rev().find(|plan| plan.makespan <= makespan)
    }

    /// Adds a plan unless it is dominated, and removes the plans that it dominates.
    fn add(&mut self, plan: Solution) {
        if self.plans.iter().any(|one| one.makespan <= plan.makespan && one.cost <= plan.cost) {
            return;
        }
        self.plans.retain(|one| one.makespan < plan.makespan || one.cost < plan.cost);
        let at = self.plans.partition_point(|one| one.makespan < plan.makespan);
        self.plans.insert(at, plan);
    }
}

/// The number of passes over the budgets.
const PASSES: u64 = 2;

/// Approximates the Pareto front of makespan and cost: the shortest plan for each of `budgets` budgets, spaced evenly between the
/// least cost and the cost of the shortest plan of all (the epsilon-constraint method; Haimes, Lasdon and Wismer 1971).
///
/// All searches share the evaluations of the settings. Each starts from the best known plan within its budget: first from tight
/// budgets to loose ones, then once more with the results of the neighbours. A budget of the project limits the front; the goal of
/// the settings is ignored. The bound of each plan is the makespan bound without a budget.
///
/// ```
/// use counterpoint::planning::{Agent, Project, Settings, Task, pareto_front};
/// use counterpoint::{AgentId, TaskId};
/// use std::ops::ControlFlow;
/// use std::time::Duration;
///
/// let task = |n| Task::new(TaskId::new(n), Duration::from_secs(1));
/// let project = Project::default()
///     .with_agent(Agent::new(AgentId::new(1)).with_cost_per_second(10))
///     .with_agent(Agent::new(AgentId::new(2)).with_cost_per_second(1));
/// let project = (0..4).map(task).fold(project, Project::with_task);
/// let front = pareto_front(&project.check()?, 40, &Settings::default(), &mut |_| ControlFlow::Continue(()));
/// let found: Vec<_> = front.plans.iter().map(|plan| (plan.makespan.as_secs(), plan.cost)).collect();
/// assert_eq!(found, [(2, 22), (3, 13), (4, 4)]);
/// assert_eq!(front.within(20).map(|plan| plan.makespan), Some(Duration::from_secs(3)));
/// # Ok::<(), counterpoint::planning::InvalidProject>(())
/// ```
#[must_use]
pub fn pareto_front(
    problem: &Problem,
    budgets: u32,
    settings: &Settings,
    observer: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> ParetoFront {
    let budgets = u64::from(budgets.max(2));
    let share = settings.evaluations / (PASSES * budgets + 1);
    let bound = makespan_bound(&Network::new(problem), u64::MAX);
    let mut run =
        Run { problem, bound, settings, observer, share, tried: 0, open: true, front: ParetoFront::default() };
    let least = problem.modes.iter().map(|modes| modes.iter().map(|mode| mode.cost).min().unwrap_or(0));
    let least = least.fold(0, u64::saturating_add);
    let dearest = run.at(problem.budget.unwrap_or(u64::MAX));
    for _ in 0..PASSES {
        for step in 0..budgets {
            let above = u128::from(dearest.saturating_sub(least)) * u128::from(step) / u128::from(budgets - 1);
            run.at(least.saturating_add(u64::try_from(above).unwrap_or(u64::MAX)));
        }
    }
    run.front
}

struct Run<'a> {
    problem: &'a Problem,
    bound: u64,
    settings: &'a Settings,
    observer: &'a mut dyn FnMut(&Progress) -> ControlFlow<()>,
    /// The evaluations for each budget.
    share: u64,
    tried: u64,
    open: bool,
    front: ParetoFront,
}

impl Run<'_> {
    /// Searches for the shortest plan within a budget; returns its cost.
    fn at(&mut self, budget: u64) -> u64 {
        let mut problem = self.problem.clone();
        problem.budget = Some(budget);
        let network = Network::new(&problem);
        let goal = Goal::lexicographic([Measure::Makespan]);
        let known = self.front.within(budget).map(|plan| plan.plan.clone());
        let best = known.map_or_else(|| start(&network, &goal), |plan| resume(&network, &plan, &goal));
        // After the observer has broken off, the known plan is adapted without further search.
        let share = if self.open { self.share } else { 0 };
        let settings = Settings { evaluations: share, goal, ..self.settings.clone() };
        let settings = settings.with_seed(self.settings.seed.wrapping_add(self.tried));
        let (before, limit, open) = (self.tried, self.settings.evaluations, &mut self.open);
        let observer = &mut *self.observer;
        let found = search(&network, best, self.bound, &settings, &mut |progress| {
            let whole = Progress { evaluations: before.saturating_add(progress.evaluations), limit, ..*progress };
            let flow = observer(&whole);
            *open = flow.is_continue();
            flow
        });
        self.tried = before.saturating_add(found.evaluations);
        let cost = found.cost;
        self.front.add(found);
        cost
    }
}
