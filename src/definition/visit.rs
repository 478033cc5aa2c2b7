//! Traversal of all expressions and conditions of a definition.

use super::{Body, Boundary, Condition, Definition, Expr, Meta, Node, Term};
use crate::base::name::Name;
use std::collections::BTreeSet;

/// What a definition, a node or an action reads, in the order of the definition.
#[derive(Debug, Default)]
pub(crate) struct Parts<'d> {
    pub(crate) expressions: Vec<&'d Expr>,
    pub(crate) conditions: Vec<&'d Condition>,
    /// The signals that the action waits for, without those of handlers.
    pub(crate) signals: Vec<&'d Name>,
}

/// The same parts of an action, to be changed.
#[derive(Debug, Default)]
pub(crate) struct PartsMut<'d> {
    pub(crate) expressions: Vec<&'d mut Expr>,
    pub(crate) conditions: Vec<&'d mut Condition>,
}

impl Node {
    /// The expressions and conditions of the node, without those of nested workflows.
    pub(crate) fn parts(&self) -> Parts<'_> {
        let mut parts = Parts { expressions: vec![&self.input], ..Parts::default() };
        parts.conditions.extend(self.guards.precondition.as_ref().map(|guard| &guard.when));
        parts.conditions.extend(&self.guards.postcondition);
        self.action.add_parts(&mut parts);
        parts.conditions.extend(self.handlers.iter().filter_map(|handler| match &handler.on {
            Boundary::Signal { matching: condition, .. } | Boundary::When(condition) => Some(condition),
            Boundary::Error(_) | Boundary::Timeout(_) | Boundary::Cancel => None,
        }));
        parts
    }
}

impl Body {
    /// The settings of its task that come from data.
    pub(super) const fn overrides(&self) -> Option<&Expr> {
        match self {
            Self::Task(work) => work.overrides.as_ref(),
            Self::Flow(_) | Self::Call(_) => None,
        }
    }

    pub(super) const fn overrides_mut(&mut self) -> Option<&mut Expr> {
        match self {
            Self::Task(work) => work.overrides.as_mut(),
            Self::Flow(_) | Self::Call(_) => None,
        }
    }
}

impl Definition {
    /// Whether a second evaluation of the expression may give another value: it reads a variable that accepts updates, or the
    /// version of the definition, or asks a predicate of the host.
    pub(crate) fn may_change(&self, expr: &Expr) -> bool {
        let updated = |name: &Name| self.variables.iter().any(|it| it.name == *name && it.updates.is_some());
        let parts = Parts { expressions: vec![expr], ..Parts::default() };
        parts.terms().any(|term| match term {
            Term::Expr(Expr::Variable(name)) => updated(name),
            Term::Expr(expr) => matches!(expr, Expr::Meta(Meta::RunVersion)),
            Term::Condition(condition) => matches!(condition, Condition::Predicate(..)),
        })
    }

    /// The expressions and conditions of the definition itself, without those of its nodes: its output, and the conditions
    /// on updates.
    pub(crate) fn parts(&self) -> Parts<'_> {
        let updates = self.variables.iter().filter_map(|variable| variable.updates.as_ref());
        Parts { expressions: vec![&self.output], conditions: updates.collect(), signals: Vec::new() }
    }
}

impl<'d> Parts<'d> {
    /// The names of the variables that are read, and of the predicates that are evaluated.
    pub(crate) fn names(self) -> (BTreeSet<&'d Name>, BTreeSet<&'d Name>) {
        let (mut variables, mut predicates) = (BTreeSet::new(), BTreeSet::new());
        for term in self.terms() {
            if let Term::Expr(Expr::Variable(name)) = term {
                variables.insert(name);
            } else if let Term::Condition(Condition::Predicate(name, _)) = term {
                predicates.insert(name);
            }
        }
        (variables, predicates)
    }

    /// All expressions and conditions, with those within them.
    pub(crate) fn terms(self) -> impl Iterator<Item = Term<'d>> {
        let expressions = self.expressions.into_iter().map(Term::Expr);
        expressions.chain(self.conditions.into_iter().map(Term::Condition)).flat_map(Term::all)
    }
}
