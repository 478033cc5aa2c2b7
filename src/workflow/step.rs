//! What users write: a step, how it is undone, and what it can see of the attempt.

use crate::base::id::{AttemptId, TaskId};
use crate::base::name::Name;
use crate::task::{Failure, Needs, Policy, Tier};
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A piece of work with a name, an input and an output.
///
/// The same type says what a workflow needs (to the [builder](crate::workflow::Workflow)) and does the work (in the
/// [`Steps`](crate::workflow::Steps) of an agent). The two need not be in the same process: the kind is what links them.
///
/// An attempt may be made twice: when an answer is lost, the work was done and is tried again. What a step does to the
/// world should carry [`Attempt::task`], which stays the same over all attempts, so that the world can tell.
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
#[diagnostic::on_unimplemented(message = "`{Self}` is not a step of a workflow")]
pub trait Step {
    /// What sort of work it is: the task's kind, and the skill that an agent needs unless [`needs`](Self::needs) says
    /// otherwise.
    const KIND: &'static str;
    /// What it is given.
    type Input: Serialize + DeserializeOwned;
    /// What it gives back.
    type Output: Serialize + DeserializeOwned;

    /// Does the work.
    ///
    /// # Errors
    ///
    /// A [`Failure`] that says what it means for the next attempt. A step that cannot tell whether its work was done says
    /// [`Failure::unknown`] and nothing else.
    fn run(&self, input: Self::Input, attempt: &Attempt) -> Result<Self::Output, Failure>;

    /// Which agents can do it.
    fn needs(&self) -> Needs {
        Needs::skill(Self::KIND)
    }

    /// Its retries and timeouts, where a workflow does not say otherwise.
    fn policy(&self) -> Policy {
        Policy::default()
    }

    /// How urgent it is, where a workflow does not say otherwise; as urgent as the run if nothing is said.
    fn tier(&self) -> Option<Tier> {
        None
    }
}

/// A step that can be undone. The task that undoes it has the kind `"{KIND}.undo"`.
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
    note = "implement `counterpoint::workflow::Undo` for it; a workflow within the workflow undoes itself"
)]
pub trait Undo: Step {
    /// Undoes the work. Like [`run`](Step::run), it may be asked twice. It is also asked when the work may have been done
    /// and nobody knows ([`Done::certain`] is false), and must then succeed if there is nothing to undo.
    ///
    /// # Errors
    ///
    /// A [`Failure`]. When the attempts are used up, the run waits for an operator: it is never called compensated.
    fn undo(&self, done: Done<Self::Input, Self::Output>, attempt: &Attempt) -> Result<(), Failure>;

    /// Retries and timeouts of the undoing, where a workflow does not say otherwise.
    #[must_use]
    fn undo_policy() -> Policy {
        Policy::default()
    }

    /// The kind of the task that undoes this step.
    #[must_use]
    fn undo_kind() -> Name {
        Name::from(format!("{}.undo", Self::KIND))
    }
}

/// A step about which one can find out whether it has been done, for when its outcome is unknown. The task that finds out has
/// the kind `"{KIND}.query"`.
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
    message = "nobody can be asked whether the step `{Self}` has been done",
    note = "implement `counterpoint::workflow::Query` for it"
)]
pub trait Query: Step {
    /// Finds out whether the work has been done: what it gave if it has, none if it has not and never will.
    ///
    /// # Errors
    ///
    /// A [`Failure`]. When the attempts are used up, the outcome stays unknown, and the step is undone as one that may have
    /// been done.
    fn find(&self, input: Self::Input, attempt: &Attempt) -> Result<Option<Self::Output>, Failure>;

    /// Retries and timeouts of finding out, where a workflow does not say otherwise.
    #[must_use]
    fn query_policy() -> Policy {
        Policy::default()
    }

    /// The kind of the task that finds out about this step.
    #[must_use]
    fn query_kind() -> Name {
        Name::from(format!("{}.query", Self::KIND))
    }
}

/// What is to be undone.
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
    /// What the step was given.
    pub input: I,
    /// What it gave back, if that is known.
    pub output: Option<O>,
    /// Whether it is certain that the work was done. If not, it may have been: some attempt's outcome is unknown.
    pub certain: bool,
}

impl<I, O> Done<I, O> {
    /// Work that was given `input` and gave back `output`.
    #[must_use]
    pub const fn certainly(input: I, output: O) -> Self {
        Self { input, output: Some(output), certain: true }
    }

    /// Work that was given `input` and may or may not have been done.
    #[must_use]
    pub const fn perhaps(input: I) -> Self {
        Self { input, output: None, certain: false }
    }
}

/// What a step can see of the attempt that it is part of. Hosts make it; a clone speaks of the same attempt.
///
/// ```
/// use counterpoint::{AttemptId, TaskId};
/// use counterpoint::workflow::Attempt;
///
/// let attempt = Attempt::new(AttemptId::new(TaskId::new(7), 2), "charge");
/// let seen_by_the_step = attempt.clone();
/// assert_eq!(seen_by_the_step.number(), 2);
/// attempt.cancel();
/// assert!(seen_by_the_step.is_cancelled());
/// ```
#[derive(Clone)]
pub struct Attempt {
    id: AttemptId,
    kind: Name,
    cancelled: Arc<AtomicBool>,
}

impl Attempt {
    /// An attempt at a task of this kind.
    #[must_use]
    pub fn new(id: AttemptId, kind: impl Into<Name>) -> Self {
        Self { id, kind: kind.into(), cancelled: Arc::default() }
    }

    /// Uses the host's own flag for cancellation, which may be shared by several attempts.
    #[must_use]
    pub fn with_flag(mut self, cancelled: Arc<AtomicBool>) -> Self {
        self.cancelled = cancelled;
        self
    }

    /// The attempt's id, made by the engine and never used again.
    #[must_use]
    pub const fn id(&self) -> AttemptId {
        self.id
    }

    /// The task that is tried: the same over all attempts, and so the key by which the world outside can recognise a
    /// repeated effect.
    #[must_use]
    pub const fn task(&self) -> TaskId {
        self.id.task()
    }

    /// Which try it is, from 1.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.id.number().get()
    }

    /// The task's kind.
    #[must_use]
    pub const fn kind(&self) -> &Name {
        &self.kind
    }

    /// Whether the attempt is no longer wanted. A step that takes long should ask now and then, and end early; it still
    /// says truly what it did.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Tells the step that the attempt is no longer wanted.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attempt({} at {}", self.id, self.kind)?;
        f.write_str(if self.is_cancelled() { ", cancelled)" } else { ")" })
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
