//! Where there is room in a plan.

use super::model::Project;
use super::plan::Plan;
use crate::id::{AgentId, TaskId};
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

    /// The tasks without slack, by start: what makes the plan as long as it is.
    #[must_use]
    pub fn critical_chain(&self) -> Vec<TaskId> {
        self.bars.iter().filter(|bar| bar.slack.is_zero()).map(|bar| bar.task).collect()
    }
}
