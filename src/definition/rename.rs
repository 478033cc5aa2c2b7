//! The meaning of a node apart from node names and task templates. A migration compares it with the meaning of the node in
//! the new definition.

use super::{
    Action, Body, Boundary, Completion, Condition, Definition, Delegate, DurableFunction, Expr, Gather, Handler, Map,
    Receivers, Repeat, SendSignal, States, TermMut, WaitFor, Work,
};
use crate::base::name::Name;
use core::time::Duration;
use std::sync::Arc;

type Renaming<'a> = &'a dyn Fn(&Name) -> Name;

impl Expr {
    fn renamed(&self, to: Renaming<'_>) -> Self {
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
    fn renamed(&self, to: Renaming<'_>) -> Self {
        let mut renamed = self.clone();
        TermMut::Condition(&mut renamed).change(&|expr| expr.rename(to));
        renamed
    }
}

impl Body {
    /// The kind of the body: all tasks are equal, and so are all nested workflows.
    fn kind(&self) -> Self {
        match self {
            Self::Task(_) => Self::Task(Work::new("")),
            Self::Flow(_) => Self::Flow(Arc::new(Definition::new(""))),
            Self::Call(call) => Self::Call(call.clone()),
        }
    }
}

impl Action {
    /// The action with the nodes that it refers to renamed, and without its task templates. Two actions whose meanings are
    /// equal keep the same state while they are under transition.
    pub(crate) fn meaning(&self, to: Renaming<'_>) -> Self {
        match self {
            Self::Do(body) => Self::Do(body.kind()),
            Self::Map(map) => Self::Map(Map {
                over: map.over.renamed(to),
                bounds: map.bounds.as_ref().map(|bounds| bounds.renamed(to)),
                body: map.body.kind(),
                completion: map
                    .completion
                    .as_ref()
                    .map(|completion| Completion { when: completion.when.renamed(to), ..completion.clone() }),
                ..map.clone()
            }),
            Self::Repeat(repeat) => Self::Repeat(Repeat {
                body: repeat.body.kind(),
                until: repeat.until.renamed(to),
                while_: repeat.while_.as_ref().map(|while_| while_.renamed(to)),
                max_rounds: repeat.max_rounds,
                finishes: repeat.finishes,
            }),
            Self::Delegate(delegate) => {
                let mut same = Delegate { work: Work::new(""), ..delegate.clone() };
                if let Gather::Work(work) = &mut same.gather {
                    *work = Work::new("");
                }
                Self::Delegate(same)
            }
            Self::Function(function) => Self::Function(DurableFunction { work: Work::new(""), ..function.clone() }),
            Self::States(states) => Self::States(states.meaning(to)),
            Self::Race { options } => {
                let mut options = options.clone();
                options.iter_mut().for_each(|option| option.on = option.on.renamed(to));
                Self::Race { options }
            }
            Self::Send(send) => Self::Send(send.meaning()),
            Self::Compensate { of } => Self::Compensate { of: of.iter().map(to).collect() },
            Self::Choose { .. } | Self::Wait { .. } | Self::Pass | Self::Stop | Self::Fail(_) => self.clone(),
        }
    }

    /// Whether work that was done under one action is valid under the other.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let body = |action: &Self| action.body().map(Body::kind);
        core::mem::discriminant(self) == core::mem::discriminant(other) && body(self) == body(other)
    }
}

impl States {
    fn meaning(&self, to: Renaming<'_>) -> Self {
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
    fn meaning(&self) -> Self {
        let mut send = self.clone();
        if let Receivers::Key { key, .. } = &mut send.to {
            *key = Expr::default();
        }
        send
    }
}

impl WaitFor {
    fn renamed(&self, to: Renaming<'_>) -> Self {
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
