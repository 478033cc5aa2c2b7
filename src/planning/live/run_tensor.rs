//! The task tensor of a run, from the state of its engine.

use crate::base::id::{AgentId, NodeIx, RunId, TaskId};
use crate::base::name::Name;
use crate::definition::Node;
use crate::engine::Engine;
use crate::message::run::{NodeStatus, RunPhase};
use crate::planning::{NodeEstimate, Outline, OutlineError, TaskTensor, TensorError, Work};
use crate::scheduler::{AgentRecord, SchedulerSnapshot, TaskRecord, TaskStage};
use crate::task::agent::AgentStatus;
use crate::task::{Phase, TaskOutcome};
use std::collections::BTreeMap;
use thiserror::Error;

/// The reason why a run has no tensor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RunTensorError {
    /// The engine does not know the run.
    #[error("unknown run {run}")]
    UnknownRun {
        /// The run.
        run: RunId,
    },
    /// The definition of the run has no outline.
    #[error(transparent)]
    Outline(#[from] OutlineError),
    /// The tensor exceeds its limits.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl TaskTensor {
    /// The tensor of a run. The tasks are those of an [`Outline`] of its definition, submitted or not; the agents are those that are
    /// registered; the levels are depths in the order of tasks.
    ///
    /// A task that an agent holds is pinned to it, so exactly 1.0, and so is a succeeded one, as long as the scheduler keeps its
    /// record. Tasks that ended in another way, or were done by an agent that has left, are masked. All others are equally likely
    /// on each agent that takes work and meets the needs. Tasks of nested definitions are included, but never pinned.
    ///
    /// ```
    /// use counterpoint::definition::{Action, Definition, Link, Node};
    /// use counterpoint::planning::{NodeEstimate, TaskTensor};
    /// use counterpoint::{AgentId, AgentSpec, Command, Config, Engine, Outbox, RunId, RunSpec, Time};
    /// use std::time::Duration;
    ///
    /// let flow = Definition::new("report")
    ///     .with_node(Node::new("read", Action::task("read")))
    ///     .with_node(Node::new("sum up", Action::task("write")).with_link(Link::success("read")));
    /// let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
    /// let mut handle = |command| engine.handle(Time::ZERO, command, &mut out).map(|_| ());
    /// handle(Command::register(AgentSpec::new(AgentId::new(1)).with_skill("read", 1).with_skill("write", 1)))?;
    /// handle(Command::register(AgentSpec::new(AgentId::new(2)).with_skill("write", 1)))?;
    /// handle(Command::define(flow))?;
    /// handle(Command::start(RunSpec::new(RunId::new(1), "report")))?;
    ///
    /// let tensor = TaskTensor::of_run(&engine, RunId::new(1), &|_, _| NodeEstimate::once(Duration::ZERO))?;
    /// assert_eq!(tensor.values().dim(), (2, 2, 2));
    /// assert_eq!(tensor.level(0).row(0).to_vec(), [1.0, 0.0]); // the first agent holds the task
    /// assert_eq!(tensor.level(1).row(1).to_vec(), [0.5, 0.5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunTensorError::UnknownRun`], [`RunTensorError::Outline`] if the definition has no [`Outline`], or
    /// [`RunTensorError::Tensor`] if the tensor would be too large.
    pub fn of_run(
        engine: &Engine,
        run: RunId,
        expected: &dyn Fn(&Name, &Node) -> NodeEstimate,
    ) -> Result<Self, RunTensorError> {
        let view = engine.run(run).ok_or(RunTensorError::UnknownRun { run })?;
        let state = engine.snapshot().scheduler;
        let specs: Vec<_> = state.agents.iter().map(|agent| agent.spec.as_ref().clone()).collect();
        let outline = Outline::of(view.definition(), &specs, expected)?;
        let work = RunWork { records: latest(&state, run), agents: by_id(&state), outline: &outline };
        // A run that is failing or has ended submits no further tasks.
        let forward = view.phase() == RunPhase::Running && view.outcome().is_none();
        let status = |status| if forward || status != NodeStatus::Waiting { status } else { NodeStatus::Cancelled };
        let nodes: Vec<NodeStatus> = view.nodes().map(|node| status(node.status())).collect();
        let rows = work.rows();
        let levels = rows.iter().map(|row| row.2 + 1).max().unwrap_or(0);
        let indexes: BTreeMap<TaskId, usize> = rows.iter().map(|&(index, task, _)| (task, index)).collect();
        let tasks: Vec<(TaskId, usize)> = rows.iter().map(|&(_, task, level)| (task, level)).collect();
        let agents: Vec<AgentId> = specs.iter().map(|agent| agent.id).collect();
        let can = |task: TaskId, agent: AgentId| {
            indexes.get(&task).is_some_and(|index| match work.placement(*index, &nodes) {
                Placement::With(by) => by == agent,
                Placement::Over => false,
                Placement::Open => work.can_do(*index, agent),
            })
        };
        let mut tensor = Self::new(&tasks, &agents, levels, can)?;
        for &(index, task, _) in &rows {
            if let Placement::With(by) = work.placement(index, &nodes)
                && agents.contains(&by)
            {
                tensor.pin(task, by)?;
            }
        }
        Ok(tensor)
    }
}

/// The assignment of a task of the outline.
enum Placement {
    /// An agent holds it or has completed it.
    With(AgentId),
    /// No agent does it any more.
    Over,
    /// It is not assigned.
    Open,
}

struct RunWork<'a> {
    /// The tasks that the run itself has submitted, by node and item.
    records: BTreeMap<(NodeIx, u32), &'a TaskRecord>,
    agents: BTreeMap<AgentId, &'a AgentRecord>,
    outline: &'a Outline,
}

impl RunWork<'_> {
    /// The tasks with an agent: their indexes, ids and depths.
    fn rows(&self) -> Vec<(usize, TaskId, usize)> {
        let mut depths: BTreeMap<TaskId, usize> = BTreeMap::new();
        let mut rows = Vec::new();
        // The outline is in topological order.
        for (index, task) in self.outline.project.tasks.iter().enumerate() {
            let before = task.after.iter().filter_map(|link| depths.get(&link.task));
            let depth = before.max().map_or(0, |deepest| deepest + 1);
            depths.insert(task.id, depth);
            if matches!(task.work, Work::ByAgent(_)) {
                rows.push((index, task.id, depth));
            }
        }
        rows
    }

    fn placement(&self, index: usize, nodes: &[NodeStatus]) -> Placement {
        let Some(origin) = self.outline.origins.get(index) else { return Placement::Over };
        let node = nodes.get(origin.node.index()).copied().unwrap_or_default();
        let record = self.records.get(&(origin.node, origin.item)).filter(|_| origin.is_own);
        match record.map(|record| (&record.stage, record.last)) {
            Some((TaskStage::Running { by, .. }, _)) => Placement::With(by.agent()),
            // A node that waits again submits its work again.
            Some((TaskStage::Ended { outcome: TaskOutcome::Succeeded(_), .. }, Some(by)))
                if node != NodeStatus::Waiting =>
            {
                Placement::With(by)
            }
            _ if node.is_over() => Placement::Over,
            _ => Placement::Open,
        }
    }

    fn can_do(&self, index: usize, agent: AgentId) -> bool {
        let able = self.outline.project.tasks.get(index).is_some_and(|task| match &task.work {
            Work::ByAgent(spans) => spans.contains_key(&agent),
            Work::Fixed(_) | Work::ByLevel { .. } => false,
        });
        let free = |record: &&AgentRecord| record.status == AgentStatus::Online && record.paused.is_none();
        able && self.agents.get(&agent).is_some_and(free)
    }
}

/// The latest task for each node and item, since refused work is submitted again as another task.
fn latest(state: &SchedulerSnapshot, run: RunId) -> BTreeMap<(NodeIx, u32), &TaskRecord> {
    let mut latest: BTreeMap<(NodeIx, u32), &TaskRecord> = BTreeMap::new();
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
