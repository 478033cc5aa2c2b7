//! What can be said of a sound definition before it runs: what never happens, what would stay, how wide and how long it is.

use super::validate::{DefinitionError, flows, graph::topology, validate};
use crate::dag::{NodeIx, Topology};
use crate::definition::{Action, Body, Case, Condition, Definition, Join, Link, Map, On, Pick, Repeat, Trigger};
use crate::limits::Limits;
use crate::name::Name;
use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

/// A look at a definition before anything runs. Nothing of it is a fault.
///
/// ```
/// use counterpoint::Limits;
/// use counterpoint::definition::{Action, Definition, Link, Node, Work};
/// use counterpoint::workflow::check;
///
/// let order = Definition::new("order")
///     .with_node(Node::new("reserve", Action::task("reserve")).with_undo(Work::new("release")))
///     .with_node(Node::new("charge", Action::task("charge")))
///     .with_node(
///         Node::new("ship", Action::task("ship"))
///             .with_link(Link::success("reserve"))
///             .with_link(Link::success("charge"))
///             .as_pivot(),
///     );
/// let check = check(&order, &Limits::default())?;
/// assert_eq!((check.width, check.critical_path.len()), (2, 2));
/// let advice: Vec<String> = check.advice.iter().map(ToString::to_string).collect();
/// assert_eq!(advice, ["node charge: comes before the pivot `ship` and cannot be undone"]);
/// # Ok::<(), counterpoint::workflow::DefinitionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// How many nodes that do work there are on the widest level: nodes as far from the start as each other. A map counts
    /// once, and so does a workflow within.
    pub width: usize,
    /// The longest way from the start, by the nodes on it that do work.
    pub critical_path: Vec<Name>,
    /// What somebody may want to look at, in the order of the nodes.
    pub advice: Vec<Advice>,
    /// The same of the workflows within, with the nodes that hold them. Workflows that are called by name are not looked at.
    pub within: Vec<(Name, Self)>,
}

/// What somebody may want to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// The node never starts, whatever happens: its conditions cannot hold, or those of nodes before it.
    NeverStarts {
        /// Which.
        node: Name,
    },
    /// The case is never taken: its condition cannot hold, or an earlier one always does.
    NeverTaken {
        /// The choice.
        node: Name,
        /// Which of its cases.
        case: Name,
    },
    /// A task that would stay done if the run failed before its point of no return.
    NotUndone {
        /// Which.
        node: Name,
        /// The point of no return.
        pivot: Name,
    },
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverStarts { node } => write!(f, "node {node}: never starts"),
            Self::NeverTaken { node, case } => write!(f, "node {node}: never takes case `{case}`"),
            Self::NotUndone { node, pivot } => {
                write!(f, "node {node}: comes before the pivot `{pivot}` and cannot be undone")
            }
        }
    }
}

/// Looks at a definition as it stands, and at those within it.
///
/// # Errors
///
/// What [`validate`] finds: of a definition that is not sound there is nothing else to say.
pub fn check(definition: &Definition, limits: &Limits) -> Result<Check, DefinitionError> {
    validate(definition, limits)?;
    Ok(look(definition))
}

/// As deep as definitions are nested, which validation bounds.
fn look(definition: &Definition) -> Check {
    let flows = definition.nodes.iter().flat_map(|node| flows(&node.action).into_iter().map(|flow| (&node.name, flow)));
    let within = flows.map(|(node, flow)| (node.clone(), look(flow))).collect();
    let mut check = Check { width: 0, critical_path: Vec::new(), advice: Vec::new(), within };
    // A definition that has passed closes no cycle.
    let Ok(graph) = topology(definition) else { return check };
    let node = |at: &NodeIx| definition.nodes.get(at.index());
    let works = |at: &NodeIx| node(at).is_some_and(|node| does_work(&node.action));
    check.width = graph.levels().map(|level| level.iter().filter(|at| works(at)).count()).max().unwrap_or(0);
    let longest = graph.critical_path(|at| u64::from(works(&at)));
    check.critical_path =
        longest.path().iter().filter(|at| works(at)).filter_map(|at| Some(node(at)?.name.clone())).collect();
    check.advice = advice(definition, &graph);
    check
}

fn advice(definition: &Definition, graph: &Topology) -> Vec<Advice> {
    let never = never(definition, graph);
    let stays = stays(definition, graph);
    let mut advice = Vec::new();
    for (place, node) in definition.nodes.iter().enumerate() {
        if never.nodes.contains(node.name.as_str()) {
            advice.push(Advice::NeverStarts { node: node.name.clone() });
        }
        for case in never.cases.get(node.name.as_str()).into_iter().flatten() {
            advice.push(Advice::NeverTaken { node: node.name.clone(), case: (*case).clone() });
        }
        if let Some(pivot) = stays.get(&place) {
            advice.push(Advice::NotUndone { node: node.name.clone(), pivot: (*pivot).clone() });
        }
    }
    advice
}

/// The tasks before a point of no return that cannot be undone, each with one such point.
fn stays<'d>(definition: &'d Definition, graph: &Topology) -> BTreeMap<usize, &'d Name> {
    let mut stays = BTreeMap::new();
    for (place, pivot) in definition.nodes.iter().enumerate().filter(|(_, node)| node.pivot) {
        let at = graph.nodes().find(|at| at.index() == place);
        for before in at.map(|at| graph.ancestors(&[at])).unwrap_or_default() {
            let task = definition.nodes.get(before.index()).filter(|node| is_task(&node.action));
            if task.is_some_and(|node| node.undo.is_none() && !node.pivot) {
                stays.entry(before.index()).or_insert(&pivot.name);
            }
        }
    }
    stays
}

fn does_work(action: &Action) -> bool {
    match action {
        Action::Do(_) | Action::Map(_) | Action::Repeat(_) | Action::States(_) => true,
        Action::Choose { .. }
        | Action::Wait { .. }
        | Action::Race { .. }
        | Action::Pass
        | Action::Stop
        | Action::Fail(_) => false,
    }
}

/// Workflows within undo themselves, and states what is done in them.
fn is_task(action: &Action) -> bool {
    matches!(
        action,
        Action::Do(Body::Task(_))
            | Action::Map(Map { body: Body::Task(_), .. })
            | Action::Repeat(Repeat { body: Body::Task(_), .. })
    )
}

/// What never happens.
#[derive(Default)]
struct Never<'d> {
    nodes: BTreeSet<&'d str>,
    cases: BTreeMap<&'d str, Vec<&'d Name>>,
}

/// Along the order of the nodes: who never starts takes with it who waits for it.
fn never<'d>(definition: &'d Definition, graph: &Topology) -> Never<'d> {
    let mut never = Never::default();
    for node in graph.order().iter().filter_map(|at| definition.nodes.get(at.index())) {
        let dead = |link: &Link| is_dead(link, &never);
        let all = matches!(node.join, Join::All | Join::Trigger(Trigger::AllSucceeded));
        let some = matches!(node.join, Join::Any | Join::Count { .. });
        if !node.after.is_empty() && ((all && node.after.iter().any(dead)) || (some && node.after.iter().all(dead))) {
            never.nodes.insert(&node.name);
        } else if let Action::Choose { pick, cases, otherwise } = &node.action {
            let cases = untaken(*pick, cases, otherwise.as_ref());
            if !cases.is_empty() {
                never.cases.insert(&node.name, cases);
            }
        }
    }
    never
}

fn is_dead(link: &Link, never: &Never<'_>) -> bool {
    let node = never.nodes.contains(link.node.as_str());
    match &link.on {
        On::Always => false,
        On::Success | On::Failure | On::Each => node,
        On::Case(case) => node || never.cases.get(link.node.as_str()).is_some_and(|cases| cases.contains(&case)),
    }
}

/// The cases that are never taken.
fn untaken<'d>(pick: Pick, cases: &'d [Case], otherwise: Option<&'d Name>) -> Vec<&'d Name> {
    let mut untaken = Vec::new();
    let mut certain = false;
    for case in cases {
        let holds = constant(&case.when);
        if holds == Some(false) || (certain && pick == Pick::First) {
            untaken.push(&case.name);
        }
        certain |= holds == Some(true);
    }
    untaken.extend(otherwise.filter(|_| certain));
    untaken
}

/// What a condition says whatever the data. As deep as the condition, which validation bounds.
fn constant(condition: &Condition) -> Option<bool> {
    match condition {
        Condition::True => Some(true),
        Condition::Not(one) => constant(one).map(|holds| !holds),
        Condition::All(all) => fold(all, false),
        Condition::Any(any) => fold(any, true),
        Condition::Is(_)
        | Condition::Exists(_)
        | Condition::Equal(..)
        | Condition::Less(..)
        | Condition::In(..)
        | Condition::Predicate(..) => None,
    }
}

/// Decided by one part that says so, or by all that say the opposite.
fn fold(parts: &[Condition], decides: bool) -> Option<bool> {
    let said: Vec<Option<bool>> = parts.iter().map(constant).collect();
    if said.contains(&Some(decides)) {
        return Some(decides);
    }
    said.iter().all(Option::is_some).then_some(!decides)
}
