//! Values: parts of the input and of outputs, without a node of their own.

use super::draft::{Datum, Draft};
use super::source::Source;
use crate::definition::Expr;
use core::fmt;
use core::marker::PhantomData;

/// A `T` that is available when the workflow runs: its input, a constant, or a part of the output of a node.
///
/// ```
/// use counterpoint::workflow::Workflow;
///
/// let flow = Workflow::<serde_json::Value, (String, u32)>::named("shape");
/// let name = flow.input().field::<String>("/customer/name");
/// let count = flow.input().field::<Option<u32>>("/count").or(flow.constant(1));
/// let shape = flow.output((name, count))?;
/// let output = serde_json::to_string(&shape.definition().output).unwrap();
/// assert_eq!(output, r#"{"list":[{"at":["input","/customer/name"]},{"first":[{"at":["input","/count"]},{"const":1}]}]}"#);
/// # Ok::<(), counterpoint::workflow::DefinitionError>(())
/// ```
pub struct Value<'f, T> {
    draft: &'f Draft,
    datum: usize,
    types: PhantomData<fn() -> T>,
}

impl<T> Clone for Value<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Value<'_, T> {}

impl<T> fmt::Debug for Value<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({})", core::any::type_name::<T>())
    }
}

impl<'f, T> Value<'f, T> {
    pub(super) fn keep(draft: &'f Draft, datum: Datum) -> Self {
        Self { draft, datum: draft.keep(datum), types: PhantomData }
    }

    pub(super) fn seen_from(self, draft: &Draft) -> Datum {
        if draft.owns(self.draft) { draft.datum(self.datum) } else { Datum::default() }
    }

    /// The part at a JSON pointer. The caller asserts that it is a `U`; a step that gets another type of input fails
    /// with an error that names it.
    #[must_use]
    pub fn field<U>(self, pointer: &str) -> Value<'f, U> {
        let Datum { expr, after } = self.draft.datum(self.datum);
        Value::keep(self.draft, Datum { expr: expr.at(pointer), after })
    }
}

impl<'f, T> Value<'f, Option<T>> {
    /// This value, or the other one if this is `None`.
    #[must_use]
    pub fn or(self, other: impl Source<'f, T>) -> Value<'f, T> {
        let parts = vec![self.draft.datum(self.datum), other.datum(self.draft).0];
        Value::keep(self.draft, Datum::join(parts, Expr::First))
    }
}
