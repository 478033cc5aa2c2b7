//! Slack, resource profiles and phases of a plan.

use super::model::Project;
use super::plan::Plan;
use crate::base::id::{AgentId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A plan with the slack of each task: the data of a Gantt chart.
///
/// ```
/// use counterpoint::planning::{Agent, Project, Rule, Scheme, Task, Timeline, generate};
/// use counterpoint::{AgentId, TaskId};
/// use std::time::Duration;
///
/// let task = |n, s| Task::new(TaskId::new(n), Duration::from_secs(s));
/// let agents = (1..=2).map(|n| Agent::new(AgentId::new(n)));
/// let project = agents.fold(Project::default(), Project::with_agent).with_task(task(1, 5)).with_task(task(2, 3));
/// let plan = generate(&project.check()?, Scheme::Serial, Rule::LatestStart);
///
/// let timeline = Timeline::of(&project, &plan);
/// assert_eq!(timeline.bars[0].slack, Duration::from_secs(2));
/// assert_eq!(timeline.critical_chain(), [TaskId::new(1)]);
/// # Ok::<(), counterpoint::planning::InvalidProject>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Timeline {
    /// The tasks, by start, then by id.
    pub bars: Vec<Bar>,
    /// The end of the last task.
    pub end: Time,
}

/// One task of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bar {
    /// The task.
    pub task: TaskId,
    /// The name of the task, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The agent that does it; none for a task without an agent.
    pub agent: Option<AgentId>,
    /// The name of the agent, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<Name>,
    /// The planned start.
    pub start: Time,
    /// The planned end.
    pub finish: Time,
    /// The earliest start, if only release and predecessors delayed it.
    pub earliest: Time,
    /// The latest start that keeps agents, order and the end of the plan.
    pub latest: Time,
    /// The delay of the start that does not delay the end of the plan: from `start` to `latest`.
    pub slack: Duration,
}

/// The usage of an agent or of a shared resource over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Profile {
    /// The agent or resource.
    pub of: ProfileOf,
    /// Its capacity.
    pub capacity: u64,
    /// A step function: the usage from each time on, in order. The last step is the end of all usage.
    pub steps: Vec<(Time, u64)>,
}

/// The subject of a [`Profile`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "plans use agents and shared resources, and nothing else")]
pub enum ProfileOf {
    /// An agent: the number of its tasks.
    Agent(AgentId),
    /// A shared resource.
    Resource(Name),
}

/// The extent of a phase of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Phase {
    /// The start of its first task.
    pub start: Time,
    /// The end of its last task.
    pub finish: Time,
    /// The sum over the tasks of the time from their end to the end of the phase: the cost of synchronising.
    pub waits: Duration,
}

/// The sum of the amounts over time, as a step function.
fn steps(held: impl Iterator<Item = (Time, Time, u64)>) -> Vec<(Time, u64)> {
    let mut changes: BTreeMap<Time, (u64, u64)> = BTreeMap::new();
    for (start, finish, amount) in held.filter(|(start, finish, amount)| start < finish && *amount > 0) {
        changes.entry(start).or_default().0 += amount;
        changes.entry(finish).or_default().1 += amount;
    }
    let mut now = 0_u64;
    let mut steps: Vec<(Time, u64)> = Vec::new();
    for (at, (more, less)) in changes {
        now = now.saturating_add(more).saturating_sub(less);
        if steps.last().is_none_or(|last| last.1 != now) {
            steps.push((at, now));
        }
    }
    steps
}

impl Timeline {
    /// Computes the timeline of a plan.
    ///
    /// The latest starts keep the agent of each task, and the order of tasks that share an agent or a resource. Absences are
    /// ignored, so slack may include one.
    #[must_use]
    pub fn of(project: &Project, plan: &Plan) -> Self {
        let end = plan.tasks.iter().map(|placed| placed.finish).max().unwrap_or_default();
        let mut placed = plan.tasks.clone();
        placed.sort_unstable_by_key(|one| (one.start, one.finish, one.task));
        let tasks: BTreeMap<TaskId, _> = project.tasks.iter().map(|task| (task.id, task)).collect();
        let mut latest: BTreeMap<TaskId, Time> = BTreeMap::new();
        let mut earliest: BTreeMap<TaskId, Time> = BTreeMap::new();
        for one in &placed {
            let Some(task) = tasks.get(&one.task) else { continue };
            let ends = task.after.iter().filter_map(|link| {
                let before = plan.tasks.iter().find(|placed| placed.task == link.task)?;
                let span = before.finish - before.start;
                Some(*earliest.get(&link.task)? + span + link.lag)
            });
            let start = ends.fold(task.release, Time::max);
            earliest.insert(one.task, start);
        }
        // Backwards: a task must end before the latest start of each successor, by a link or by a shared agent or resource.
        for (at, one) in placed.iter().enumerate().rev() {
            let mut limit = end;
            for next in placed.iter().skip(at + 1) {
                let (Some(task), Some(begin)) = (tasks.get(&next.task), latest.get(&next.task)) else { continue };
                let link = task.after.iter().find(|link| link.task == one.task);
                let shares = || {
                    let used = tasks.get(&one.task).map(|task| &task.uses);
                    let resource = used.is_some_and(|used| used.keys().any(|name| task.uses.contains_key(name)));
                    next.start >= one.finish && (resource || (one.agent.is_some() && one.agent == next.agent))
                };
                if let Some(link) = link {
                    limit = limit.min(Time::ZERO + begin.since(Time::ZERO).saturating_sub(link.lag));
                } else if shares() {
                    limit = limit.min(*begin);
                }
            }
            let span = one.finish - one.start;
            latest.insert(one.task, Time::ZERO + limit.since(Time::ZERO).saturating_sub(span));
        }
        let agents: BTreeMap<AgentId, &Name> =
            project.agents.iter().filter_map(|agent| Some((agent.id, agent.name.as_ref()?))).collect();
        let bars = placed.iter().map(|one| {
            let last = latest.get(&one.task).copied().unwrap_or(one.start).max(one.start);
            Bar {
                task: one.task,
                name: tasks.get(&one.task).and_then(|task| task.name.clone()),
                agent: one.agent,
                agent_name: one.agent.and_then(|agent| agents.get(&agent).copied().cloned()),
                start: one.start,
                finish: one.finish,
                earliest: earliest.get(&one.task).copied().unwrap_or(one.start),
                latest: last,
                slack: last - one.start,
            }
        });
        Self { bars: bars.collect(), end }
    }

    /// The usage of each agent, then of each shared resource, in the order of the project. Work that agents had under way before
    /// the plan is included.
    #[must_use]
    pub fn profiles(project: &Project, plan: &Plan) -> Vec<Profile> {
        let tasks: BTreeMap<TaskId, _> = project.tasks.iter().map(|task| (task.id, task)).collect();
        let agents = project.agents.iter().map(|agent| {
            let busy = agent.busy.iter().map(|until| (Time::ZERO, *until, 1));
            let held =
                plan.tasks.iter().filter(|one| one.agent == Some(agent.id)).map(|one| (one.start, one.finish, 1));
            Profile { of: ProfileOf::Agent(agent.id), capacity: agent.capacity.into(), steps: steps(held.chain(busy)) }
        });
        let resources = project.resources.iter().map(|resource| {
            let used = plan
                .tasks
                .iter()
                .filter_map(|one| Some((one.start, one.finish, *tasks.get(&one.task)?.uses.get(&resource.name)?)));
            let of = ProfileOf::Resource(resource.name.clone());
            Profile { of, capacity: resource.capacity, steps: steps(used) }
        });
        agents.chain(resources).collect()
    }

    /// The extent of each of these phases, see [`Project::in_phases`].
    #[must_use]
    pub fn phases(&self, phases: &[Vec<TaskId>]) -> Vec<Phase> {
        let phase = |tasks: &Vec<TaskId>| {
            let bars = || self.bars.iter().filter(|bar| tasks.contains(&bar.task));
            let start = bars().map(|bar| bar.start).min().unwrap_or_default();
            let finish = bars().map(|bar| bar.finish).max().unwrap_or_default();
            let waits = bars().map(|bar| finish - bar.finish).fold(Duration::ZERO, Duration::saturating_add);
            Phase { start, finish, waits }
        };
        phases.iter().map(phase).collect()
    }

    /// The tasks without slack, by start. They determine the makespan.
    #[must_use]
    pub fn critical_chain(&self) -> Vec<TaskId> {
        self.bars.iter().filter(|bar| bar.slack.is_zero()).map(|bar| bar.task).collect()
    }
}
