//! Static analysis of valid definitions: unreachable nodes, side effects that would remain, width and critical path.

mod agents;
mod conditions;
mod data;
mod exclusive;
mod signals;

pub use agents::{NoAgents, Unperformable, check_against};

use super::validate::{DefinitionError, graph::topology, validate};
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::dag::{NodeIx, Topology};
use crate::definition::{Action, ActionClass, Body, Case, Definition, Join, Link, Node, On, Pick, Trigger};
use conditions::{constant, covers};
use core::fmt;
use exclusive::Certain;
use signals::Known;
use std::collections::{BTreeMap, BTreeSet};

/// The result of the static analysis of a valid definition. None of the advice is a fault.
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
/// assert_eq!(advice, ["node charge: comes before the pivot `ship` but has no compensation"]);
/// # Ok::<(), counterpoint::workflow::DefinitionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// The number of nodes that perform work on the widest level, that is, with the same distance from the start. A map
    /// or a nested workflow counts once.
    pub width: usize,
    /// The nodes that perform work on the longest path from the start.
    pub critical_path: Vec<Name>,
    /// Advice, in the order of the nodes.
    pub advice: Vec<Advice>,
}

/// Advice on a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// The node never starts: its conditions, or those of nodes before it, cannot hold.
    NeverStarts {
        /// The node.
        node: Name,
    },
    /// The join never runs: it needs two nodes that exclude each other, because a choice decides for one of them, or one follows the
    /// success and the other one the failure of the same node.
    NeverJoins {
        /// The node.
        node: Name,
        /// One of the nodes that it needs.
        one: Name,
        /// The other one.
        other: Name,
    },
    /// The node waits for a signal that no node of the workflow sends and that no rule of the workflow names
    /// ([`Definition::signals`]). A rule states that the signal comes from outside.
    NoSender {
        /// The node.
        node: Name,
        /// The signal.
        signal: Name,
    },
    /// The case is never taken: its condition cannot hold, or an earlier one holds whenever it does.
    NeverTaken {
        /// The choice.
        node: Name,
        /// The case.
        case: Name,
    },
    /// The choice fails if none of its conditions holds, which is possible.
    MayTakeNone {
        /// The choice.
        node: Name,
    },
    /// The node uses the output of a node that need not have succeeded when it starts, and is null then.
    MayBeMissing {
        /// The node.
        node: Name,
        /// The node whose output is used.
        from: Name,
    },
    /// A task without a compensation before a pivot: its side effects would remain if the run failed before the pivot.
    NotUndone {
        /// The node.
        node: Name,
        /// The pivot.
        pivot: Name,
    },
    /// A nested workflow with a pivot, before a node that may fail: once the pivot has succeeded, the nested workflow
    /// cannot be compensated, and an operator must decide about the node.
    PivotWithin {
        /// The node of the nested workflow.
        node: Name,
        /// A node that follows it and may fail.
        before: Name,
    },
    /// Advice on the nested workflow of a node.
    Within {
        /// The node.
        node: Name,
        /// The advice.
        advice: Box<Self>,
    },
}

#[cfg(feature = "language")]
impl Advice {
    /// The node that it is about, or that contains it.
    pub(crate) const fn node(&self) -> &Name {
        match self {
            Self::NeverStarts { node }
            | Self::NeverJoins { node, .. }
            | Self::NoSender { node, .. }
            | Self::NeverTaken { node, .. }
            | Self::MayTakeNone { node }
            | Self::MayBeMissing { node, .. }
            | Self::NotUndone { node, .. }
            | Self::PivotWithin { node, .. }
            | Self::Within { node, .. } => node,
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverStarts { node } => write!(f, "node {node}: never starts"),
            Self::NeverJoins { node, one, other } => {
                write!(f, "node {node}: never starts, because `{one}` and `{other}` exclude each other")
            }
            Self::NoSender { node, signal } => {
                write!(f, "node {node}: waits for signal `{signal}`, which no node sends and no rule of signals names")
            }
            Self::NeverTaken { node, case } => write!(f, "node {node}: never takes case `{case}`"),
            Self::MayTakeNone { node } => write!(f, "node {node}: fails if none of its conditions holds"),
            Self::MayBeMissing { node, from } => {
                write!(f, "node {node}: uses the output of `{from}`, which need not have succeeded by then")
            }
            Self::PivotWithin { node, before } => {
                write!(f, "node {node}: contains a pivot and could not be compensated if `{before}` failed")
            }
            Self::Within { node, advice } => write!(f, "node {node} > {advice}"),
            Self::NotUndone { node, pivot } => {
                write!(f, "node {node}: comes before the pivot `{pivot}` but has no compensation")
            }
        }
    }
}

/// Analyses a definition and its nested workflows. Width and critical path are those of the definition itself.
///
/// # Errors
///
/// Returns the faults that [`validate`] finds: only valid definitions are analysed.
pub fn check(definition: &Definition, limits: &Limits) -> Result<Check, DefinitionError> {
    validate(definition, limits)?;
    let mut check = Check { width: 0, critical_path: Vec::new(), advice: Vec::new() };
    // A valid definition has no cycle.
    let Ok(graph) = topology(definition) else { return Ok(check) };
    let node = |at: &NodeIx| definition.nodes.get(at.index());
    let works = |at: &NodeIx| node(at).is_some_and(|node| node.action.class() == ActionClass::Works);
    check.width = graph.levels().map(|level| level.iter().filter(|at| works(at)).count()).max().unwrap_or(0);
    let longest = graph.critical_path(|at| u64::from(works(&at)));
    check.critical_path =
        longest.path().iter().filter(|at| works(at)).filter_map(|at| Some(node(at)?.name.clone())).collect();
    check.advice = advice(definition, &graph, None, &Known::of(definition));
    Ok(check)
}

/// Recurses as deep as the nesting, which validation bounds. `pivot` is one that comes after the definition as a whole.
fn advice(definition: &Definition, graph: &Topology, pivot: Option<&Name>, signals: &Known<'_>) -> Vec<Advice> {
    let never = never(definition, graph);
    let mut stays = stays(definition, graph);
    if let Some(pivot) = pivot {
        let nodes = definition.nodes.iter().enumerate();
        stays.extend(nodes.filter(|(_, node)| may_stay(node)).map(|(index, _)| (index, pivot)));
    }
    let sure = data::sure(definition, graph);
    let mut advice = Vec::new();
    for (index, node) in definition.nodes.iter().enumerate() {
        if let Some((one, other)) = never.joins.get(node.name.as_str()) {
            let (one, other) = ((*one).clone(), (*other).clone());
            advice.push(Advice::NeverJoins { node: node.name.clone(), one, other });
        } else if never.nodes.contains(node.name.as_str()) {
            advice.push(Advice::NeverStarts { node: node.name.clone() });
        }
        for signal in signals.unsent(node) {
            advice.push(Advice::NoSender { node: node.name.clone(), signal: signal.clone() });
        }
        for case in never.cases.get(node.name.as_str()).into_iter().flatten() {
            advice.push(Advice::NeverTaken { node: node.name.clone(), case: (*case).clone() });
        }
        if let Action::Choose { cases, otherwise: None, .. } = &node.action
            && !conditions::exhaust(cases)
        {
            advice.push(Advice::MayTakeNone { node: node.name.clone() });
        }
        for from in data::missing(definition, index, &sure) {
            advice.push(Advice::MayBeMissing { node: node.name.clone(), from: from.clone() });
        }
        if is_task(&node.action)
            && let Some(pivot) = stays.get(&index)
        {
            advice.push(Advice::NotUndone { node: node.name.clone(), pivot: (*pivot).clone() });
        }
        if let Some(before) = pivot_within(definition, graph, index) {
            advice.push(Advice::PivotWithin { node: node.name.clone(), before: before.clone() });
        }
        for flow in node.action.flows() {
            let Ok(graph) = topology(flow) else { continue };
            let inner = self::advice(flow, &graph, stays.get(&index).copied(), signals);
            advice.extend(inner.into_iter().map(|inner| {
                let advice = Box::new(inner);
                Advice::Within { node: node.name.clone(), advice }
            }));
        }
    }
    advice
}

/// For a node with a pivot in its nested workflow: a node that follows it and may fail.
fn pivot_within<'d>(definition: &'d Definition, graph: &Topology, index: usize) -> Option<&'d Name> {
    let node = definition.nodes.get(index)?;
    if !node.action.flows().any(holds_pivot) {
        return None;
    }
    let at = graph.nodes().find(|at| at.index() == index)?;
    let passed = definition.nodes.iter().enumerate().any(|(other, node)| {
        let before = || graph.nodes().find(|at| at.index() == other).is_some_and(|before| graph.reaches(before, at));
        node.pivot && (other == index || before())
    });
    let after = graph.descendants(&[at]);
    let mut after = after.iter().filter_map(|at| definition.nodes.get(at.index()));
    after.find(|node| !passed && node.action.class() == ActionClass::Works).map(|node| &node.name)
}

fn holds_pivot(definition: &Definition) -> bool {
    let nodes = definition.nodes.iter();
    nodes.into_iter().any(|node| node.pivot || node.action.flows().any(holds_pivot))
}

/// The tasks without a compensation before a pivot, each with one such pivot.
fn stays<'d>(definition: &'d Definition, graph: &Topology) -> BTreeMap<usize, &'d Name> {
    let mut stays = BTreeMap::new();
    for (index, pivot) in definition.nodes.iter().enumerate().filter(|(_, node)| node.pivot) {
        let at = graph.nodes().find(|at| at.index() == index);
        for before in at.map(|at| graph.ancestors(&[at])).unwrap_or_default() {
            if definition.nodes.get(before.index()).is_some_and(may_stay) {
                stays.entry(before.index()).or_insert(&pivot.name);
            }
        }
    }
    stays
}

/// Whether the side effects of a node may remain; nested workflows are analysed separately.
fn may_stay(node: &Node) -> bool {
    node.undo.is_none() && !node.pivot && (is_task(&node.action) || node.action.flows().next().is_some())
}

/// Nested workflows and the states of state machines have compensations of their own.
const fn is_task(action: &Action) -> bool {
    matches!(action.body(), Some(Body::Task(_))) || matches!(action, Action::Delegate(_))
}

/// The nodes that never start and the cases that are never taken.
#[derive(Default)]
struct Never<'d> {
    nodes: BTreeSet<&'d str>,
    /// Those of the nodes whose sources exclude each other, with two such sources.
    joins: BTreeMap<&'d str, (&'d Name, &'d Name)>,
    cases: BTreeMap<&'d str, Vec<&'d Name>>,
}

/// Goes along the topological order: a node that requires a node that never starts, never starts itself.
fn never<'d>(definition: &'d Definition, graph: &Topology) -> Never<'d> {
    let mut never = Never::default();
    let mut certain = Certain::new(definition);
    for node in graph.order().iter().filter_map(|at| definition.nodes.get(at.index())) {
        let dead = |link: &Link| is_dead(link, &never);
        let all = matches!(node.join, Join::All | Join::Trigger(Trigger::AllSucceeded));
        let some = matches!(node.join, Join::Any | Join::Count { .. });
        if !node.after.is_empty() && ((all && node.after.iter().any(dead)) || (some && node.after.iter().all(dead))) {
            never.nodes.insert(&node.name);
        } else if let Some(pair) = certain.add(node) {
            never.nodes.insert(&node.name);
            never.joins.insert(&node.name, pair);
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
        let before = cases.iter().take_while(|other| other.name != case.name);
        let covered = before.into_iter().any(|before| covers(&before.when, &case.when));
        if holds == Some(false) || ((certain || covered) && pick == Pick::First) {
            untaken.push(&case.name);
        }
        certain |= holds == Some(true);
    }
    untaken.extend(otherwise.filter(|_| certain));
    untaken
}
