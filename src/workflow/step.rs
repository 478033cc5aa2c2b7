//! Steps and their compensations and queries.

use super::attempt::Attempt;
use crate::base::name::Name;
use crate::task::{Failure, Needs, Policy, Tier};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A step of a workflow, with a kind, an input and an output.
///
/// The same type declares a task to the [builder](crate::workflow::Workflow) and performs it in the
/// [`Steps`](crate::workflow::Steps) of an agent. The two need not be in the same process: the kind connects them.
///
/// A step may be performed more than once: if the answer of an attempt is lost, the task is tried again. Requests to
/// external systems should carry [`Attempt::idempotency_key`], which is the same for all attempts.
///
/// ```
/// use counterpoint::Failure;
/// use counterpoint::workflow::{Attempt, Step};
///
/// struct Double;
///
/// impl Step for Double {
///     const KIND: &'static str = "double";
///     type Input = u32;
///     type Output = u32;
///
///     fn run(&self, input: u32, _: &Attempt) -> Result<u32, Failure> {
///         input.checked_mul(2).ok_or_else(|| Failure::permanent("too large to double"))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a step that a call performs",
    note = "implement `counterpoint::workflow::Step` for it; an `AsyncStep` is added to `AsyncSteps`"
)]
pub trait Step {
    /// The kind of the task, and the skill that an agent needs unless [`needs`](Self::needs) is overridden.
    const KIND: &'static str;
    /// The input.
    type Input: Serialize + DeserializeOwned;
    /// The output.
    type Output: Serialize + DeserializeOwned;

    /// Performs the step.
    ///
    /// # Errors
    ///
    /// A [`Failure`], whose kind determines whether the task is tried again. A step that cannot determine whether its
    /// work was done must return [`Failure::unknown`].
    fn run(&self, input: Self::Input, attempt: &Attempt) -> Result<Self::Output, Failure>;

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

/// A step that can be compensated. The compensating task has the kind `"{KIND}.undo"`.
///
/// ```
/// use counterpoint::Failure;
/// use counterpoint::workflow::{Attempt, Done, Step, Undo};
///
/// struct Reserve;
///
/// impl Step for Reserve {
///     const KIND: &'static str = "reserve";
///     type Input = String;
///     type Output = u64;
///
///     fn run(&self, item: String, attempt: &Attempt) -> Result<u64, Failure> {
///         println!("reserve {item}, as request {}", attempt.task());
///         Ok(17)
///     }
/// }
///
/// impl Undo for Reserve {
///     fn undo(&self, done: Done<String, u64>, _: &Attempt) -> Result<(), Failure> {
///         match done.output {
///             Some(reservation) => println!("release reservation {reservation}"),
///             None => println!("release whatever was reserved of {}", done.input),
///         }
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the step `{Self}` cannot be undone",
    note = "implement `counterpoint::workflow::Undo` for it, or specify it by `StepSpec::new(..).undoable()`; a workflow within the \
            workflow undoes itself"
)]
pub trait Undo: Step {
    /// Undoes the work. Like [`run`](Step::run), it may be performed more than once. It is also performed if it is
    /// unknown whether the work was done ([`Done::certain`] is false), and must then succeed if there is nothing to
    /// undo.
    ///
    /// # Errors
    ///
    /// A [`Failure`]. When the attempts are used up, the run waits for an operator; it does not count as compensated.
    fn undo(&self, done: Done<Self::Input, Self::Output>, attempt: &Attempt) -> Result<(), Failure>;

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

/// A step with a query that finds out whether its work was done, for attempts with an unknown outcome. The querying
/// task has the kind `"{KIND}.query"`.
///
/// ```
/// use counterpoint::Failure;
/// use counterpoint::workflow::{Attempt, Query, Step, Steps};
///
/// struct Charge;
///
/// impl Step for Charge {
///     const KIND: &'static str = "charge";
///     type Input = u64;
///     type Output = String;
///
///     fn run(&self, cents: u64, _: &Attempt) -> Result<String, Failure> {
///         Err(Failure::unknown(format!("no answer from the bank about {cents} cents")))
///     }
/// }
///
/// impl Query for Charge {
///     fn find(&self, cents: u64, _: &Attempt) -> Result<Option<String>, Failure> {
///         Ok((cents < 100).then(|| "a receipt".to_owned())) // what the bank says it has booked
///     }
/// }
///
/// let kinds: Vec<String> = Steps::new().with_query(Charge).kinds().map(|kind| kind.to_string()).collect();
/// assert_eq!(kinds, ["charge", "charge.query"]);
/// ```
#[diagnostic::on_unimplemented(
    message = "the step `{Self}` has no query for whether its work was done",
    note = "implement `counterpoint::workflow::Query` for it"
)]
pub trait Query: Step {
    /// Finds out whether the work was done: returns its output if it was, and `None` if it was not and never will be.
    ///
    /// # Errors
    ///
    /// A [`Failure`]. When the attempts are used up, the outcome stays unknown, and the step is compensated as one that
    /// may have been done.
    fn find(&self, input: Self::Input, attempt: &Attempt) -> Result<Option<Self::Output>, Failure>;

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

/// The work that a compensation undoes.
///
/// ```
/// use counterpoint::Payload;
/// use counterpoint::workflow::Done;
///
/// let done: Done<String, u64> = serde_json::from_str(r#"{"input": "tea", "output": null, "certain": false}"#)?;
/// assert!(done.output.is_none() && !done.certain);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Done<I, O> {
    /// The input of the step.
    pub input: I,
    /// The output of the step, if it is known.
    pub output: Option<O>,
    /// Whether the work was certainly done. Otherwise the outcome of an attempt is unknown, and it may have been done.
    pub certain: bool,
}

impl<I, O> Done<I, O> {
    /// Work with this input that gave this output.
    #[must_use]
    pub const fn certainly(input: I, output: O) -> Self {
        Self { input, output: Some(output), certain: true }
    }

    /// Work with this input that may or may not have been done.
    #[must_use]
    pub const fn perhaps(input: I) -> Self {
        Self { input, output: None, certain: false }
    }
}

macro_rules! through {
    ($($pointer:ty),*) => {$(
        impl<S: Step> Step for $pointer {
            const KIND: &'static str = S::KIND;
            type Input = S::Input;
            type Output = S::Output;

            fn run(&self, input: Self::Input, attempt: &Attempt) -> Result<Self::Output, Failure> {
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

        impl<S: Undo> Undo for $pointer {
            fn undo(&self, done: Done<Self::Input, Self::Output>, attempt: &Attempt) -> Result<(), Failure> {
                S::undo(self, done, attempt)
            }

            fn undo_policy() -> Policy {
                S::undo_policy()
            }
        }

        impl<S: Query> Query for $pointer {
            fn find(&self, input: Self::Input, attempt: &Attempt) -> Result<Option<Self::Output>, Failure> {
                S::find(self, input, attempt)
            }

            fn query_policy() -> Policy {
                S::query_policy()
            }
        }
    )*};
}

through!(&S, Arc<S>);
