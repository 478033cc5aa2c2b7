//! The kinds of nodes, as types that determine the settings of a handle.

use crate::base::name::Name;
use crate::definition::{Body, Call, Work};
use crate::task::Needs;
use crate::workflow::{Flow, Query, Step, Undo};
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

impl<S: Step> Tasks for Once<S> {
    type Single = S::Input;
}

impl<S: Step> Tasks for Mapped<S> {
    type Single = NotOne;
}

impl<S: Step> Tasks for Repeated<S> {
    type Single = NotOne;
}

impl<S: Step> Tasks for Delegating<S> {
    type Single = NotOne;
}

/// Nodes with retries.
#[diagnostic::on_unimplemented(
    message = "this node has no retries of its own",
    note = "put a map or a repeat of workflows in a workflow of its own, which has retries"
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

impl<S: Step> Retries for Once<S> {
    const OF: RetriesOf = RetriesOf::Task;
}

impl<S: Step> Retries for Mapped<S> {
    const OF: RetriesOf = RetriesOf::Task;
}

impl<S: Step> Retries for Repeated<S> {
    const OF: RetriesOf = RetriesOf::Task;
}

impl<S: Step> Retries for Delegating<S> {
    const OF: RetriesOf = RetriesOf::Task;
}

impl<I, O> Retries for Once<Flow<I, O>> {
    const OF: RetriesOf = RetriesOf::Run;
}

impl Retries for Once<Call> {
    const OF: RetriesOf = RetriesOf::Run;
}

/// The `Single` type of a node that performs its work several times.
#[derive(Debug)]
pub struct NotOne(());

/// Nodes that can be compensated.
#[diagnostic::on_unimplemented(
    message = "this node cannot be undone",
    note = "implement `counterpoint::workflow::Undo` for its step; a workflow within the workflow undoes itself"
)]
pub trait Undoable: Tasks {
    #[doc(hidden)]
    fn undo() -> Work;
}

impl<S: Undo> Undoable for Once<S> {
    fn undo() -> Work {
        undo_of::<S>()
    }
}

impl<S: Undo> Undoable for Mapped<S> {
    fn undo() -> Work {
        undo_of::<S>()
    }
}

impl<S: Undo> Undoable for Repeated<S> {
    fn undo() -> Work {
        undo_of::<S>()
    }
}

impl<S: Undo> Undoable for Delegating<S> {
    fn undo() -> Work {
        undo_of::<S>()
    }
}

/// Nodes with a query for unknown outcomes.
#[diagnostic::on_unimplemented(
    message = "this node has no query for whether its work was done",
    note = "implement `counterpoint::workflow::Query` for its step"
)]
pub trait Queryable: Tasks {
    #[doc(hidden)]
    fn query() -> Work;
}

impl<S: Query> Queryable for Once<S> {
    fn query() -> Work {
        query_of::<S>()
    }
}

impl<S: Query> Queryable for Mapped<S> {
    fn query() -> Work {
        query_of::<S>()
    }
}

impl<S: Query> Queryable for Repeated<S> {
    fn query() -> Work {
        query_of::<S>()
    }
}

impl<S: Query> Queryable for Delegating<S> {
    fn query() -> Work {
        query_of::<S>()
    }
}

/// Nodes that count their links.
pub trait Counts: Sealed {}

impl Counts for Counted {}

/// The body of a map or a repeat: a [`Step`], or a workflow by reference.
#[diagnostic::on_unimplemented(message = "`{Self}` is neither a `Step` nor a `&Flow`")]
pub trait Doable: task_sealed::Sealed {
    /// The input.
    type Input;
    /// The output.
    type Output;

    #[doc(hidden)]
    fn body(&self) -> Body;
    #[doc(hidden)]
    fn name(&self) -> Name;
}

#[expect(unnameable_types, reason = "that is what seals")]
mod task_sealed {
    /// Prevents other crates from implementing the trait.
    pub trait Sealed {}
}

impl<S: Step> task_sealed::Sealed for S {}

impl<S: Step> Doable for S {
    type Input = S::Input;
    type Output = S::Output;

    fn body(&self) -> Body {
        Body::Task(work_of(self))
    }

    fn name(&self) -> Name {
        S::KIND.into()
    }
}

impl<I, O> task_sealed::Sealed for &Flow<I, O> {}

impl<I, O> Doable for &Flow<I, O> {
    type Input = I;
    type Output = O;

    fn body(&self) -> Body {
        Body::Flow(Arc::clone(self.definition()))
    }

    fn name(&self) -> Name {
        self.definition().name.clone()
    }
}

/// The task of a step with the settings of the step; settings that it lacks have the defaults of the definition.
pub(super) fn work_of<S: Step>(step: &S) -> Work {
    let mut work = Work::new(S::KIND).with_policy(step.policy());
    let needs = step.needs();
    work.needs = (needs != Needs::skill(S::KIND)).then_some(needs);
    work.tier = step.tier();
    work
}

fn query_of<S: Query>() -> Work {
    Work::new(S::query_kind()).with_policy(S::query_policy())
}

fn undo_of<S: Undo>() -> Work {
    Work::new(S::undo_kind()).with_policy(S::undo_policy())
}
