//! Workflow definitions as data: nodes, the links between them, and the action of each node.
//!
//! A definition is plain data that any serde format can carry. The typed builder ([`Workflow`](crate::workflow::Workflow))
//! produces the same type. [`validate`](crate::workflow::validate) reports all faults of a definition at once; an engine
//! accepts only definitions without faults.
//!
//! "WCP" with a number refers to a pattern in the catalogue of workflow control-flow patterns of van der Aalst and ter
//! Hofstede.
//!
//! ```
//! use counterpoint::definition::{Action, Definition, Expr, Link, Node};
//!
//! let greet = Definition::new("greet")
//!     .with_node(Node::new("find", Action::task("find_name")).with_input(Expr::Input))
//!     .with_node(Node::new("say", Action::task("say")).with_link(Link::success("find")).with_input(Expr::node("find")))
//!     .with_output(Expr::node("say"));
//! let text = serde_json::to_string(&greet)?;
//! assert_eq!(serde_json::from_str::<Definition>(&text)?, greet);
//! # Ok::<(), serde_json::Error>(())
//! ```

mod action;
mod boundary;
mod budget;
mod call;
mod canonical;
mod delegate;
mod difference;
mod expr;
mod failure;
mod function;
mod guard;
mod input;
mod instances;
mod kind;
mod link;
mod overrides;
mod pattern;
mod rename;
mod save;
mod send;
mod states;
mod trigger;
mod variable;
mod visit;
mod wait;

pub use action::{Action, Body, Case, Pick, Work};
pub use boundary::{Boundary, Handler};
pub use budget::Budget;
pub use call::Call;
pub use delegate::{Answer, Delegate, Gather, OnLimit, Results, Rounds, Subtask};
pub use difference::Difference;
pub(crate) use expr::type_name;
pub use expr::{Condition, Each, EachKind, Expr, ExprError, Function, Meta};
pub(crate) use expr::{NoValue, Scope, Term, TermMut};
#[cfg(any(feature = "interop", feature = "language"))]
pub(crate) use expr::{folded_list, folded_object};
pub use failure::{Fail, OnCompensationFailure, OnFailure};
pub use function::{DurableFunction, FunctionAnswer, FunctionCall, FunctionTurn, Occurrence};
pub use guard::{Guards, OnUnmet, Precondition};
pub use input::{Input, InputFault, InputType, Presence};
pub use instances::{Completion, Map, MapBounds, Repeat};
pub(crate) use kind::{ActionClass, Machine};
pub use link::{Join, Link, On, Remaining};
pub(crate) use overrides::TaskOverrides;
pub use save::SavePoint;
pub use send::{Receivers, SendSignal};
pub use states::{State, States, Transition};
pub use trigger::{Inputs, Trigger};
pub use variable::{Reducer, Variable, Write};
pub(crate) use visit::{Parts, PartsMut};
pub use wait::{Decision, Escalation, Milestone, RaceOption, SignalRule, WaitFor};

use crate::base::id::stable_hash;
use crate::base::name::Name;
use crate::task::Retry;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A workflow: a directed acyclic graph of named nodes.
///
/// Every link ends either taken or not taken, and a node starts or is skipped as soon as the links that it depends on are
/// decided. In a definition that passes validation, nodes therefore never wait for each other in a circle. A node can still wait
/// for what comes from outside: an agent, a signal, a decision, a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Definition {
    /// The name by which runs refer to the workflow.
    pub name: Name,
    /// The version. An engine can hold several versions of a name; a run keeps the version with which it was started.
    #[serde(default)]
    pub version: u32,
    /// The nodes. Their order decides the order of results and compensations where nothing else does.
    pub nodes: Vec<Node>,
    /// The output of a run.
    #[serde(default)]
    pub output: Expr,
    /// The declared fields of the input; none if a run may be started with any input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<BTreeMap<Name, Input>>,
    /// How a run treats signals, by signal name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<SignalRule>,
    /// What a failed compensation holds back.
    #[serde(default, skip_serializing_if = "OnCompensationFailure::is_default")]
    pub on_compensation_failure: OnCompensationFailure,
    /// The reaction to a failure that nothing in the definition handles. Nested workflows have their own setting.
    #[serde(default, skip_serializing_if = "OnFailure::is_default")]
    pub on_failure: OnFailure,
    /// The variables of a run, which its nodes write and read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
    /// The resources that a run, including its child runs, may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

impl Definition {
    /// A workflow of version 0 without nodes, whose output is null.
    #[must_use]
    pub fn new(name: impl Into<Name>) -> Self {
        Self {
            name: name.into(),
            version: 0,
            nodes: Vec::new(),
            output: Expr::default(),
            inputs: None,
            signals: Vec::new(),
            on_compensation_failure: OnCompensationFailure::default(),
            on_failure: OnFailure::default(),
            variables: Vec::new(),
            budget: None,
        }
    }

    /// Sets the version.
    #[must_use]
    pub const fn with_version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Adds a node.
    #[must_use]
    pub fn with_node(mut self, node: Node) -> Self {
        self.nodes.push(node);
        self
    }

    /// Sets how signals of one name are treated.
    #[must_use]
    pub fn with_signal(mut self, rule: SignalRule) -> Self {
        self.signals.push(rule);
        self
    }

    /// Bounds the resources that a run may use.
    #[must_use]
    pub const fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Sets what a failed compensation holds back.
    #[must_use]
    pub const fn with_on_compensation_failure(mut self, policy: OnCompensationFailure) -> Self {
        self.on_compensation_failure = policy;
        self
    }

    /// Sets the reaction to a failure that nothing in the definition handles.
    #[must_use]
    pub const fn with_on_failure(mut self, policy: OnFailure) -> Self {
        self.on_failure = policy;
        self
    }

    /// Declares a variable.
    #[must_use]
    pub fn with_variable(mut self, variable: Variable) -> Self {
        self.variables.push(variable);
        self
    }

    /// Sets the output of a run.
    #[must_use]
    pub fn with_output(mut self, output: Expr) -> Self {
        self.output = output;
        self
    }

    /// The node with this name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The name, the version and a hash of the content: the identity to which a run is pinned.
    #[must_use]
    pub fn id(&self) -> DefinitionId {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        DefinitionId { name: self.name.clone(), version: self.version, hash: stable_hash(&bytes) }
    }

    /// The number of lists and objects in each other in its JSON form.
    pub(crate) fn json_depth(&self) -> usize {
        let (mut open, mut deepest, mut text, mut escaped) = (0_usize, 0_usize, false, false);
        for byte in serde_json::to_vec(self).unwrap_or_default() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = text,
                b'"' => text = !text,
                b'[' | b'{' if !text => {
                    open += 1;
                    deepest = deepest.max(open);
                }
                b']' | b'}' if !text => open = open.saturating_sub(1),
                _ => {}
            }
        }
        deepest
    }
}

/// The identity of a definition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DefinitionId {
    /// The workflow's name.
    pub name: Name,
    /// Its version.
    pub version: u32,
    /// The hash of the JSON form. It distinguishes definitions of the same name and version.
    pub hash: u64,
}

impl fmt::Display for DefinitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{}", self.name, self.version)
    }
}

/// One node of a workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Node {
    /// The name, unique within the definition.
    pub name: Name,
    /// The incoming links. A node without any starts with the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Link>,
    /// How many of the incoming links must be taken for the node to start.
    #[serde(default)]
    pub join: Join,
    /// What the node does.
    pub action: Action,
    /// The input of the action.
    #[serde(default)]
    pub input: Expr,
    /// The compensation: the task that undoes the node if the run fails after it. Its payload is `{"input", "output",
    /// "certain"}`: the node's input and output, and whether the node is known to have taken effect.
    ///
    /// For a nested or a called workflow that has succeeded it takes the place of the compensations of the nodes in it. A child
    /// run that fails compensates its own nodes in any case, and one that has passed its pivot is not compensated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Work>,
    /// The task that finds out whether the node took effect when its outcome is unknown. Its payload is `{"input"}`, the
    /// node's input. It answers `{"happened": true, "output": ..}`, with which the node has succeeded with that output, or
    /// `{"happened": false}`, with which the node has failed without side effects. If the query fails or answers anything
    /// else, the outcome stays unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Work>,
    /// Makes the end of this node a save-point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save: Option<SavePoint>,
    /// Whether the node is the pivot: once it has succeeded, the run is not compensated any more and only goes forward. A
    /// pivot is attempted until its outcome is known.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub pivot: bool,
    /// Mutual exclusion: of the nodes of a run that share one of these names, one at a time is under way. If several are
    /// ready, the first in the definition starts first. Links between such nodes give a partial order. (WCP 17, 39, 40)
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mutex: Vec<Name>,
    /// The stretch of the run in which the node may start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone: Option<Milestone>,
    /// Handlers for what can happen while the node is under way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handlers: Vec<Handler>,
    /// The nodes that are cancelled when this one succeeds, whatever state they are in. (WCP 19, 25)
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cancels: Vec<Name>,
    /// The variables that the node writes when it succeeds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<Write>,
    /// The conditions of its start and of its success.
    #[serde(default, skip_serializing_if = "Guards::is_empty")]
    pub guards: Guards,
    /// The resources that the node, including its child runs, may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// The retries of the node as a whole: of a nested or a called workflow that is performed once ([`Action::Do`]), of a map or
    /// of a repeat. Permanent failures and limits that were reached are not retried.
    ///
    /// - A child run that fails is compensated first, and the next one starts with the same input.
    /// - A map or a repeat that fails is compensated as it would be if the run failed: its items or rounds that have side
    ///   effects, as far as they have a compensation. Then it begins again with the first item or round, and with the list that
    ///   it had. Items and rounds without a compensation are performed again; if nothing was compensated, they keep their
    ///   idempotency keys.
    ///
    /// What has side effects that remain and whose outcome is unknown is not retried, nor is a node whose compensation failed.
    /// Handlers of the node apply to the last failure, and its timeouts and its budget to all attempts together. The retries of
    /// single tasks are in [`Work::policy`], those of a [state](State) in [`State::retry`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

impl Node {
    /// A node without incoming links, whose input is null.
    #[must_use]
    pub fn new(name: impl Into<Name>, action: Action) -> Self {
        Self {
            name: name.into(),
            after: Vec::new(),
            join: Join::All,
            action,
            input: Expr::default(),
            undo: None,
            query: None,
            save: None,
            pivot: false,
            mutex: Vec::new(),
            milestone: None,
            handlers: Vec::new(),
            cancels: Vec::new(),
            writes: Vec::new(),
            guards: Guards::default(),
            budget: None,
            retry: None,
        }
    }

    /// Sets the retries of the node as a whole.
    ///
    /// ```
    /// use counterpoint::definition::{Action, Body, Expr, Map, Node, Work};
    /// use counterpoint::task::RetryRule;
    /// use counterpoint::{FailureKind, Retry};
    ///
    /// // All parts are sent again if one of them fails because its agent is overloaded.
    /// let send = Map::over(Expr::Input, Body::Task(Work::new("send")));
    /// let retry = Retry::never().with_rule(RetryRule::on(FailureKind::Overloaded, 5));
    /// let send_all = Node::new("send all", Action::Map(send)).with_retry(retry.with_attempts(5));
    /// assert!(send_all.retry.is_some());
    /// ```
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Bounds the resources that the node may use.
    #[must_use]
    pub const fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Writes a part of the node's output, given as a JSON pointer, to a variable when the node succeeds.
    #[must_use]
    pub fn writing(mut self, variable: impl Into<Name>, pointer: impl Into<String>) -> Self {
        self.writes.push(Write::new(variable, pointer));
        self
    }

    /// Sets the condition under which the node may start.
    #[must_use]
    pub fn with_precondition(mut self, precondition: Precondition) -> Self {
        self.guards.precondition = Some(precondition);
        self
    }

    /// Sets the condition that the output must meet.
    #[must_use]
    pub fn with_postcondition(mut self, postcondition: Condition) -> Self {
        self.guards.postcondition = Some(postcondition);
        self
    }

    /// Adds a handler for something that can happen while the node is under way.
    #[must_use]
    pub fn with_handler(mut self, handler: Handler) -> Self {
        self.handlers.push(handler);
        self
    }

    /// Cancels another node when this one succeeds.
    #[must_use]
    pub fn with_cancel(mut self, node: impl Into<Name>) -> Self {
        self.cancels.push(node.into());
        self
    }

    /// Excludes the nodes with the same mutex name from being under way at the same time as this one.
    #[must_use]
    pub fn with_mutex(mut self, name: impl Into<Name>) -> Self {
        self.mutex.push(name.into());
        self
    }

    /// Restricts the start of the node to a stretch of the run.
    #[must_use]
    pub fn with_milestone(mut self, milestone: Milestone) -> Self {
        self.milestone = Some(milestone);
        self
    }

    /// Adds an incoming link.
    #[must_use]
    pub fn with_link(mut self, link: Link) -> Self {
        self.after.push(link);
        self
    }

    /// Sets how many incoming links must be taken.
    #[must_use]
    pub const fn with_join(mut self, join: Join) -> Self {
        self.join = join;
        self
    }

    /// Sets the input of the action.
    #[must_use]
    pub fn with_input(mut self, input: Expr) -> Self {
        self.input = input;
        self
    }

    /// Sets the task that undoes the node.
    #[must_use]
    pub fn with_undo(mut self, undo: Work) -> Self {
        self.undo = Some(undo);
        self
    }

    /// Sets the task that finds out whether the node took effect when its outcome is unknown.
    #[must_use]
    pub fn with_query(mut self, query: Work) -> Self {
        self.query = Some(query);
        self
    }

    /// Makes the end of the node a save-point.
    #[must_use]
    pub fn as_save_point(mut self, save: SavePoint) -> Self {
        self.save = Some(save);
        self
    }

    /// Makes the node the pivot, after which the run only goes forward.
    #[must_use]
    pub const fn as_pivot(mut self) -> Self {
        self.pivot = true;
        self
    }
}
