//! Where there is room in a plan.

use super::model::Project;
use super::plan::Plan;
use crate::id::{AgentId, TaskId};
use crate::name::Name;
use crate::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A plan with the room that each task has: what a Gantt chart shows, as data.
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
/// # Ok::<(), counterpoint::planning::BadProblem>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Timeline {
    /// By start, then by id.
    pub bars: Vec<Bar>,
    /// When the last task ends.
    pub end: Time,
}

/// A task in a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bar {
    /// Which.
    pub task: TaskId,
    /// Who does it.
    pub agent: Option<AgentId>,
    /// When it begins in the plan.
    pub start: Time,
    /// When it ends in the plan.
    pub finish: Time,
    /// When it could begin, if only what it comes after held it up.
    pub earliest: Time,
    /// When it can begin at the latest, with the same agents in the same order, and nothing ends later.
    pub latest: Time,
    /// How long it can be put off without the whole ending later.
    pub slack: Duration,
}

/// How much of something is in use over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Profile {
    /// Of what.
    pub of: ProfileOf,
    /// How much there is of it.
    pub capacity: u64,
    /// From each of these moments on so much is in use; the last is the end of all use.
    pub steps: Vec<(Time, u64)>,
}

/// What a [`Profile`] is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "plans use agents and shared resources, and nothing else")]
pub enum ProfileOf {
    /// An agent: its places.
    Agent(AgentId),
    /// A shared resource.
    Resource(Name),
}

/// A phase of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Phase {
    /// When the first of its tasks begins.
    pub start: Time,
    /// When the last of its tasks ends.
    pub finish: Time,
    /// How long its tasks, all together, have ended before it does: what synchronising costs.
    pub waits: Duration,
}

/// What is in use from when on, by what is held from when to when.
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
    /// The timeline of a plan.
    ///
    /// Who does what, and in what order tasks follow each other on an agent or where a shared resource passes from one to
    /// another, stays as planned. Absences are not looked at: slack may lie in one.
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
        // From the last to the first: the latest end is the least of what follows, by a link or by sharing something.
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
        let bars = placed.iter().map(|one| {
            let last = latest.get(&one.task).copied().unwrap_or(one.start).max(one.start);
            Bar {
                task: one.task,
                agent: one.agent,
                start: one.start,
                finish: one.finish,
                earliest: earliest.get(&one.task).copied().unwrap_or(one.start),
                latest: last,
                slack: last - one.start,
            }
        });
        Self { bars: bars.collect(), end }
    }

    /// How much of an agent's capacity, or of a shared resource, is in use over time: by agent, then by resource, in the order of
    /// the project. What an agent had begun before the plan counts.
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

    /// When each of these phases begins and ends, and how long its tasks wait for its end; see [`Project::in_phases`].
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

    /// The tasks without slack, by start: what makes the plan as long as it is.
    #[must_use]
    pub fn critical_chain(&self) -> Vec<TaskId> {
        self.bars.iter().filter(|bar| bar.slack.is_zero()).map(|bar| bar.task).collect()
    }
}
