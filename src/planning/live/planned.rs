//! A routing strategy that follows a plan, and the deviation of the actual execution from it.

use crate::base::id::{AgentId, NodeIx, RunId, TaskId};
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::message::event::{AgentEvent, ControlEvent, Entry, Event, TaskEvent};
use crate::planning::{Outline, Plan};
use crate::routing::{Candidates, LeastLoaded, Rerouting, RoutingStrategy};
use crate::task::{Phase, TaskSpec};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A routing strategy that follows a plan.
///
/// A planned task goes to its planned agent if that agent has room. Otherwise, and for tasks without a plan, the wrapped strategy
/// chooses among the agents with room, so no task waits because of the plan, and a plan that turns out wrong costs no more than the
/// wrapped strategy alone. The plan is no part of the scheduler's state: its decisions are in the events, and a restored host makes
/// a new plan.
///
/// The [`PlanTracker`] of the strategy takes new plans and reports the deviation from the current one. For a rolling horizon, check the
/// report regularly and [`improve`](crate::planning::improve) the plan of the remaining work
/// ([`Outlook`](crate::planning::Outlook)).
///
/// ```
/// use counterpoint::planning::{Outlook, PlannedRouting, Settings, plan_project};
/// use counterpoint::{AgentId, AgentSpec, Command, Config, Outbox, Scheduler, TaskId, TaskSpec, Time};
/// use std::ops::ControlFlow;
/// use std::time::Duration;
///
/// let (strategy, tracker) = PlannedRouting::new();
/// let (mut scheduler, mut out) = (Scheduler::new(Config::default().with_strategy(strategy)), Outbox::default());
/// let mut handle = |command| scheduler.handle(Time::ZERO, command, &mut out).map(|_| ());
/// for id in 1..=2 {
///     handle(Command::register(AgentSpec::new(AgentId::new(id)).with_skill("sort", 1)))?;
/// }
/// for id in 1..=6 {
///     handle(Command::submit(TaskSpec::new(TaskId::new(id), "sort").with_estimate(Duration::from_secs(id))))?;
/// }
/// let outlook = Outlook::of_scheduler(&scheduler, Time::ZERO, Duration::from_secs(1));
/// let found = plan_project(&outlook.project.check()?, &Settings::default(), &mut |_| ControlFlow::Continue(()));
/// tracker.follow(&outlook.in_host_time(&found.plan));
/// assert!(!tracker.report(Time::ZERO).is_off(Duration::from_secs(1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PlannedRouting<S = LeastLoaded> {
    inner: S,
    state: Arc<Mutex<TrackerState>>,
}

impl PlannedRouting {
    /// A strategy that leaves tasks without a feasible planned agent to [`LeastLoaded`], with its tracker.
    #[must_use]
    pub fn new() -> (Self, PlanTracker) {
        Self::over(LeastLoaded)
    }
}

impl<S: RoutingStrategy> PlannedRouting<S> {
    /// A strategy that leaves tasks without a feasible planned agent to `inner`, with its tracker.
    #[must_use]
    pub fn over(inner: S) -> (Self, PlanTracker) {
        let state = Arc::new(Mutex::new(TrackerState::default()));
        (Self { inner, state: Arc::clone(&state) }, PlanTracker { state })
    }
}

/// Passes plans to a [`PlannedRouting`] strategy and reports the deviation from them. Clones share the plan.
#[derive(Debug, Clone)]
pub struct PlanTracker {
    state: Arc<Mutex<TrackerState>>,
}

/// The deviation of the actual execution from the plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PlanDeviation {
    /// The number of planned tasks that were assigned to their planned agents.
    pub as_planned: u32,
    /// The planned tasks that were assigned to other agents, in order of assignment.
    pub elsewhere: Vec<TaskId>,
    /// The number of assigned tasks that are in no plan.
    pub unplanned: u32,
    /// The agents with planned tasks that are no longer registered or are draining.
    pub gone: Vec<AgentId>,
    /// The largest delay of a start so far, including tasks that should have started by now.
    pub latest: Duration,
    /// The number of planned tasks that have not started.
    pub left: u32,
}

impl PlanDeviation {
    /// Whether the plan should be replaced: an agent has left, a task went to another agent or was not planned, or a start is delayed
    /// by more than the tolerance.
    #[must_use]
    pub fn is_off(&self, tolerance: Duration) -> bool {
        !self.gone.is_empty() || !self.elsewhere.is_empty() || self.unplanned > 0 || self.latest > tolerance
    }
}

#[derive(Debug, Default)]
struct TrackerState {
    starts: BTreeMap<Key, PlannedStart>,
    gone: BTreeSet<AgentId>,
    report: PlanDeviation,
    /// The number of tasks and agents that have arrived since the plan was made.
    arrived: u32,
    /// The keys of tasks of runs, by the ids that the engine gave them.
    known: BTreeMap<TaskId, Key>,
}

/// A task by its id, or by node and item of its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Task(TaskId),
    Node(RunId, NodeIx, u32),
}

#[derive(Debug, Clone, Copy)]
struct PlannedStart {
    agent: AgentId,
    start: Time,
    has_begun: bool,
}

impl PlanTracker {
    /// Follows this plan, in host time, from now on. Replaces the plan before.
    pub fn follow(&self, plan: &Plan) {
        let tasks = plan.tasks.iter().filter_map(|one| Some((Key::Task(one.task), one.agent?, one.start)));
        self.state().set(tasks);
    }

    /// Follows the plan of an outline for a run of its definition that begins at a given time. Tasks are recognised by node and
    /// item. Tasks of nested workflows are left to the wrapped strategy.
    pub fn follow_run(&self, run: RunId, begins: Time, outline: &Outline, plan: &Plan) {
        let own = outline.project.tasks.iter().zip(&outline.origins).filter(|(_, piece)| piece.is_own);
        let keys: BTreeMap<TaskId, Key> =
            own.map(|(task, piece)| (task.id, Key::Node(run, piece.node, piece.item))).collect();
        let tasks = plan
            .tasks
            .iter()
            .filter_map(|one| Some((*keys.get(&one.task)?, one.agent?, begins + one.start.since(Time::ZERO))));
        self.state().set(tasks);
    }

    /// The deviation from the plan up to now.
    #[must_use]
    pub fn report(&self, now: Time) -> PlanDeviation {
        let state = self.state();
        let mut report = state.report.clone();
        for planned in state.starts.values().filter(|planned| !planned.has_begun) {
            report.left += 1;
            report.latest = report.latest.max(now - planned.start);
        }
        let gone = state
            .gone
            .iter()
            .filter(|gone| state.starts.values().any(|planned| planned.agent == **gone && !planned.has_begun));
        report.gone = gone.copied().collect();
        report
    }

    /// Whether tasks or agents have arrived since the plan was made.
    pub(super) fn has_arrivals(&self) -> bool {
        self.state().arrived > 0
    }

    fn state(&self) -> MutexGuard<'_, TrackerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TrackerState {
    fn set(&mut self, tasks: impl Iterator<Item = (Key, AgentId, Time)>) {
        self.starts = tasks.map(|(key, agent, start)| (key, PlannedStart { agent, start, has_begun: false })).collect();
        self.report = PlanDeviation::default();
        self.arrived = 0;
    }

    fn key(&self, task: &TaskSpec) -> Key {
        let node = task.owner.filter(|owner| owner.phase == Phase::Do);
        let node = node.map(|owner| Key::Node(owner.run, owner.node, owner.item));
        node.filter(|key| self.starts.contains_key(key)).unwrap_or(Key::Task(task.id))
    }

    fn begin(&mut self, task: TaskId, with: AgentId, at: Time) {
        let key = self.known.get(&task).copied().unwrap_or(Key::Task(task));
        let Some(planned) = self.starts.get_mut(&key) else {
            if !self.starts.is_empty() {
                self.report.unplanned += 1;
            }
            return;
        };
        if core::mem::replace(&mut planned.has_begun, true) {
            return;
        }
        self.report.latest = self.report.latest.max(at - planned.start);
        if planned.agent == with {
            self.report.as_planned += 1;
        } else {
            self.report.elsewhere.push(task);
        }
    }
}

impl TrackerState {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a strategy reads what it uses")]
    fn observe_agent(&mut self, agent: AgentId, event: &AgentEvent) {
        match event {
            AgentEvent::Registered { .. } => {
                self.gone.remove(&agent);
                self.arrived = self.arrived.saturating_add(1);
            }
            AgentEvent::Draining | AgentEvent::Deregistered | AgentEvent::Lost => {
                self.gone.insert(agent);
            }
            _ => {}
        }
    }

    fn observe_task(&mut self, task: TaskId, event: &TaskEvent, at: Time) {
        if let TaskEvent::Submitted { spec, .. } = event {
            self.arrived = self.arrived.saturating_add(1);
            let key = self.key(spec);
            if key != Key::Task(task) {
                self.known.insert(task, key);
            }
        } else if let TaskEvent::Assigned { to, .. } = event {
            self.begin(task, to.agent(), at);
        }
    }
}

impl<S: RoutingStrategy> RoutingStrategy for PlannedRouting<S> {
    fn name(&self) -> &str {
        "planned"
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let planned = state.starts.get(&state.key(task)).filter(|planned| !planned.has_begun);
        let planned = planned.and_then(|planned| among.get(planned.agent)).map(|agent| agent.id());
        drop(state);
        planned.or_else(|| self.inner.pick(task, among, random))
    }

    fn observe(&mut self, entry: &Entry) {
        self.inner.observe(entry);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::Agent { agent, event } = &entry.event {
            state.observe_agent(agent.agent(), event);
        } else if let Event::Task { task, event } = &entry.event {
            state.observe_task(*task, event, entry.at);
        } else if let Event::Control(ControlEvent::TasksForgotten { tasks }) = &entry.event {
            for task in tasks {
                state.known.remove(task);
            }
        }
    }

    fn explain(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let left = state.starts.values().filter(|planned| !planned.has_begun).count();
        let report = &state.report;
        let (as_planned, elsewhere) = (report.as_planned, report.elsewhere.len());
        Some(format!("{as_planned} begun as planned, {elsewhere} elsewhere, {left} planned and not begun"))
    }

    fn rerouted(&mut self) -> Option<Rerouting> {
        self.inner.rerouted()
    }
}
