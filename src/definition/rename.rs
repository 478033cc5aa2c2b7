//! The meaning of a node apart from node names and task templates. A migration compares it with the meaning of the node in
//! the new definition.

use super::{
    Action, Body, Boundary, Condition, Definition, Expr, Handler, Receivers, SendSignal, States, TermMut, WaitFor, Work,
};
use crate::base::name::Name;
use core::time::Duration;
use std::sync::Arc;

pub(super) type Renaming<'a> = &'a dyn Fn(&Name) -> Name;

impl Expr {
    pub(super) fn renamed(&self, to: Renaming<'_>) -> Self {
        let mut renamed = self.clone();
        TermMut::Expr(&mut renamed).change(&|expr| expr.rename(to));
        renamed
    }

    /// Renames the node that the expression itself refers to.
    fn rename(&mut self, to: Renaming<'_>) {
        if let Self::Node(name) | Self::End(name) = self {
            *name = to(name);
        }
    }
}

impl Condition {
    pub(super) fn renamed(&self, to: Renaming<'_>) -> Self {
        let mut renamed = self.clone();
        TermMut::Condition(&mut renamed).change(&|expr| expr.rename(to));
        renamed
    }
}

impl Body {
    /// The kind of the body: all tasks are equal, and so are all nested workflows.
    pub(super) fn kind(&self) -> Self {
        match self {
            Self::Task(_) => Self::Task(Work::new("")),
            Self::Flow(_) => Self::Flow(Arc::new(Definition::new(""))),
            Self::Call(call) => Self::Call(call.clone()),
        }
    }
}

impl States {
    pub(super) fn meaning(&self, to: Renaming<'_>) -> Self {
        let mut states = self.clone();
        for state in &mut states.states {
            state.body = state.body.as_ref().map(Body::kind);
            state.undo = None;
            (state.input, state.output) = (Expr::Item, None);
            for transition in &mut state.next {
                transition.output = None;
                transition.when = transition.when.renamed(to);
            }
        }
        states
    }
}

impl SendSignal {
    /// The same without the expression of the key, which is evaluated anew for each part of the receivers.
    pub(super) fn meaning(&self) -> Self {
        let mut send = self.clone();
        if let Receivers::Key { key, .. } = &mut send.to {
            *key = Expr::default();
        }
        send
    }
}

impl WaitFor {
    pub(super) fn renamed(&self, to: Renaming<'_>) -> Self {
        match self {
            Self::Signal { signal, matching } => {
                Self::Signal { signal: signal.clone(), matching: matching.renamed(to) }
            }
            Self::When(condition) => Self::When(condition.renamed(to)),
            Self::After(span) => Self::After(*span),
            // The time was fixed when the wait began.
            Self::At(_) => Self::At(Expr::default()),
            Self::Decision(decision) => {
                let mut decision = decision.clone();
                decision.not_by.iter_mut().for_each(|node| *node = to(node));
                Self::Decision(decision)
            }
        }
    }
}

impl Handler {
    /// The handler with the nodes that it refers to renamed, and without the time of a timeout, which is counted from the
    /// begin of the node whenever it changes.
    pub(crate) fn meaning(&self, to: Renaming<'_>) -> Self {
        let on = match &self.on {
            Boundary::Signal { signal, matching } => {
                Boundary::Signal { signal: signal.clone(), matching: matching.renamed(to) }
            }
            Boundary::When(condition) => Boundary::When(condition.renamed(to)),
            Boundary::Timeout(_) => Boundary::Timeout(Duration::ZERO),
            Boundary::Error(_) | Boundary::Cancel => self.on.clone(),
        };
        Self { on, ..self.clone() }
    }
}

impl Definition {
    /// Whether a node of the definition or of a nested workflow waits for this signal.
    pub(crate) fn awaits_signal(&self, signal: &Name) -> bool {
        self.nodes.iter().any(|node| {
            let handled = node
                .handlers
                .iter()
                .any(|handler| matches!(&handler.on, Boundary::Signal { signal: on, .. } if on == signal));
            handled || node.action.awaits_signal(signal)
        })
    }
}

impl Action {
    fn awaits_signal(&self, wanted: &Name) -> bool {
        self.parts().signals.contains(&wanted) || self.flows().any(|flow| flow.awaits_signal(wanted))
    }
}
