//! Variables of a run, as the builder hands them out.

use super::draft::{Datum, Draft};
use super::handle::Value;
use crate::base::name::Name;
use crate::definition::{Condition, Expr, Reducer, Variable};
use core::fmt;
use core::marker::PhantomData;

/// A variable of the run. Made by [`Workflow::variable`](super::Workflow::variable); written by
/// [`Handle::writes`](super::Handle::writes).
///
/// What a node sees of it is what the nodes have written that it is linked after, one way or another; using it makes no link.
pub struct VariableRef<'f, T> {
    draft: &'f Draft,
    place: usize,
    types: PhantomData<fn() -> T>,
}

impl<T> Clone for VariableRef<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for VariableRef<'_, T> {}

impl<T> fmt::Debug for VariableRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VariableRef({}: {})", self.place, core::any::type_name::<T>())
    }
}

impl<'f, T> VariableRef<'f, T> {
    pub(super) fn add(draft: &'f Draft, name: Name, reducer: Reducer) -> Self {
        Self { draft, place: draft.declare(Variable::new(name, reducer)), types: PhantomData }
    }

    /// What it is before anything is written.
    #[must_use]
    pub fn initially(self, value: impl Into<serde_json::Value>) -> Self {
        let value = value.into();
        self.draft.redeclare(self.place, |variable| variable.clone().with_initial(value));
        self
    }

    /// Which updates from outside it takes, asked of the value that is offered, as [`Expr::Item`](crate::definition::Expr::Item).
    #[must_use]
    pub fn updated_when(self, condition: Condition) -> Self {
        self.draft.redeclare(self.place, |variable| variable.clone().with_updates(condition));
        self
    }

    /// What who takes it sees of it: `None` if nothing was written and it begins with nothing.
    #[must_use]
    pub fn value(self) -> Value<'f, Option<T>> {
        let declared = self.draft.variable(self.place);
        let expr = declared.map_or_else(Expr::default, |variable| Expr::Variable(variable.name));
        Value::keep(self.draft, Datum::of(expr))
    }

    /// Its name, where it belongs to this draft.
    pub(super) fn name_in(self, draft: &Draft) -> Option<Name> {
        if draft.owns(self.draft) { self.draft.variable(self.place).map(|variable| variable.name) } else { None }
    }
}
