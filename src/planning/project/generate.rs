//! Priority-rule schedules by serial and parallel schedule generation (Kelley 1963; Kolisch 1996).

use super::super::plan::{Plan, PlannedTask};
use super::super::problem::Problem;
use super::network::{Network, at, set};
use super::profile::{Profile, Steps};
use super::sequence::{Times, latest, mode};
use super::settings::Goal;
use super::solution::Best;
use crate::base::id::TaskId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The schedule generation scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scheme {
    /// Task by task, each as early as possible. Generates active schedules, among which there is an optimal one.
    Serial,
    /// Time by time, each time all tasks that can begin. Generates non-delay schedules: good on average, but possibly none is optimal.
    Parallel,
}

/// The priority rule that selects the next task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rule {
    /// The earliest latest finish time, so the longest path after the task.
    LatestFinish,
    /// The earliest latest start time, so the longest path including the task.
    LatestStart,
    /// The most direct successors.
    MostSuccessors,
    /// The shortest duration.
    ShortestFirst,
}

/// Makes a plan in one pass: tasks in the order of a rule, each with the agent with which it ends earliest within the budget.
///
/// ```
/// use counterpoint::planning::{Agent, Project, Rule, Scheme, Task, generate, validate};
/// use counterpoint::{AgentId, TaskId};
/// use std::time::Duration;
///
/// let task = |n, s| Task::new(TaskId::new(n), Duration::from_secs(s));
/// let project = Project::default()
///     .with_agent(Agent::new(AgentId::new(1)))
///     .with_task(task(1, 5))
///     .with_task(task(2, 1))
///     .with_task(task(3, 9).after(TaskId::new(2)));
/// let plan = generate(&project.check()?, Scheme::Serial, Rule::LatestFinish);
/// assert_eq!(validate(&project, &plan).unwrap().makespan, Duration::from_secs(15));
/// # Ok::<(), counterpoint::planning::InvalidProject>(())
/// ```
#[must_use]
pub fn generate(problem: &Problem, scheme: Scheme, rule: Rule) -> Plan {
    let network = Network::new(problem);
    let keys: Vec<u64> = (0..network.len()).map(|task| key(&network, rule, task)).collect();
    let built = build(&network, &mut Steps::new(problem), scheme, &keys);
    built.into_best(Goal::default()).plan(&network)
}

/// The best schedule of a few rules, from which searches start.
pub(super) fn start(network: &Network<'_>, goal: &Goal) -> Best {
    let mut profile = Steps::new(network.problem);
    let mut best: Option<Built> = None;
    for rule in [Rule::LatestFinish, Rule::LatestStart, Rule::MostSuccessors] {
        let keys: Vec<u64> = (0..network.len()).map(|task| key(network, rule, task)).collect();
        let built = build(network, &mut profile, Scheme::Serial, &keys);
        let worth = |built: &Built| super::solution::worth(network, goal, &built.modes, &built.times.ends);
        if best.as_ref().is_none_or(|best| worth(&built) < worth(best)) {
            best = Some(built);
        }
    }
    best.unwrap_or_default().into_best(goal.clone())
}

/// The schedule of a given plan as far as it is possible, or the best of a few rules if that is better. Left-shifting the tasks of a
/// feasible plan in their order gives a plan that is no worse.
pub(super) fn resume(network: &Network<'_>, plan: &Plan, goal: &Goal) -> Best {
    let problem = network.problem;
    let placed: BTreeMap<TaskId, &PlannedTask> = plan.tasks.iter().map(|placed| (placed.task, placed)).collect();
    let mut wanted: Vec<Option<usize>> = Vec::with_capacity(network.len());
    let mut keys = Vec::with_capacity(network.len());
    for (task, id) in problem.tasks.iter().enumerate() {
        let one = placed.get(id);
        let agent = one.and_then(|one| one.agent).and_then(|agent| problem.agents.iter().position(|id| *id == agent));
        wanted.push(one.and_then(|_| network.modes(task).iter().position(|mode| mode.agent == agent)));
        keys.push(one.map_or(0, |one| u64::MAX - one.start.as_nanos()));
    }
    let built = build_with(network, &mut Steps::new(problem), Scheme::Serial, &keys, &wanted);
    let fresh = start(network, goal);
    let worth = |modes: &[usize], ends: &[u64]| super::solution::worth(network, goal, modes, ends);
    if worth(&built.modes, &built.times.ends) <= worth(&fresh.modes, &fresh.ends) {
        built.into_best(goal.clone())
    } else {
        fresh
    }
}

/// The priority of a task; larger is earlier.
pub(super) fn key(network: &Network<'_>, rule: Rule, task: usize) -> u64 {
    match rule {
        Rule::LatestFinish => at(&network.tails, task),
        Rule::LatestStart => at(&network.tails, task) + network.span(task),
        Rule::MostSuccessors => network.then.of_task(task).len() as u64,
        Rule::ShortestFirst => u64::MAX - network.span(task),
    }
}

/// A generated schedule.
#[derive(Debug, Clone, Default)]
pub(super) struct Built {
    pub(super) order: Vec<usize>,
    pub(super) modes: Vec<usize>,
    pub(super) times: Times,
}

impl Built {
    fn into_best(self, goal: Goal) -> Best {
        let makespan = latest(&self.times.ends);
        Best { goal, order: self.order, modes: self.modes, ends: self.times.ends, makespan, taken: 0 }
    }
}

/// Generates a schedule by keys, the largest first.
pub(super) fn build(network: &Network<'_>, profile: &mut impl Profile, scheme: Scheme, keys: &[u64]) -> Built {
    build_with(network, profile, scheme, keys, &[])
}

/// The same, with preferred modes for some tasks, used if the budget allows them.
fn build_with(
    network: &Network<'_>,
    profile: &mut impl Profile,
    scheme: Scheme,
    keys: &[u64],
    wanted: &[Option<usize>],
) -> Built {
    profile.clear(true);
    let len = network.len();
    let mut built = Built { order: Vec::with_capacity(len), modes: vec![0; len], times: Times::of(len) };
    let mut pending: Vec<usize> = (0..len).map(|task| network.before.of_task(task).len()).collect();
    let mut ready: Vec<usize> = (0..len).filter(|task| pending.get(*task) == Some(&0)).collect();
    let least = |task: usize| network.modes(task).iter().map(|mode| mode.cost).min().unwrap_or(0);
    let spent = (0..len).map(least).fold(0, u64::saturating_add);
    let mut spare = network.problem.budget.unwrap_or(u64::MAX).saturating_sub(spent);
    while !ready.is_empty() {
        let choose = |task: usize| {
            let most = spare.saturating_add(least(task));
            let wanted = wanted.get(task).copied().flatten();
            let wanted = wanted.filter(|mode| network.modes(task).get(*mode).is_some_and(|mode| mode.cost <= most));
            earliest_end(network, profile, &built.times, task, most, wanted)
        };
        let (index, chosen) = match scheme {
            Scheme::Serial => {
                let next = ready.iter().enumerate().max_by_key(|(_, task)| (at(keys, **task), usize::MAX - **task));
                let Some((index, task)) = next else { break };
                (index, choose(*task))
            }
            Scheme::Parallel => {
                let chosen = ready.iter().map(|task| choose(*task)).enumerate();
                let Some(next) = chosen.min_by_key(|(index, chosen)| {
                    (chosen.start, u64::MAX - ready.get(*index).map_or(0, |task| at(keys, *task)))
                }) else {
                    break;
                };
                next
            }
        };
        let task = ready.swap_remove(index);
        if let Some(slot) = built.modes.get_mut(task) {
            *slot = chosen.mode;
        }
        let mode = mode(network, &built.modes, task);
        spare = spare.saturating_sub(mode.cost.saturating_sub(least(task)));
        profile.take(task, mode, chosen.start);
        set(&mut built.times.starts, task, |_| chosen.start);
        set(&mut built.times.ends, task, |_| chosen.start + mode.span);
        built.order.push(task);
        for &(next, _) in network.then.of_task(task) {
            if let Some(pending) = pending.get_mut(next) {
                *pending -= 1;
                if *pending == 0 {
                    ready.push(next);
                }
            }
        }
    }
    built
}

#[derive(Clone, Copy)]
struct Chosen {
    mode: usize,
    start: u64,
}

/// The mode for a task: the wanted one, or the one with the earliest end within the cost limit; ties go to preferred agents, then to
/// lower cost.
fn earliest_end(
    network: &Network<'_>,
    profile: &impl Profile,
    times: &Times,
    task: usize,
    most: u64,
    wanted: Option<usize>,
) -> Chosen {
    let ways = network.before.of_task(task).iter().map(|&(first, lag)| at(&times.ends, first) + lag);
    let ready = ways.fold(at(&network.problem.release, task), u64::max);
    let modes = network.modes(task).iter().enumerate();
    let modes = modes.filter(|(index, mode)| mode.cost <= most && wanted.is_none_or(|wanted| wanted == *index));
    let started = modes.map(|(index, mode)| (index, mode, profile.earliest(task, mode, ready)));
    let best = started.min_by_key(|(_, mode, start)| (start + mode.span, !mode.preferred, mode.cost));
    best.map_or(Chosen { mode: 0, start: ready }, |(mode, _, start)| Chosen { mode, start })
}
