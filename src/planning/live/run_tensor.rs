//! The task tensor of a run, from the state of its engine.

use crate::agent::AgentStatus;
use crate::definition::Node;
use crate::engine::Engine;
use crate::id::{AgentId, RunId, TaskId};
use crate::name::Name;
use crate::planning::{Expected, Outline, OutlineError, TaskTensor, TensorError, Work};
use crate::run::{NodeStatus, RunPhase};
use crate::scheduler::{AgentRecord, SchedulerSnapshot, TaskRecord, TaskStage};
use crate::task::{Phase, TaskOutcome};
use std::collections::BTreeMap;
use thiserror::Error;

/// Why a run has no tensor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RunTensorError {
    /// There is no such run.
    #[error("{run} is not known")]
    UnknownRun {
        /// Which.
        run: RunId,
    },
    /// What the run does cannot be laid out ahead.
    #[error(transparent)]
    Outline(#[from] OutlineError),
    /// The parts do not go together.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl TaskTensor {
    /// The tensor of a run, with all that it has agents do, begun or not: its tasks are those of an [`Outline`] of its
    /// definition, its agents those that are registered, its levels the depths of tasks.
    ///
    /// What an agent holds is certain: exactly 1.0; and so is what it has done, as long as the scheduler remembers it. What is
    /// over in another way, or was done by an agent that has left, is masked. The rest is as likely with each agent that takes
    /// work and meets the needs. Work of workflows within is laid out, too, and is never certain.
    ///
    /// ```
    /// use counterpoint::definition::{Action, Definition, Link, Node};
    /// use counterpoint::planning::{Expected, TaskTensor};
    /// use counterpoint::{AgentId, AgentSpec, Command, Config, Engine, Outbox, RunId, RunSpec, Time};
    /// use std::time::Duration;
    ///
    /// let flow = Definition::new("report")
    ///     .with_node(Node::new("read", Action::task("read")))
    ///     .with_node(Node::new("sum up", Action::task("write")).with_link(Link::success("read")));
    /// let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
    /// let mut say = |command| engine.handle(Time::ZERO, command, &mut out).map(|_| ());
    /// say(Command::register(AgentSpec::new(AgentId::new(1)).with_skill("read", 1).with_skill("write", 1)))?;
    /// say(Command::register(AgentSpec::new(AgentId::new(2)).with_skill("write", 1)))?;
    /// say(Command::define(flow))?;
    /// say(Command::start(RunSpec::new(RunId::new(1), "report")))?;
    ///
    /// let tensor = TaskTensor::of_run(&engine, RunId::new(1), &|_, _| Expected::once(Duration::ZERO))?;
    /// assert_eq!(tensor.values().dim(), (2, 2, 2));
    /// assert_eq!(tensor.level(0).row(0).to_vec(), [1.0, 0.0]); // the first has begun to read
    /// assert_eq!(tensor.level(1).row(1).to_vec(), [0.5, 0.5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunTensorError::UnknownRun`], and what a definition without an [`Outline`] leads to.
    pub fn of_run(
        engine: &Engine,
        run: RunId,
        expected: &dyn Fn(&Name, &Node) -> Expected,
    ) -> Result<Self, RunTensorError> {
        let view = engine.run(run).ok_or(RunTensorError::UnknownRun { run })?;
        let state = engine.snapshot().scheduler;
        let specs: Vec<_> = state.agents.iter().map(|agent| agent.spec.as_ref().clone()).collect();
        let outline = Outline::of(view.definition(), &specs, expected)?;
        let work = Whole { records: latest(&state, run), agents: by_id(&state), outline: &outline };
        // Of a run that has turned back or is over nothing begins any more.
        let forward = view.phase() == RunPhase::Running && view.outcome().is_none();
        let status = |status| if forward || status != NodeStatus::Waiting { status } else { NodeStatus::Cancelled };
        let nodes: Vec<NodeStatus> = view.nodes().map(|node| status(node.status())).collect();
        let rows = work.rows();
        let levels = rows.iter().map(|row| row.2 + 1).max().unwrap_or(0);
        let places: BTreeMap<TaskId, usize> = rows.iter().map(|&(place, task, _)| (task, place)).collect();
        let tasks: Vec<(TaskId, usize)> = rows.iter().map(|&(_, task, level)| (task, level)).collect();
        let agents: Vec<AgentId> = specs.iter().map(|agent| agent.id).collect();
        let can = |task: TaskId, agent: AgentId| {
            places.get(&task).is_some_and(|place| match work.standing(*place, &nodes) {
                Standing::With(by) => by == agent,
                Standing::Over => false,
                Standing::Open => work.may(*place, agent),
            })
        };
        let mut tensor = Self::new(&tasks, &agents, levels, can)?;
        for &(place, task, _) in &rows {
            if let Standing::With(by) = work.standing(place, &nodes)
                && agents.contains(&by)
            {
                tensor.pin(task, by)?;
            }
        }
        Ok(tensor)
    }
}

/// Where a piece of work stands.
enum Standing {
    /// An agent holds it, or has done it.
    With(AgentId),
    /// Nobody does it any more.
    Over,
    /// It may be anybody's.
    Open,
}

struct Whole<'a> {
    /// The tasks of the run itself, by node and item.
    records: BTreeMap<(u32, u32), &'a TaskRecord>,
    agents: BTreeMap<AgentId, &'a AgentRecord>,
    outline: &'a Outline,
}

impl Whole<'_> {
    /// The pieces that agents attend: their places, ids and depths.
    fn rows(&self) -> Vec<(usize, TaskId, usize)> {
        let mut depths: BTreeMap<TaskId, usize> = BTreeMap::new();
        let mut rows = Vec::new();
        // In the order of the outline each task comes after those that it waits for.
        for (place, task) in self.outline.project.tasks.iter().enumerate() {
            let before = task.after.iter().filter_map(|link| depths.get(&link.task));
            let depth = before.max().map_or(0, |deepest| deepest + 1);
            depths.insert(task.id, depth);
            if matches!(task.work, Work::ByAgent(_)) {
                rows.push((place, task.id, depth));
            }
        }
        rows
    }

    fn standing(&self, place: usize, nodes: &[NodeStatus]) -> Standing {
        let Some(piece) = self.outline.pieces.get(place) else { return Standing::Over };
        let node = nodes.get(piece.node as usize).copied().unwrap_or_default();
        let record = self.records.get(&(piece.node, piece.item)).filter(|_| piece.is_own);
        match record.map(|record| (&record.stage, record.last)) {
            Some((TaskStage::Running { by, .. }, _)) => Standing::With(by.agent()),
            // A node that waits again does its work anew.
            Some((TaskStage::Ended { outcome: TaskOutcome::Succeeded(_), .. }, Some(by)))
                if node != NodeStatus::Waiting =>
            {
                Standing::With(by)
            }
            _ if node.is_over() => Standing::Over,
            _ => Standing::Open,
        }
    }

    fn may(&self, place: usize, agent: AgentId) -> bool {
        let able = self.outline.project.tasks.get(place).is_some_and(|task| match &task.work {
            Work::ByAgent(spans) => spans.contains_key(&agent),
            Work::Fixed(_) | Work::ByLevel { .. } => false,
        });
        let free = |record: &&AgentRecord| record.status == AgentStatus::Online && record.paused.is_none();
        able && self.agents.get(&agent).is_some_and(free)
    }
}

/// The latest task for each node and item: work that is refused is done again as another task.
fn latest(state: &SchedulerSnapshot, run: RunId) -> BTreeMap<(u32, u32), &TaskRecord> {
    let mut latest: BTreeMap<(u32, u32), &TaskRecord> = BTreeMap::new();
    for record in &state.tasks {
        let owner = record.spec.owner.filter(|owner| owner.run == run && owner.phase == Phase::Do);
        let Some(owner) = owner else { continue };
        let slot = latest.entry((owner.node, owner.item)).or_insert(record);
        if slot.seq < record.seq {
            *slot = record;
        }
    }
    latest
}

fn by_id(state: &SchedulerSnapshot) -> BTreeMap<AgentId, &AgentRecord> {
    state.agents.iter().map(|agent| (agent.spec.id, agent)).collect()
}
