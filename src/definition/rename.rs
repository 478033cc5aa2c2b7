//! What a node means, apart from names and from the work that it hands out: to compare it with the node that it becomes in
//! another definition.

use super::{
    Action, Body, Boundary, Condition, Definition, Delegate, Enough, Expr, Gather, Handler, Map, Occasion, Repeat,
    States, Work,
};
use crate::name::Name;
use std::sync::Arc;

type Renaming<'a> = &'a dyn Fn(&Name) -> Name;

impl Expr {
    fn renamed(&self, to: Renaming<'_>) -> Self {
        let all = |parts: &[Self]| parts.iter().map(|part| part.renamed(to)).collect();
        match self {
            Self::Node(name) => Self::Node(to(name)),
            Self::List(parts) => Self::List(all(parts)),
            Self::First(parts) => Self::First(all(parts)),
            Self::Object(fields) => {
                Self::Object(fields.iter().map(|(name, part)| (name.clone(), part.renamed(to))).collect())
            }
            Self::At(of, pointer) => Self::At(Box::new(of.renamed(to)), pointer.clone()),
            Self::Input | Self::Variable(_) | Self::Item | Self::Const(_) => self.clone(),
        }
    }
}

impl Condition {
    fn renamed(&self, to: Renaming<'_>) -> Self {
        let all = |parts: &[Self]| parts.iter().map(|part| part.renamed(to)).collect();
        match self {
            Self::True => Self::True,
            Self::Is(a) => Self::Is(a.renamed(to)),
            Self::Exists(a) => Self::Exists(a.renamed(to)),
            Self::Equal(a, b) => Self::Equal(a.renamed(to), b.renamed(to)),
            Self::Less(a, b) => Self::Less(a.renamed(to), b.renamed(to)),
            Self::In(a, b) => Self::In(a.renamed(to), b.renamed(to)),
            Self::Matches(a, pattern) => Self::Matches(a.renamed(to), pattern.clone()),
            Self::All(parts) => Self::All(all(parts)),
            Self::Any(parts) => Self::Any(all(parts)),
            Self::Not(part) => Self::Not(Box::new(part.renamed(to))),
            Self::Predicate(name, of) => Self::Predicate(name.clone(), of.renamed(to)),
        }
    }
}

impl Body {
    /// A task is a task, and a workflow a workflow.
    fn kind(&self) -> Self {
        match self {
            Self::Task(_) => Self::Task(Work::new("")),
            Self::Flow(_) => Self::Flow(Arc::new(Definition::new(""))),
            Self::Call(call) => Self::Call(call.clone()),
        }
    }
}

impl Action {
    /// What it does, with other names for other nodes, and without what is done in each piece of work: two actions of which
    /// this is equal keep the same state while they are under way.
    pub(crate) fn meaning(&self, to: Renaming<'_>) -> Self {
        match self {
            Self::Do(body) => Self::Do(body.kind()),
            Self::Map(map) => Self::Map(Map {
                over: map.over.renamed(to),
                body: map.body.kind(),
                enough: map.enough.as_ref().map(|enough| Enough { when: enough.when.renamed(to), ..enough.clone() }),
                ..map.clone()
            }),
            Self::Repeat(repeat) => Self::Repeat(Repeat {
                body: repeat.body.kind(),
                until: repeat.until.renamed(to),
                whilst: repeat.whilst.as_ref().map(|whilst| whilst.renamed(to)),
                most: repeat.most,
            }),
            Self::Delegate(delegate) => {
                let mut same = Delegate { work: Work::new(""), ..delegate.clone() };
                if let Gather::Work(work) = &mut same.gather {
                    *work = Work::new("");
                }
                Self::Delegate(same)
            }
            Self::States(states) => Self::States(states.meaning(to)),
            Self::Race { offers } => {
                let mut offers = offers.clone();
                offers.iter_mut().for_each(|offer| offer.on = offer.on.renamed(to));
                Self::Race { offers }
            }
            Self::Choose { .. } | Self::Wait { .. } | Self::Pass | Self::Stop | Self::Fail(_) => self.clone(),
        }
    }

    /// Whether what has been done by one can stand as done by the other.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let body = |action: &Self| match action {
            Self::Do(body) | Self::Map(Map { body, .. }) | Self::Repeat(Repeat { body, .. }) => Some(body.kind()),
            Self::Choose { .. }
            | Self::Delegate(_)
            | Self::Wait { .. }
            | Self::Race { .. }
            | Self::Pass
            | Self::States(_)
            | Self::Stop
            | Self::Fail(_) => None,
        };
        core::mem::discriminant(self) == core::mem::discriminant(other) && body(self) == body(other)
    }
}

impl States {
    fn meaning(&self, to: Renaming<'_>) -> Self {
        let mut states = self.clone();
        for state in &mut states.states {
            state.body = state.body.as_ref().map(Body::kind);
            state.undo = None;
            state.input = Expr::Item;
            for way in &mut state.next {
                way.when = way.when.renamed(to);
            }
        }
        states
    }
}

impl Occasion {
    fn renamed(&self, to: Renaming<'_>) -> Self {
        match self {
            Self::Signal { signal, matching } => {
                Self::Signal { signal: signal.clone(), matching: matching.renamed(to) }
            }
            Self::After(span) => Self::After(*span),
            // The moment was told when the wait began.
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
    /// The same handler, with other names for other nodes.
    pub(crate) fn renamed(&self, to: Renaming<'_>) -> Self {
        let on = match &self.on {
            Boundary::Signal { signal, matching } => {
                Boundary::Signal { signal: signal.clone(), matching: matching.renamed(to) }
            }
            Boundary::Error { .. } | Boundary::Timeout(_) | Boundary::Cancel => self.on.clone(),
        };
        Self { on, ..self.clone() }
    }
}

impl Definition {
    /// The names of the signals that some node waits for, here or in a workflow within.
    pub(crate) fn listens_to(&self, signal: &Name) -> bool {
        self.nodes.iter().any(|node| {
            let handled = node
                .handlers
                .iter()
                .any(|handler| matches!(&handler.on, Boundary::Signal { signal: on, .. } if on == signal));
            handled || node.action.listens_to(signal)
        })
    }
}

impl Action {
    fn listens_to(&self, wanted: &Name) -> bool {
        match self {
            Self::Wait { signal, .. } => signal.as_ref() == Some(wanted),
            Self::Race { offers } => {
                offers.iter().any(|offer| matches!(&offer.on, Occasion::Signal { signal, .. } if signal == wanted))
            }
            Self::Choose { .. } | Self::Delegate(_) | Self::Pass | Self::Stop | Self::Fail(_) => false,
            Self::Do(_) | Self::Map(_) | Self::Repeat(_) | Self::States(_) => {
                self.flows().any(|flow| flow.listens_to(wanted))
            }
        }
    }
}
