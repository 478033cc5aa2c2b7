//! Makes a project of a workflow definition.

use super::model::{Agent, Project, Resource, Task, Work};
use crate::base::id::{AgentId, NodeIx, TaskId};
use crate::base::name::Name;
use crate::base::time::nanos_of;
use crate::definition::{Action, ActionClass, Body, Definition, Node};
use crate::task::agent::AgentSpec;
use crate::task::{Needs, Tier};
use core::time::Duration;
use std::collections::BTreeMap;
use thiserror::Error;

/// The estimate for one node of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "hosts make them")]
pub struct NodeEstimate {
    /// The duration of one instance of the node's work; for a node that waits, the duration of the wait.
    pub duration: Duration,
    /// The number of items of a map, or of rounds of a loop; 1 for other nodes.
    pub count: u32,
}

impl NodeEstimate {
    /// The estimate for a node with one instance of this duration.
    #[must_use]
    pub const fn once(duration: Duration) -> Self {
        Self { duration, count: 1 }
    }
}

/// A project with all tasks that a run of a definition may submit, and the node from which each task comes.
///
/// The outline is an upper bound: every branch is planned as if it were taken, and every map and loop has the estimated
/// number of instances. Nested definitions are inlined. Milestones, handlers and guards are ignored.
/// ```
/// use counterpoint::definition::{Action, Definition, Link, Node};
/// use counterpoint::planning::{NodeEstimate, Outline, Settings, plan_project};
/// use counterpoint::{AgentId, AgentSpec};
/// use std::ops::ControlFlow;
/// use std::time::Duration;
///
/// let flow = Definition::new("report")
///     .with_node(Node::new("read", Action::task("read")))
///     .with_node(Node::new("sum up", Action::task("write")).with_link(Link::success("read")));
/// let agents = [AgentSpec::new(AgentId::new(1)).with_skill("read", 1), AgentSpec::new(AgentId::new(2)).with_skill("write", 1)];
/// let outline = Outline::of(&flow, &agents, &|_, _| NodeEstimate::once(Duration::from_secs(60)))?;
/// let found = plan_project(&outline.project.check()?, &Settings::default(), &mut |_| ControlFlow::Continue(()));
/// assert_eq!(found.makespan, Duration::from_secs(120));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Outline {
    /// The tasks, in the order of the nodes, and the agents.
    pub project: Project,
    /// The origin of each task of the project, in the same order.
    pub origins: Vec<TaskOrigin>,
}

/// The node and instance from which a task of an [`Outline`] comes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskOrigin {
    /// The name of the node, preceded by the names of the nodes that contain it: `outer/inner`.
    pub path: Name,
    /// The index, in the definition, of the node or of the outermost node that contains it.
    pub node: NodeIx,
    /// The index of the map item or of the loop round; 0 for other nodes.
    pub item: u32,
    /// Whether the task is submitted by the top-level run: false for nodes of nested definitions and for tasks without an agent.
    pub is_own: bool,
}

/// The reason why a definition has no outline.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OutlineError {
    /// The node has no order or extent that is known in advance: states, a delegated task, a workflow called by name, or a nested
    /// definition within a mutex or a bounded map.
    #[error("node {node} cannot be planned in advance")]
    Unplannable {
        /// The path of the node.
        node: Name,
    },
    /// A link comes from an unknown node, or closes a cycle.
    #[error("node {node} depends on {named}, which is unknown or depends on it")]
    UnknownNode {
        /// The path of the node.
        node: Name,
        /// The name in the link.
        named: Name,
    },
    /// The outline would have more than 100,000 tasks, or definitions are nested deeper than 16 levels.
    #[error("the definition has more than {MAX_TASKS} tasks or is nested deeper than {MAX_DEPTH} levels")]
    TooLarge,
}

/// The limit on the number of tasks of an outline.
const MAX_TASKS: usize = 100_000;
/// The limit on the nesting of definitions.
const MAX_DEPTH: usize = 16;

impl Outline {
    /// Makes the outline of a definition for these agents. `expected` is called once for each node, with its path.
    ///
    /// # Errors
    ///
    /// [`OutlineError`] if the work of the definition is not known in advance, or exceeds the limits.
    pub fn of(
        definition: &Definition,
        agents: &[AgentSpec],
        expected: &dyn Fn(&Name, &Node) -> NodeEstimate,
    ) -> Result<Self, OutlineError> {
        let mut outline = Self::default();
        outline.project.agents = agents.iter().map(planned_agent).collect();
        let mut planner =
            Planner { outline: &mut outline, agents, expected, depth: 0, prefix: String::new(), top: None };
        planner.plan_nodes(definition, &[])?;
        Ok(outline)
    }
}

/// The planning model of an agent.
pub(super) fn planned_agent(spec: &AgentSpec) -> Agent {
    let mut agent = Agent::new(spec.id).with_capacity(spec.capacity);
    agent.name.clone_from(&spec.name);
    agent.skills.clone_from(&spec.skills);
    agent.cost_per_second = spec.cost_per_second.unwrap_or(0);
    agent
}

/// The same duration for each agent that meets the needs; other agents cannot do the work.
pub(super) fn by_agent<'a>(agents: impl Iterator<Item = &'a AgentSpec>, needs: &Needs, span: Duration) -> Work {
    let able = agents.filter(|agent| needs.met_by(agent));
    let spans: BTreeMap<AgentId, u64> = able.map(|agent| (agent.id, nanos_of(span))).collect();
    Work::ByAgent(spans)
}

/// The priority of a task of this tier.
pub(super) const fn weight(tier: Tier) -> u32 {
    match tier {
        Tier::Critical => 8,
        Tier::High => 4,
        Tier::Normal => 2,
        Tier::Low => 1,
    }
}

struct Planner<'a> {
    outline: &'a mut Outline,
    agents: &'a [AgentSpec],
    expected: &'a dyn Fn(&Name, &Node) -> NodeEstimate,
    depth: usize,
    /// The path of the containing node, with a trailing slash.
    prefix: String,
    /// The index of the outermost containing node.
    top: Option<u32>,
}

impl Planner<'_> {
    /// Plans the nodes of a definition after these tasks; returns the tasks that no other node of the definition depends on.
    fn plan_nodes(&mut self, definition: &Definition, after: &[TaskId]) -> Result<Vec<TaskId>, OutlineError> {
        let mut ends: BTreeMap<&Name, Vec<TaskId>> = BTreeMap::new();
        let mut open: Vec<&Name> = Vec::new();
        for (index, node) in in_order(definition, &self.prefix)? {
            let mut before: Vec<TaskId> =
                node.after.iter().filter_map(|link| ends.get(&link.node)).flatten().copied().collect();
            if node.after.is_empty() {
                before.extend_from_slice(after);
            }
            let path = Name::from(format!("{}{}", self.prefix, node.name));
            let last = self.node(u32::try_from(index).unwrap_or(u32::MAX), node, &path, &before)?;
            open.retain(|name| !node.after.iter().any(|link| link.node == **name));
            open.push(&node.name);
            ends.insert(&node.name, last);
        }
        Ok(open.into_iter().filter_map(|name| ends.remove(name)).flatten().collect())
    }

    fn node(&mut self, index: u32, node: &Node, path: &Name, before: &[TaskId]) -> Result<Vec<TaskId>, OutlineError> {
        let expected = (self.expected)(path, node);
        let span = match node.action.class() {
            ActionClass::Works => return self.works(index, node, path, &expected, before),
            ActionClass::Waits => {
                let only_timer = if let Action::Wait { timer, signal: None } = &node.action { *timer } else { None };
                only_timer.unwrap_or(expected.duration)
            }
            ActionClass::Immediate => Duration::ZERO,
        };
        self.unattended(index, path, span, before)
    }

    fn works(
        &mut self,
        index: u32,
        node: &Node,
        path: &Name,
        expected: &NodeEstimate,
        before: &[TaskId],
    ) -> Result<Vec<TaskId>, OutlineError> {
        let span = expected.duration;
        if let Action::Map(map) = &node.action {
            let within = map.max_concurrent.map(|most| (Name::from(format!("{path}: at once")), u64::from(most)));
            let mut ends = Vec::new();
            for item in 0..expected.count {
                ends.extend(self.body(index, node, path, &map.body, item, span, before, within.as_ref())?);
            }
            if ends.is_empty() { self.unattended(index, path, Duration::ZERO, before) } else { Ok(ends) }
        } else if let Action::Repeat(repeat) = &node.action {
            let mut ends = before.to_vec();
            for round in 0..expected.count.min(repeat.max_rounds) {
                ends = self.body(index, node, path, &repeat.body, round, span, &ends, None)?;
            }
            Ok(ends)
        } else if let Action::Do(body) = &node.action {
            self.body(index, node, path, body, 0, span, before, None)
        } else {
            Err(OutlineError::Unplannable { node: path.clone() })
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the attributes of one task")]
    fn body(
        &mut self,
        index: u32,
        node: &Node,
        path: &Name,
        body: &Body,
        item: u32,
        span: Duration,
        before: &[TaskId],
        within: Option<&(Name, u64)>,
    ) -> Result<Vec<TaskId>, OutlineError> {
        match body {
            Body::Task(work) => {
                let needs = work.needs.clone().unwrap_or_else(|| Needs::skill(work.kind.clone()));
                let mut task = Task::of(self.next_id()?, by_agent(self.agents.iter(), &needs, span));
                task.priority = weight(work.tier.unwrap_or_default());
                let exclusive = node.mutex.iter().map(|name| (name.clone(), 1));
                for (name, most) in exclusive.chain(within.cloned()) {
                    self.add_resource(&name, most);
                    task = task.with_use(name, 1);
                }
                let is_own = self.depth == 0;
                Ok(vec![self.add(
                    task,
                    TaskOrigin { path: path.clone(), node: NodeIx::new(self.top.unwrap_or(index)), item, is_own },
                    before,
                )])
            }
            // The definition of a workflow that is called by name is found at run time.
            Body::Call(_) => Err(OutlineError::Unplannable { node: path.clone() }),
            Body::Flow(_) if !node.mutex.is_empty() || within.is_some() => {
                Err(OutlineError::Unplannable { node: path.clone() })
            }
            Body::Flow(definition) => {
                if self.depth >= MAX_DEPTH {
                    return Err(OutlineError::TooLarge);
                }
                let begin = self.unattended(index, path, Duration::ZERO, before)?;
                let mut inner = Planner {
                    outline: self.outline,
                    agents: self.agents,
                    expected: self.expected,
                    depth: self.depth + 1,
                    prefix: format!("{path}/"),
                    top: Some(self.top.unwrap_or(index)),
                };
                let ends = inner.plan_nodes(definition, &begin)?;
                Ok(if ends.is_empty() { begin } else { ends })
            }
        }
    }

    /// Adds a task without an agent.
    fn unattended(
        &mut self,
        index: u32,
        path: &Name,
        span: Duration,
        before: &[TaskId],
    ) -> Result<Vec<TaskId>, OutlineError> {
        let task = Task::new(self.next_id()?, span).unattended();
        let piece =
            TaskOrigin { path: path.clone(), node: NodeIx::new(self.top.unwrap_or(index)), item: 0, is_own: false };
        Ok(vec![self.add(task, piece, before)])
    }

    fn add_resource(&mut self, name: &Name, capacity: u64) {
        let resources = &mut self.outline.project.resources;
        if !resources.iter().any(|one| one.name == *name) {
            resources.push(Resource::new(name.clone(), capacity.max(1)));
        }
    }

    fn next_id(&self) -> Result<TaskId, OutlineError> {
        let count = self.outline.origins.len();
        if count < MAX_TASKS { Ok(TaskId::new(count as u64)) } else { Err(OutlineError::TooLarge) }
    }

    fn add(&mut self, task: Task, piece: TaskOrigin, before: &[TaskId]) -> TaskId {
        let id = task.id;
        let name =
            if piece.item > 0 { Name::from(format!("{}[{}]", piece.path, piece.item)) } else { piece.path.clone() };
        let task = task.with_name(name);
        self.outline.project.tasks.push(before.iter().fold(task, |task, before| task.after(*before)));
        self.outline.origins.push(piece);
        id
    }
}

/// The nodes in topological order, each with its index in the definition.
fn in_order<'a>(definition: &'a Definition, prefix: &str) -> Result<Vec<(usize, &'a Node)>, OutlineError> {
    let mut order: Vec<(usize, &Node)> = Vec::with_capacity(definition.nodes.len());
    let mut done: BTreeMap<&Name, ()> = BTreeMap::new();
    let mut left: Vec<(usize, &Node)> = definition.nodes.iter().enumerate().collect();
    while !left.is_empty() {
        let (ready, waits): (Vec<_>, Vec<_>) =
            left.iter().partition(|(_, node)| node.after.iter().all(|link| done.contains_key(&link.node)));
        let Some(first) = waits.first().filter(|_| ready.is_empty()) else {
            done.extend(ready.iter().map(|(_, node)| (&node.name, ())));
            order.extend(ready);
            left = waits;
            continue;
        };
        let named = first.1.after.iter().find(|link| !done.contains_key(&link.node)).map(|link| link.node.clone());
        let node = Name::from(format!("{prefix}{}", first.1.name));
        return Err(OutlineError::UnknownNode { node, named: named.unwrap_or_else(|| Name::from("")) });
    }
    Ok(order)
}
