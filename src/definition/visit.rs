//! Traversal of all expressions and conditions of a definition.

use super::{Action, Body, Boundary, Condition, Definition, Expr, Map, Node, Repeat, State, WaitFor};
use crate::base::name::Name;
use std::collections::BTreeSet;

/// Expressions and conditions, in the order of the definition.
#[derive(Debug, Default)]
pub(crate) struct Parts<'d> {
    expressions: Vec<&'d Expr>,
    conditions: Vec<&'d Condition>,
}

impl Node {
    /// The expressions and conditions of the node, without those of nested workflows.
    pub(crate) fn parts(&self) -> Parts<'_> {
        let mut parts = Parts { expressions: vec![&self.input], conditions: Vec::new() };
        parts.conditions.extend(self.guards.precondition.as_ref().map(|guard| &guard.when));
        parts.conditions.extend(&self.guards.postcondition);
        match &self.action {
            Action::Choose { cases, .. } => parts.conditions.extend(cases.iter().map(|case| &case.when)),
            Action::Map(map) => {
                parts.expressions.push(&map.over);
                parts.conditions.extend(map.completion.as_ref().map(|completion| &completion.when));
            }
            Action::Repeat(repeat) => {
                parts.conditions.push(&repeat.until);
                parts.conditions.extend(&repeat.while_);
            }
            Action::Race { options } => {
                for option in options {
                    match &option.on {
                        WaitFor::Signal { matching, .. } => parts.conditions.push(matching),
                        WaitFor::At(time) => parts.expressions.push(time),
                        WaitFor::After(_) | WaitFor::Decision(_) => {}
                    }
                }
            }
            Action::States(states) => {
                for state in &states.states {
                    parts.expressions.push(&state.input);
                    parts.conditions.extend(state.next.iter().map(|transition| &transition.when));
                }
            }
            Action::Do(_)
            | Action::Delegate(_)
            | Action::Wait { .. }
            | Action::Pass
            | Action::Stop
            | Action::Fail(_) => {}
        }
        parts.conditions.extend(self.handlers.iter().filter_map(|handler| match &handler.on {
            Boundary::Signal { matching, .. } => Some(matching),
            Boundary::Error { .. } | Boundary::Timeout(_) | Boundary::Cancel => None,
        }));
        parts
    }
}

impl Action {
    /// The body of the action. A state machine has one per state instead ([`Self::bodies`]).
    pub(crate) const fn body(&self) -> Option<&Body> {
        match self {
            Self::Do(body) | Self::Map(Map { body, .. }) | Self::Repeat(Repeat { body, .. }) => Some(body),
            Self::Choose { .. }
            | Self::Delegate(_)
            | Self::States(_)
            | Self::Wait { .. }
            | Self::Race { .. }
            | Self::Pass
            | Self::Stop
            | Self::Fail(_) => None,
        }
    }

    /// The states of a state machine.
    pub(crate) fn states(&self) -> &[State] {
        if let Self::States(states) = self { &states.states } else { &[] }
    }

    /// All bodies that the action may execute. Delegated parts are not among them.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = &Body> {
        self.body().into_iter().chain(self.states().iter().filter_map(|state| state.body.as_ref()))
    }

    /// The nested workflows in the action.
    pub(crate) fn flows(&self) -> impl Iterator<Item = &Definition> {
        self.bodies().filter_map(|body| match body {
            Body::Flow(flow) => Some(&**flow),
            Body::Task(_) | Body::Call(_) => None,
        })
    }
}

impl Definition {
    /// Whether the expression reads a variable that accepts updates, so that a second evaluation may give another value.
    pub(crate) fn may_change(&self, expr: &Expr) -> bool {
        let updated = |name: &Name| self.variables.iter().any(|it| it.name == *name && it.updates.is_some());
        let parts = Parts { expressions: vec![expr], conditions: Vec::new() };
        self.variables.iter().any(|variable| variable.updates.is_some()) && parts.names().0.into_iter().any(updated)
    }

    /// The expressions and conditions of the definition itself, without those of its nodes: its output, and the conditions
    /// on updates.
    pub(crate) fn parts(&self) -> Parts<'_> {
        let updates = self.variables.iter().filter_map(|variable| variable.updates.as_ref());
        Parts { expressions: vec![&self.output], conditions: updates.collect() }
    }
}

impl<'d> Parts<'d> {
    /// The names of the variables that are read, and of the predicates that are evaluated.
    pub(crate) fn names(self) -> (BTreeSet<&'d Name>, BTreeSet<&'d Name>) {
        let Self { mut expressions, mut conditions } = self;
        let (mut variables, mut predicates) = (BTreeSet::new(), BTreeSet::new());
        while let Some(condition) = conditions.pop() {
            if let Condition::Predicate(name, _) = condition {
                predicates.insert(name);
            }
            expressions.extend(condition.operands());
            conditions.extend(condition.parts());
        }
        while let Some(expr) = expressions.pop() {
            if let Expr::Variable(name) = expr {
                variables.insert(name);
            }
            expressions.extend(expr.parts());
        }
        (variables, predicates)
    }
}
