//! What a planner knows: operators that act, methods that split.

use crate::name::Name;
use crate::task::{Needs, Tier};
use core::fmt;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is the case, by name.
pub type Facts = BTreeMap<Name, Value>;

/// Something to be done: a name and what it is about.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Goal {
    /// What: the name of an operator, or of methods.
    pub name: Name,
    /// About what.
    pub about: Vec<Value>,
}

impl Goal {
    /// A goal about these things.
    #[must_use]
    pub fn new<V: Into<Value>>(name: impl Into<Name>, about: impl IntoIterator<Item = V>) -> Self {
        Self { name: name.into(), about: about.into_iter().map(Into::into).collect() }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about: Vec<String> =
            self.about.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect();
        write!(f, "{}({})", self.name, about.join(", "))
    }
}

/// What a method splits a goal into: subgoals, and which come before which.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Split {
    /// The subgoals, in the order in which they are planned.
    pub goals: Vec<Goal>,
    /// Pairs of places: the first comes before the second. None: each before the next.
    pub before: Option<Vec<(usize, usize)>>,
}

impl Split {
    /// One after the other.
    #[must_use]
    pub fn sequence(goals: impl IntoIterator<Item = Goal>) -> Self {
        Self { goals: goals.into_iter().collect(), before: None }
    }

    /// Only as these pairs of places say; what no pair orders may be done at the same time. That is a promise of the method: what
    /// is not ordered must not depend on each other. It is planned in the order of the list.
    #[must_use]
    pub fn partial(goals: impl IntoIterator<Item = Goal>, before: impl IntoIterator<Item = (usize, usize)>) -> Self {
        Self { goals: goals.into_iter().collect(), before: Some(before.into_iter().collect()) }
    }
}

type Apply = dyn Fn(&Facts, &[Value]) -> Option<Facts> + Send + Sync;
type Divide = dyn Fn(&Facts, &[Value]) -> Option<Split> + Send + Sync;

pub(super) struct Operator {
    pub(super) apply: Box<Apply>,
    pub(super) needs: Option<Needs>,
    pub(super) tier: Option<Tier>,
}

pub(super) struct Method {
    pub(super) name: Name,
    pub(super) split: Box<Divide>,
}

/// The operators and methods of a field of work.
///
/// An operator says what is the case after it, or nothing if it cannot be done. A method says how a goal is split, or nothing if
/// it does not apply; the methods of a goal are tried in the order in which they were added.
#[derive(Default)]
pub struct Domain {
    pub(super) operators: BTreeMap<Name, Operator>,
    pub(super) methods: BTreeMap<Name, Vec<Method>>,
}

impl Domain {
    /// Adds an operator.
    #[must_use]
    pub fn with_operator(
        mut self,
        name: impl Into<Name>,
        apply: impl Fn(&Facts, &[Value]) -> Option<Facts> + Send + Sync + 'static,
    ) -> Self {
        self.operators.insert(name.into(), Operator { apply: Box::new(apply), needs: None, tier: None });
        self
    }

    /// Says what the last of the operators of this name needs of an agent, and how urgent it is, when its steps become tasks.
    #[must_use]
    pub fn with_work(mut self, operator: &str, needs: Option<Needs>, tier: Option<Tier>) -> Self {
        if let Some(operator) = self.operators.get_mut(operator) {
            (operator.needs, operator.tier) = (needs, tier);
        }
        self
    }

    /// Adds a method for a goal, after those that it has.
    #[must_use]
    pub fn with_method(
        mut self,
        goal: impl Into<Name>,
        name: impl Into<Name>,
        split: impl Fn(&Facts, &[Value]) -> Option<Split> + Send + Sync + 'static,
    ) -> Self {
        self.methods.entry(goal.into()).or_default().push(Method { name: name.into(), split: Box::new(split) });
        self
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods: Vec<&Name> = self.methods.values().flatten().map(|method| &method.name).collect();
        f.debug_struct("Domain").field("operators", &self.operators.keys()).field("methods", &methods).finish()
    }
}
