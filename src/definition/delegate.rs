//! Work that whoever does it may hand on in parts.

use super::{Budget, Reducer, Work};
use crate::name::Name;
use crate::payload::Payload;
use crate::task::Needs;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Work whose agent answers with a result or with sub-tasks, for agents who may do the same: recursive delegation.
///
/// The node's input is the whole, part 0. An answer is an [`Answer`]: `{"done": result}`, or `{"delegate": [sub-tasks]}`, of
/// which each becomes a part of its own and is given its payload. When all parts of a part have ended, their results are put
/// together as [`gather`](Self::gather) says, which is the result of that part; the result of the whole is the node's output.
/// An answer that is neither is a failure of the attempt, which is tried again.
///
/// What bounds it: how often work is handed on, to how many, how many parts there are in all; the node's and the run's
/// [`Budget`], of which a sub-task may be promised a share; and no agent is asked for the same (kind and payload) twice on the
/// way from the whole to a part: the same goes to another agent, or nowhere. Where a bound is met, [`beyond`](Self::beyond)
/// says what follows. What is met is in the node's outcome ([`LimitReached`](crate::LimitReached)), and the results so far
/// are its output: a list of those that are not part of a greater one.
///
/// Source: recursive delegation (split, delegate, combine) with a limit of depth and fan-out, as agent frameworks with
/// subordinates have it; the limits are those of [`coordination::delegation`](crate::coordination::delegation).
///
/// ```
/// use counterpoint::definition::{Action, Delegate, Definition, Expr, Gather, Node, Work};
///
/// // A question is broken down at most twice, by at most four each; a writer puts the findings together.
/// let research = Delegate::new(Work::new("research"))
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
    /// The work as a whole. Its retries, timeouts, estimate and urgency hold for every part.
    pub work: Work,
    /// How often work may be handed on, one after the other; 0: not at all.
    #[serde(default = "five")]
    pub depth: u32,
    /// Into how many parts one may be split, in all of its rounds together.
    #[serde(default = "eight")]
    pub fan_out: u32,
    /// How many parts there may be in all, the whole included.
    #[serde(default = "thousand")]
    pub pieces: u32,
    /// The kinds that sub-tasks may have; any if none is named. An answer that asks for another is a failure of the attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Name>,
    /// How many tasks at once; no bound but the agents' if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// How many parts of one part may fail, in one round, before that fails. Their results are null.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tolerate: u32,
    /// What follows when more is asked for than is allowed.
    #[serde(default, skip_serializing_if = "Beyond::is_stop")]
    pub beyond: Beyond,
    /// How the results of parts become one.
    #[serde(default)]
    pub gather: Gather,
    /// How often who puts results together may ask for more, and when that has led somewhere.
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
    /// This work, handed on at most five times to eight each, a thousand parts in all; results in a list.
    #[must_use]
    pub const fn new(work: Work) -> Self {
        Self {
            work,
            depth: five(),
            fan_out: eight(),
            pieces: thousand(),
            kinds: Vec::new(),
            at_once: None,
            tolerate: 0,
            beyond: Beyond::Stop,
            gather: Gather::List,
            rounds: Rounds { most: 1, near: 0.0, settled: 1 },
        }
    }

    /// Lets it be handed on so often, one after the other.
    #[must_use]
    pub const fn to_depth(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }

    /// Lets a part be split into so many.
    #[must_use]
    pub const fn with_fan_out(mut self, parts: u32) -> Self {
        self.fan_out = parts;
        self
    }

    /// Lets there be so many parts in all, the whole included.
    #[must_use]
    pub const fn with_pieces(mut self, pieces: u32) -> Self {
        self.pieces = pieces;
        self
    }

    /// Lets sub-tasks be of these kinds alone.
    #[must_use]
    pub fn with_kinds<N: Into<Name>>(mut self, kinds: impl IntoIterator<Item = N>) -> Self {
        self.kinds = kinds.into_iter().map(Into::into).collect();
        self
    }

    /// Does at most so many tasks at a time.
    #[must_use]
    pub fn at_once(mut self, tasks: impl Into<Option<u32>>) -> Self {
        self.at_once = tasks.into();
        self
    }

    /// Lets so many parts of a part fail.
    #[must_use]
    pub const fn tolerate(mut self, parts: u32) -> Self {
        self.tolerate = parts;
        self
    }

    /// Leaves out what goes beyond a bound, and goes on with the rest.
    #[must_use]
    pub const fn dropping(mut self) -> Self {
        self.beyond = Beyond::Drop;
        self
    }

    /// Sets how results become one.
    #[must_use]
    pub fn gathered(mut self, gather: Gather) -> Self {
        self.gather = gather;
        self
    }

    /// Sets how often who puts results together may ask for more.
    #[must_use]
    pub const fn in_rounds(mut self, rounds: Rounds) -> Self {
        self.rounds = rounds;
        self
    }
}

/// What follows when more is asked for than is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Beyond {
    /// Nothing more begins, what is under way is awaited, and the node fails with the bound.
    #[default]
    Stop,
    /// The sub-tasks that go beyond it are left out, which is no failure. If none is left the part fails, and the node only
    /// if that is not tolerated.
    Drop,
}

impl Beyond {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    const fn is_stop(&self) -> bool {
        matches!(self, Self::Stop)
    }
}

/// How the results of parts become one.
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
    /// A list in the order of the sub-tasks, with null for those that failed.
    #[default]
    List,
    /// One after the other in the order of the sub-tasks, as writes to a variable are; functions of the host are not allowed.
    Reduce(Reducer),
    /// The result that most parts gave, the earliest among equals
    /// ([`vote`](crate::coordination::aggregate::vote)).
    Vote,
    /// The number in the middle ([`median`](crate::coordination::aggregate::median)).
    Median,
    /// Results are rankings, lists of names: one ranking of all
    /// ([`reciprocal_rank_fusion`](crate::coordination::aggregate::reciprocal_rank_fusion) with 60).
    Ranks,
    /// By a task. It is given [`Results`] and answers as every part does, so it may ask for more.
    Work(Work),
}

/// How often who puts results together may ask for more, and when asking has led somewhere: when so many rounds in a row are
/// near the one before, or results come that have come before. Then, or in the last round, it is told that it is the last;
/// if it asks for more all the same, that is a bound that is met.
///
/// Two rounds are as far apart as the numbers in their results that are furthest apart, if all else in them is the same; if
/// it is not, they are not near.
///
/// ```
/// use counterpoint::definition::Rounds;
///
/// let rounds = Rounds::most(10).near(0.01, 2);
/// assert_eq!((rounds.most, rounds.settled), (10, 2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Rounds {
    /// How many rounds of sub-tasks a part may have.
    pub most: u32,
    /// Rounds are near each other if they are no further apart than this.
    pub near: f64,
    /// So many near rounds in a row are an agreement.
    pub settled: u32,
}

impl Default for Rounds {
    /// One round.
    fn default() -> Self {
        Self::most(1)
    }
}

impl Rounds {
    /// So many rounds, unless one brings what the one before has brought.
    #[must_use]
    pub const fn most(rounds: u32) -> Self {
        Self { most: rounds, near: 0.0, settled: 1 }
    }

    /// Until so many in a row are so near the one before.
    #[must_use]
    pub const fn near(mut self, distance: f64, in_a_row: u32) -> Self {
        (self.near, self.settled) = (distance, in_a_row);
        self
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What an agent answers that may delegate.
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
    /// It is to be done in parts.
    Delegate(Vec<Subtask>),
}

/// A part of the work, as an agent asks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Subtask {
    /// What sort of work it is.
    pub kind: Name,
    /// What it is given.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub payload: Payload,
    /// What it needs of an agent; a skill of the kind's name if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
    /// What it is promised of what the part that it is split from has left: so much it may use up with everything below it,
    /// and so much is kept for it. Without this it takes of what is left for all. Of attempts, cost and tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

impl Eq for Subtask {}

impl Subtask {
    /// A part of this kind.
    #[must_use]
    pub fn new(kind: impl Into<Name>) -> Self {
        Self { kind: kind.into(), payload: Payload::NULL, needs: None, budget: None }
    }

    /// Gives it this.
    #[must_use]
    pub fn with_payload(mut self, payload: impl Into<Value>) -> Self {
        self.payload = Payload::new(payload.into());
        self
    }

    /// Sets what it needs.
    #[must_use]
    pub fn with_needs(mut self, needs: Needs) -> Self {
        self.needs = Some(needs);
        self
    }

    /// Promises it so much.
    #[must_use]
    pub const fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }
}

/// What a task is given that puts results together ([`Gather::Work`]).
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
    /// What the part was given that was split.
    pub task: I,
    /// What its parts gave, in the order in which they were asked for; none of those that failed.
    pub results: Vec<Option<T>>,
    /// The same of earlier rounds, the first first.
    #[serde(default = "Vec::new")]
    pub before: Vec<Vec<Option<T>>>,
    /// Whether it must give a result now.
    #[serde(default)]
    pub last: bool,
}
