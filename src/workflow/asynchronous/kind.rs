//! Asynchronous steps as the builder of workflows takes them.

use super::step::{AsyncQuery, AsyncStep, AsyncUndo};
use crate::base::name::Name;
use crate::definition::Work;
use crate::workflow::builder::kind::{AsStep, Form, QueryForm, UndoForm, step_sealed, work_of};
use core::marker::PhantomData;

/// An [`AsyncStep`] as the work of a node. The compiler infers it.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "it has no values")]
pub enum Awaiting {}

/// The form of a step that a future performs.
#[derive(Debug)]
pub struct Awaited<S>(PhantomData<S>);

impl<S: AsyncStep> Form for Awaited<S> {
    type Input = S::Input;
}

impl<S: AsyncUndo> UndoForm for Awaited<S> {
    fn undo(_: &Name) -> Work {
        Work::new(S::undo_kind()).with_policy(S::undo_policy())
    }
}

impl<S: AsyncQuery> QueryForm for Awaited<S> {
    fn query() -> Work {
        Work::new(S::query_kind()).with_policy(S::query_policy())
    }
}

impl<S: AsyncStep> step_sealed::Sealed<Awaiting> for S {}

impl<S: AsyncStep> AsStep<Awaiting> for S {
    type Input = S::Input;
    type Output = S::Output;
    type Form = Awaited<S>;

    fn work(&self) -> Work {
        work_of(S::KIND, self.needs(), self.policy(), self.tier())
    }
}
