//! From a workflow's definition to a project.

use super::model::{Agent, Project, Resource, Task, Work};
use crate::agent::AgentSpec;
use crate::definition::{Action, Body, Definition, Node};
use crate::id::{AgentId, TaskId};
use crate::name::Name;
use crate::task::{Needs, Tier};
use crate::time::nanos_of;
use core::time::Duration;
use std::collections::BTreeMap;
use thiserror::Error;

/// What a node is expected to come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "hosts make them")]
pub struct Expected {
    /// How long a piece of its work takes; of a node that waits, how long it waits.
    pub span: Duration,
    /// How many items its list has, or how many rounds it makes; 1 for others.
    pub times: u32,
}

impl Expected {
    /// A piece of work that takes so long.
    #[must_use]
    pub const fn once(span: Duration) -> Self {
        Self { span, times: 1 }
    }
}

/// A project of all that a run of a definition may do, and which node each task is of.
///
/// Every branch is planned as if it were taken, and every list and loop is as long as is expected: the plan of a run that goes
/// no longer ways. Workflows within are laid out in place. Milestones, handlers and guards are not looked at.
///
/// ```
/// use counterpoint::definition::{Action, Definition, Link, Node};
/// use counterpoint::planning::{Expected, Outline, Settings, plan_project};
/// use counterpoint::{AgentId, AgentSpec};
/// use std::ops::ControlFlow;
/// use std::time::Duration;
///
/// let flow = Definition::new("report")
///     .with_node(Node::new("read", Action::task("read")))
///     .with_node(Node::new("sum up", Action::task("write")).with_link(Link::success("read")));
/// let agents = [AgentSpec::new(AgentId::new(1)).with_skill("read", 1), AgentSpec::new(AgentId::new(2)).with_skill("write", 1)];
/// let outline = Outline::of(&flow, &agents, &|_, _| Expected::once(Duration::from_secs(60)))?;
/// let found = plan_project(&outline.project.check()?, &Settings::default(), &mut |_| ControlFlow::Continue(()));
/// assert_eq!(found.makespan, Duration::from_secs(120));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Outline {
    /// The tasks, in the order of nodes; the agents.
    pub project: Project,
    /// What each task of the project is, in its order.
    pub pieces: Vec<Piece>,
}

/// What a task of an [`Outline`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Piece {
    /// The node, with those that it lies within before it: `outer/inner`.
    pub path: Name,
    /// The place of the node, or of the one that it lies within, in the definition.
    pub node: u32,
    /// Which item of a list, which round of a loop; 0 otherwise.
    pub item: u32,
    /// Whether it is the node's own work; not if it lies within another, nor if nobody attends it.
    pub is_own: bool,
}

/// Why a definition has no outline.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OutlineError {
    /// What the node does has no fixed order or extent: states, or a workflow within that excludes others.
    #[error("{node} cannot be laid out ahead")]
    Unplannable {
        /// Which, with those that it lies within.
        node: Name,
    },
    /// A link comes from a node that is not there, or from a later one.
    #[error("{node} comes after {named}, which is not there before it")]
    UnknownNode {
        /// Which.
        node: Name,
        /// What it names.
        named: Name,
    },
    /// Workflows lie too deep within each other, or there are too many tasks.
    #[error("there is more to it than can be laid out")]
    TooMuch,
}

/// More tasks are not laid out.
const MOST_TASKS: usize = 100_000;
/// Workflows that lie deeper within each other are not laid out.
const DEEPEST: usize = 16;

impl Outline {
    /// Lays out a definition for these agents: `expected` is asked for each node, by its path.
    ///
    /// # Errors
    ///
    /// See [`OutlineError`].
    pub fn of(
        definition: &Definition,
        agents: &[AgentSpec],
        expected: &dyn Fn(&Name, &Node) -> Expected,
    ) -> Result<Self, OutlineError> {
        let mut outline = Self::default();
        outline.project.agents = agents.iter().map(planned_agent).collect();
        let mut layer = Layer { outline: &mut outline, agents, expected, depth: 0, prefix: String::new(), top: None };
        layer.lay(definition, &[])?;
        Ok(outline)
    }
}

/// An agent as planning sees it.
pub(super) fn planned_agent(spec: &AgentSpec) -> Agent {
    let mut agent = Agent::new(spec.id).with_capacity(spec.capacity);
    agent.skills.clone_from(&spec.skills);
    agent.cost_per_second = spec.cost_per_second.unwrap_or(0);
    agent
}

/// How long work takes with each agent that meets its needs.
pub(super) fn by_agent<'a>(agents: impl Iterator<Item = &'a AgentSpec>, needs: &Needs, span: Duration) -> Work {
    let able = agents.filter(|agent| needs.met_by(agent));
    let spans: BTreeMap<AgentId, u64> = able.map(|agent| (agent.id, nanos_of(span))).collect();
    Work::ByAgent(spans)
}

/// What a task weighs, by its tier.
pub(super) const fn weight(tier: Tier) -> u32 {
    match tier {
        Tier::Critical => 8,
        Tier::High => 4,
        Tier::Normal => 2,
        Tier::Low => 1,
    }
}

struct Layer<'a> {
    outline: &'a mut Outline,
    agents: &'a [AgentSpec],
    expected: &'a dyn Fn(&Name, &Node) -> Expected,
    depth: usize,
    /// The path of the node around, with a stroke.
    prefix: String,
    /// The place of the outermost node around.
    top: Option<u32>,
}

impl Layer<'_> {
    /// Lays out a definition after these tasks; returns what ends last of it.
    fn lay(&mut self, definition: &Definition, after: &[TaskId]) -> Result<Vec<TaskId>, OutlineError> {
        let mut ends: BTreeMap<&Name, Vec<TaskId>> = BTreeMap::new();
        let mut open: Vec<&Name> = Vec::new();
        for (place, node) in in_order(definition, &self.prefix)? {
            let mut before: Vec<TaskId> =
                node.after.iter().filter_map(|link| ends.get(&link.node)).flatten().copied().collect();
            if node.after.is_empty() {
                before.extend_from_slice(after);
            }
            let path = Name::from(format!("{}{}", self.prefix, node.name));
            let last = self.node(u32::try_from(place).unwrap_or(u32::MAX), node, &path, &before)?;
            open.retain(|name| !node.after.iter().any(|link| link.node == **name));
            open.push(&node.name);
            ends.insert(&node.name, last);
        }
        Ok(open.into_iter().filter_map(|name| ends.remove(name)).flatten().collect())
    }

    fn node(&mut self, place: u32, node: &Node, path: &Name, before: &[TaskId]) -> Result<Vec<TaskId>, OutlineError> {
        let expected = (self.expected)(path, node);
        let times = expected.times;
        match &node.action {
            Action::Do(body) => self.body(place, node, path, body, 0, expected.span, before, None),
            Action::Map(map) => {
                let within = map.at_once.map(|most| (Name::from(format!("{path}: at once")), u64::from(most)));
                let mut ends = Vec::new();
                for item in 0..times {
                    let span = expected.span;
                    ends.extend(self.body(place, node, path, &map.body, item, span, before, within.as_ref())?);
                }
                if ends.is_empty() { self.pause(place, path, Duration::ZERO, before) } else { Ok(ends) }
            }
            Action::Repeat(repeat) => {
                let mut ends = before.to_vec();
                for round in 0..times.min(repeat.most) {
                    ends = self.body(place, node, path, &repeat.body, round, expected.span, &ends, None)?;
                }
                Ok(ends)
            }
            Action::Wait { timer, signal } => {
                let span = if signal.is_none() { timer.unwrap_or(expected.span) } else { expected.span };
                self.pause(place, path, span, before)
            }
            Action::Race { .. } => self.pause(place, path, expected.span, before),
            Action::Choose { .. } | Action::Pass | Action::Stop | Action::Fail(_) => {
                self.pause(place, path, Duration::ZERO, before)
            }
            Action::States(_) | Action::Delegate(_) => Err(OutlineError::Unplannable { node: path.clone() }),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one piece of work, and all that is said of it")]
    fn body(
        &mut self,
        place: u32,
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
                    self.share(&name, most);
                    task = task.with_use(name, 1);
                }
                let is_own = self.depth == 0;
                Ok(vec![self.add(
                    task,
                    Piece { path: path.clone(), node: self.top.unwrap_or(place), item, is_own },
                    before,
                )])
            }
            // What is called by name is not known here.
            Body::Call(_) => Err(OutlineError::Unplannable { node: path.clone() }),
            Body::Flow(_) if !node.mutex.is_empty() || within.is_some() => {
                Err(OutlineError::Unplannable { node: path.clone() })
            }
            Body::Flow(definition) => {
                if self.depth >= DEEPEST {
                    return Err(OutlineError::TooMuch);
                }
                let begin = self.pause(place, path, Duration::ZERO, before)?;
                let mut inner = Layer {
                    outline: self.outline,
                    agents: self.agents,
                    expected: self.expected,
                    depth: self.depth + 1,
                    prefix: format!("{path}/"),
                    top: Some(self.top.unwrap_or(place)),
                };
                let ends = inner.lay(definition, &begin)?;
                Ok(if ends.is_empty() { begin } else { ends })
            }
        }
    }

    /// Something that nobody attends.
    fn pause(
        &mut self,
        place: u32,
        path: &Name,
        span: Duration,
        before: &[TaskId],
    ) -> Result<Vec<TaskId>, OutlineError> {
        let task = Task::new(self.next_id()?, span).unattended();
        let piece = Piece { path: path.clone(), node: self.top.unwrap_or(place), item: 0, is_own: false };
        Ok(vec![self.add(task, piece, before)])
    }

    fn share(&mut self, name: &Name, most: u64) {
        let resources = &mut self.outline.project.resources;
        if !resources.iter().any(|one| one.name == *name) {
            resources.push(Resource::new(name.clone(), most.max(1)));
        }
    }

    fn next_id(&self) -> Result<TaskId, OutlineError> {
        let count = self.outline.pieces.len();
        if count < MOST_TASKS { Ok(TaskId::new(count as u64)) } else { Err(OutlineError::TooMuch) }
    }

    fn add(&mut self, task: Task, piece: Piece, before: &[TaskId]) -> TaskId {
        let id = task.id;
        self.outline.project.tasks.push(before.iter().fold(task, |task, before| task.after(*before)));
        self.outline.pieces.push(piece);
        id
    }
}

/// The nodes in an order in which each comes after those that its links come from, with their places.
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
