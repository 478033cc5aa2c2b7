//! Duration against cost: the plans of which none is both sooner and cheaper.

use super::super::problem::Problem;
use super::bounds::makespan_bound;
use super::generate::{resume, start};
use super::network::Network;
use super::settings::{Goal, Measure, Progress, Settings};
use super::solution::{Solution, search};
use core::ops::ControlFlow;

/// Plans of which none is both sooner and cheaper than another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Front {
    /// The soonest, and dearest, first.
    pub plans: Vec<Solution>,
}

impl Front {
    /// The soonest plan within a budget.
    #[must_use]
    pub fn within(&self, budget: u64) -> Option<&Solution> {
        self.plans.iter().find(|plan| plan.cost <= budget)
    }

    /// The cheapest plan that is done by then.
    #[must_use]
    pub fn done_by(&self, makespan: core::time::Duration) -> Option<&Solution> {
        self.plans.iter().rev().find(|plan| plan.makespan <= makespan)
    }

    /// Adds a plan, unless one that is there is as soon and as cheap; those that it beats go.
    fn add(&mut self, plan: Solution) {
        if self.plans.iter().any(|one| one.makespan <= plan.makespan && one.cost <= plan.cost) {
            return;
        }
        self.plans.retain(|one| one.makespan < plan.makespan || one.cost < plan.cost);
        let at = self.plans.partition_point(|one| one.makespan < plan.makespan);
        self.plans.insert(at, plan);
    }
}

/// How far up a front its budgets lie: none costs less than the cheapest plan, and beyond the cost of the soonest nothing is
/// gained.
const PASSES: u64 = 2;

/// The front of duration against cost, from one run: the soonest plan for each of so many budgets, spread evenly between the
/// least cost and that of the soonest plan of all (the epsilon-constraint method; Haimes, Lasdon and Wismer 1971).
///
/// The evaluations of the settings are shared among all searches. Each begins with the best plan that is known for its budget:
/// first from tight budgets to loose ones, then once more with what the neighbours have found. A budget of the project bounds
/// the front; the goal of the settings is not looked at. The bound of each plan is that of all makespans, whatever they cost.
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
/// let told: Vec<_> = front.plans.iter().map(|plan| (plan.makespan.as_secs(), plan.cost)).collect();
/// assert_eq!(told, [(2, 22), (3, 13), (4, 4)]);
/// assert_eq!(front.within(20).map(|plan| plan.makespan), Some(Duration::from_secs(3)));
/// # Ok::<(), counterpoint::planning::BadProblem>(())
/// ```
#[must_use]
pub fn pareto_front(
    problem: &Problem,
    budgets: u32,
    settings: &Settings,
    observer: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Front {
    let budgets = u64::from(budgets.max(2));
    let share = settings.evaluations / (PASSES * budgets + 1);
    let bound = makespan_bound(&Network::new(problem), u64::MAX);
    let mut run = Run { problem, bound, settings, observer, share, tried: 0, open: true, front: Front::default() };
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
    /// Evaluations for each budget.
    share: u64,
    tried: u64,
    open: bool,
    front: Front,
}

impl Run<'_> {
    /// Looks for the soonest plan within a budget, and returns what it costs.
    fn at(&mut self, budget: u64) -> u64 {
        let mut problem = self.problem.clone();
        problem.budget = Some(budget);
        let network = Network::new(&problem);
        let goal = Goal::lexicographic([Measure::Makespan]);
        let known = self.front.within(budget).map(|plan| plan.plan.clone());
        let best = known.map_or_else(|| start(&network, &goal), |plan| resume(&network, &plan, &goal));
        // Once the observer has broken off, what is known is made to fit, and no more.
        let share = if self.open { self.share } else { 0 };
        let settings = Settings { evaluations: share, goal, ..self.settings.clone() };
        let settings = settings.with_seed(self.settings.seed.wrapping_add(self.tried));
        let (before, most, open) = (self.tried, self.settings.evaluations, &mut self.open);
        let observer = &mut *self.observer;
        let found = search(&network, best, self.bound, &settings, &mut |progress| {
            let whole = Progress { evaluations: before.saturating_add(progress.evaluations), most, ..*progress };
            let verdict = observer(&whole);
            *open = verdict.is_continue();
            verdict
        });
        self.tried = before.saturating_add(found.evaluations);
        let cost = found.cost;
        self.front.add(found);
        cost
    }
}
