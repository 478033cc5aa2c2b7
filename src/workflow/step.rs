//! Steps and their compensations and queries, and the attempt that a step sees.

use crate::base::id::{AttemptId, TaskId};
use crate::base::name::Name;
use crate::task::{Failure, IdempotencyKey, Identity, Needs, Policy, TaskSpec, Tier, codes};
use core::fmt;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::sync::atomic::{AtomicBool, Ordering};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use thiserror::Error;

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
#[diagnostic::on_unimplemented(message = "`{Self}` is not a step of a workflow")]
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
    note = "implement `counterpoint::workflow::Undo` for it; a workflow within the workflow undoes itself"
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

/// The attempt that a step is performed in. Hosts create it; clones refer to the same attempt.
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
    key: Option<KeySource>,
    cancelled: Arc<dyn Flag>,
}

/// The idempotency key of an attempt, or the data that it is computed from when a step asks for it.
#[derive(Clone)]
enum KeySource {
    Key(IdempotencyKey),
    Of(Arc<Identity>, Arc<TaskSpec>),
}

/// The error for an attempt without an idempotency key: the journal of its engine is not identified, or the attempt was made by
/// a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("attempt {attempt} has no idempotency key: the journal of its engine is not identified")]
#[non_exhaustive]
pub struct NoIdempotencyKey {
    /// The attempt.
    pub attempt: AttemptId,
}

impl From<NoIdempotencyKey> for Failure {
    fn from(error: NoIdempotencyKey) -> Self {
        Self::permanent(error.to_string()).with_code(codes::NO_KEY)
    }
}

/// The flag of an attempt, alone or as a part of what the host keeps for the attempt.
pub(crate) trait Flag: Send + Sync + UnwindSafe + RefUnwindSafe {
    fn flag(&self) -> &AtomicBool;
}

impl Flag for AtomicBool {
    fn flag(&self) -> &AtomicBool {
        self
    }
}

impl Attempt {
    /// An attempt at a task of this kind.
    #[must_use]
    pub fn new(id: AttemptId, kind: impl Into<Name>) -> Self {
        Self::flagged(id, kind.into(), Arc::new(AtomicBool::new(false)))
    }

    /// An attempt with the flag of its host.
    pub(crate) fn flagged(id: AttemptId, kind: Name, cancelled: Arc<dyn Flag>) -> Self {
        Self { id, kind, key: None, cancelled }
    }

    /// Sets the idempotency key, for tests of steps and for agents that are assigned attempts by message.
    #[must_use]
    pub fn with_key(mut self, key: IdempotencyKey) -> Self {
        self.key = Some(KeySource::Key(key));
        self
    }

    /// Lets the idempotency key be that of a task, for hosts: `identity` is part of the dispatch
    /// ([`Effect::Dispatch`](crate::Effect::Dispatch)).
    #[must_use]
    pub fn with_key_of(mut self, identity: Option<Arc<Identity>>, task: &Arc<TaskSpec>) -> Self {
        self.key = identity.map(|identity| KeySource::Of(identity, Arc::clone(task)));
        self
    }

    /// Uses the host's own flag for cancellation, which may be shared by several attempts.
    #[must_use]
    pub fn with_flag(mut self, cancelled: Arc<AtomicBool>) -> Self {
        self.cancelled = cancelled;
        self
    }

    /// The attempt's id, created by the engine and never reused.
    #[must_use]
    pub const fn id(&self) -> AttemptId {
        self.id
    }

    /// The task: the same for all attempts. Its id is unique within its engine; systems outside need the
    /// [idempotency key](Self::idempotency_key).
    #[must_use]
    pub const fn task(&self) -> TaskId {
        self.id.task()
    }

    /// The key by which a system outside recognises that the same work is requested again: a payment, a mail, a call of an API.
    /// It is the same for all attempts at the task, before and after a crash, and differs from the keys of all other work, also
    /// of other journals and environments.
    ///
    /// ```
    /// use counterpoint::Failure;
    /// use counterpoint::workflow::Attempt;
    ///
    /// # fn post(_: &str, _: [(&str, String); 1]) -> Result<(), Failure> { Ok(()) }
    /// fn charge(attempt: &Attempt) -> Result<(), Failure> {
    ///     post("/v1/charges", [("Idempotency-Key", attempt.idempotency_key()?.to_string())])
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// When the journal of the engine is not identified. The hosts of this crate identify every journal. The error converts
    /// into a permanent [`Failure`] with the code [`NO_KEY`](crate::task::codes::NO_KEY).
    pub fn idempotency_key(&self) -> Result<IdempotencyKey, NoIdempotencyKey> {
        match &self.key {
            Some(KeySource::Key(key)) => Ok(*key),
            Some(KeySource::Of(identity, task)) => Ok(identity.key_of(task)),
            None => Err(NoIdempotencyKey { attempt: self.id }),
        }
    }

    /// The number of the attempt, from 1.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.id.number().get()
    }

    /// The task's kind.
    #[must_use]
    pub const fn kind(&self) -> &Name {
        &self.kind
    }

    /// Whether the attempt was cancelled. A long step should check this regularly and end early; its result must still
    /// report truthfully whether the work was done.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.flag().load(Ordering::Acquire)
    }

    /// Cancels the attempt.
    pub fn cancel(&self) {
        self.cancelled.flag().store(true, Ordering::Release);
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
