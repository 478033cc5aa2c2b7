//! Steps whose work is a future, with their compensations and queries.

use crate::base::name::Name;
use crate::task::{Failure, Needs, Policy, Tier};
use crate::workflow::attempt::Attempt;
use crate::workflow::step::Done;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A [`Step`](crate::workflow::Step) whose work is a future: a call to a service or to a model that mostly waits.
///
/// The builder of workflows takes it like any other step. [`AsyncSteps`](super::AsyncSteps) performs it. A type implements one
/// of the two traits: the builder rejects a type that implements both, because it does not know which one is meant.
///
/// ```
/// use counterpoint::Failure;
/// use counterpoint::workflow::{AsyncStep, AsyncSteps, Attempt, Workflow};
///
/// struct Summarise;
///
/// impl AsyncStep for Summarise {
///     const KIND: &'static str = "summarise";
///     type Input = String;
///     type Output = String;
///
///     async fn run(&self, text: String, _: Attempt) -> Result<String, Failure> {
///         text.split('.').next().map(str::to_owned).ok_or_else(|| Failure::permanent("nothing to say"))
///     }
/// }
///
/// let flow = Workflow::<Vec<String>, Vec<String>>::named("digest");
/// let digest = flow.output(flow.map(Summarise, flow.input()))?;
/// let steps = AsyncSteps::new().with(Summarise);
/// # Ok::<(), counterpoint::workflow::DefinitionError>(())
/// ```
///
/// A host on threads does not perform it:
///
/// ```compile_fail,E0277
/// # use counterpoint::Failure;
/// # use counterpoint::workflow::{AsyncStep, Attempt, Steps};
/// # struct Summarise;
/// # impl AsyncStep for Summarise {
/// #     const KIND: &'static str = "summarise";
/// #     type Input = String;
/// #     type Output = String;
/// #     async fn run(&self, text: String, _: Attempt) -> Result<String, Failure> { Ok(text) }
/// # }
/// let steps = Steps::new().with(Summarise); // `AsyncSteps::new()`
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a step that a future performs",
    note = "implement `counterpoint::workflow::AsyncStep` for it; a `Step` is added to `Steps`, and they by `AsyncSteps::with_steps`"
)]
pub trait AsyncStep: Send + Sync {
    /// The kind of the task, and the skill that an agent needs unless [`needs`](Self::needs) is overridden.
    const KIND: &'static str;
    /// The input.
    type Input: Serialize + DeserializeOwned + Send;
    /// The output.
    type Output: Serialize + DeserializeOwned + Send;

    /// Performs the step.
    ///
    /// # Errors
    ///
    /// A [`Failure`], whose kind determines whether the task is tried again. A step that cannot determine whether its
    /// work was done must return [`Failure::unknown`].
    fn run(&self, input: Self::Input, attempt: Attempt) -> impl Future<Output = Result<Self::Output, Failure>> + Send;

    /// The requirements on agents.
    fn needs(&self) -> Needs {
        Needs::skill(Self::KIND)
    }

    /// The default retries and timeouts.
    fn policy(&self) -> Policy {
        Policy::default()
    }

    /// The default tier; none for the tier of the run.
    fn tier(&self) -> Option<Tier> {
        None
    }
}

/// An [`AsyncStep`] that can be compensated. The compensating task has the kind `"{KIND}.undo"`.
///
/// ```
/// use counterpoint::Failure;
/// use counterpoint::workflow::{AsyncStep, AsyncSteps, AsyncUndo, Attempt, Done, Workflow};
///
/// struct Publish;
///
/// impl AsyncStep for Publish {
///     const KIND: &'static str = "publish";
///     type Input = String;
///     type Output = u64;
///
///     async fn run(&self, _page: String, _: Attempt) -> Result<u64, Failure> {
///         Ok(17)
///     }
/// }
///
/// impl AsyncUndo for Publish {
///     async fn undo(&self, done: Done<String, u64>, _: Attempt) -> Result<(), Failure> {
///         println!("withdraw page {:?}", done.output);
///         Ok(())
///     }
/// }
///
/// let flow = Workflow::<String, u64>::named("site");
/// let site = flow.output(flow.step(Publish, flow.input()).undoable())?;
/// assert_eq!(AsyncSteps::new().with_undo(Publish).kinds().count(), 2);
/// # Ok::<(), counterpoint::workflow::DefinitionError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "the step `{Self}` cannot be undone by a future",
    note = "implement `counterpoint::workflow::AsyncUndo` for it"
)]
pub trait AsyncUndo: AsyncStep {
    /// Undoes the work. Like [`run`](AsyncStep::run), it may be performed more than once. It is also performed if it is
    /// unknown whether the work was done ([`Done::certain`] is false), and must then succeed if there is nothing to
    /// undo.
    ///
    /// # Errors
    ///
    /// A [`Failure`]. When the attempts are used up, the run waits for an operator; it does not count as compensated.
    fn undo(
        &self,
        done: Done<Self::Input, Self::Output>,
        attempt: Attempt,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// The default retries and timeouts of the compensation.
    #[must_use]
    fn undo_policy() -> Policy {
        Policy::default()
    }

    /// The kind of the compensating task.
    #[must_use]
    fn undo_kind() -> Name {
        Name::from(format!("{}.undo", Self::KIND))
    }
}

/// An [`AsyncStep`] with a query that finds out whether its work was done, for attempts with an unknown outcome. The querying
/// task has the kind `"{KIND}.query"`.
#[diagnostic::on_unimplemented(
    message = "the step `{Self}` has no query by a future for whether its work was done",
    note = "implement `counterpoint::workflow::AsyncQuery` for it"
)]
pub trait AsyncQuery: AsyncStep {
    /// Finds out whether the work was done: returns its output if it was, and `None` if it was not and never will be.
    ///
    /// # Errors
    ///
    /// A [`Failure`]. When the attempts are used up, the outcome stays unknown, and the step is compensated as one that
    /// may have been done.
    fn find(
        &self,
        input: Self::Input,
        attempt: Attempt,
    ) -> impl Future<Output = Result<Option<Self::Output>, Failure>> + Send;

    /// The default retries and timeouts of the query.
    #[must_use]
    fn query_policy() -> Policy {
        Policy::default()
    }

    /// The kind of the querying task.
    #[must_use]
    fn query_kind() -> Name {
        Name::from(format!("{}.query", Self::KIND))
    }
}

/// The traits for a pointer to a step.
macro_rules! through {
    ($($pointer:ty),*) => {$(
        impl<S: AsyncStep> AsyncStep for $pointer {
            const KIND: &'static str = S::KIND;
            type Input = S::Input;
            type Output = S::Output;

            fn run(
                &self,
                input: Self::Input,
                attempt: Attempt,
            ) -> impl Future<Output = Result<Self::Output, Failure>> + Send {
                S::run(self, input, attempt)
            }

            fn needs(&self) -> Needs {
                S::needs(self)
            }

            fn policy(&self) -> Policy {
                S::policy(self)
            }

            fn tier(&self) -> Option<Tier> {
                S::tier(self)
            }
        }

        impl<S: AsyncUndo> AsyncUndo for $pointer {
            fn undo(
                &self,
                done: Done<Self::Input, Self::Output>,
                attempt: Attempt,
            ) -> impl Future<Output = Result<(), Failure>> + Send {
                S::undo(self, done, attempt)
            }

            fn undo_policy() -> Policy {
                S::undo_policy()
            }

            fn undo_kind() -> Name {
                S::undo_kind()
            }
        }

        impl<S: AsyncQuery> AsyncQuery for $pointer {
            fn find(
                &self,
                input: Self::Input,
                attempt: Attempt,
            ) -> impl Future<Output = Result<Option<Self::Output>, Failure>> + Send {
                S::find(self, input, attempt)
            }

            fn query_policy() -> Policy {
                S::query_policy()
            }

            fn query_kind() -> Name {
                S::query_kind()
            }
        }
    )*};
}

through!(&S, Arc<S>);
