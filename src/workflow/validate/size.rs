//! The size of a definition: its links, and the steps of its expressions and conditions.

use super::Checker;
use super::fault::Fault;
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::definition::{Condition, Definition, Expr, Join, Parts, Term};
use std::collections::BTreeMap;

/// The bytes of a constant, a pointer or a pattern that count as one step.
const BYTES_PER_STEP: usize = 16;

/// The links and steps of a definition and of those nested in it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    links: usize,
    steps: usize,
}

impl Size {
    /// Adds a definition without those nested in it. The count ends when a limit is exceeded.
    pub(super) fn add(&mut self, definition: &Definition, limits: &Limits) -> Result<(), Fault> {
        let mut exclusive: BTreeMap<&Name, usize> = BTreeMap::new();
        for node in &definition.nodes {
            self.link(node.after.len().saturating_add(node.cancels.len()), limits)?;
            for name in &node.mutex {
                let others = exclusive.entry(name).or_default();
                // Each of the others excludes this node, and this node each of them.
                let pairs = others.saturating_mul(2).saturating_add(1);
                *others += 1;
                self.link(pairs, limits)?;
            }
            let steps = node.action.branches().saturating_add(node.handlers.len()).saturating_add(node.writes.len());
            self.step(steps, limits)?;
            self.parts(node.parts(), limits)?;
        }
        for variable in &definition.variables {
            self.step(1 + variable.initial.bytes() as usize / BYTES_PER_STEP, limits)?;
        }
        self.step(definition.signals.len(), limits)?;
        self.parts(definition.parts(), limits)
    }

    fn link(&mut self, links: usize, limits: &Limits) -> Result<(), Fault> {
        self.links = self.links.saturating_add(links);
        let limit = limits.runs.links;
        if self.links > limit as usize { Err(Fault::TooManyLinks { limit }) } else { Ok(()) }
    }

    fn step(&mut self, steps: usize, limits: &Limits) -> Result<(), Fault> {
        self.steps = self.steps.saturating_add(steps);
        let limit = limits.runs.steps;
        if self.steps > limit as usize { Err(Fault::TooManySteps { limit }) } else { Ok(()) }
    }

    fn parts(&mut self, parts: Parts<'_>, limits: &Limits) -> Result<(), Fault> {
        let Parts { expressions, conditions, .. } = parts;
        let mut terms: Vec<Term<'_>> = expressions.into_iter().map(Term::Expr).collect();
        terms.extend(conditions.into_iter().map(Term::Condition));
        while let Some(term) = terms.pop() {
            let bytes = match term {
                Term::Expr(Expr::Const(value)) => value.bytes() as usize,
                Term::Expr(Expr::At(_, pointer)) => pointer.len(),
                Term::Condition(Condition::Matches(_, pattern)) => pattern.len(),
                Term::Expr(_) | Term::Condition(_) => 0,
            };
            self.step(1 + bytes / BYTES_PER_STEP, limits)?;
            // Before they are pushed: a list may be longer than the limit.
            self.room(term.count(), limits)?;
            terms.extend(term.parts());
        }
        Ok(())
    }

    /// Whether so many more steps are within the limit.
    fn room(self, steps: usize, limits: &Limits) -> Result<(), Fault> {
        let mut all = self;
        all.step(steps, limits)
    }
}

/// The cost of the analysis of the graph.
impl Checker<'_, '_> {
    /// Spends steps of the analysis. Reports a fault, and returns false from then on, when the limit is exceeded.
    pub(super) fn analyse(&mut self, steps: usize) -> bool {
        let limit = self.limits.runs.analysis;
        let before = self.report.analysis;
        self.report.analysis = before.saturating_add(steps);
        let is_within = self.report.analysis <= limit as usize;
        if !is_within && before <= limit as usize {
            self.fault(None, Fault::TooInvolved { limit });
        }
        is_within
    }

    /// Spends the steps by which the plan finds what its joins and the readers of its variables depend on.
    pub(super) fn analyse_plan(&mut self) -> bool {
        let definition = self.definition;
        let size = definition.nodes.iter().fold(definition.nodes.len(), |sum, node| sum + node.after.len());
        let joins = definition.nodes.iter().filter(|node| matches!(node.join, Join::Count { .. })).count();
        let saves = definition.nodes.iter().filter(|node| node.save.is_some()).count();
        if !self.analyse(size.saturating_mul(joins.saturating_add(saves))) {
            return false;
        }
        let mut writers: BTreeMap<&Name, usize> = BTreeMap::new();
        for write in definition.nodes.iter().flat_map(|node| &node.writes) {
            *writers.entry(&write.to).or_default() += 1;
        }
        for node in definition.nodes.iter().filter(|_| !definition.variables.is_empty()) {
            let read = node.parts().names().0;
            let seen: usize = read.iter().filter_map(|name| writers.get(*name)).sum();
            if !read.is_empty() && !self.analyse(size.saturating_add(seen.saturating_mul(4))) {
                return false;
            }
        }
        true
    }
}
