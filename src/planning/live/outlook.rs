//! The open work of a scheduler, as a project.

use crate::base::id::{AgentId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::engine::{Engine, EngineSnapshot};
use crate::planning::outline::{by_agent, planned_agent, weight};
use crate::planning::{Agent, Plan, PlannedTask, Project, Resource, Task, TaskTensor, TensorError, Work};
use crate::scheduler::{Scheduler, SchedulerSnapshot, TaskRecord, TaskStage};
use crate::task::agent::{AgentSpec, AgentStatus};
use crate::task::{TaskSpec, Tier};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

/// The open work of a scheduler or an engine, as a project whose time begins now.
///
/// The tasks are those that are known, not ended and not assigned. A task that an agent holds occupies one unit of the agent's
/// capacity until its expected end, and delays its successors until then. The agents are those that take work; an agent can do a
/// task if it meets the needs and the task does not exclude it. The duration of a task is the one that was expected when it was
/// submitted, or its estimate, or the caller's default. Skill substitutes and resources held by running tasks are ignored.
/// Dependencies on ended tasks are fulfilled.
///
/// ```
/// use counterpoint::planning::{Outlook, Settings, plan_project};
/// use counterpoint::{AgentId, AgentSpec, Command, Config, Outbox, Scheduler, TaskId, TaskSpec, Time};
/// use std::ops::ControlFlow;
/// use std::time::Duration;
///
/// let (mut scheduler, mut out) = (Scheduler::new(Config::default()), Outbox::default());
/// let mut handle = |command| scheduler.handle(Time::ZERO, command, &mut out).map(|_| ());
/// handle(Command::register(AgentSpec::new(AgentId::new(1)).with_skill("sort", 1)))?;
/// for id in 1..=3 {
///     let task = TaskSpec::new(TaskId::new(id), "sort").with_estimate(Duration::from_secs(10));
///     handle(Command::submit(task))?;
/// }
/// // Four seconds later the first task is still under way, the others wait.
/// let outlook = Outlook::of_scheduler(&scheduler, Time::from_secs(4), Duration::from_secs(1));
/// assert_eq!(outlook.project.tasks.len(), 2);
/// let found = plan_project(&outlook.project.check()?, &Settings::default(), &mut |_| ControlFlow::Continue(()));
/// assert_eq!(found.makespan, Duration::from_secs(26));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outlook {
    /// The open tasks and the agents; its time begins at `now`.
    pub project: Project,
    /// The current time of the host.
    pub now: Time,
    /// The tasks that agents hold, with their actual starts and expected ends in host time.
    pub under_way: Vec<PlannedTask>,
}

/// The open work of a scheduler, or that of an engine: what a [`RollingPlanner`](super::RollingPlanner) plans.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum OpenWork<'a> {
    /// The tasks of a scheduler that is used alone.
    Scheduler(&'a Scheduler),
    /// The tasks that an engine has submitted.
    Engine(&'a Engine),
}

impl<'a> From<&'a Scheduler> for OpenWork<'a> {
    fn from(scheduler: &'a Scheduler) -> Self {
        Self::Scheduler(scheduler)
    }
}

impl<'a> From<&'a Engine> for OpenWork<'a> {
    fn from(engine: &'a Engine) -> Self {
        Self::Engine(engine)
    }
}

impl OpenWork<'_> {
    /// The work as a project. Tasks without an expected duration or estimate take `otherwise`.
    pub(super) fn outlook(self, now: Time, otherwise: Duration) -> Outlook {
        match self {
            Self::Scheduler(scheduler) => Outlook::of_scheduler(scheduler, now, otherwise),
            Self::Engine(engine) => Outlook::of_engine(engine, now, otherwise),
        }
    }
}

impl Outlook {
    /// The open work of a scheduler. Tasks without an expected duration or estimate take `otherwise`.
    #[must_use]
    pub fn of_scheduler(scheduler: &Scheduler, now: Time, otherwise: Duration) -> Self {
        Self::of(&scheduler.snapshot(), scheduler.shared().map(|(name, _, all)| (name.clone(), all)), now, otherwise)
    }

    /// The submitted open work of an engine. Tasks that its runs have yet to submit are not included; see
    /// [`Outline`](crate::planning::Outline) for those.
    #[must_use]
    pub fn of_engine(engine: &Engine, now: Time, otherwise: Duration) -> Self {
        let EngineSnapshot { scheduler, .. } = engine.snapshot();
        Self::of(&scheduler, engine.shared().map(|(name, _, all)| (name.clone(), all)), now, otherwise)
    }

    fn of(
        state: &SchedulerSnapshot,
        shared: impl Iterator<Item = (Name, u64)>,
        now: Time,
        otherwise: Duration,
    ) -> Self {
        let mut outlook = Self { project: Project::default(), now, under_way: Vec::new() };
        outlook.project.resources = shared.map(|(name, all)| Resource::new(name, all)).collect();
        let takes_work = |agent: &&crate::scheduler::AgentRecord| {
            agent.status == AgentStatus::Online && agent.paused.is_none() && slots(agent) > 0
        };
        let agents: Vec<_> = state.agents.iter().filter(takes_work).collect();
        outlook.project.agents =
            agents.iter().map(|agent| planned_agent(&agent.spec).with_capacity(slots(agent))).collect();
        let mut releases: BTreeMap<TaskId, Duration> = BTreeMap::new();
        for record in &state.tasks {
            if let TaskStage::Running { by, since, .. } = &record.stage {
                let left = expected(record, otherwise).saturating_sub(now - *since);
                releases.insert(record.spec.id, left);
                let agent = outlook.project.agents.iter_mut().find(|agent| agent.id == by.agent());
                agent.into_iter().for_each(|agent| agent.busy.push(Time::ZERO + left));
                let (task, agent) = (record.spec.id, Some(by.agent()));
                outlook.under_way.push(PlannedTask { task, agent, start: *since, finish: now + left });
            }
        }
        let open: BTreeSet<TaskId> =
            state.tasks.iter().filter(|record| is_waiting(record)).map(|one| one.spec.id).collect();
        let specs = || agents.iter().map(|agent| &*agent.spec);
        for record in state.tasks.iter().filter(|record| is_waiting(record)) {
            let spec = &record.spec;
            let able = specs().filter(|agent| allows(spec, agent) && !record.avoid.contains(&agent.id));
            let able: Vec<&AgentSpec> = able.collect();
            // The scheduler, too, ignores `avoid` if no other agent takes work.
            let mut work = by_agent(able.into_iter(), &spec.needs, expected(record, otherwise));
            if matches!(&work, Work::ByAgent(spans) if spans.is_empty()) {
                work = by_agent(specs().filter(|agent| allows(spec, agent)), &spec.needs, expected(record, otherwise));
            }
            let mut task = Task::of(spec.id, work).with_name(spec.kind.clone());
            task.priority = weight(record.tier.unwrap_or(spec.tier));
            for before in &spec.after {
                match releases.get(before) {
                    Some(left) => task.release = task.release.max(Time::ZERO + *left),
                    None if open.contains(before) => task = task.after(*before),
                    None => {}
                }
            }
            if let TaskStage::Backoff { until } = record.stage {
                task.release = task.release.max(Time::ZERO + (until - now));
            }
            task.deadline = spec.deadline.map(|deadline| Time::ZERO + (deadline - now));
            let preferred = spec.affinity.as_ref().and_then(|affinity| affinity.preferred);
            task.preferred.extend(
                preferred.filter(|preferred| outlook.project.agents.iter().any(|agent| agent.id == *preferred)),
            );
            outlook
                .project
                .tasks
                .push(spec.needs.shared().fold(task, |task, (name, amount)| task.with_use(name.clone(), amount)));
        }
        outlook
    }

    /// Limits the project to a number of tasks: by tier, then by submission, each with all its predecessors. This is the horizon of
    /// a plan that will be replaced before it is finished.
    #[must_use]
    pub fn within(mut self, most: usize) -> Self {
        let mut order: Vec<usize> = (0..self.project.tasks.len()).collect();
        order.sort_by_key(|place| u32::MAX - self.project.tasks.get(*place).map_or(0, |task| task.priority));
        let slots: BTreeMap<TaskId, usize> =
            self.project.tasks.iter().enumerate().map(|(place, task)| (task.id, place)).collect();
        let mut kept: BTreeSet<usize> = BTreeSet::new();
        for place in order {
            // A task is kept only with all its predecessors, since it could not be planned without them.
            let mut way = vec![place];
            let mut needed: BTreeSet<usize> = BTreeSet::new();
            while let Some(place) = way.pop() {
                if !kept.contains(&place) && needed.insert(place) {
                    let before = self.project.tasks.get(place).into_iter().flat_map(|task| &task.after);
                    way.extend(before.filter_map(|link| slots.get(&link.task)));
                }
            }
            if kept.len() + needed.len() <= most {
                kept.extend(needed);
            }
        }
        let mut place = 0;
        self.project.tasks.retain(|_| {
            place += 1;
            kept.contains(&(place - 1))
        });
        self
    }

    /// Converts a plan of this project to host time. Tasks [under way](Self::under_way) are not included.
    #[must_use]
    pub fn in_host_time(&self, plan: &Plan) -> Plan {
        let from_now = |at: Time| self.now + at.since(Time::ZERO);
        Plan::of(plan.tasks.iter().map(|one| PlannedTask {
            start: from_now(one.start),
            finish: from_now(one.finish),
            ..*one
        }))
    }
}

/// The number of attempts that an agent may hold, by its capacity and its guards.
fn slots(agent: &crate::scheduler::AgentRecord) -> u32 {
    agent.gates.iter().map(|gate| gate.slots).fold(agent.spec.capacity, u32::min)
}

fn is_waiting(record: &TaskRecord) -> bool {
    matches!(record.stage, TaskStage::Blocked | TaskStage::Backoff { .. } | TaskStage::Queued { .. })
}

fn expected(record: &TaskRecord, otherwise: Duration) -> Duration {
    record.expected.or(record.spec.estimate).unwrap_or(otherwise)
}

/// Whether an agent serves the tenant of a task, and the specification of the task allows the agent.
fn allows(spec: &TaskSpec, agent: &AgentSpec) -> bool {
    let allowed = spec.affinity.as_ref().is_none_or(|affinity| {
        !affinity.not_agents.contains(&agent.id)
            && !affinity.not_labels.iter().any(|(name, value)| agent.labels.get(name) == Some(value))
    });
    allowed && agent.serves(spec.tenant.as_ref())
}

impl TaskTensor {
    /// The tensor of a scheduler's state: the open tasks, the registered agents, and the tiers as levels. An assignment that an agent
    /// holds is pinned, so exactly 1.0. A waiting task is equally likely on each agent that can do it; agents that take no work, do
    /// not meet the needs or are excluded are masked.
    ///
    /// # Errors
    ///
    /// [`TensorError::TooLarge`] if the tensor would exceed the limit on entries.
    pub fn of_state(state: &SchedulerSnapshot) -> Result<Self, TensorError> {
        let open = || state.tasks.iter().filter(|record| !matches!(record.stage, TaskStage::Ended { .. }));
        let level = |record: &TaskRecord| record.tier.unwrap_or(record.spec.tier).index();
        let tasks: Vec<(TaskId, usize)> = open().map(|record| (record.spec.id, level(record))).collect();
        let agents: Vec<AgentId> = state.agents.iter().map(|agent| agent.spec.id).collect();
        let records: BTreeMap<TaskId, &TaskRecord> = open().map(|record| (record.spec.id, record)).collect();
        let specs: BTreeMap<AgentId, &crate::scheduler::AgentRecord> =
            state.agents.iter().map(|agent| (agent.spec.id, agent)).collect();
        let can = |task: TaskId, agent: AgentId| {
            let (Some(record), Some(agent)) = (records.get(&task), specs.get(&agent)) else { return false };
            let takes_work = agent.status == AgentStatus::Online && agent.paused.is_none();
            if let TaskStage::Running { by, .. } = &record.stage {
                return by.agent() == agent.spec.id;
            }
            takes_work && record.spec.needs.met_by(&agent.spec) && allows(&record.spec, &agent.spec)
        };
        let mut tensor = Self::new(&tasks, &agents, Tier::ALL.len(), can)?;
        for record in open() {
            if let TaskStage::Running { by, .. } = &record.stage {
                tensor.pin(record.spec.id, by.agent())?;
            }
        }
        Ok(tensor)
    }
}

impl Agent {
    /// The planning model of an agent: its skills, its capacity and its cost.
    #[must_use]
    pub fn of_spec(spec: &AgentSpec) -> Self {
        planned_agent(spec)
    }
}
