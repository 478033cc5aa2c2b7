//! Checks a plan against its project. Shares no code with the solvers, so an error in one does not hide in the other.

use super::model::{Agent, Project, Task, Work};
use super::plan::{Plan, PlannedTask};
use crate::base::id::{AgentId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use core::time::Duration;
use std::collections::BTreeMap;
use thiserror::Error;

/// The objective values of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PlanSummary {
    /// The end of the last task, as the time since the epoch.
    pub makespan: Duration,
    /// The cost that counts against the budget, in millionths of the host's unit.
    pub cost: u64,
    /// The sum of the delays past the deadlines, each times the priority of its task, in nanoseconds.
    pub tardiness: u128,
}

/// A constraint of a project that a plan violates.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Violation {
    /// A task of the project is not in the plan.
    #[error("task {task} is not in the plan")]
    Missing {
        /// The task.
        task: TaskId,
    },
    /// A task of the plan is not in the project, or is planned twice.
    #[error("task {task} is planned twice or not in the project")]
    Surplus {
        /// The task.
        task: TaskId,
    },
    /// The agent of a task lacks a skill, or the task has an agent exactly if it should have none.
    #[error("task {task} has the wrong agent")]
    WrongAgent {
        /// The task.
        task: TaskId,
    },
    /// The planned duration differs from the duration with this agent.
    #[error("task {task} has the wrong duration")]
    WrongSpan {
        /// The task.
        task: TaskId,
    },
    /// A task begins before its release.
    #[error("task {task} begins before its release")]
    TooEarly {
        /// The task.
        task: TaskId,
    },
    /// A task begins before a predecessor has ended and the lag has passed.
    #[error("task {task} begins too early after task {before}")]
    OutOfOrder {
        /// The task.
        task: TaskId,
        /// The predecessor.
        before: TaskId,
    },
    /// The agent of a task is absent during a part of it.
    #[error("agent {agent} is absent during task {task}")]
    Away {
        /// The task.
        task: TaskId,
        /// The agent.
        agent: AgentId,
    },
    /// An agent has more tasks at once than its capacity.
    #[error("agent {agent} exceeds its capacity at {at}")]
    Overloaded {
        /// The agent.
        agent: AgentId,
        /// The first time at which the capacity is exceeded.
        at: Time,
    },
    /// Tasks use more of a resource than its capacity.
    #[error("resource {resource} exceeds its capacity at {at}")]
    Overused {
        /// The resource.
        resource: Name,
        /// The first time at which the capacity is exceeded.
        at: Time,
    },
    /// The plan costs more than the budget.
    #[error("the cost {cost} exceeds the budget {budget}")]
    OverBudget {
        /// The cost of the plan.
        cost: u64,
        /// The budget.
        budget: u64,
    },
}

/// Returns the objective values of a plan that satisfies every constraint. A missed deadline is tardiness and no violation.
///
/// ```
/// use counterpoint::planning::{Agent, Violation, PlannedTask, Plan, Project, Task, validate};
/// use counterpoint::{AgentId, TaskId, Time};
/// use std::time::Duration;
///
/// let (task, agent) = (TaskId::new(1), AgentId::new(1));
/// let project = Project::default()
///     .with_agent(Agent::new(agent))
///     .with_task(Task::new(task, Duration::from_secs(9)).with_release(Time::from_secs(5)));
/// let placed = |start, finish| {
///     Plan::of([PlannedTask { task, agent: Some(agent), start: Time::from_secs(start), finish: Time::from_secs(finish) }])
/// };
/// assert_eq!(validate(&project, &placed(5, 14)).unwrap().makespan, Duration::from_secs(14));
/// let wrong = validate(&project, &placed(4, 14)).unwrap_err();
/// assert_eq!(wrong, [Violation::WrongSpan { task }, Violation::TooEarly { task }]);
/// ```
///
/// # Errors
///
/// Every constraint that the plan violates.
pub fn validate(project: &Project, plan: &Plan) -> Result<PlanSummary, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut placed: BTreeMap<TaskId, PlannedTask> = BTreeMap::new();
    for one in &plan.tasks {
        let known = project.tasks.iter().any(|task| task.id == one.task);
        if placed.insert(one.task, *one).is_some() || !known {
            violations.push(Violation::Surplus { task: one.task });
        }
    }
    let mut facts = PlanSummary::default();
    let agents: BTreeMap<AgentId, &Agent> = project.agents.iter().map(|agent| (agent.id, agent)).collect();
    for task in &project.tasks {
        let Some(one) = placed.get(&task.id) else {
            violations.push(Violation::Missing { task: task.id });
            continue;
        };
        let agent = one.agent.and_then(|id| agents.get(&id).copied());
        facts.makespan = facts.makespan.max(one.finish.since(Time::ZERO));
        facts.cost = facts.cost.saturating_add(cost(task, agent, one));
        let late = one.finish.since(task.deadline.unwrap_or(Time::MAX)).as_nanos();
        facts.tardiness = facts.tardiness.saturating_add(late.saturating_mul(u128::from(task.priority)));
        alone(task, agent, one, &mut violations);
        in_order(task, one, &placed, &mut violations);
    }
    together(project, plan, &mut violations);
    if let Some(budget) = project.budget.filter(|budget| *budget < facts.cost) {
        violations.push(Violation::OverBudget { cost: facts.cost, budget });
    }
    if violations.is_empty() { Ok(facts) } else { Err(violations) }
}

fn cost(task: &Task, agent: Option<&Agent>, one: &PlannedTask) -> u64 {
    let rate = agent.map_or(0, |agent| u128::from(agent.cost_per_second));
    let whole = one.finish.since(one.start).as_nanos().saturating_mul(rate) / 1_000_000_000;
    u64::try_from(whole.saturating_mul(u128::from(task.budget_permille)) / 1_000).unwrap_or(u64::MAX)
}

/// Checks the constraints that concern one task alone.
fn alone(task: &Task, agent: Option<&Agent>, one: &PlannedTask, violations: &mut Vec<Violation>) {
    let able = agent.is_some_and(|agent| {
        task.needs.iter().all(|(skill, level)| agent.skills.get(skill).is_some_and(|has| has >= level))
    });
    if if task.attended { !able } else { one.agent.is_some() } {
        violations.push(Violation::WrongAgent { task: task.id });
    }
    let span = match (&task.work, agent) {
        (Work::Fixed(span), _) => Some(span.as_nanos()),
        (Work::ByAgent(spans), Some(agent)) => spans.get(&agent.id).map(|span| u128::from(*span)),
        (Work::ByLevel { skill, levels }, Some(agent)) => {
            let has = agent.skills.get(skill).copied();
            let reached = levels.iter().filter(|(level, _)| has >= Some(**level));
            reached.max_by_key(|(level, _)| **level).map(|(_, span)| u128::from(*span))
        }
        (Work::ByAgent(_) | Work::ByLevel { .. }, None) => None,
    };
    if span != Some(one.finish.since(one.start).as_nanos()) || one.finish < one.start {
        violations.push(Violation::WrongSpan { task: task.id });
    }
    if one.start < task.release {
        violations.push(Violation::TooEarly { task: task.id });
    }
    let away = agent.into_iter().flat_map(|agent| &agent.away);
    let mut met =
        away.filter(|window| window.from < window.until && one.start < window.until && window.from < one.finish);
    if let (Some(_), Some(agent)) = (met.next(), agent)
        && one.start < one.finish
    {
        violations.push(Violation::Away { task: task.id, agent: agent.id });
    }
}

fn in_order(task: &Task, one: &PlannedTask, placed: &BTreeMap<TaskId, PlannedTask>, violations: &mut Vec<Violation>) {
    for link in &task.after {
        if placed.get(&link.task).is_some_and(|before| before.finish + link.lag > one.start) {
            violations.push(Violation::OutOfOrder { task: task.id, before: link.task });
        }
    }
}

/// Checks the capacities of agents and of shared resources.
fn together(project: &Project, plan: &Plan, violations: &mut Vec<Violation>) {
    for agent in &project.agents {
        let busy = agent.busy.iter().map(|until| (Time::ZERO, *until, 1));
        let held = plan.tasks.iter().filter(|one| one.agent == Some(agent.id)).map(|one| (one.start, one.finish, 1));
        if let Some(at) = exceeds(held.chain(busy), u64::from(agent.capacity)) {
            violations.push(Violation::Overloaded { agent: agent.id, at });
        }
    }
    let tasks: BTreeMap<TaskId, &Task> = project.tasks.iter().map(|task| (task.id, task)).collect();
    for resource in &project.resources {
        let used = plan
            .tasks
            .iter()
            .filter_map(|one| Some((one.start, one.finish, *tasks.get(&one.task)?.uses.get(&resource.name)?)));
        if let Some(at) = exceeds(used, resource.capacity) {
            violations.push(Violation::Overused { resource: resource.name.clone(), at });
        }
    }
}

/// The first time at which the sum of the amounts exceeds `most`.
fn exceeds(held: impl Iterator<Item = (Time, Time, u64)>, most: u64) -> Option<Time> {
    // `false` sorts first, so at one time ends come before starts.
    let mut changes: Vec<(Time, bool, u64)> = Vec::new();
    for (start, finish, amount) in held.filter(|(start, finish, _)| start < finish) {
        changes.push((start, true, amount));
        changes.push((finish, false, amount));
    }
    changes.sort_unstable();
    let mut now: u128 = 0;
    for (at, begins, amount) in changes {
        now = if begins { now.saturating_add(amount.into()) } else { now.saturating_sub(amount.into()) };
        if now > u128::from(most) {
            return Some(at);
        }
    }
    None
}
