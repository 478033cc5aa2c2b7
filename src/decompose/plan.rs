//! A plan: the steps, where they come from, and which come before which.

use super::domain::{Domain, Facts, Goal};
use crate::definition::{Action, Body, Definition, Expr, Link, Node, Work};
use crate::name::Name;
use serde_json::Value;
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
        let count = self.steps.len();
        let mut after = vec![vec![false; count]; count];
        let tops: Vec<usize> =
            self.branches.iter().enumerate().filter(|(_, one)| one.parent.is_none()).map(|(place, _)| place).collect();
        self.order(&tops, None, &mut after);
        for branch in &self.branches {
            self.order(&branch.parts, branch.before.as_deref(), &mut after);
        }
        // The order is a closure already where parts are ordered; what two levels give together is closed here.
        for middle in 0..count {
            let from_middle = after.get(middle).cloned().unwrap_or_default();
            for row in after.iter_mut().filter(|row| row.get(middle) == Some(&true)) {
                row.iter_mut().zip(&from_middle).for_each(|(cell, more)| *cell |= more);
            }
        }
        let holds = |a: usize, b: usize| after.get(a).and_then(|row| row.get(b)) == Some(&true);
        let direct =
            |(a, b): &(usize, usize)| holds(*a, *b) && !(0..count).any(|middle| holds(*a, middle) && holds(middle, *b));
        (0..count).flat_map(|a| (0..count).map(move |b| (a, b))).filter(direct).collect()
    }

    /// The steps as tasks of a workflow: kinds are the names of operators, inputs what they are about, needs and urgency those
    /// of [`Domain::with_work`]. The output is the list of what the steps give, in order.
    #[must_use]
    pub fn definition(&self, name: impl Into<Name>, domain: &Domain) -> Definition {
        let links = self.links();
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
            for (before, _) in links.iter().filter(|(_, after)| *after == place) {
                if let Some(name) = names.get(*before) {
                    node = node.with_link(Link::success(name.clone()));
                }
            }
            definition = definition.with_node(node);
        }
        definition.with_output(Expr::List(names.into_iter().map(Expr::node).collect()))
    }

    /// All steps of parts that come before all steps of other parts.
    fn order(&self, parts: &[usize], before: Option<&[(usize, usize)]>, after: &mut [Vec<bool>]) {
        let steps: Vec<Vec<usize>> = parts.iter().map(|part| self.steps_of(*part)).collect();
        for (a, first) in steps.iter().enumerate() {
            for (b, second) in steps.iter().enumerate() {
                let ordered = before.map_or(a < b, |pairs| leads(pairs, a, b, parts.len()));
                if ordered && a != b {
                    for (one, other) in first.iter().flat_map(|one| second.iter().map(move |other| (*one, *other))) {
                        if let Some(cell) = after.get_mut(one).and_then(|row| row.get_mut(other)) {
                            *cell = true;
                        }
                    }
                }
            }
        }
    }

    fn steps_of(&self, branch: usize) -> Vec<usize> {
        let (mut open, mut steps) = (vec![branch], Vec::new());
        while let Some(branch) = open.pop().and_then(|place| self.branches.get(place)) {
            steps.extend(branch.step);
            open.extend(&branch.parts);
        }
        steps.sort_unstable();
        steps
    }
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
pub(super) struct Agenda(pub(super) Option<Arc<(usize, Agenda)>>);

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
