//! Durable functions: work whose steps are decided by code, one turn at a time.

use super::{Action, Body, Definition, Expr, Node, Work};
use crate::base::id::stable_hash;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::task::Failure;
use core::fmt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A durable function: code that decides which tasks and workflows are performed, while the engine performs and records them.
///
/// The function is executed in turns. Each turn is a task of [`work`](Self::work) whose payload is a [`FunctionTurn`] and whose
/// output is a [`FunctionAnswer`]: a result, a failure, [calls](FunctionCall), or the input with which the function
/// continues as new. Each call becomes an instance of the node: a task, a nested workflow or a called workflow. When a call
/// has ended and no turn is under way, the next turn begins; results that arrive during a turn are given to the next one.
/// The payload of a turn contains only numbers: the agent reads the results from the engine
/// ([`NodeView::results`](crate::engine::NodeView::results)), so that a journal contains each of them once.
///
/// A call is identified by its key and its [occurrence](Occurrence). A function that begins again, because its process was
/// restarted, requests the same calls again: calls that are known are not performed a second time. So the code of a function may
/// be changed while it is under way, as long as its keys keep their meaning. A known call that is requested with another body or
/// input fails the turn ([`FUNCTION_CHANGED`](crate::task::codes::FUNCTION_CHANGED)), and the node is held for an operator,
/// whatever [`OnFailure`](super::OnFailure) specifies. A [retry](crate::RunCommand::Retry) of the node keeps all calls that have
/// succeeded and begins the function again.
///
/// The failure of a call is a result: the function decides what follows. If the node is compensated, its calls are compensated
/// one after the other, the last first.
///
/// The agents that perform turns decide what is performed, so they must be trusted as authors of definitions are.
///
/// ```
/// use counterpoint::definition::{Body, DurableFunction, FunctionAnswer, FunctionCall, Work};
/// use serde_json::json;
///
/// let order = DurableFunction::new(Work::new("order")).definition("order");
/// assert!(counterpoint::workflow::validate(&order, &counterpoint::Limits::default()).is_ok());
///
/// // The answer to the first turn.
/// let pay = FunctionCall::new("pay", Body::Task(Work::new("charge"))).with_undo(Work::new("refund"));
/// let answer = FunctionAnswer::<()>::Calls(vec![pay]);
/// let json = json!({"calls": [{"key": "pay", "body": {"task": {"kind": "charge"}}, "undo": {"kind": "refund"}}]});
/// assert_eq!(serde_json::to_value(&answer)?, json);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DurableFunction {
    /// The task of a turn. A turn has no side effects of its own, so one whose outcome is unknown is repeated until its outcome
    /// is known.
    pub work: Work,
    /// The largest number of calls in total.
    #[serde(default = "ten_thousand")]
    pub max_calls: u32,
    /// The largest number of calls in one answer.
    #[serde(default = "thousand")]
    pub max_calls_per_turn: u32,
}

const fn ten_thousand() -> u32 {
    10_000
}

const fn thousand() -> u32 {
    1_000
}

impl DurableFunction {
    /// A function whose turns are tasks of this kind, with at most 10,000 calls in total and 1,000 in one answer.
    #[must_use]
    pub const fn new(work: Work) -> Self {
        Self { work, max_calls: ten_thousand(), max_calls_per_turn: thousand() }
    }

    /// Sets the largest number of calls in total.
    #[must_use]
    pub const fn with_max_calls(mut self, calls: u32) -> Self {
        self.max_calls = calls;
        self
    }

    /// Sets the largest number of calls in one answer.
    #[must_use]
    pub const fn with_max_calls_per_turn(mut self, calls: u32) -> Self {
        self.max_calls_per_turn = calls;
        self
    }

    /// The workflow of this name that is only the function: its input is the input of the run, and its result the output.
    #[must_use]
    pub fn definition(self, name: impl Into<Name>) -> Definition {
        let name = name.into();
        let node = Node::new(name.clone(), Action::Function(self)).with_input(Expr::Input);
        Definition::new(name.clone()).with_node(node).with_output(Expr::node(name))
    }
}

/// The payload of a turn of a [`DurableFunction`].
///
/// ```
/// use counterpoint::definition::FunctionTurn;
/// use serde_json::json;
///
/// let first = FunctionTurn::Begin { turn: 0, input: "tea", results: 0 };
/// assert_eq!(serde_json::to_value(first)?, json!({"begin": {"turn": 0, "input": "tea", "results": 0}}));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "agents match on it: a turn begins the function or continues it")]
pub enum FunctionTurn<I> {
    /// The function begins: for the first time, or again after a retry by an operator.
    Begin {
        /// The number of the turn, from 0.
        turn: u32,
        /// The input of the function.
        input: I,
        /// The number of calls that have ended. The function gets their results when it requests them.
        results: u32,
    },
    /// Further calls have ended.
    Resume {
        /// The number of the turn.
        turn: u32,
        /// The number of results that the turn before was given: results from this number on are new.
        from: u32,
        /// The number of calls that have ended.
        results: u32,
    },
}

/// The output of a turn of a [`DurableFunction`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "agents make it: there is nothing else to answer")]
pub enum FunctionAnswer<T> {
    /// The result. Calls that have not ended are cancelled.
    Done(T),
    /// The function failed. Calls that have not ended are cancelled.
    Fail(Failure),
    /// The function continues as new with this input: it begins again, and what it has done so far is dropped, so a function that
    /// never ends occupies a bounded amount of memory. Calls that have not ended are cancelled. The others are no longer
    /// compensated if the function fails later.
    Again(T),
    /// The function waits for its calls. Those listed are new or known; the list is empty if the function waits only for calls of
    /// earlier answers.
    Calls(Vec<FunctionCall>),
}

/// A call of a [`DurableFunction`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FunctionCall {
    /// The name of the call in the code of the function.
    pub key: Name,
    /// Which of the calls with this key it is.
    #[serde(default, skip_serializing_if = "Occurrence::is_first")]
    pub occurrence: Occurrence,
    /// What is performed.
    pub body: Body,
    /// The input.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub input: Payload,
    /// The task that undoes the call. For a workflow it takes the place of the compensations in it once it has succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Work>,
    /// Whether the run passes its pivot with this call: from the request on nothing of the run is compensated, and it can no longer
    /// be cancelled, only [aborted](crate::RunCommand::Abort).
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub pivot: bool,
    /// Makes the end of the call a save-point, to which the function may roll back this many times. If the function fails later
    /// and nothing handles the failure, the run does not fail: the calls that were requested after the save-point are cancelled
    /// and compensated, and the function begins again, with the calls before it as they are. The result of the call is the
    /// number of times that the function has rolled back to it, whatever its body returns. If the retries of the last
    /// save-point are used up, the one before it counts. One before a pivot has no effect any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save: Option<u32>,
}

impl FunctionCall {
    /// The first call of this key.
    #[must_use]
    pub fn new(key: impl Into<Name>, body: Body) -> Self {
        Self {
            key: key.into(),
            occurrence: Occurrence::default(),
            body,
            input: Payload::NULL,
            undo: None,
            pivot: false,
            save: None,
        }
    }

    /// Sets which of the calls with this key it is.
    #[must_use]
    pub fn with_occurrence(mut self, occurrence: Occurrence) -> Self {
        self.occurrence = occurrence;
        self
    }

    /// Sets the input.
    #[must_use]
    pub fn with_input(mut self, input: impl Into<Value>) -> Self {
        self.input = Payload::new(input.into());
        self
    }

    /// Sets the task that undoes it.
    #[must_use]
    pub fn with_undo(mut self, undo: Work) -> Self {
        self.undo = Some(undo);
        self
    }

    /// A hash of the body and the input by which a repeated request is recognised, without what concerns only how tasks are
    /// attempted.
    pub(crate) fn print(&self) -> u64 {
        let mut body = self.body.clone();
        body.reduce();
        stable_hash(&serde_json::to_vec(&(body, &self.input)).unwrap_or_default())
    }

    /// The definition of which the call is the only node, to be validated.
    pub(crate) fn alone(&self) -> Definition {
        let mut node = Node::new(self.key.clone(), Action::Do(self.body.clone()));
        node.undo.clone_from(&self.undo);
        Definition::new(self.key.clone()).with_node(node)
    }
}

/// Which of the calls with one key a call is.
///
/// ```
/// use counterpoint::definition::Occurrence;
///
/// assert_eq!(Occurrence::default(), Occurrence::Number(0));
/// assert_eq!(Occurrence::Keyed("item 7".into()).to_string(), "=item 7");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a call has a number or data")]
pub enum Occurrence {
    /// The number of the call, from 0. Calls with numbers must follow each other: no two of one key may be under way at the same
    /// time, since their numbers would depend on which is requested first.
    Number(u32),
    /// Data of the function that distinguishes the call from others of its key, which may be under way at the same time.
    Keyed(Name),
}

impl Default for Occurrence {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl Occurrence {
    pub(crate) fn is_first(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) const fn is_number(&self) -> bool {
        matches!(self, Self::Number(_))
    }
}

impl fmt::Display for Occurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "#{number}"),
            Self::Keyed(name) => write!(f, "={name}"),
        }
    }
}
