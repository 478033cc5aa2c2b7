//! Variables of a run in the builder.

use super::draft::{Datum, Draft};
use super::value::Value;
use crate::base::name::Name;
use crate::definition::{Condition, Expr, Reducer, Variable};
use core::fmt;
use core::marker::PhantomData;

/// A variable of the run. Created by [`Workflow::variable`](super::Workflow::variable); written by
/// [`Handle::writes`](super::Handle::writes).
///
/// A node reads the writes of the nodes that are causally before it. Using the variable creates no link.
pub struct VariableRef<'f, T> {
    draft: &'f Draft,
    index: usize,
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
        write!(f, "VariableRef({}: {})", self.index, core::any::type_name::<T>())
    }
}

impl<'f, T> VariableRef<'f, T> {
    pub(super) fn add(draft: &'f Draft, name: Name, reducer: Reducer) -> Self {
        Self { draft, index: draft.declare(Variable::new(name, reducer)), types: PhantomData }
    }

    /// Sets the initial value.
    #[must_use]
    pub fn initially(self, value: impl Into<serde_json::Value>) -> Self {
        let value = value.into();
        self.draft.redeclare(self.index, |variable| variable.clone().with_initial(value));
        self
    }

    /// Sets the condition under which an update from outside is accepted, with the new value as
    /// [`Expr::Item`](crate::definition::Expr::Item).
    #[must_use]
    pub fn updated_when(self, condition: Condition) -> Self {
        self.draft.redeclare(self.index, |variable| variable.clone().with_updates(condition));
        self
    }

    /// The value as the reader sees it: `None` if nothing was written and there is no initial value.
    #[must_use]
    pub fn value(self) -> Value<'f, Option<T>> {
        let declared = self.draft.variable(self.index);
        let expr = declared.map_or_else(Expr::default, |variable| Expr::Variable(variable.name));
        Value::keep(self.draft, Datum::of(expr))
    }

    /// Its name, if it belongs to this draft.
    pub(super) fn name_in(self, draft: &Draft) -> Option<Name> {
        if draft.owns(self.draft) { self.draft.variable(self.index).map(|variable| variable.name) } else { None }
    }
}
