//! All expressions and conditions of a definition, wherever they stand.

use super::{Action, Boundary, Condition, Definition, Expr, Node, Occasion};
use crate::name::Name;
use std::collections::BTreeSet;

/// Expressions and conditions, in the order in which they are written.
#[derive(Debug, Default)]
pub(crate) struct Parts<'d> {
    expressions: Vec<&'d Expr>,
    conditions: Vec<&'d Condition>,
}

impl Node {
    /// What stands in the node, without workflows within it.
    pub(crate) fn parts(&self) -> Parts<'_> {
        let mut parts = Parts { expressions: vec![&self.input], conditions: Vec::new() };
        parts.conditions.extend(self.precondition.as_ref().map(|guard| &guard.when));
        parts.conditions.extend(&self.postcondition);
        match &self.action {
            Action::Choose { cases, .. } => parts.conditions.extend(cases.iter().map(|case| &case.when)),
            Action::Map(map) => {
                parts.expressions.push(&map.over);
                parts.conditions.extend(map.enough.as_ref().map(|enough| &enough.when));
            }
            Action::Repeat(repeat) => {
                parts.conditions.push(&repeat.until);
                parts.conditions.extend(&repeat.whilst);
            }
            Action::Race { offers } => {
                for offer in offers {
                    match &offer.on {
                        Occasion::Signal { matching, .. } => parts.conditions.push(matching),
                        Occasion::At(moment) => parts.expressions.push(moment),
                        Occasion::After(_) | Occasion::Decision(_) => {}
                    }
                }
            }
            Action::States(states) => {
                for state in &states.states {
                    parts.expressions.push(&state.input);
                    parts.conditions.extend(state.next.iter().map(|way| &way.when));
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

impl Definition {
    /// What stands in the definition itself, without its nodes.
    pub(crate) fn parts(&self) -> Parts<'_> {
        Parts { expressions: vec![&self.output], conditions: Vec::new() }
    }
}

impl<'d> Parts<'d> {
    /// The variables that are read, and the predicates that are asked.
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
