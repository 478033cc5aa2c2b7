//! A registry of steps by kind.

use super::attempt::Attempt;
use super::spec::{StepKind, UndoSpec};
use super::step::{Done, Query, Step, Undo};
use crate::base::error::PayloadError;
use crate::base::name::Name;
use crate::base::nearest::nearest;
use crate::base::payload::Payload;
use crate::task::{Failure, codes};
use core::fmt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

type Handler = dyn Fn(&Payload, &Attempt) -> Result<Payload, Failure> + Send + Sync;

/// The number of kinds that a message lists.
const LISTED: usize = 16;

/// The input of a query.
#[derive(Deserialize)]
pub(super) struct About<I> {
    pub(super) input: I,
}

/// The output of a query.
#[derive(Serialize)]
pub(super) struct Found<O> {
    happened: bool,
    output: Option<O>,
}

impl<O> From<Option<O>> for Found<O> {
    fn from(output: Option<O>) -> Self {
        Self { happened: output.is_some(), output }
    }
}

/// A registry of steps by kind, with which a host performs attempts.
///
/// Cloning is cheap; threads can share one registry.
///
/// ```
/// use counterpoint::workflow::{Attempt, Steps};
/// use counterpoint::{AttemptId, Failure, FailureKind, Payload, TaskId};
///
/// let steps = Steps::new()
///     .with_fn("greet", |name: String, _: &Attempt| Ok::<_, Failure>(format!("Hello, {name}")))
///     .with_fn("add", |(a, b): (u32, u32), _: &Attempt| Ok::<_, Failure>(a + b));
/// let attempt = Attempt::new(AttemptId::new(TaskId::new(1), 1), "add");
///
/// let sum = steps.perform("add", &Payload::of(&(2, 3))?, &attempt).unwrap();
/// assert_eq!(sum.to::<u32>()?, 5);
///
/// let failure = steps.perform("ad", &Payload::NULL, &attempt).unwrap_err();
/// assert_eq!(failure.kind, FailureKind::Permanent);
/// assert_eq!(&*failure.message, "no step of kind `ad` is registered; did you mean `add`? Registered are: add, greet");
/// # Ok::<(), counterpoint::PayloadError>(())
/// ```
#[derive(Clone, Default)]
pub struct Steps {
    handlers: BTreeMap<Name, Arc<Handler>>,
}

impl Steps {
    /// A registry without steps.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a step. It replaces a step of the same kind.
    #[must_use]
    pub fn with<S: Step + Send + Sync + 'static>(self, step: S) -> Self {
        self.with_fn(S::KIND, move |input: S::Input, attempt: &Attempt| step.run(input, attempt))
    }

    /// Adds a step and its compensation.
    #[must_use]
    pub fn with_undo<S: Undo + Send + Sync + 'static>(self, step: S) -> Self {
        let step = Arc::new(step);
        let undone = Arc::clone(&step);
        let undo = move |done: Done<S::Input, S::Output>, attempt: &Attempt| undone.undo(done, attempt);
        self.with(step).with_fn(S::undo_kind(), undo)
    }

    /// Adds a step and its query.
    #[must_use]
    pub fn with_query<S: Query + Send + Sync + 'static>(self, step: S) -> Self {
        let step = Arc::new(step);
        let asked = Arc::clone(&step);
        let query = move |about: About<S::Input>, attempt: &Attempt| asked.find(about.input, attempt).map(Found::from);
        self.with(step).with_fn(S::query_kind(), query)
    }

    /// Adds a function as the step of a kind: of a name, or of a [`StepSpec`](super::StepSpec), which gives the function its
    /// types. It replaces a step of the same kind.
    #[must_use]
    pub fn with_fn<I, O, F>(mut self, kind: impl StepKind<I, O>, step: F) -> Self
    where
        I: DeserializeOwned,
        O: Serialize,
        F: Fn(I, &Attempt) -> Result<O, Failure> + Send + Sync + 'static,
    {
        let kind = kind.name();
        let name = kind.clone();
        let handler = move |payload: &Payload, attempt: &Attempt| {
            let input = payload.to::<I>().map_err(|error| unreadable_input(&name, &error))?;
            let output = step(input, attempt)?;
            Payload::of(&output).map_err(|error| lost_output(&name, &error))
        };
        self.handlers.insert(kind, Arc::new(handler));
        self
    }

    /// Adds functions as a step and its compensation.
    #[must_use]
    pub fn with_undo_fn<I, O, F, G>(self, step: UndoSpec<I, O>, run: F, undo: G) -> Self
    where
        I: DeserializeOwned,
        O: Serialize + DeserializeOwned,
        F: Fn(I, &Attempt) -> Result<O, Failure> + Send + Sync + 'static,
        G: Fn(Done<I, O>, &Attempt) -> Result<(), Failure> + Send + Sync + 'static,
    {
        self.with_fn(step.step(), run).with_fn(step.undo_kind(), undo)
    }

    /// Adds all steps of another registry.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.handlers.extend(other.handlers);
        self
    }

    /// Performs one attempt.
    ///
    /// # Errors
    ///
    /// Returns the failure of the step, or a permanent failure if the kind is not registered or the payload is not a
    /// valid input.
    pub fn perform(&self, kind: &str, payload: &Payload, attempt: &Attempt) -> Result<Payload, Failure> {
        let handler = self.handlers.get(kind).ok_or_else(|| self.unknown(kind))?;
        handler(payload, attempt)
    }

    /// The kinds, in order: the skills of an agent that performs these steps.
    pub fn kinds(&self) -> impl ExactSizeIterator<Item = &Name> + Clone {
        self.handlers.keys()
    }

    /// Whether there is a step of this kind.
    #[must_use]
    pub fn contains(&self, kind: &str) -> bool {
        self.handlers.contains_key(kind)
    }

    /// The number of kinds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.handlers.len()
    }

    /// Whether there are no steps.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.handlers.is_empty()
    }

    fn unknown(&self, kind: &str) -> Failure {
        unknown_step(kind, self.kinds())
    }
}

/// The failure of an attempt whose kind the agent does not support.
pub(crate) fn unknown_step<'a>(kind: &str, known: impl ExactSizeIterator<Item = &'a Name> + Clone) -> Failure {
    let mut message = format!("no step of kind `{kind}` is registered");
    if let Some(near) = nearest(kind, known.clone().map(Name::as_str)) {
        message.push_str(&format!("; did you mean `{near}`?"));
    } else {
        message.push('.');
    }
    let more = known.len().saturating_sub(LISTED);
    let known: Vec<&str> = known.take(LISTED).map(Name::as_str).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    message.push_str(&format!(" Registered are: {known}"));
    if more > 0 {
        message.push_str(&format!(" and {more} more"));
    }
    Failure::permanent(message).with_code(codes::STEP_UNKNOWN)
}

/// The failure of an attempt whose input is of another type than the step takes.
pub(crate) fn unreadable_input(kind: &str, error: &PayloadError) -> Failure {
    Failure::permanent(format!("step {kind}: {error}")).with_code(codes::STEP_INPUT)
}

/// The failure of a step whose output has no JSON form. The work was done, so a failure without side effects would be wrong.
pub(super) fn lost_output(kind: &str, error: &PayloadError) -> Failure {
    Failure::unknown(format!("step {kind} was done, but: {error}")).with_code(codes::STEP_OUTPUT)
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.kinds()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{AttemptId, TaskId};
    use crate::task::FailureKind;
    use serde_json::json;

    struct Reserve;

    impl Step for Reserve {
        const KIND: &'static str = "reserve";
        type Input = String;
        type Output = u32;

        fn run(&self, item: String, _: &Attempt) -> Result<u32, Failure> {
            u32::try_from(item.len()).map_err(|_| Failure::permanent("too long"))
        }
    }

    impl Undo for Reserve {
        fn undo(&self, done: Done<String, u32>, _: &Attempt) -> Result<(), Failure> {
            match done.output {
                Some(3) if done.certain && done.input == "tea" => Ok(()),
                None if !done.certain => Ok(()),
                _ => Err(Failure::permanent("not mine")),
            }
        }
    }

    fn perform(kind: &str, payload: serde_json::Value) -> Result<Payload, Failure> {
        let attempt = Attempt::new(AttemptId::new(TaskId::new(1), 1), kind);
        Steps::new().with_undo(Reserve).perform(kind, &Payload::new(payload), &attempt)
    }

    #[test]
    fn steps_are_done_and_undone() {
        assert_eq!(perform("reserve", json!("tea")).unwrap().value(), &json!(3));
        let done = json!({"input": "tea", "output": 3, "certain": true});
        assert!(perform("reserve.undo", done).unwrap().is_null());
        let perhaps = json!({"input": "tea", "output": null, "certain": false});
        assert!(perform("reserve.undo", perhaps).unwrap().is_null());
    }

    #[test]
    fn a_wrong_payload_names_the_type() {
        let failure = perform("reserve", json!(3)).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert!(failure.message.contains("String") && failure.message.contains("reserve"), "{failure}");
    }

    #[test]
    fn an_output_without_a_form_is_not_called_undone() {
        let steps = Steps::new().with_fn("odd", |(): (), _: &Attempt| {
            Ok::<_, Failure>(BTreeMap::from([(vec![1], "a key that is a list")]))
        });
        let attempt = Attempt::new(AttemptId::new(TaskId::new(1), 1), "odd");
        assert_eq!(steps.perform("odd", &Payload::NULL, &attempt).unwrap_err().kind, FailureKind::Unknown);
    }

    #[test]
    fn an_unknown_kind_lists_the_known() {
        let failure = perform("reserve.redo", json!(3)).unwrap_err();
        assert!(failure.message.ends_with("Registered are: reserve, reserve.undo"), "{failure}");
        let empty = Steps::new().unknown("x");
        assert_eq!(&*empty.message, "no step of kind `x` is registered. Registered are: none");
    }
}
