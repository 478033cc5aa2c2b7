//! A plan as a routing strategy, and how far reality is from it.

use crate::event::{AgentEvent, Entry, Event, TaskEvent};
use crate::id::{AgentId, RunId, TaskId};
use crate::planning::{Outline, Plan};
use crate::routing::{Candidates, LeastLoaded, RoutingStrategy, Turn};
use crate::structure::Random;
use crate::task::{Phase, TaskSpec};
use crate::time::Time;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Routes by a plan, as long as reality agrees with it.
///
/// A task that is planned goes to its agent if that one has room. If not, or if it is not planned at all, the strategy that it
/// wraps decides among those who have: nobody waits for a plan. So a plan that turns out wrong costs no more than the wrapped
/// strategy does. The plan is no part of the scheduler's state: what was decided by it is in the facts, and a restored host
/// plans anew.
///
/// The [`Tracker`] that belongs to it takes new plans and says how far reality is from the one in hand: rolling horizon is to
/// look at that now and then, and to [`improve`](crate::planning::improve) the plan for what is left
/// ([`Outlook`](crate::planning::Outlook)).
///
/// ```
/// use counterpoint::planning::{Outlook, Planned, Settings, plan_project};
/// use counterpoint::{AgentId, AgentSpec, Command, Config, Outbox, Scheduler, TaskId, TaskSpec, Time};
/// use std::ops::ControlFlow;
/// use std::time::Duration;
///
/// let (strategy, tracker) = Planned::new();
/// let (mut scheduler, mut out) = (Scheduler::new(Config::default().with_strategy(strategy)), Outbox::default());
/// let mut say = |command| scheduler.handle(Time::ZERO, command, &mut out).map(|_| ());
/// for id in 1..=2 {
///     say(Command::register(AgentSpec::new(AgentId::new(id)).with_skill("sort", 1)))?;
/// }
/// for id in 1..=6 {
///     say(Command::submit(TaskSpec::new(TaskId::new(id), "sort").with_estimate(Duration::from_secs(id))))?;
/// }
/// let outlook = Outlook::of_scheduler(&scheduler, Time::ZERO, Duration::from_secs(1));
/// let found = plan_project(&outlook.project.check()?, &Settings::default(), &mut |_| ControlFlow::Continue(()));
/// tracker.follow(&outlook.in_host_time(&found.plan));
/// assert!(!tracker.report(Time::ZERO).is_off(Duration::from_secs(1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Planned<S = LeastLoaded> {
    inner: S,
    board: Arc<Mutex<Board>>,
}

impl Planned {
    /// Routes what is not planned, or cannot be as planned, to the least loaded. The tracker is how the host hands it plans.
    #[must_use]
    pub fn new() -> (Self, Tracker) {
        Self::over(LeastLoaded)
    }
}

impl<S: RoutingStrategy> Planned<S> {
    /// Leaves what is not planned, or cannot be as planned, to this strategy.
    #[must_use]
    pub fn over(inner: S) -> (Self, Tracker) {
        let board = Arc::new(Mutex::new(Board::default()));
        (Self { inner, board: Arc::clone(&board) }, Tracker { board })
    }
}

/// Hands plans to a [`Planned`] strategy, and says how far reality is from them. Clones are of the same plan.
#[derive(Debug, Clone)]
pub struct Tracker {
    board: Arc<Mutex<Board>>,
}

/// How far reality is from the plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TrackerReport {
    /// How many tasks of the plan have begun with their agents.
    pub as_planned: u32,
    /// The tasks that others were given, the latest last.
    pub elsewhere: Vec<TaskId>,
    /// The tasks that were given to somebody and are in no plan.
    pub unplanned: u32,
    /// The agents of the plan that have left it.
    pub gone: Vec<AgentId>,
    /// The latest beginning after its planned one so far, counting those that should have begun by now and have not.
    pub latest: Duration,
    /// The tasks of the plan that have not begun.
    pub left: u32,
}

impl TrackerReport {
    /// Whether the plan should be made again: somebody has gone or come instead, something was not foreseen, or it is later than
    /// the plan by more than this.
    #[must_use]
    pub fn is_off(&self, tolerance: Duration) -> bool {
        !self.gone.is_empty() || !self.elsewhere.is_empty() || self.unplanned > 0 || self.latest > tolerance
    }
}

#[derive(Debug, Default)]
struct Board {
    wishes: BTreeMap<Key, Wish>,
    gone: BTreeSet<AgentId>,
    report: TrackerReport,
    /// The tasks of runs, by the ids that the engine gave them.
    known: BTreeMap<TaskId, Key>,
}

/// A task by its id, or by its place in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Task(TaskId),
    Node(RunId, u32, u32),
}

#[derive(Debug, Clone, Copy)]
struct Wish {
    agent: AgentId,
    start: Time,
    has_begun: bool,
}

impl Tracker {
    /// Follows this plan, in the host's time, from now on: what was planned before is forgotten.
    pub fn follow(&self, plan: &Plan) {
        let tasks = plan.tasks.iter().filter_map(|one| Some((Key::Task(one.task), one.agent?, one.start)));
        self.board().set(tasks);
    }

    /// Follows the plan of an outline for a run of its definition that begins at a moment: tasks are recognised by node and
    /// item. Tasks of workflows within are left to the wrapped strategy.
    pub fn follow_run(&self, run: RunId, begins: Time, outline: &Outline, plan: &Plan) {
        let own = outline.project.tasks.iter().zip(&outline.pieces).filter(|(_, piece)| piece.is_own);
        let keys: BTreeMap<TaskId, Key> =
            own.map(|(task, piece)| (task.id, Key::Node(run, piece.node, piece.item))).collect();
        let tasks = plan
            .tasks
            .iter()
            .filter_map(|one| Some((*keys.get(&one.task)?, one.agent?, begins + one.start.since(Time::ZERO))));
        self.board().set(tasks);
    }

    /// How far reality is from the plan by now.
    #[must_use]
    pub fn report(&self, now: Time) -> TrackerReport {
        let board = self.board();
        let mut report = board.report.clone();
        for wish in board.wishes.values().filter(|wish| !wish.has_begun) {
            report.left += 1;
            report.latest = report.latest.max(now - wish.start);
        }
        let gone =
            board.gone.iter().filter(|gone| board.wishes.values().any(|wish| wish.agent == **gone && !wish.has_begun));
        report.gone = gone.copied().collect();
        report
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn set(&mut self, tasks: impl Iterator<Item = (Key, AgentId, Time)>) {
        self.wishes = tasks.map(|(key, agent, start)| (key, Wish { agent, start, has_begun: false })).collect();
        self.report = TrackerReport::default();
    }

    fn key(&self, task: &TaskSpec) -> Key {
        let node = task.owner.filter(|owner| owner.phase == Phase::Do);
        let node = node.map(|owner| Key::Node(owner.run, owner.node, owner.item));
        node.filter(|key| self.wishes.contains_key(key)).unwrap_or(Key::Task(task.id))
    }

    fn begin(&mut self, task: TaskId, with: AgentId, at: Time) {
        let key = self.known.get(&task).copied().unwrap_or(Key::Task(task));
        let Some(wish) = self.wishes.get_mut(&key) else {
            if !self.wishes.is_empty() {
                self.report.unplanned += 1;
            }
            return;
        };
        if core::mem::replace(&mut wish.has_begun, true) {
            return;
        }
        self.report.latest = self.report.latest.max(at - wish.start);
        if wish.agent == with {
            self.report.as_planned += 1;
        } else {
            self.report.elsewhere.push(task);
        }
    }
}

impl Board {
    fn see_agent(&mut self, fact: &AgentEvent) {
        let agent = fact.incarnation().agent();
        match fact {
            AgentEvent::Registered { .. } => {
                self.gone.remove(&agent);
            }
            AgentEvent::Draining { .. } | AgentEvent::Deregistered { .. } | AgentEvent::Lost { .. } => {
                self.gone.insert(agent);
            }
            AgentEvent::Updated { .. } | AgentEvent::Throttled { .. } => {}
        }
    }

    fn see_task(&mut self, fact: &TaskEvent, at: Time) {
        if let TaskEvent::Submitted { spec, .. } = fact {
            let key = self.key(spec);
            if key != Key::Task(spec.id) {
                self.known.insert(spec.id, key);
            }
        } else if let TaskEvent::Assigned { attempt, to } = fact {
            self.begin(attempt.task(), to.agent(), at);
        } else if let TaskEvent::Forgotten { tasks } = fact {
            for task in tasks {
                self.known.remove(task);
            }
        }
    }
}

impl<S: RoutingStrategy> RoutingStrategy for Planned<S> {
    fn name(&self) -> &str {
        "planned"
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId> {
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let wish = board.wishes.get(&board.key(task)).filter(|wish| !wish.has_begun);
        let planned = wish.and_then(|wish| among.get(wish.agent)).map(|agent| agent.id());
        drop(board);
        planned.or_else(|| self.inner.pick(task, among, random))
    }

    fn observe(&mut self, entry: &Entry) {
        self.inner.observe(entry);
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        match &entry.event {
            Event::Agent(fact) => board.see_agent(fact),
            Event::Task(fact) => board.see_task(fact, entry.at),
            Event::Control(_) | Event::Run(_) => {}
        }
    }

    fn explain(&self) -> Option<String> {
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let left = board.wishes.values().filter(|wish| !wish.has_begun).count();
        let report = &board.report;
        let (as_planned, elsewhere) = (report.as_planned, report.elsewhere.len());
        Some(format!("{as_planned} begun as planned, {elsewhere} elsewhere, {left} planned and not begun"))
    }

    fn turned(&mut self) -> Option<Turn> {
        self.inner.turned()
    }
}
