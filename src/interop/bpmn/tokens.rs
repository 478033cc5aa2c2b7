//! Whether the tokens of a flow without cycles meet as the definition needs it: every joining parallel gateway gets a token
//! over each of its flows or over none, and nothing else gets two.
//!
//! In a flow without cycles only choices matter, not the order of steps. The nodes are therefore visited once, in
//! topological order, with the set of all markings that choices can lead to.

#![expect(clippy::wildcard_enum_match_arm, reason = "most nodes take and give tokens in the same way")]

use super::graph::{Graph, Guard, Kind, Way};
use std::collections::BTreeSet;

/// The most markings at a time, and the most ways out of a node.
const MOST: usize = 2_048;
/// The most flows in all markings of all steps.
const MOST_WORK: usize = 4_000_000;

/// A part of a flow without cycles.
#[derive(Debug)]
pub(super) struct Part {
    /// Steps in topological order: a node, or all nodes of a cycle.
    pub(super) steps: Vec<Step>,
    /// The flows that begin in the part, those that lead out of it included.
    pub(super) edges: BTreeSet<usize>,
    /// The flows that lead out of the part; a token on one of them has left it.
    pub(super) exits: BTreeSet<usize>,
}

/// A node, or a cycle that a token enters and leaves.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) nodes: Vec<usize>,
    pub(super) is_cycle: bool,
}

/// What is wrong with a node or flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meeting {
    /// A second token can reach the node.
    Twice,
    /// The node can wait for a token for ever.
    Never,
    /// Several tokens can leave the part, or one can leave it while others remain.
    Leaves,
    /// There are too many cases to examine.
    TooMany,
}

type Marking = Vec<u32>;

/// Plays all choices. `entry` is a node of the first step that gets a token; otherwise start events do.
pub(super) fn play(graph: &Graph, part: &Part, entry: Option<usize>) -> Result<(), (usize, Meeting)> {
    let mut all: BTreeSet<Marking> = BTreeSet::from([Marking::new()]);
    let mut work = 0_usize;
    let mut last = 0;
    for step in &part.steps {
        let node = step.nodes.first().copied().unwrap_or(0);
        last = node;
        let incoming = incoming(graph, part, step);
        let outs = if step.is_cycle { leaving(graph, part, step) } else { outcomes(graph, part, node) };
        let outs = outs.ok_or((node, Meeting::TooMany))?;
        let mut next = BTreeSet::new();
        for marking in &all {
            work = work.saturating_add(marking.len().saturating_add(1).saturating_mul(outs.len()));
            if work > MOST_WORK {
                return Err((node, Meeting::TooMany));
            }
            let begins = starts(graph, step, entry);
            let present = marking.iter().filter(|edge| incoming.contains(edge)).count();
            let kind = graph.nodes.get(node).map(|node| &node.kind);
            let tokens = present.saturating_add(usize::from(begins));
            match kind {
                _ if tokens == 0 => {
                    next.insert(marking.clone());
                    continue;
                }
                Some(Kind::Parallel) if !step.is_cycle && present < incoming.len() => {
                    return Err((node, Meeting::Never));
                }
                Some(Kind::Parallel | Kind::Inclusive | Kind::End | Kind::Terminate | Kind::Error(_))
                    if !step.is_cycle => {}
                _ if tokens > 1 => return Err((node, Meeting::Twice)),
                _ => {}
            }
            let rest: Marking = marking.iter().copied().filter(|edge| !incoming.contains(edge)).collect();
            for out in &outs {
                let mut marked = rest.clone();
                marked.extend(out);
                marked.sort_unstable();
                next.insert(marked);
            }
            if next.len() > MOST {
                return Err((node, Meeting::TooMany));
            }
        }
        all = next;
    }
    let exits_one = |marking: &Marking| marking.len() == 1;
    if part.exits.is_empty() || all.iter().all(exits_one) {
        Ok(())
    } else {
        Err((entry.unwrap_or(last), Meeting::Leaves))
    }
}

fn index(edge: usize) -> u32 {
    u32::try_from(edge).unwrap_or(u32::MAX)
}

fn starts(graph: &Graph, step: &Step, entry: Option<usize>) -> bool {
    match entry {
        Some(entry) => step.nodes.contains(&entry),
        None => {
            step.nodes.iter().any(|node| graph.nodes.get(*node).is_some_and(|node| matches!(node.kind, Kind::Start)))
        }
    }
}

/// The flows from outside a step that lead to it.
fn incoming(graph: &Graph, part: &Part, step: &Step) -> BTreeSet<u32> {
    let inner = |edge: &usize| {
        !part.exits.contains(edge)
            && graph
                .edges
                .get(*edge)
                .is_some_and(|edge| step.nodes.contains(&edge.to) && !step.nodes.contains(&edge.from))
    };
    part.edges.iter().filter(|edge| inner(edge)).map(|edge| index(*edge)).collect()
}

/// The flows that leave a cycle, each alone.
fn leaving(graph: &Graph, part: &Part, step: &Step) -> Option<Vec<Marking>> {
    let leaves = |edge: &usize| {
        graph.edges.get(*edge).is_some_and(|to| {
            step.nodes.contains(&to.from) && (part.exits.contains(edge) || !step.nodes.contains(&to.to))
        })
    };
    let all: Vec<Marking> = part.edges.iter().filter(|edge| leaves(edge)).map(|edge| vec![index(*edge)]).collect();
    (all.len() <= MOST).then_some(all)
}

/// The sets of flows over which tokens can leave a node.
fn outcomes(graph: &Graph, part: &Part, at: usize) -> Option<Vec<Marking>> {
    let Some(node) = graph.nodes.get(at) else { return Some(Vec::new()) };
    let by = |way: &Way| -> Marking {
        let of =
            |edge: &usize| part.edges.contains(edge) && graph.edges.get(*edge).is_some_and(|edge| edge.way == *way);
        graph.out(at).filter(of).map(index).collect()
    };
    let plain = by(&Way::Out);
    match &node.kind {
        Kind::Terminate | Kind::Error(_) | Kind::End => Some(vec![Marking::new()]),
        Kind::Exclusive if plain.len() > 1 => Some(plain.into_iter().map(|edge| vec![edge]).collect()),
        Kind::Inclusive if plain.len() > 1 => subsets(graph, &plain),
        Kind::Parallel | Kind::Exclusive | Kind::Inclusive => Some(vec![plain]),
        kind => {
            let normal = match kind {
                Kind::Race(options) => (0..options.len()).map(|option| by(&Way::Option(option))).collect(),
                _ if graph.is_conditional(at) => subsets(graph, &plain)?,
                _ => vec![plain],
            };
            let interrupts: Vec<bool> = node.boundary.iter().map(|event| event.interrupts).collect();
            with_events(normal, &interrupts, |event| by(&Way::Boundary(event)))
        }
    }
}

/// What can leave an activity with boundary events.
fn with_events(normal: Vec<Marking>, events: &[bool], by: impl Fn(usize) -> Marking) -> Option<Vec<Marking>> {
    let mut all = normal;
    all.extend(events.iter().enumerate().filter(|(_, interrupts)| **interrupts).map(|(event, _)| by(event)));
    for event in events.iter().enumerate().filter(|(_, interrupts)| !**interrupts).map(|(event, _)| event) {
        let beside = by(event);
        let with: Vec<Marking> = all.iter().map(|marking| marking.iter().chain(&beside).copied().collect()).collect();
        all.extend(with);
        if all.len() > MOST {
            return None;
        }
    }
    Some(all)
}

/// The flows that conditions can select: every non-empty set of those with a condition, or the default flow, each with those
/// that have none.
fn subsets(graph: &Graph, plain: &[u32]) -> Option<Vec<Marking>> {
    let guard = |edge: &u32| graph.edges.get(*edge as usize).map_or(&Guard::None, |edge| &edge.guard);
    let always: Marking = plain.iter().copied().filter(|edge| *guard(edge) == Guard::None).collect();
    let chosen: Marking = plain.iter().copied().filter(|edge| matches!(guard(edge), Guard::When(_))).collect();
    if chosen.len() > 10 {
        return None;
    }
    let mut all = Vec::new();
    for mask in 0_u32..(1 << chosen.len()) {
        let picked = chosen.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0).map(|(_, edge)| *edge);
        let mut marking: Marking = always.iter().copied().chain(picked).collect();
        if mask == 0 {
            marking.extend(plain.iter().copied().filter(|edge| *guard(edge) == Guard::Default));
        }
        if !marking.is_empty() {
            all.push(marking);
        }
    }
    Some(all)
}
