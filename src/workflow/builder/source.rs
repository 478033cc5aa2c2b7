//! Inputs of steps: handles, values, and tuples and lists of them.

use super::draft::{Datum, Draft};
use super::handle::Handle;
use super::value::Value;
use crate::definition::Expr;
use sealed::{Hidden, Sealed};

/// A source of a `T` when the workflow runs: the input of a step.
///
/// Handles and values are sources of their own type; a tuple of sources is a source of a tuple, and an array or a `Vec`
/// of sources is a source of a list. The trait is sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not give a `{T}`",
    label = "this is not a source of a `{T}`",
    note = "a handle gives the output type of its step; tuples and lists of handles give tuples and lists"
)]
pub trait Source<'f, T>: Sealed {
    #[doc(hidden)]
    fn datum(self, draft: &Draft) -> Hidden;
}

/// Several nodes with outputs of the same type, for joins: a tuple, an array or a `Vec` of handles.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a collection of handles that all give a `{T}`",
    note = "write a tuple, an array or a Vec of handles"
)]
pub trait Branches<'f, T>: Sealed {
    #[doc(hidden)]
    fn nodes(self) -> Vec<Handle<'f, T>>;
}

#[expect(unnameable_types, reason = "that is what seals")]
mod sealed {
    /// Prevents other crates from implementing the traits.
    pub trait Sealed {}

    /// Data that is opaque outside of the builder.
    #[derive(Debug)]
    pub struct Hidden(pub(in super::super) super::Datum);
}

impl<T, K> Sealed for Handle<'_, T, K> {}

impl<'f, T, K> Source<'f, T> for Handle<'f, T, K> {
    fn datum(self, draft: &Draft) -> Hidden {
        Hidden(self.seen_from(draft))
    }
}

impl<T> Sealed for Value<'_, T> {}

impl<'f, T> Source<'f, T> for Value<'f, T> {
    fn datum(self, draft: &Draft) -> Hidden {
        Hidden(self.seen_from(draft))
    }
}

fn list<'f, T, S: Source<'f, T>>(items: impl IntoIterator<Item = S>, draft: &Draft) -> Hidden {
    let parts = items.into_iter().map(|item| item.datum(draft).0).collect();
    Hidden(Datum::join(parts, Expr::List))
}

impl<S: Sealed> Sealed for Vec<S> {}

impl<'f, T, S: Source<'f, T>> Source<'f, Vec<T>> for Vec<S> {
    fn datum(self, draft: &Draft) -> Hidden {
        list(self, draft)
    }
}

impl<'f, T, K> Branches<'f, T> for Vec<Handle<'f, T, K>> {
    fn nodes(self) -> Vec<Handle<'f, T>> {
        self.into_iter().map(Handle::plain).collect()
    }
}

impl<S: Sealed, const N: usize> Sealed for [S; N] {}

impl<'f, T, S: Source<'f, T>, const N: usize> Source<'f, Vec<T>> for [S; N] {
    fn datum(self, draft: &Draft) -> Hidden {
        list(self, draft)
    }
}

impl<'f, T, S: Source<'f, T>, const N: usize> Source<'f, [T; N]> for [S; N] {
    fn datum(self, draft: &Draft) -> Hidden {
        list(self, draft)
    }
}

impl<'f, T, K, const N: usize> Branches<'f, T> for [Handle<'f, T, K>; N] {
    fn nodes(self) -> Vec<Handle<'f, T>> {
        self.into_iter().map(Handle::plain).collect()
    }
}

macro_rules! tuples {
    ($(($($source:ident $of:ident $field:tt),+))*) => {$(
        impl<$($source: Sealed),+> Sealed for ($($source,)+) {}

        impl<'f, $($of, $source: Source<'f, $of>),+> Source<'f, ($($of,)+)> for ($($source,)+) {
            fn datum(self, draft: &Draft) -> Hidden {
                let parts = vec![$(self.$field.datum(draft).0),+];
                Hidden(Datum::join(parts, Expr::List))
            }
        }

        impl<'f, T, $($of),+> Branches<'f, T> for ($(Handle<'f, T, $of>,)+) {
            fn nodes(self) -> Vec<Handle<'f, T>> {
                vec![$(self.$field.plain()),+]
            }
        }
    )*};
}

tuples! {
    (S0 T0 0)
    (S0 T0 0, S1 T1 1)
    (S0 T0 0, S1 T1 1, S2 T2 2)
    (S0 T0 0, S1 T1 1, S2 T2 2, S3 T3 3)
    (S0 T0 0, S1 T1 1, S2 T2 2, S3 T3 3, S4 T4 4)
    (S0 T0 0, S1 T1 1, S2 T2 2, S3 T3 3, S4 T4 4, S5 T5 5)
    (S0 T0 0, S1 T1 1, S2 T2 2, S3 T3 3, S4 T4 4, S5 T5 5, S6 T6 6)
    (S0 T0 0, S1 T1 1, S2 T2 2, S3 T3 3, S4 T4 4, S5 T5 5, S6 T6 6, S7 T7 7)
}
