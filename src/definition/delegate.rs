//! Delegation: work whose agent may split it into sub-tasks for other agents.

use super::{Budget, Reducer, Work};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::task::Needs;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Recursive delegation: a task whose agent answers with a result or with sub-tasks, whose agents may do the same.
///
/// The node's input is the whole work, part 0. The output of an attempt is an [`Answer`]: `{"done": result}`, or
/// `{"delegate": [sub-tasks]}`. Each sub-task becomes a part of its own, with the sub-task's payload as its input. When all
/// parts that a part was split into have ended, [`gather`](Self::gather) combines their results into the result of that
/// part. The result of part 0 is the output of the node. An output that is not an [`Answer`] fails the attempt, which is
/// retried.
///
/// Delegation is bounded in three ways: by its depth, its fan-out and the total number of parts; by the [`Budget`] of the
/// node and of the run, of which a share can be reserved for a sub-task; and by the rule that no agent gets the same work
/// (kind and payload) twice on the path from part 0 to a part: the work goes to another agent or is not accepted.
/// [`on_limit`](Self::on_limit) decides what happens when a limit is reached. The node's outcome names that limit
/// ([`LimitReached`](crate::message::LimitReached)), and the node's output is then the list of the results so far, without
/// those that a combined result already includes.
///
/// ```
/// use counterpoint::definition::{Action, Delegate, Definition, Expr, Gather, Node, Work};
///
/// // A question is split at most twice, into at most four parts each; a writer combines the findings.
/// let research = Delegate::new(Work::new("research"))
///     .with_kinds(["research", "search"])
///     .to_depth(2)
///     .with_fan_out(4)
///     .gathered(Gather::Work(Work::new("write up")));
/// let flow = Definition::new("study")
///     .with_node(Node::new("research", Action::Delegate(research)).with_input(Expr::Input))
///     .with_output(Expr::node("research"));
/// assert!(counterpoint::workflow::validate(&flow, &counterpoint::Limits::default()).is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Delegate {
    /// The work as a whole. Its policy, estimate and tier apply to every part.
    pub work: Work,
    /// How many times work may be delegated further on the path from part 0 to a part; 0 allows no delegation.
    #[serde(default = "five")]
    pub depth: u32,
    /// How many parts a part may be split into, in all its rounds together.
    #[serde(default = "eight")]
    pub fan_out: u32,
    /// The largest number of parts in total, including part 0.
    #[serde(default = "thousand")]
    pub max_parts: u32,
    /// The kinds that sub-tasks may have; only the kind of the work if empty. An answer that requests another kind fails
    /// the attempt, so an agent creates no work that the definition does not name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Name>,
    /// The largest number of tasks under way at a time; bounded only by the agents if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u32>,
    /// How many parts of one part may fail in one round before that part fails. The result of a failed part is null.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tolerate: u32,
    /// What happens when an answer requests more than a limit allows.
    #[serde(default, skip_serializing_if = "OnLimit::is_stop")]
    pub on_limit: OnLimit,
    /// How the results of parts are combined.
    #[serde(default)]
    pub gather: Gather,
    /// How often the combining task may request further sub-tasks, and when the rounds have converged.
    #[serde(default, skip_serializing_if = "Rounds::is_default")]
    pub rounds: Rounds,
}

const fn five() -> u32 {
    5
}

const fn eight() -> u32 {
    8
}

const fn thousand() -> u32 {
    1_000
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Delegate {
    /// Whether sub-tasks may have this kind.
    pub(crate) fn allows(&self, kind: &Name) -> bool {
        if self.kinds.is_empty() { self.work.kind == *kind } else { self.kinds.contains(kind) }
    }

    /// Delegates `work` at most five levels deep, into at most eight parts each and a thousand in total, with the results as
    /// a list.
    #[must_use]
    pub const fn new(work: Work) -> Self {
        Self {
            work,
            depth: five(),
            fan_out: eight(),
            max_parts: thousand(),
            kinds: Vec::new(),
            max_concurrent: None,
            tolerate: 0,
            on_limit: OnLimit::Stop,
            gather: Gather::List,
            rounds: Rounds { max_rounds: 1, tolerance: 0.0, stable_rounds: 1 },
        }
    }

    /// Sets how many times work may be delegated further.
    #[must_use]
    pub const fn to_depth(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }

    /// Sets how many parts a part may be split into.
    #[must_use]
    pub const fn with_fan_out(mut self, parts: u32) -> Self {
        self.fan_out = parts;
        self
    }

    /// Sets the largest number of parts in total, including part 0.
    #[must_use]
    pub const fn with_max_parts(mut self, max_parts: u32) -> Self {
        self.max_parts = max_parts;
        self
    }

    /// Sets the kinds that sub-tasks may have, in place of the kind of the work.
    #[must_use]
    pub fn with_kinds<N: Into<Name>>(mut self, kinds: impl IntoIterator<Item = N>) -> Self {
        self.kinds = kinds.into_iter().map(Into::into).collect();
        self
    }

    /// Bounds the number of tasks under way at a time.
    #[must_use]
    pub fn max_concurrent(mut self, tasks: impl Into<Option<u32>>) -> Self {
        self.max_concurrent = tasks.into();
        self
    }

    /// Sets how many parts of a part may fail.
    #[must_use]
    pub const fn tolerate(mut self, parts: u32) -> Self {
        self.tolerate = parts;
        self
    }

    /// Drops the sub-tasks that exceed a limit, and goes on with the others.
    #[must_use]
    pub const fn dropping_excess(mut self) -> Self {
        self.on_limit = OnLimit::Drop;
        self
    }

    /// Sets how results are combined.
    #[must_use]
    pub fn gathered(mut self, gather: Gather) -> Self {
        self.gather = gather;
        self
    }

    /// Sets how often the combining task may request further sub-tasks.
    #[must_use]
    pub const fn in_rounds(mut self, rounds: Rounds) -> Self {
        self.rounds = rounds;
        self
    }
}

/// What happens when an answer requests more than a limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnLimit {
    /// No further part begins, the parts under way are awaited, and the node fails with the limit.
    #[default]
    Stop,
    /// The sub-tasks that exceed the limit are dropped, which is not a failure. If none is left the part fails, and the node
    /// with it unless [`Delegate::tolerate`] allows the failure.
    Drop,
}

impl OnLimit {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    const fn is_stop(&self) -> bool {
        matches!(self, Self::Stop)
    }
}

/// How the results of parts are combined.
///
/// ```
/// use counterpoint::definition::{Gather, Reducer, Work};
///
/// let pages = Gather::Reduce(Reducer::Append);
/// let text = Gather::Work(Work::new("synthesise"));
/// assert_eq!(serde_json::to_string(&pages)?, r#"{"reduce":"append"}"#);
/// assert!(text != Gather::default());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Gather {
    /// A list in the order of the sub-tasks, with null for parts that failed.
    #[default]
    List,
    /// Reduced in the order of the sub-tasks, as writes to a variable are. Reducers of the host are not allowed.
    Reduce(Reducer),
    /// The result that most parts gave; the earliest one among equals ([`vote`](crate::coordination::aggregate::vote)).
    Vote,
    /// The median of the results, which must be numbers ([`median`](crate::coordination::aggregate::median)).
    Median,
    /// One ranking of the results, which must be rankings, that is lists of names
    /// ([`reciprocal_rank_fusion`](crate::coordination::aggregate::reciprocal_rank_fusion) with 60).
    Ranks,
    /// The answer of a combining task. Its payload is [`Results`]; it answers like any other part, so it may request further
    /// sub-tasks.
    Work(Work),
}

/// How often a combining task may request further sub-tasks, and when its rounds have converged: when a number of
/// consecutive rounds are within the tolerance of the round before, or when results repeat in a cycle. The combining task is
/// notified ([`Results::last`]) when the rounds have converged or the largest number is reached. If it requests further
/// sub-tasks then, a limit is reached.
///
/// The distance of two rounds is the largest difference between the numbers in their results, provided that the results are
/// equal otherwise. If they are not, the rounds have not converged.
///
/// ```
/// use counterpoint::definition::Rounds;
///
/// let rounds = Rounds::up_to(10).until_within(0.01, 2);
/// assert_eq!((rounds.max_rounds, rounds.stable_rounds), (10, 2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Rounds {
    /// The largest number of rounds of sub-tasks of a part.
    pub max_rounds: u32,
    /// The largest distance at which two consecutive rounds count as equal.
    pub tolerance: f64,
    /// The number of consecutive equal rounds that count as converged.
    pub stable_rounds: u32,
}

impl Default for Rounds {
    /// One round.
    fn default() -> Self {
        Self::up_to(1)
    }
}

impl Rounds {
    /// At most this many rounds, ending early if a round gives the same as the one before.
    #[must_use]
    pub const fn up_to(rounds: u32) -> Self {
        Self { max_rounds: rounds, tolerance: 0.0, stable_rounds: 1 }
    }

    /// Ends the rounds when `in_a_row` consecutive rounds are within `tolerance` of the round before.
    #[must_use]
    pub const fn until_within(mut self, tolerance: f64, in_a_row: u32) -> Self {
        (self.tolerance, self.stable_rounds) = (tolerance, in_a_row);
        self
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The output of an attempt at work that may be delegated.
///
/// ```
/// use counterpoint::definition::{Answer, Subtask};
/// use serde_json::json;
///
/// let parts = Answer::<String>::Delegate(vec![Subtask::new("search").with_payload("tea in Assam")]);
/// assert_eq!(serde_json::to_value(&parts)?, json!({"delegate": [{"kind": "search", "payload": "tea in Assam"}]}));
/// let done: Answer<String> = serde_json::from_value(json!({"done": "much of it"}))?;
/// assert_eq!(done, Answer::Done("much of it".to_owned()));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "agents match on it: there is nothing else to answer")]
pub enum Answer<T> {
    /// The result.
    Done(T),
    /// The sub-tasks into which the work is split.
    Delegate(Vec<Subtask>),
}

/// A sub-task, as an agent requests it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Subtask {
    /// The kind of the task.
    pub kind: Name,
    /// The input of the part.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub payload: Payload,
    /// The needs of the task. Without any, the task needs the skill that its kind is named after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
    /// The share of the remaining budget of the part that it is split from. It is reserved for the sub-task and everything
    /// delegated below it. Without one, the sub-task uses the budget that is not reserved. Time cannot be reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

impl Eq for Subtask {}

impl Subtask {
    /// A sub-task of this kind.
    #[must_use]
    pub fn new(kind: impl Into<Name>) -> Self {
        Self { kind: kind.into(), payload: Payload::NULL, needs: None, budget: None }
    }

    /// Sets the input.
    #[must_use]
    pub fn with_payload(mut self, payload: impl Into<Value>) -> Self {
        self.payload = Payload::new(payload.into());
        self
    }

    /// Sets the needs.
    #[must_use]
    pub fn with_needs(mut self, needs: Needs) -> Self {
        self.needs = Some(needs);
        self
    }

    /// Reserves a share of the budget.
    #[must_use]
    pub const fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }
}

/// The payload of a combining task ([`Gather::Work`]).
///
/// ```
/// use counterpoint::definition::Results;
/// use serde_json::json;
///
/// let given = json!({"task": "tea", "results": ["leaves", null], "before": [], "last": true});
/// let given: Results<String, String> = serde_json::from_value(given)?;
/// assert_eq!(given.results[0].as_deref(), Some("leaves"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Results<I, T> {
    /// The input of the part that was split.
    pub task: I,
    /// The results of its parts, in the order in which they were requested; `None` for parts that failed.
    pub results: Vec<Option<T>>,
    /// The results of earlier rounds, the first round first.
    #[serde(default = "Vec::new")]
    pub before: Vec<Vec<Option<T>>>,
    /// Whether the combining task must give a result now.
    #[serde(default)]
    pub last: bool,
}
