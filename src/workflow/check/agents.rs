//! Tasks of a workflow that none of the agents can perform.

use crate::base::name::Name;
use crate::definition::{Action, Body, Definition, Gather, Node, Work};
use crate::routing::SkillMap;
use crate::task::agent::AgentSpec;
use crate::task::{Lack, Needs};
use core::fmt;
use std::error::Error;

/// A task of a workflow that none of the agents can perform.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unperformable {
    /// The node, after the nodes of the workflows that contain its workflow.
    pub path: Vec<Name>,
    /// The kind of the task.
    pub kind: Name,
    /// The reason.
    pub lack: Lack,
}

impl fmt::Display for Unperformable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path: Vec<&str> = self.path.iter().map(Name::as_str).collect();
        write!(f, "node {}: task `{}`: {}", path.join(" > "), self.kind, self.lack)
    }
}

/// The tasks of a workflow that none of the agents can perform.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoAgents {
    /// The tasks, in the order of the nodes; at least one.
    pub tasks: Vec<Unperformable>,
}

impl fmt::Display for NoAgents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks: Vec<String> = self.tasks.iter().map(ToString::to_string).collect();
        f.write_str(&tasks.join("; "))
    }
}

impl Error for NoAgents {}

/// Checks that at least one of these agents meets the needs of each task of a definition: of the nodes, of their
/// compensations and queries, and of nested workflows. Workflows that it calls by name are not checked, and neither are the
/// tenants of the agents and the resources that all agents share.
///
/// ```
/// use counterpoint::definition::{Action, Definition, Node};
/// use counterpoint::routing::SkillMap;
/// use counterpoint::workflow::check_against;
/// use counterpoint::{AgentId, AgentSpec};
///
/// let agents = [AgentSpec::new(AgentId::new(1)).with_skill("reserve", 1)];
/// let order = Definition::new("order").with_node(Node::new("first", Action::task("resreve")));
/// let error = check_against(&order, &agents, &SkillMap::default()).unwrap_err();
/// let says = "node first: task `resreve`: no agent has skill `resreve`; did you mean `reserve`?";
/// assert_eq!(error.to_string(), says);
/// ```
///
/// # Errors
///
/// The tasks that none of the agents can perform.
pub fn check_against<'a>(
    definition: &Definition,
    agents: impl IntoIterator<Item = &'a AgentSpec>,
    skills: &SkillMap,
) -> Result<(), NoAgents> {
    let agents: Vec<&AgentSpec> = agents.into_iter().collect();
    let mut tasks = Vec::new();
    // Recursion is as deep as the nesting, so the definitions wait in a list instead.
    let mut open = vec![(Vec::new(), definition)];
    while let Some((path, definition)) = open.pop() {
        for node in &definition.nodes {
            let path: Vec<Name> = path.iter().chain([&node.name]).cloned().collect();
            for work in works(node) {
                let needs = work.needs.clone().unwrap_or_else(|| Needs::skill(work.kind.clone()));
                if let Some(lack) = skills.lack(&needs, agents.iter().copied()) {
                    tasks.push(Unperformable { path: path.clone(), kind: work.kind.clone(), lack });
                }
            }
            open.extend(node.action.flows().map(|flow| (path.clone(), flow)));
        }
    }
    if tasks.is_empty() { Ok(()) } else { Err(NoAgents { tasks }) }
}

/// The tasks of a node, without those of nested workflows.
fn works(node: &Node) -> impl Iterator<Item = &Work> {
    let bodies = node.action.bodies().filter_map(|body| match body {
        Body::Task(work) => Some(work),
        Body::Flow(_) | Body::Call(_) => None,
    });
    let undone = node.action.states().iter().filter_map(|state| state.undo.as_ref());
    let delegated = if let Action::Delegate(delegate) = &node.action {
        let gather = if let Gather::Work(work) = &delegate.gather { Some(work) } else { None };
        [Some(&delegate.work), gather]
    } else {
        [None, None]
    };
    let turns = if let Action::Function(function) = &node.action { Some(&function.work) } else { None };
    bodies.chain(undone).chain(turns).chain(delegated.into_iter().flatten()).chain(&node.undo).chain(&node.query)
}
