//! A plan: the steps, where they come from, and which come before which.

use super::domain::{Domain, Facts, Goal};
use crate::definition::{Action, Body, Definition, Expr, Link, Node, Work};
use crate::name::Name;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a part of a plan comes from: a goal, the method that split it, and what it was split into.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Branch {
    /// The goal.
    pub goal: Goal,
    /// The method that split it; none for a step.
    pub method: Option<Name>,
    /// The branch that it is part of; none at the top.
    pub parent: Option<usize>,
    /// Its parts, in order.
    pub parts: Vec<usize>,
    /// Which of its parts come before which; none: each before the next.
    pub before: Option<Vec<(usize, usize)>>,
    /// Which step it is, from 0; none if it was split.
    pub step: Option<usize>,
    /// How many goals it is below.
    pub depth: u32,
}

/// How goals are reached.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// What is done, in an order in which it can be done.
    pub steps: Vec<Goal>,
    /// Where the steps come from: goals before their parts.
    pub branches: Vec<Branch>,
    /// What is the case at the end.
    pub facts: Facts,
    /// How often the planner turned back.
    pub turned_back: u64,
}

impl Plan {
    /// Which steps come before which, directly: what follows from others is left out.
    #[must_use]
    pub fn links(&self) -> Vec<(usize, usize)> {
        let mut links = Vec::new();
        let mut ends: Vec<Ends> = vec![Ends::default(); self.branches.len()];
        // Parts stand after what they are part of, so they are known first.
        for (place, branch) in self.branches.iter().enumerate().rev() {
            let found = match branch.step {
                Some(step) => Ends { first: vec![step], last: vec![step] },
                None => joined(&branch.parts, branch.before.as_deref(), &ends, &mut links),
            };
            if let Some(slot) = ends.get_mut(place) {
                *slot = found;
            }
        }
        let tops = self.branches.iter().enumerate().filter(|(_, branch)| branch.parent.is_none());
        joined(&tops.map(|(place, _)| place).collect::<Vec<_>>(), None, &ends, &mut links);
        links.sort_unstable();
        links
    }

    /// The steps as tasks of a workflow: kinds are the names of operators, inputs what they are about, needs and urgency those
    /// of [`Domain::with_work`]. The output is the list of what the steps give, in order.
    #[must_use]
    pub fn definition(&self, name: impl Into<Name>, domain: &Domain) -> Definition {
        let mut before: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (first, next) in self.links() {
            before.entry(next).or_default().push(first);
        }
        let mut definition = Definition::new(name);
        let names: Vec<Name> =
            (1..).zip(&self.steps).map(|(number, goal)| format!("{number}_{}", goal.name).into()).collect();
        for (place, (goal, name)) in self.steps.iter().zip(&names).enumerate() {
            let mut work = Work::new(goal.name.clone());
            if let Some(operator) = domain.operators.get(&goal.name) {
                (work.needs, work.tier) = (operator.needs.clone(), operator.tier);
            }
            let mut node = Node::new(name.clone(), Action::Do(Body::Task(work)));
            node = node.with_input(Expr::value(Value::Array(goal.about.clone())));
            for name in before.get(&place).into_iter().flatten().filter_map(|first| names.get(*first)) {
                node = node.with_link(Link::success(name.clone()));
            }
            definition = definition.with_node(node);
        }
        definition.with_output(Expr::List(names.into_iter().map(Expr::node).collect()))
    }
}

/// The steps of a branch that nothing in it comes before, and those that come before nothing in it.
#[derive(Debug, Clone, Default)]
struct Ends {
    first: Vec<usize>,
    last: Vec<usize>,
}

/// Links the last steps of each part to the first ones of the parts that follow it directly; parts without steps are as if they
/// were not there.
fn joined(parts: &[usize], before: Option<&[(usize, usize)]>, ends: &[Ends], links: &mut Vec<(usize, usize)>) -> Ends {
    let known: Vec<(usize, &Ends)> =
        parts.iter().enumerate().filter_map(|(place, part)| Some((place, ends.get(*part)?))).collect();
    let known: Vec<(usize, &Ends)> = known.into_iter().filter(|(_, ends)| !ends.first.is_empty()).collect();
    let Some(pairs) = before else {
        for ((_, one), (_, next)) in known.iter().zip(known.iter().skip(1)) {
            link(one, next, links);
        }
        let first = known.first().map(|(_, ends)| ends.first.clone()).unwrap_or_default();
        return Ends { first, last: known.last().map(|(_, ends)| ends.last.clone()).unwrap_or_default() };
    };
    let follows = |a: usize, b: usize| leads(pairs, a, b, parts.len());
    let mut all = Ends::default();
    for (a, one) in &known {
        let after: Vec<&(usize, &Ends)> = known.iter().filter(|(b, _)| follows(*a, *b)).collect();
        for (b, next) in &after {
            if !after.iter().any(|(middle, _)| middle != b && follows(*middle, *b)) {
                link(one, next, links);
            }
        }
        if after.is_empty() {
            all.last.extend(&one.last);
        }
        if !known.iter().any(|(b, _)| follows(*b, *a)) {
            all.first.extend(&one.first);
        }
    }
    all
}

fn link(one: &Ends, next: &Ends, links: &mut Vec<(usize, usize)>) {
    links.extend(one.last.iter().flat_map(|last| next.first.iter().map(move |first| (*last, *first))));
}

/// Whether pairs lead from one place to another.
fn leads(pairs: &[(usize, usize)], from: usize, to: usize, count: usize) -> bool {
    let (mut seen, mut open) = (vec![false; count], vec![from]);
    while let Some(place) = open.pop() {
        for (_, next) in pairs.iter().filter(|(first, _)| *first == place) {
            if *next == to {
                return true;
            }
            if let Some(known) = seen.get_mut(*next).filter(|known| !**known) {
                *known = true;
                open.push(*next);
            }
        }
    }
    false
}

/// A list that shares its tail: what is left to do.
#[derive(Debug, Clone)]
pub(super) struct Agenda(pub(super) Option<Arc<(usize, Self)>>);

impl Agenda {
    pub(super) fn push(&self, branch: usize) -> Self {
        Self(Some(Arc::new((branch, self.clone()))))
    }
}

impl Drop for Agenda {
    /// Link by link: a list as long as memory must not overflow the stack.
    fn drop(&mut self) {
        let mut next = self.0.take();
        while let Some(link) = next {
            next = Arc::into_inner(link).and_then(|(_, mut rest)| rest.0.take());
        }
    }
}
