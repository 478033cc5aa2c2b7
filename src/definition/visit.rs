//! Traversal of all expressions and conditions of a definition.

use super::{
    Action, Body, Boundary, Condition, Definition, Expr, Fail, Map, Meta, Node, Receivers, Repeat, State, Term, WaitFor,
};
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

/// How the execution of an action proceeds. Readers of definitions that need no more than this match on the class, so that
/// a new kind of action concerns them only through its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActionClass {
    /// The action executes tasks or child runs.
    Works,
    /// The action waits for a signal, a time or a decision.
    Waits,
    /// The action ends when it starts.
    Immediate,
}

impl Action {
    pub(crate) const fn class(&self) -> ActionClass {
        match self {
            Self::Do(_) | Self::Map(_) | Self::Repeat(_) | Self::Delegate(_) | Self::Function(_) | Self::States(_) => {
                ActionClass::Works
            }
            Self::Wait { .. } | Self::Race { .. } => ActionClass::Waits,
            Self::Choose { .. } | Self::Pass | Self::Send(_) | Self::Compensate { .. } | Self::Stop | Self::Fail(_) => {
                ActionClass::Immediate
            }
        }
    }

    /// The expressions and conditions of the action itself, without the input and the guards of its node.
    pub(crate) fn parts(&self) -> Parts<'_> {
        let mut parts = Parts::default();
        self.add_parts(&mut parts);
        parts
    }

    fn add_parts<'d>(&'d self, parts: &mut Parts<'d>) {
        parts.expressions.extend(self.bodies().filter_map(Body::overrides));
        match self {
            Self::Choose { cases, .. } => parts.conditions.extend(cases.iter().map(|case| &case.when)),
            Self::Map(map) => {
                parts.expressions.push(&map.over);
                parts.expressions.extend(&map.bounds);
                parts.conditions.extend(map.completion.as_ref().map(|completion| &completion.when));
            }
            Self::Repeat(repeat) => {
                parts.conditions.push(&repeat.until);
                parts.conditions.extend(&repeat.while_);
            }
            Self::Race { options } => {
                for option in options {
                    match &option.on {
                        WaitFor::Signal { signal, matching } => {
                            parts.signals.push(signal);
                            parts.conditions.push(matching);
                        }
                        WaitFor::At(time) => parts.expressions.push(time),
                        WaitFor::When(condition) => parts.conditions.push(condition),
                        WaitFor::After(_) | WaitFor::Decision(_) => {}
                    }
                }
            }
            Self::States(states) => {
                for state in &states.states {
                    parts.expressions.push(&state.input);
                    parts.expressions.extend(&state.output);
                    parts.expressions.extend(state.next.iter().filter_map(|transition| transition.output.as_ref()));
                    parts.conditions.extend(state.next.iter().map(|transition| &transition.when));
                }
            }
            Self::Wait { signal, .. } => parts.signals.extend(signal),
            Self::Fail(Fail { message, kind: _, code, details }) => parts.expressions.extend([message, code, details]),
            Self::Send(send) => {
                if let Receivers::Key { key, .. } = &send.to {
                    parts.expressions.push(key);
                }
            }
            Self::Delegate(delegate) => parts.expressions.extend(&delegate.work.overrides),
            Self::Do(_) | Self::Function(_) | Self::Pass | Self::Compensate { .. } | Self::Stop => {}
        }
    }

    /// The expressions and conditions of [`Self::parts`].
    pub(crate) fn parts_mut(&mut self) -> PartsMut<'_> {
        let mut parts = PartsMut::default();
        match self {
            Self::Choose { cases, .. } => parts.conditions.extend(cases.iter_mut().map(|case| &mut case.when)),
            Self::Do(body) => parts.expressions.extend(body.overrides_mut()),
            Self::Delegate(delegate) => parts.expressions.extend(&mut delegate.work.overrides),
            Self::Map(map) => {
                parts.expressions.extend(map.body.overrides_mut());
                parts.expressions.push(&mut map.over);
                parts.expressions.extend(&mut map.bounds);
                parts.conditions.extend(map.completion.as_mut().map(|completion| &mut completion.when));
            }
            Self::Repeat(repeat) => {
                parts.expressions.extend(repeat.body.overrides_mut());
                parts.conditions.push(&mut repeat.until);
                parts.conditions.extend(&mut repeat.while_);
            }
            Self::Race { options } => {
                for option in options {
                    match &mut option.on {
                        WaitFor::Signal { matching: condition, .. } | WaitFor::When(condition) => {
                            parts.conditions.push(condition);
                        }
                        WaitFor::At(time) => parts.expressions.push(time),
                        WaitFor::After(_) | WaitFor::Decision(_) => {}
                    }
                }
            }
            Self::States(states) => {
                for state in &mut states.states {
                    parts.expressions.extend(state.body.as_mut().and_then(Body::overrides_mut));
                    parts.expressions.push(&mut state.input);
                    parts.expressions.extend(&mut state.output);
                    for transition in &mut state.next {
                        parts.expressions.extend(&mut transition.output);
                        parts.conditions.push(&mut transition.when);
                    }
                }
            }
            Self::Fail(Fail { message, kind: _, code, details }) => parts.expressions.extend([message, code, details]),
            Self::Send(send) => {
                if let Receivers::Key { key, .. } = &mut send.to {
                    parts.expressions.push(key);
                }
            }
            Self::Function(_) | Self::Wait { .. } | Self::Pass | Self::Compensate { .. } | Self::Stop => {}
        }
        parts
    }

    /// The body of the action. A state machine has one per state instead ([`Self::bodies`]).
    pub(crate) const fn body(&self) -> Option<&Body> {
        if let Self::Do(body) | Self::Map(Map { body, .. }) | Self::Repeat(Repeat { body, .. }) = self {
            Some(body)
        } else {
            None
        }
    }

    /// The states of a state machine.
    pub(crate) fn states(&self) -> &[State] {
        if let Self::States(states) = self { &states.states } else { &[] }
    }

    /// All bodies that the action may execute. Delegated parts and the calls of functions are not among them.
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

impl Body {
    /// The settings of its task that come from data.
    const fn overrides(&self) -> Option<&Expr> {
        match self {
            Self::Task(work) => work.overrides.as_ref(),
            Self::Flow(_) | Self::Call(_) => None,
        }
    }

    const fn overrides_mut(&mut self) -> Option<&mut Expr> {
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
