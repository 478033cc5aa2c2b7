//! The progress of each run, and what it waits for.

#![expect(clippy::wildcard_enum_match_arm, reason = "a projection ignores most events")]

mod courses;
mod nodes;
mod report;
mod state;

pub use report::{NodeCounts, RunProgress, Waiting, WaitsFor};

use super::Picture;
use super::catalog::{Catalog, follow};
use crate::base::id::{AgentId, NodeIx, RunId, TaskId};
use crate::base::name::Name;
use crate::base::structure::Table;
use crate::base::time::Time;
use crate::definition::{Action, Definition};
use crate::journal::Projection;
use crate::message::event::{
    ControlEvent, Entry, Event, MapEvent, Next, NodeEvent, NodeRef, Opening, RunEvent, TaskEvent,
};
use crate::message::run::{CompensationOutcome, NodeRemedy, NodeStatus, RunOutcome, RunPhase, RunSpec};
use crate::task::{Owner, Phase};
use courses::Past;
use state::{NodeState, RunState, WHOLE};
use std::sync::Arc;

/// The depth up to which child runs are followed.
const DEPTH: u32 = 32;
/// The depth up to which nested workflows are coloured.
const PAINTED: usize = 16;
/// The number of waits, of child runs, and of skipped nodes in a report.
const LISTED: usize = 16;

/// The progress of each run, including its child runs: for progress bars, to show what a run waits for, and to
/// [forecast](Self::forecast) when it ends.
///
/// Feed it from the first entry on, because it needs the definitions. For a run with an unknown definition it has only
/// the nodes that occur in events.
///
/// ```
/// use counterpoint::definition::{Action, Definition, Link, Node};
/// use counterpoint::observe::Progress;
/// use counterpoint::journal::Projection;
/// use counterpoint::{Entry, RunId, RunSpec, Seq, Time};
/// use counterpoint::task::NodeIx;
/// use counterpoint::message::{CatalogueEvent, NodeEvent, NodeOutcome, NodeRef, RunEvent};
/// use std::sync::Arc;
///
/// let run = RunId::new(1);
/// let flow = Definition::new("greet")
///     .with_node(Node::new("find", Action::task("find")))
///     .with_node(Node::new("say", Action::task("say")).with_link(Link::success("find")));
/// let events = [
///     CatalogueEvent::Defined { definition: Arc::new(flow) }.into(),
///     RunEvent::Started { spec: Arc::new(RunSpec::new(run, "greet")), version: 0, owner: None, hash: None }.of(run),
///     NodeEvent::Finished { outcome: NodeOutcome::Succeeded, took: vec![], output: None, signal: None }
///         .of(run, NodeRef::new(NodeIx::new(0), "find")),
/// ];
/// let mut progress = Progress::default();
/// for (seq, event) in (1..).zip(events) {
///     progress.apply(&Entry { seq: Seq::new(seq), at: Time::from_secs(seq), event });
/// }
/// let now = progress.run(run).expect("a known run");
/// assert_eq!((now.nodes.over, now.nodes.total, now.share), (1, 2, 0.5));
/// assert_eq!(now.to_string(), "greet (r1): running, 50 %, 1 of 2 nodes");
/// assert_eq!(now.bar(10), "█████░░░░░");
/// ```
#[derive(Debug, Clone)]
pub struct Progress {
    catalog: Catalog,
    runs: Table<RunId, RunState>,
    steps: Table<TaskId, Step>,
    past: Past,
    /// The time of the last entry.
    now: Time,
}

/// A task that performs a step and has not ended.
#[derive(Debug, Clone)]
struct Step {
    owner: Owner,
    kind: Name,
    agent: Option<AgentId>,
}

impl Default for Progress {
    /// With capacity for 1,024 definitions, 100,000 runs and a million tasks under way.
    fn default() -> Self {
        Self {
            catalog: Catalog::new(1_024, 100_000),
            runs: Table::new(100_000),
            steps: Table::new(1_000_000),
            past: Past::default(),
            now: Time::ZERO,
        }
    }
}

impl Progress {
    /// Sets the maximum number of runs; beyond it the run that started first is evicted.
    #[must_use]
    pub fn with_runs(mut self, most: usize) -> Self {
        self.catalog.set_runs(most);
        self.runs.set_bound(most);
        self
    }

    /// The progress of a run; `None` if it is unknown or was evicted. The cost grows with the number of its nodes and
    /// those of its child runs.
    #[must_use]
    pub fn run(&self, run: RunId) -> Option<RunProgress> {
        let state = self.runs.get(&run)?;
        let waits: Vec<Waiting> = self.waits(state).take(LISTED).collect();
        let all_waits = self.waits(state).count();
        Some(RunProgress {
            run,
            workflow: state.workflow.clone(),
            parent: state.owner.map(|owner| owner.run),
            phase: state.phase,
            outcome: state.outcome.clone(),
            started: state.started,
            ended: state.ended,
            nodes: state.counts(),
            share: f64::from(self.share(state, DEPTH)) / f64::from(WHOLE),
            more_waits: u32::try_from(all_waits.saturating_sub(waits.len())).unwrap_or(u32::MAX),
            waits,
            children: state.nodes.iter().flat_map(|(_, node)| &node.children).take(LISTED).copied().collect(),
            skipped_by_operator: state.skipped_by_operator().take(LISTED).collect(),
        })
    }

    /// The runs in this projection, in the order of their ids.
    pub fn runs(&self) -> impl Iterator<Item = RunId> {
        self.runs.iter().map(|(run, _)| *run)
    }

    /// The status of a node of a run, by its index in the definition.
    #[must_use]
    pub fn node(&self, run: RunId, node: NodeIx) -> Option<NodeStatus> {
        let state = self.runs.get(&run)?;
        let known = || state.definition.as_ref().is_some_and(|flow| node.index() < flow.nodes.len());
        match state.nodes.get(node) {
            Some(node) => Some(node.status),
            None => known().then_some(NodeStatus::Waiting),
        }
    }

    /// The definition of a run, if it is known.
    #[must_use]
    pub fn definition(&self, run: RunId) -> Option<&Arc<Definition>> {
        self.runs.get(&run)?.definition.as_ref()
    }

    /// The run's workflow as a diagram, coloured by the statuses of its nodes; `None` if its definition is unknown.
    #[must_use]
    pub fn picture(&self, run: RunId) -> Option<Picture<'_>> {
        let state = self.runs.get(&run)?;
        let mut picture = Picture::of(state.definition.as_ref()?);
        self.paint(run, state, &mut Vec::new(), &mut picture);
        Some(picture)
    }

    fn paint(&self, run: RunId, state: &RunState, path: &mut Vec<u32>, picture: &mut Picture<'_>) {
        for (place, node) in state.nodes.iter() {
            path.push(place.get());
            picture.mark(path, node.status);
            // A nested workflow shows its run, or the one of several that started last.
            if let Some(id) = node.last_child
                && let Some(child) = self.runs.get(&id)
                && child.owner.is_some_and(|owner| (owner.run, owner.node) == (run, place))
                && path.len() < PAINTED
            {
                self.paint(id, child, path, picture);
            }
            path.pop();
        }
    }

    fn share(&self, state: &RunState, depth: u32) -> u32 {
        if state.phase == RunPhase::Finished {
            return WHOLE;
        }
        let Some(deeper) = depth.checked_sub(1) else { return 0 };
        state.share(|child| self.runs.get(child).map_or(0, |child| self.share(child, deeper)))
    }

    fn waits<'a>(&'a self, state: &'a RunState) -> impl Iterator<Item = Waiting> + 'a {
        state.nodes.iter().flat_map(move |(place, node)| {
            let name = state.name_of(place);
            let tasks = node.tasks.iter().filter_map(|task| {
                let step = self.steps.get(task)?;
                let what = WaitsFor::Task { task: *task, kind: step.kind.clone(), agent: step.agent };
                Some((step.owner.item, what))
            });
            let children = node.children.iter().map(|child| {
                let item = self.runs.get(child).and_then(|child| child.owner).map_or(0, |owner| owner.item);
                (item, WaitsFor::Run { run: *child })
            });
            let own = state.own_wait(place, node).map(|what| (0, what));
            tasks.chain(children).chain(own).map(move |(item, what)| Waiting { node: name.clone(), item, what })
        })
    }

    fn node_mut(&mut self, run: RunId, node: NodeIx) -> Option<&mut NodeState> {
        self.runs.get_mut(&run)?.node_mut(node)
    }

    fn task(&mut self, id: TaskId, event: &TaskEvent) {
        match event {
            TaskEvent::Submitted { spec, .. } => {
                if let Some(owner) = spec.owner {
                    self.step_began(id, owner, &spec.kind);
                }
            }
            TaskEvent::Assigned { to, .. } => self.held(id, Some(to.agent())),
            TaskEvent::Yielded { .. } | TaskEvent::AttemptFailed { next: Next::Retry { .. }, .. } => {
                self.held(id, None)
            }
            TaskEvent::Succeeded { .. } | TaskEvent::Answered { .. } => self.step_ended(id, true),
            TaskEvent::AttemptFailed { .. } | TaskEvent::Cancelled { .. } | TaskEvent::Expired { .. } => {
                self.step_ended(id, false);
            }
            _ => {}
        }
    }

    fn step_began(&mut self, task: TaskId, owner: Owner, kind: &Name) {
        self.drop_step(task);
        let now = self.now;
        let Some(node) = self.node_mut(owner.run, owner.node) else { return };
        node.tasks.insert(task);
        node.began(owner.phase, now);
        let out = self.steps.insert(task, Step { owner, kind: kind.clone(), agent: None });
        if let Some((task, step)) = out
            && let Some(node) = self.node_mut(step.owner.run, step.owner.node)
        {
            node.tasks.remove(&task);
        }
    }

    fn drop_step(&mut self, task: TaskId) -> Option<Owner> {
        let owner = self.steps.remove(&task)?.owner;
        if let Some(node) = self.node_mut(owner.run, owner.node) {
            node.tasks.remove(&task);
        }
        Some(owner)
    }

    fn step_ended(&mut self, task: TaskId, well: bool) {
        let Some(owner) = self.drop_step(task) else { return };
        if owner.phase == Phase::Do
            && let Some(node) = self.node_mut(owner.run, owner.node)
        {
            node.item_ended(well);
        }
    }

    fn held(&mut self, task: TaskId, agent: Option<AgentId>) {
        if let Some(step) = self.steps.get_mut(&task) {
            step.agent = agent;
        }
    }

    fn run_event(&mut self, run: RunId, event: &RunEvent, now: Time) {
        match event {
            RunEvent::Started { spec, owner, .. } => self.started(spec, *owner, now),
            RunEvent::Failing { .. } => self.set_phase(run, RunPhase::Failing),
            RunEvent::RolledBack { .. } => self.rolls_back(run),
            RunEvent::Restarted { nodes } => {
                if let Some(run) = self.runs.get_mut(&run) {
                    run.rolls_back = false;
                    nodes.iter().for_each(|node| _ = run.nodes.remove(node.index));
                }
            }
            RunEvent::Compensating { nodes } => {
                self.rolling_back(run);
                for node in nodes {
                    self.set_status(run, node.index, NodeStatus::Compensating);
                }
            }
            RunEvent::Finished { outcome } => self.finished(run, outcome, now),
            RunEvent::Migrated { from, .. } => self.migrated(run, from),
            RunEvent::Retried { nodes, .. } => self.retried(run, nodes),
            RunEvent::Reset { .. } => {
                self.retried(run, &[]);
                self.rolls_back(run);
            }
            _ => {}
        }
    }

    fn node_event(&mut self, run: RunId, node: NodeIx, event: &NodeEvent) {
        match event {
            NodeEvent::Map(MapEvent::ItemsAdded { items }) => self.added(run, node, items.len()),
            NodeEvent::Opened { what } => self.opened(run, node, what),
            NodeEvent::Continued { .. } => {
                if let Some(run) = self.runs.get_mut(&run) {
                    run.nodes.remove(node);
                }
                self.opened(run, node, &Opening::Function);
            }
            NodeEvent::Finished { outcome, .. } => {
                if let Some(state) = self.runs.get(&run) {
                    self.past.note(state, node, outcome, self.now);
                }
                self.set_status(run, node, outcome.into());
            }
            NodeEvent::Operated { remedy } => {
                if let Some(node) = self.node_mut(run, node) {
                    node.is_to_be_skipped = matches!(remedy, NodeRemedy::Skip { .. });
                }
            }
            NodeEvent::Compensated { outcome } => self.compensated(run, node, outcome),
            NodeEvent::CompensationRetried => {
                self.set_status(run, node, NodeStatus::Compensating);
                self.settle(run);
            }
            _ => {}
        }
    }

    fn added(&mut self, run: RunId, node: NodeIx, items: usize) {
        if let Some(node) = self.runs.get_mut(&run).and_then(|run| run.node_mut(node)) {
            let more = u32::try_from(items).unwrap_or(u32::MAX);
            node.items = Some(node.items.unwrap_or(0).saturating_add(more));
        }
    }

    fn opened(&mut self, run: RunId, node: NodeIx, what: &Opening) {
        let now = self.now;
        let Some(node) = self.node_mut(run, node) else { return };
        node.began(Phase::Do, now);
        (node.items, node.until) = (what.items().or(node.items), what.until());
    }

    fn rolls_back(&mut self, run: RunId) {
        if let Some(run) = self.runs.get_mut(&run) {
            run.rolls_back = true;
        }
    }

    fn retried(&mut self, run: RunId, nodes: &[NodeRef]) {
        if let Some(state) = self.runs.get_mut(&run) {
            (state.phase, state.outcome, state.ended) = (RunPhase::Running, None, None);
            nodes.iter().for_each(|node| _ = state.nodes.remove(node.index));
        }
    }

    fn migrated(&mut self, run: RunId, from: &[Option<NodeIx>]) {
        self.steps.iter_mut().for_each(|(_, step)| follow(&mut step.owner, run, from));
        self.runs.iter_mut().flat_map(|(_, state)| &mut state.owner).for_each(|owner| follow(owner, run, from));
        let definition = self.catalog.home(run).and_then(|home| home.definition.clone());
        let Some(state) = self.runs.get_mut(&run) else { return };
        state.definition = definition;
        let mut old = core::mem::take(&mut state.nodes);
        let images = (0..).map(NodeIx::new).zip(from);
        let moved = images.filter_map(|(ix, was)| Some((ix, old.remove((*was)?)?)));
        state.nodes = moved.collect();
    }

    fn started(&mut self, spec: &RunSpec, owner: Option<Owner>, now: Time) {
        self.forget(spec.id);
        let home = self.catalog.home(spec.id);
        let definition = home.and_then(|home| home.definition.clone());
        let workflow = home.map_or_else(|| spec.workflow.clone(), |home| home.workflow.clone());
        if let Some(owner) = owner
            && let Some(node) = self.node_mut(owner.run, owner.node)
        {
            node.began(owner.phase, now);
            node.children.insert(spec.id);
            node.last_child = Some(spec.id);
        }
        let state = RunState::new(workflow, definition, owner, now);
        if let Some((run, state)) = self.runs.insert(spec.id, state) {
            self.leave_parent(run, &state);
        }
    }

    fn finished(&mut self, run: RunId, outcome: &RunOutcome, now: Time) {
        let Some(state) = self.runs.get_mut(&run) else { return };
        let first = state.ended.is_none();
        state.phase = RunPhase::Finished;
        state.ended.get_or_insert(now);
        state.outcome = Some(outcome.to_string().into_boxed_str());
        let Some(owner) = state.owner else { return };
        if let Some(node) = self.node_mut(owner.run, owner.node)
            && node.children.remove(&run)
            && first
        {
            node.item_ended(matches!(outcome, RunOutcome::Succeeded { .. }));
        }
    }

    fn compensated(&mut self, run: RunId, node: NodeIx, outcome: &CompensationOutcome) {
        let status = match outcome {
            CompensationOutcome::Compensated | CompensationOutcome::Declared { .. } => NodeStatus::Compensated,
            CompensationOutcome::Failed { .. } => NodeStatus::CompensationFailed,
            CompensationOutcome::Abandoned { .. } => NodeStatus::Abandoned,
        };
        self.set_status(run, node, status);
        self.settle(run);
    }

    /// The run waits for an operator if any compensation has failed.
    fn settle(&mut self, run: RunId) {
        let Some(state) = self.runs.get_mut(&run) else { return };
        if state.phase != RunPhase::Finished && !state.rolls_back {
            let failed = state.nodes.iter().any(|(_, node)| node.status == NodeStatus::CompensationFailed);
            state.phase = if failed { RunPhase::CompensationFailed } else { RunPhase::Compensating };
        }
    }

    /// Compensations on the way to a save-point leave the status of the run unchanged.
    fn rolling_back(&mut self, run: RunId) {
        if let Some(state) = self.runs.get_mut(&run)
            && !(state.rolls_back && state.phase == RunPhase::Running)
        {
            state.rolls_back = false;
            state.phase = RunPhase::Compensating;
        }
    }

    fn set_phase(&mut self, run: RunId, phase: RunPhase) {
        if let Some(state) = self.runs.get_mut(&run)
            && state.phase != RunPhase::Finished
        {
            state.phase = phase;
        }
    }

    fn set_status(&mut self, run: RunId, node: NodeIx, status: NodeStatus) {
        if let Some(node) = self.node_mut(run, node) {
            node.status = status;
        }
    }

    fn forget(&mut self, run: RunId) {
        if let Some(state) = self.runs.remove(&run) {
            self.leave_parent(run, &state);
        }
    }

    fn leave_parent(&mut self, run: RunId, state: &RunState) {
        let Some(owner) = state.owner else { return };
        if let Some(node) = self.node_mut(owner.run, owner.node) {
            node.children.remove(&run);
        }
    }
}

impl Projection for Progress {
    fn apply(&mut self, entry: &Entry) {
        self.now = self.now.max(entry.at);
        self.catalog.apply(&entry.event);
        self.past.estimates.apply(entry);
        match &entry.event {
            Event::Task { task, event } => self.task(*task, event),
            Event::Run { run, event } => self.run_event(*run, event, entry.at),
            Event::Node { run, node, event } => self.node_event(*run, node.index, event),
            Event::Control(ControlEvent::TasksForgotten { tasks }) => {
                for task in tasks {
                    self.drop_step(*task);
                }
            }
            Event::Control(ControlEvent::RunsForgotten { runs }) => {
                for run in runs {
                    self.forget(*run);
                }
            }
            _ => {}
        }
    }
}
