//! Combines the results of several searches.

use super::super::plan::PlannedTask;
use super::super::problem::Problem;
use super::settings::{Goal, Measure, Settings};
use super::solution::Solution;
use crate::base::id::{AgentId, TaskId};
use crate::base::time::Time;
use core::time::Duration;
use std::collections::BTreeMap;

impl Settings {
    /// Settings for `count` searches with consecutive seeds, starting with this one's, to be run in parallel by the caller.
    /// [`best_of`] combines their results.
    pub fn each_seed(&self, count: u32) -> impl Iterator<Item = Self> + use<> {
        let first = self.clone();
        (0..u64::from(count)).map(move |step| first.clone().with_seed(first.seed.wrapping_add(step)))
    }
}

/// The best of several solutions of one problem, by a goal. The result does not depend on their order: ties are broken by the plan.
/// Its bound is the greatest of all bounds, its evaluations are the sum of all.
///
/// A plan that lacks a task of the problem is worse than all complete ones. None if there are no solutions.
///
/// ```
/// use counterpoint::planning::{Agent, Project, Settings, Task, best_of, plan_project};
/// use counterpoint::{AgentId, TaskId};
/// use std::ops::ControlFlow;
/// use std::time::Duration;
///
/// let task = |n| Task::new(TaskId::new(n), Duration::from_secs(1 + n * n % 7));
/// let agents = (1..=3).map(|n| Agent::new(AgentId::new(n)));
/// let project = (0..20).map(task).fold(agents.fold(Project::default(), Project::with_agent), Project::with_task);
/// let problem = project.check()?;
/// let settings = Settings::default().with_evaluations(1_000);
/// let found: Vec<_> = std::thread::scope(|scope| {
///     let search = |settings| plan_project(&problem, &settings, &mut |_| ControlFlow::Continue(()));
///     let workers: Vec<_> = settings.each_seed(4).map(|settings| scope.spawn(move || search(settings))).collect();
///     workers.into_iter().filter_map(|worker| worker.join().ok()).collect()
/// });
/// let best = best_of(&problem, &settings.goal, found.clone()).expect("four were found");
/// assert!(found.iter().all(|one| best.makespan <= one.makespan));
/// # Ok::<(), counterpoint::planning::InvalidProject>(())
/// ```
#[must_use]
pub fn best_of(problem: &Problem, goal: &Goal, solutions: impl IntoIterator<Item = Solution>) -> Option<Solution> {
    let tasks: BTreeMap<TaskId, usize> = problem.tasks.iter().enumerate().map(|(index, id)| (*id, index)).collect();
    let (mut bound, mut evaluations) = (Duration::ZERO, 0_u64);
    let mut best: Option<(Rank, Solution)> = None;
    for solution in solutions {
        bound = bound.max(solution.bound);
        evaluations = evaluations.saturating_add(solution.evaluations);
        let rank = rank(problem, goal, &tasks, &solution);
        if best.as_ref().is_none_or(|best| rank < best.0) {
            best = Some((rank, solution));
        }
    }
    best.map(|(_, solution)| Solution { bound, evaluations, ..solution })
}

/// Whether tasks are missing; the objective values; the plan.
type Rank = (bool, Vec<u128>, Vec<(TaskId, Time, Option<AgentId>)>);

fn rank(problem: &Problem, goal: &Goal, tasks: &BTreeMap<TaskId, usize>, solution: &Solution) -> Rank {
    let placed = || solution.plan.tasks.iter().filter_map(|one| Some((*tasks.get(&one.task)?, one)));
    let late = |(task, one): (usize, &PlannedTask)| {
        let due = problem.due.get(task).copied().flatten().map_or(Time::MAX, |ticks| problem.time(ticks));
        let priority = problem.priority.get(task).copied().unwrap_or(1);
        one.finish.since(due).as_nanos().saturating_mul(priority.into())
    };
    let makespan = || solution.makespan.as_nanos();
    let spent = || u128::from(solution.cost);
    let tardiness = || placed().map(late).fold(0, u128::saturating_add);
    let worth = goal.0.iter().map(|measure| match measure {
        Measure::Makespan => makespan(),
        Measure::Cost => spent(),
        Measure::Tardiness => tardiness(),
        Measure::Weighted { makespan: first, cost, tardiness: last } => makespan()
            .saturating_mul((*first).into())
            .saturating_add(spent().saturating_mul((*cost).into()))
            .saturating_add(tardiness().saturating_mul((*last).into())),
    });
    let plan = solution.plan.tasks.iter().map(|one| (one.task, one.start, one.agent));
    (placed().count() < problem.tasks(), worth.collect(), plan.collect())
}
