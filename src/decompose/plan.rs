//! A plan: its steps, their order and the decomposition from which they come.

use super::domain::{Domain, Facts, Goal};
use crate::base::name::Name;
use crate::definition::{Action, Body, Definition, Expr, Link, Node, Work};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A node of the decomposition tree: a goal, the method that decomposed it, and its parts.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Branch {
    /// The goal.
    pub goal: Goal,
    /// The method that decomposed it; none for a step.
    pub method: Option<Name>,
    /// The index of the parent branch; none at the top.
    pub parent: Option<usize>,
    /// The indexes of its parts, in order.
    pub parts: Vec<usize>,
    /// The order of its parts, as pairs; none: each precedes the next.
    pub before: Option<Vec<(usize, usize)>>,
    /// The index of its step; none if it was decomposed.
    pub step: Option<usize>,
    /// Its depth in the tree.
    pub depth: u32,
}

/// The result of planning.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// The steps, in an executable order.
    pub steps: Vec<Goal>,
    /// The decomposition tree: goals before their parts.
    pub branches: Vec<Branch>,
    /// The state after all steps.
    pub facts: Facts,
    /// The number of times that the planner backtracked.
    pub backtracks: u64,
}

impl Plan {
    /// The direct precedence links between steps, without transitive ones.
    #[must_use]
    pub fn links(&self) -> Vec<(usize, usize)> {
        let mut links = Vec::new();
        let mut ends: Vec<Ends> = vec![Ends::default(); self.branches.len()];
        // Parts have larger indexes than their branch, so they are processed first.
        for (index, branch) in self.branches.iter().enumerate().rev() {
            let found = match branch.step {
                Some(step) => Ends { first: vec![step], last: vec![step] },
                None => joined(&branch.parts, branch.before.as_deref(), &ends, &mut links),
            };
            if let Some(slot) = ends.get_mut(index) {
                *slot = found;
            }
        }
        let tops = self.branches.iter().enumerate().filter(|(_, branch)| branch.parent.is_none());
        joined(&tops.map(|(index, _)| index).collect::<Vec<_>>(), None, &ends, &mut links);
        links.sort_unstable();
        links
    }

    /// The steps as tasks of a workflow. Kinds are the names of operators, inputs their arguments, needs and tiers those of
    /// [`Domain::with_work`]. The output is the list of the outputs of the steps, in order.
    #[must_use]
    pub fn definition(&self, name: impl Into<Name>, domain: &Domain) -> Definition {
        let mut before: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (first, next) in self.links() {
            before.entry(next).or_default().push(first);
        }
        let mut definition = Definition::new(name);
        let names: Vec<Name> =
            (1..).zip(&self.steps).map(|(number, goal)| format!("{number}_{}", goal.name).into()).collect();
        for (index, (goal, name)) in self.steps.iter().zip(&names).enumerate() {
            let mut work = Work::new(goal.name.clone());
            if let Some(operator) = domain.operators.get(&goal.name) {
                (work.needs, work.tier) = (operator.needs.clone(), operator.tier);
            }
            let mut node = Node::new(name.clone(), Action::Do(Body::Task(work)));
            node = node.with_input(Expr::value(Value::Array(goal.about.clone())));
            for name in before.get(&index).into_iter().flatten().filter_map(|first| names.get(*first)) {
                node = node.with_link(Link::success(name.clone()));
            }
            definition = definition.with_node(node);
        }
        definition.with_output(Expr::List(names.into_iter().map(Expr::node).collect()))
    }
}

/// The first and the last steps of a branch.
#[derive(Debug, Clone, Default)]
struct Ends {
    first: Vec<usize>,
    last: Vec<usize>,
}

/// Links the last steps of each part to the first ones of the parts that follow it directly; parts without steps are skipped.
fn joined(parts: &[usize], before: Option<&[(usize, usize)]>, ends: &[Ends], links: &mut Vec<(usize, usize)>) -> Ends {
    let known: Vec<(usize, &Ends)> =
        parts.iter().enumerate().filter_map(|(index, part)| Some((index, ends.get(*part)?))).collect();
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

/// Whether a path of pairs leads from one index to another.
fn leads(pairs: &[(usize, usize)], from: usize, to: usize, count: usize) -> bool {
    let (mut seen, mut open) = (vec![false; count], vec![from]);
    while let Some(index) = open.pop() {
        for (_, next) in pairs.iter().filter(|(first, _)| *first == index) {
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

/// A persistent list of remaining goals, which shares its tail.
#[derive(Debug, Clone)]
pub(super) struct Agenda(pub(super) Option<Arc<(usize, Self)>>);

impl Agenda {
    pub(super) fn push(&self, branch: usize) -> Self {
        Self(Some(Arc::new((branch, self.clone()))))
    }
}

impl Drop for Agenda {
    /// Iterative, since a recursive drop of a long list would overflow the stack.
    fn drop(&mut self) {
        let mut next = self.0.take();
        while let Some(link) = next {
            next = Arc::into_inner(link).and_then(|(_, mut rest)| rest.0.take());
        }
    }
}
