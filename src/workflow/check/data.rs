//! The outputs that are certain to exist when a node starts.

use crate::base::name::Name;
use crate::dag::Topology;
use crate::definition::{Condition, Definition, Expr, Join, Link, On, Parts, Term, Trigger};
use std::collections::{BTreeMap, BTreeSet};

/// For each node, by index, the nodes that have certainly succeeded when it starts.
pub(super) fn sure(definition: &Definition, graph: &Topology) -> Vec<BTreeSet<usize>> {
    let indexes: BTreeMap<&str, usize> = definition.nodes.iter().map(|node| node.name.as_str()).zip(0..).collect();
    let mut sure: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); definition.nodes.len()];
    for at in graph.order() {
        let Some(node) = definition.nodes.get(at.index()) else { continue };
        let by = |link: &Link| {
            let source = indexes.get(link.node.as_str()).copied()?;
            let mut certain = sure.get(source).cloned().unwrap_or_default();
            // A skipped node certainly comes after no other.
            match link.on {
                On::Success | On::Each | On::Case(_) => _ = certain.insert(source),
                On::Failure => {}
                On::Always => certain.clear(),
            }
            Some(certain)
        };
        let links: Vec<BTreeSet<usize>> = node.after.iter().filter_map(by).collect();
        let all = matches!(node.join, Join::All | Join::Trigger(Trigger::AllSucceeded));
        let one = matches!(node.join, Join::Any | Join::Count { .. } | Join::Each | Join::Rounds { .. });
        let mut links = links.into_iter();
        let first = links.next().unwrap_or_default();
        let mut certain: BTreeSet<usize> = if all {
            links.fold(first, |all, link| &all | &link)
        } else if one {
            links.fold(first, |both, link| &both & &link)
        } else {
            BTreeSet::new()
        };
        let milestone = node.milestone.as_ref().and_then(|milestone| indexes.get(milestone.after.as_str()));
        certain.extend(milestone);
        if let Some(slot) = sure.get_mut(at.index()) {
            *slot = certain;
        }
    }
    sure
}

/// The nodes whose outputs a node uses although they need not have succeeded, each once. In the first value of several,
/// alternatives may be missing.
pub(super) fn missing<'d>(definition: &'d Definition, index: usize, sure: &[BTreeSet<usize>]) -> Vec<&'d Name> {
    let (Some(node), Some(sure)) = (definition.nodes.get(index), sure.get(index)) else { return Vec::new() };
    let mut missing: Vec<&Name> = Vec::new();
    let Parts { expressions, conditions, .. } = node.action.parts();
    let mut open = vec![Term::Expr(&node.input)];
    open.extend(expressions.into_iter().map(Term::Expr));
    open.extend(conditions.into_iter().map(Term::Condition));
    while let Some(term) = open.pop() {
        match term {
            Term::Expr(Expr::Node(name)) => {
                let known = definition.nodes.iter().position(|node| node.name == *name);
                if known.is_some_and(|known| !sure.contains(&known)) && !missing.contains(&name) {
                    missing.push(name);
                }
            }
            // These allow the value to be missing.
            Term::Expr(Expr::First(_)) | Term::Condition(Condition::Exists(_)) => {}
            Term::Expr(_) | Term::Condition(_) => open.extend(term.parts()),
        }
    }
    missing.sort();
    missing
}
