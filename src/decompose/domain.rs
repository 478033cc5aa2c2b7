//! The knowledge of a planner: operators, and methods that decompose goals.

use crate::base::name::Name;
use crate::task::{Needs, Tier};
use core::fmt;
use serde_json::Value;
use std::collections::BTreeMap;

/// A state of the world, by name.
pub type Facts = BTreeMap<Name, Value>;

/// A goal or action: a name and its arguments.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Goal {
    /// The name of an operator or of methods.
    pub name: Name,
    /// The arguments.
    pub about: Vec<Value>,
}

impl Goal {
    /// A goal with these arguments.
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

/// The decomposition of a goal: subgoals and their order.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Split {
    /// The subgoals, in planning order.
    pub goals: Vec<Goal>,
    /// Pairs of indexes: the first precedes the second. None: each precedes the next.
    pub before: Option<Vec<(usize, usize)>>,
}

impl Split {
    /// Subgoals in sequence.
    #[must_use]
    pub fn sequence(goals: impl IntoIterator<Item = Goal>) -> Self {
        Self { goals: goals.into_iter().collect(), before: None }
    }

    /// Subgoals in a partial order, given as pairs of indexes. Subgoals without an order can run at the same time, so the method must
    /// ensure that they are independent. They are planned in the order of the list.
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

/// The operators and methods of a planning domain.
///
/// An operator returns the state after it, or none if it is not applicable. A method returns a decomposition, or none if it does not
/// apply; the methods of a goal are tried in the order in which they were added.
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

    /// Sets the needs and the tier of tasks for the last operator of this name.
    #[must_use]
    pub fn with_work(mut self, operator: &str, needs: Option<Needs>, tier: Option<Tier>) -> Self {
        if let Some(operator) = self.operators.get_mut(operator) {
            (operator.needs, operator.tier) = (needs, tier);
        }
        self
    }

    /// Adds a method for a goal, after its existing ones.
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
