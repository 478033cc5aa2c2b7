//! Whether a plan keeps every rule of its project. Shares no code with what makes plans, nor their view of the project.

use super::model::{Agent, Project, Task, Work};
use super::plan::{Placed, Plan};
use crate::id::{AgentId, TaskId};
use crate::name::Name;
use crate::time::Time;
use core::time::Duration;
use std::collections::BTreeMap;
use thiserror::Error;

/// What a plan comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Facts {
    /// When the last task ends, from the epoch on.
    pub makespan: Duration,
    /// What counts against the budget, in millionths.
    pub cost: u64,
    /// How late tasks end, each times its priority, in nanoseconds.
    pub tardiness: u128,
}

/// A rule that a plan breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Breach {
    /// A task of the project is not in the plan.
    #[error("{task} is not planned")]
    Missing {
        /// Which.
        task: TaskId,
    },
    /// A task of the plan is not in the project, or is planned twice.
    #[error("{task} is planned and should not be")]
    Surplus {
        /// Which.
        task: TaskId,
    },
    /// Somebody does it who cannot, or nobody, or somebody where nobody should.
    #[error("{task} is done by the wrong agent")]
    WrongAgent {
        /// Which.
        task: TaskId,
    },
    /// It does not take as long as it takes.
    #[error("{task} does not take as long as planned")]
    WrongSpan {
        /// Which.
        task: TaskId,
    },
    /// It begins before its release.
    #[error("{task} begins before its release")]
    TooEarly {
        /// Which.
        task: TaskId,
    },
    /// It begins before another has ended, or too soon after.
    #[error("{task} begins too early after {before}")]
    OutOfOrder {
        /// Which.
        task: TaskId,
        /// What has to end before.
        before: TaskId,
    },
    /// Its agent is away.
    #[error("{agent} is away while doing {task}")]
    Away {
        /// Which.
        task: TaskId,
        /// Who.
        agent: AgentId,
    },
    /// An agent does more at once than it can.
    #[error("{agent} does too much at {at}")]
    Overloaded {
        /// Who.
        agent: AgentId,
        /// When it begins to.
        at: Time,
    },
    /// More of a resource is used than there is.
    #[error("too much of {resource} is used at {at}")]
    Overused {
        /// Which.
        resource: Name,
        /// When it begins to be.
        at: Time,
    },
    /// It costs more than the budget.
    #[error("it costs {cost}, the budget is {budget}")]
    OverBudget {
        /// What it costs.
        cost: u64,
        /// What it may cost.
        budget: u64,
    },
}

/// What the plan comes to, if it keeps every rule of the project. A deadline that is missed is no breach: it is tardiness.
///
/// ```
/// use counterpoint::planning::{Agent, Breach, Placed, Plan, Project, Task, validate};
/// use counterpoint::{AgentId, TaskId, Time};
/// use std::time::Duration;
///
/// let (task, agent) = (TaskId::new(1), AgentId::new(1));
/// let project = Project::default()
///     .with_agent(Agent::new(agent))
///     .with_task(Task::new(task, Duration::from_secs(9)).with_release(Time::from_secs(5)));
/// let placed = |start, finish| {
///     Plan::of([Placed { task, agent: Some(agent), start: Time::from_secs(start), finish: Time::from_secs(finish) }])
/// };
/// assert_eq!(validate(&project, &placed(5, 14)).unwrap().makespan, Duration::from_secs(14));
/// let wrong = validate(&project, &placed(4, 14)).unwrap_err();
/// assert_eq!(wrong, [Breach::WrongSpan { task }, Breach::TooEarly { task }]);
/// ```
///
/// # Errors
///
/// Every rule that it breaks.
pub fn validate(project: &Project, plan: &Plan) -> Result<Facts, Vec<Breach>> {
    let mut breaches = Vec::new();
    let mut placed: BTreeMap<TaskId, Placed> = BTreeMap::new();
    for one in &plan.tasks {
        let known = project.tasks.iter().any(|task| task.id == one.task);
        if placed.insert(one.task, *one).is_some() || !known {
            breaches.push(Breach::Surplus { task: one.task });
        }
    }
    let mut facts = Facts::default();
    let agents: BTreeMap<AgentId, &Agent> = project.agents.iter().map(|agent| (agent.id, agent)).collect();
    for task in &project.tasks {
        let Some(one) = placed.get(&task.id) else {
            breaches.push(Breach::Missing { task: task.id });
            continue;
        };
        let agent = one.agent.and_then(|id| agents.get(&id).copied());
        facts.makespan = facts.makespan.max(one.finish.since(Time::ZERO));
        facts.cost = facts.cost.saturating_add(cost(task, agent, one));
        let late = one.finish.since(task.deadline.unwrap_or(Time::MAX)).as_nanos();
        facts.tardiness = facts.tardiness.saturating_add(late.saturating_mul(u128::from(task.priority)));
        alone(task, agent, one, &mut breaches);
        in_order(task, one, &placed, &mut breaches);
    }
    together(project, plan, &mut breaches);
    if let Some(budget) = project.budget.filter(|budget| *budget < facts.cost) {
        breaches.push(Breach::OverBudget { cost: facts.cost, budget });
    }
    if breaches.is_empty() { Ok(facts) } else { Err(breaches) }
}

fn cost(task: &Task, agent: Option<&Agent>, one: &Placed) -> u64 {
    let rate = agent.map_or(0, |agent| u128::from(agent.cost_per_second));
    let whole = one.finish.since(one.start).as_nanos().saturating_mul(rate) / 1_000_000_000;
    u64::try_from(whole.saturating_mul(u128::from(task.budget_permille)) / 1_000).unwrap_or(u64::MAX)
}

/// What can be said of a task without looking at others.
fn alone(task: &Task, agent: Option<&Agent>, one: &Placed, breaches: &mut Vec<Breach>) {
    let able = agent.is_some_and(|agent| {
        task.needs.iter().all(|(skill, level)| agent.skills.get(skill).is_some_and(|has| has >= level))
    });
    if if task.attended { !able } else { one.agent.is_some() } {
        breaches.push(Breach::WrongAgent { task: task.id });
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
        breaches.push(Breach::WrongSpan { task: task.id });
    }
    if one.start < task.release {
        breaches.push(Breach::TooEarly { task: task.id });
    }
    let away = agent.into_iter().flat_map(|agent| &agent.away);
    let mut met =
        away.filter(|window| window.from < window.until && one.start < window.until && window.from < one.finish);
    if let (Some(_), Some(agent)) = (met.next(), agent)
        && one.start < one.finish
    {
        breaches.push(Breach::Away { task: task.id, agent: agent.id });
    }
}

fn in_order(task: &Task, one: &Placed, placed: &BTreeMap<TaskId, Placed>, breaches: &mut Vec<Breach>) {
    for link in &task.after {
        if placed.get(&link.task).is_some_and(|before| before.finish + link.lag > one.start) {
            breaches.push(Breach::OutOfOrder { task: task.id, before: link.task });
        }
    }
}

/// What all tasks use together, at every moment at which one begins.
fn together(project: &Project, plan: &Plan, breaches: &mut Vec<Breach>) {
    for agent in &project.agents {
        let busy = agent.busy.iter().map(|until| (Time::ZERO, *until, 1));
        let held = plan.tasks.iter().filter(|one| one.agent == Some(agent.id)).map(|one| (one.start, one.finish, 1));
        if let Some(at) = exceeds(held.chain(busy), u64::from(agent.capacity)) {
            breaches.push(Breach::Overloaded { agent: agent.id, at });
        }
    }
    let tasks: BTreeMap<TaskId, &Task> = project.tasks.iter().map(|task| (task.id, task)).collect();
    for resource in &project.resources {
        let used = plan
            .tasks
            .iter()
            .filter_map(|one| Some((one.start, one.finish, *tasks.get(&one.task)?.uses.get(&resource.name)?)));
        if let Some(at) = exceeds(used, resource.capacity) {
            breaches.push(Breach::Overused { resource: resource.name.clone(), at });
        }
    }
}

/// The first moment at which more than `most` is held.
fn exceeds(held: impl Iterator<Item = (Time, Time, u64)>, most: u64) -> Option<Time> {
    // At one moment ends come before beginnings.
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
