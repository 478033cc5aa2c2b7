//! The kinds of nodes, as types that determine the settings of a handle.

use crate::base::name::Name;
use crate::definition::{Body, Call, Work};
use crate::task::{Needs, Policy, Tier};
use crate::workflow::spec::undo_kind;
use crate::workflow::{Flow, Query, Step, StepSpec, Undo, UndoSpec};
use core::marker::PhantomData;
use std::sync::Arc;

/// A node without further settings.
#[derive(Debug)]
pub struct Plain(());

/// A node that performs the work `B` once.
#[derive(Debug)]
pub struct Once<B>(PhantomData<B>);

/// A node that performs the work `B` for each item of a list.
#[derive(Debug)]
pub struct Mapped<B>(PhantomData<B>);

/// A node that performs the work `B` until a condition holds.
#[derive(Debug)]
pub struct Repeated<B>(PhantomData<B>);

/// A node whose work `B` may be delegated in parts.
#[derive(Debug)]
pub struct Delegating<B>(PhantomData<B>);

/// A node that waits for a signal.
#[derive(Debug)]
pub struct Waits(());

/// A call of a durable function that waits for a decision.
#[cfg(feature = "functions")]
#[derive(Debug)]
pub struct Decides(());

/// A call of a durable function that is a save-point.
#[cfg(feature = "functions")]
#[derive(Debug)]
pub struct Saves(());

/// A node that starts when a number of its links are taken.
#[derive(Debug)]
pub struct Counted(());

#[expect(unnameable_types, reason = "that is what seals")]
mod sealed {
    /// Prevents other crates from implementing the traits.
    pub trait Sealed {}
}

use sealed::Sealed;

impl<B> Sealed for Once<B> {}
impl<B> Sealed for Mapped<B> {}
impl<B> Sealed for Repeated<B> {}
impl<B> Sealed for Delegating<B> {}
impl Sealed for Counted {}

/// Nodes that perform work.
#[diagnostic::on_unimplemented(message = "only a node that does work can be a pivot")]
pub trait Works: Sealed {}

impl<B> Works for Once<B> {}
impl<B> Works for Mapped<B> {}
impl<B> Works for Repeated<B> {}
impl<B> Works for Delegating<B> {}

/// Nodes whose work is a task.
#[diagnostic::on_unimplemented(message = "only a node whose work is a step has retries, timeouts, needs and a tier")]
pub trait Tasks: Works {
    /// The input of the node, if that is also the input of its step.
    type Single;
}

impl<S: Form> Tasks for Once<S> {
    type Single = S::Input;
}

impl<S: Form> Tasks for Mapped<S> {
    type Single = NotOne;
}

impl<S: Form> Tasks for Repeated<S> {
    type Single = NotOne;
}

impl<S: Form> Tasks for Delegating<S> {
    type Single = NotOne;
}

/// Nodes with retries.
#[diagnostic::on_unimplemented(
    message = "this node has no retries of its own",
    note = "a map or a repeat of workflows has `retry_all`"
)]
pub trait Retries: Works {
    #[doc(hidden)]
    const OF: RetriesOf;
}

/// The owner of the retries of a node.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetriesOf {
    Task,
    Run,
}

impl<S: Form> Retries for Once<S> {
    const OF: RetriesOf = RetriesOf::Task;
}

impl<S: Form> Retries for Mapped<S> {
    const OF: RetriesOf = RetriesOf::Task;
}

impl<S: Form> Retries for Repeated<S> {
    const OF: RetriesOf = RetriesOf::Task;
}

impl<S: Form> Retries for Delegating<S> {
    const OF: RetriesOf = RetriesOf::Task;
}

impl<I, O> Retries for Once<Flow<I, O>> {
    const OF: RetriesOf = RetriesOf::Run;
}

impl Retries for Once<Call> {
    const OF: RetriesOf = RetriesOf::Run;
}

/// Nodes that perform their work several times, and can be retried as a whole.
#[diagnostic::on_unimplemented(message = "this node is no map and no repeat", note = "set its retries with `retry`")]
pub trait Several: Works {}

impl<B> Several for Mapped<B> {}
impl<B> Several for Repeated<B> {}

/// The `Single` type of a node that performs its work several times.
#[derive(Debug)]
pub struct NotOne(());

/// Nodes that can be compensated.
#[diagnostic::on_unimplemented(
    message = "this node cannot be undone",
    note = "implement `counterpoint::workflow::Undo` or `AsyncUndo` for its step, or specify it by \
            `StepSpec::new(..).undoable()`; a workflow within the workflow undoes itself"
)]
pub trait Undoable: Tasks {
    /// The compensation of work of this kind.
    #[doc(hidden)]
    fn undo(kind: &Name) -> Work;
}

impl<S: UndoForm> Undoable for Once<S> {
    fn undo(kind: &Name) -> Work {
        S::undo(kind)
    }
}

impl<S: UndoForm> Undoable for Mapped<S> {
    fn undo(kind: &Name) -> Work {
        S::undo(kind)
    }
}

impl<S: UndoForm> Undoable for Repeated<S> {
    fn undo(kind: &Name) -> Work {
        S::undo(kind)
    }
}

impl<S: UndoForm> Undoable for Delegating<S> {
    fn undo(kind: &Name) -> Work {
        S::undo(kind)
    }
}

/// Nodes with a query for unknown outcomes.
#[diagnostic::on_unimplemented(
    message = "this node has no query for whether its work was done",
    note = "implement `counterpoint::workflow::Query` or `AsyncQuery` for its step"
)]
pub trait Queryable: Tasks {
    #[doc(hidden)]
    fn query() -> Work;
}

impl<S: QueryForm> Queryable for Once<S> {
    fn query() -> Work {
        S::query()
    }
}

impl<S: QueryForm> Queryable for Mapped<S> {
    fn query() -> Work {
        S::query()
    }
}

impl<S: QueryForm> Queryable for Repeated<S> {
    fn query() -> Work {
        S::query()
    }
}

impl<S: QueryForm> Queryable for Delegating<S> {
    fn query() -> Work {
        S::query()
    }
}

/// Nodes that count their links.
pub trait Counts: Sealed {}

impl Counts for Counted {}

/// A step as a parameter of the kinds of nodes: a [`Step`], a specification, or a form of an asynchronous one.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a step")]
pub trait Form {
    /// The input of the step.
    type Input;
}

/// The [`Form`] of steps with a compensation.
#[diagnostic::on_unimplemented(
    message = "the step `{Self}` cannot be undone",
    note = "implement `counterpoint::workflow::Undo` or `AsyncUndo` for it, or specify it by `StepSpec::new(..).undoable()`"
)]
pub trait UndoForm: Form {
    #[doc(hidden)]
    fn undo(kind: &Name) -> Work;
}

/// The [`Form`] of steps with a query.
#[diagnostic::on_unimplemented(
    message = "the step `{Self}` has no query for whether its work was done",
    note = "implement `counterpoint::workflow::Query` or `AsyncQuery` for it"
)]
pub trait QueryForm: Form {
    #[doc(hidden)]
    fn query() -> Work;
}

impl<S: Step> Form for S {
    type Input = S::Input;
}

impl<S: Undo> UndoForm for S {
    fn undo(_: &Name) -> Work {
        Work::new(S::undo_kind()).with_policy(S::undo_policy())
    }
}

impl<S: Query> QueryForm for S {
    fn query() -> Work {
        Work::new(S::query_kind()).with_policy(S::query_policy())
    }
}

impl<I, O> Form for StepSpec<I, O> {
    type Input = I;
}

impl<I, O> Form for UndoSpec<I, O> {
    type Input = I;
}

impl<I, O> UndoForm for UndoSpec<I, O> {
    fn undo(kind: &Name) -> Work {
        Work::new(undo_kind(kind))
    }
}

/// The ways in which a node gets its work. The compiler infers them.
#[expect(clippy::exhaustive_enums, reason = "they have no values")]
pub mod by {
    /// A [`Step`](crate::workflow::Step): a call performs it.
    #[derive(Debug)]
    pub enum Call {}
    /// A [`StepSpec`](crate::workflow::StepSpec) or [`UndoSpec`](crate::workflow::UndoSpec): it is performed elsewhere.
    #[derive(Debug)]
    pub enum Spec {}
    /// A [`Flow`](crate::workflow::Flow) by reference: a child run performs it.
    #[derive(Debug)]
    pub enum Nesting {}
}

/// What the builder takes as a step: a [`Step`], an [`AsyncStep`](crate::workflow::AsyncStep), a [`StepSpec`] or an
/// [`UndoSpec`]. `M` is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a step of a workflow",
    note = "implement `counterpoint::workflow::Step` or `AsyncStep` for it, but not both; or use a `StepSpec`"
)]
pub trait AsStep<M>: step_sealed::Sealed<M> {
    /// The input.
    type Input;
    /// The output.
    type Output;
    /// The form of the step in the kind of its node.
    type Form: Form<Input = Self::Input>;

    /// The task of the step with the settings of the step; settings that it lacks have the defaults of the definition.
    #[doc(hidden)]
    fn work(&self) -> Work;
}

#[expect(unnameable_types, reason = "that is what seals")]
pub(in crate::workflow) mod step_sealed {
    /// Prevents other crates from implementing the trait.
    pub trait Sealed<M> {}
}

impl<S: Step> step_sealed::Sealed<by::Call> for S {}

impl<S: Step> AsStep<by::Call> for S {
    type Input = S::Input;
    type Output = S::Output;
    type Form = S;

    fn work(&self) -> Work {
        work_of(S::KIND, self.needs(), self.policy(), self.tier())
    }
}

impl<I, O> step_sealed::Sealed<by::Spec> for StepSpec<I, O> {}

impl<I, O> AsStep<by::Spec> for StepSpec<I, O> {
    type Input = I;
    type Output = O;
    type Form = Self;

    fn work(&self) -> Work {
        Work::new(self.kind())
    }
}

impl<I, O> step_sealed::Sealed<by::Spec> for UndoSpec<I, O> {}

impl<I, O> AsStep<by::Spec> for UndoSpec<I, O> {
    type Input = I;
    type Output = O;
    type Form = Self;

    fn work(&self) -> Work {
        Work::new(self.step().kind())
    }
}

/// The body of a map or a repeat: a step, or a workflow by reference. `M` is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a step of a workflow nor a `&Flow`",
    note = "implement `counterpoint::workflow::Step` or `AsyncStep` for it, but not both; or use a `StepSpec`"
)]
pub trait Doable<M>: task_sealed::Sealed<M> {
    /// The input.
    type Input;
    /// The output.
    type Output;
    /// The form of the work in the kind of its node.
    type Form;

    #[doc(hidden)]
    fn body(&self) -> Body;
    #[doc(hidden)]
    fn name(&self) -> Name;
}

#[expect(unnameable_types, reason = "that is what seals")]
mod task_sealed {
    /// Prevents other crates from implementing the trait.
    pub trait Sealed<M> {}
}

impl<M, S: AsStep<M>> task_sealed::Sealed<M> for S {}

impl<M, S: AsStep<M>> Doable<M> for S {
    type Input = S::Input;
    type Output = S::Output;
    type Form = S::Form;

    fn body(&self) -> Body {
        Body::Task(self.work())
    }

    fn name(&self) -> Name {
        self.work().kind
    }
}

impl<I, O> task_sealed::Sealed<by::Nesting> for &Flow<I, O> {}

impl<I, O> Doable<by::Nesting> for &Flow<I, O> {
    type Input = I;
    type Output = O;
    type Form = Self;

    fn body(&self) -> Body {
        Body::Flow(Arc::clone(self.definition()))
    }

    fn name(&self) -> Name {
        self.definition().name.clone()
    }
}

/// The task of a step with the settings of the step.
pub(in crate::workflow) fn work_of(kind: &str, needs: Needs, policy: Policy, tier: Option<Tier>) -> Work {
    let mut work = Work::new(kind).with_policy(policy);
    work.needs = (needs != Needs::skill(kind)).then_some(needs);
    work.tier = tier;
    work
}
