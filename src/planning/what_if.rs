//! What would be, if.

use super::fault::{BadProblem, Fault};
use super::model::{Agent, Project};
use super::plan::Plan;
use super::project::{Progress, Settings, improve};
use super::validate::{Facts, validate};
use crate::id::{AgentId, TaskId};
use crate::time::Time;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};

/// Something that could be otherwise in a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// An agent comes.
    Come(Agent),
    /// An agent goes.
    Go(AgentId),
    /// A task gets another deadline, or none.
    Deadline {
        /// Which task.
        task: TaskId,
        /// By when it should have ended.
        deadline: Option<Time>,
    },
    /// All of it may cost so much, or anything.
    Budget(Option<u64>),
}

impl Change {
    /// The project as it would be.
    ///
    /// # Errors
    ///
    /// When the change names an agent or a task that is not there.
    pub fn apply(&self, project: &Project) -> Result<Project, BadProblem> {
        let mut project = project.clone();
        match self {
            Self::Come(agent) => project.agents.push(agent.clone()),
            Self::Go(agent) => {
                let before = project.agents.len();
                project.agents.retain(|one| one.id != *agent);
                if project.agents.len() == before {
                    return Err(BadProblem { faults: vec![Fault::NoSuchAgent { agent: *agent }] });
                }
                for task in &mut project.tasks {
                    task.preferred.retain(|one| one != agent);
                    if let super::model::Work::ByAgent(spans) = &mut task.work {
                        spans.remove(agent);
                    }
                }
            }
            Self::Deadline { task, deadline } => match project.tasks.iter_mut().find(|one| one.id == *task) {
                Some(one) => one.deadline = *deadline,
                None => return Err(BadProblem { faults: vec![Fault::NoSuchTask { task: *task }] }),
            },
            Self::Budget(budget) => project.budget = *budget,
        }
        Ok(project)
    }
}

/// What a change comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Consequence {
    /// What the plan in hand comes to, in the project as it is.
    pub before: Facts,
    /// What the plan after the change comes to.
    pub after: Facts,
    /// The plan after the change.
    pub plan: Plan,
    /// The tasks that somebody else does then.
    pub handed_over: Vec<TaskId>,
}

impl Consequence {
    /// How much later the last task ends, in nanoseconds; below 0 if it ends sooner.
    #[must_use]
    pub fn delay(&self) -> i128 {
        signed(self.after.makespan.as_nanos()) - signed(self.before.makespan.as_nanos())
    }

    /// How much more it costs, in millionths; below 0 if it is less.
    #[must_use]
    pub fn extra_cost(&self) -> i128 {
        i128::from(self.after.cost) - i128::from(self.before.cost)
    }

    /// How much more tardiness there is, in nanoseconds times priorities; below 0 if it is less.
    #[must_use]
    pub fn extra_tardiness(&self) -> i128 {
        signed(self.after.tardiness) - signed(self.before.tardiness)
    }
}

fn signed(value: u128) -> i128 {
    i128::try_from(value).unwrap_or(i128::MAX)
}

/// What a change would cost: plans the project as it would be, beginning with the plan in hand. Where that one still holds, as
/// when an agent comes, the plan after the change is no worse by the goal of the settings.
///
/// ```
/// use counterpoint::planning::{Agent, Change, Project, Settings, Task, plan_project, what_if};
/// use counterpoint::{AgentId, TaskId};
/// use std::ops::ControlFlow;
/// use std::time::Duration;
///
/// let task = |n| Task::new(TaskId::new(n), Duration::from_secs(3));
/// let project = Project::default().with_agent(Agent::new(AgentId::new(1))).with_task(task(1)).with_task(task(2));
/// let settings = Settings::default();
/// let plan = plan_project(&project.check()?, &settings, &mut |_| ControlFlow::Continue(())).plan;
///
/// let help = Change::Come(Agent::new(AgentId::new(2)).with_cost_per_second(1_000_000));
/// let then = what_if(&project, &plan, &help, &settings, &mut |_| ControlFlow::Continue(()))?;
/// assert_eq!((then.delay(), then.extra_cost()), (-3_000_000_000, 3_000_000)); // three seconds sooner, for three more
/// assert_eq!(then.handed_over.len(), 1);
/// # Ok::<(), counterpoint::planning::BadProblem>(())
/// ```
///
/// # Errors
///
/// When the project as it would be cannot be planned, or the plan in hand breaks a rule of the project as it is.
pub fn what_if(
    project: &Project,
    plan: &Plan,
    change: &Change,
    settings: &Settings,
    observer: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Consequence, BadProblem> {
    let before = validate(project, plan).map_err(broken)?;
    let changed = change.apply(project)?;
    let found = improve(&changed.check()?, plan, settings, observer);
    let after = validate(&changed, &found.plan).map_err(broken)?;
    let agent_of = |task: TaskId| plan.tasks.iter().find(|one| one.task == task).and_then(|one| one.agent);
    let moved = found.plan.tasks.iter().filter(|one| one.agent != agent_of(one.task));
    let handed_over = moved.map(|one| one.task).collect();
    Ok(Consequence { before, after, handed_over, plan: found.plan })
}

fn broken(breaches: Vec<super::validate::Breach>) -> BadProblem {
    BadProblem { faults: vec![Fault::BrokenPlan { breaches }] }
}
