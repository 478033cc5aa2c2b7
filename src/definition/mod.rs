//! What a workflow is, as data: nodes, the links between them, and what each node does.
//!
//! A definition is plain data that any serde format carries. The typed builder
//! ([`Workflow`](crate::workflow::Workflow)) makes the same thing. [`validate`](crate::workflow::validate) says everything
//! that is wrong with one; an engine takes none that has not passed.
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

mod boundary;
mod budget;
mod call;
mod delegate;
mod expr;
mod failure;
mod guard;
mod link;
mod many;
mod occasion;
mod pattern;
mod rename;
mod save;
mod states;
mod trigger;
mod variable;
mod visit;

pub use boundary::{Boundary, Handler};
pub use budget::Budget;
pub use call::Call;
pub use delegate::{Answer, Beyond, Delegate, Gather, Results, Rounds, Subtask};
pub use expr::{Condition, Expr};
pub(crate) use expr::{Scope, TooWide};
pub use failure::{OnFailure, OnUndoFailure};
pub use guard::{Otherwise, Precondition};
pub use link::{Join, Link, On, Rest};
pub use many::{Enough, Map, Repeat};
pub use occasion::{Decision, Escalation, Milestone, Occasion, Offer, SignalRule};
pub use save::SavePoint;
pub use states::{State, States, Transition};
pub use trigger::{Inputs, Trigger};
pub use variable::{Reducer, Variable, Write};

use crate::id::stable_hash;
use crate::name::Name;
use crate::task::{Needs, Policy, Tier, Usage};
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A workflow: a directed acyclic graph of named nodes.
///
/// Every link ends taken or not taken, and a node decides once all that it waits for is decided; so no definition that
/// passes validation can deadlock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Definition {
    /// What runs ask for.
    pub name: Name,
    /// Several versions of a name may be held at once; a run keeps the one that it was started with.
    #[serde(default)]
    pub version: u32,
    /// The nodes, in an order that results and compensations keep where nothing else decides.
    pub nodes: Vec<Node>,
    /// What the run gives back.
    #[serde(default)]
    pub output: Expr,
    /// How a run treats the signals that it is sent, by their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<SignalRule>,
    /// What a compensation that fails holds back.
    #[serde(default, skip_serializing_if = "OnUndoFailure::is_default")]
    pub on_undo_failure: OnUndoFailure,
    /// What a failure leads to that nothing takes care of. Workflows within say so for themselves.
    #[serde(default, skip_serializing_if = "OnFailure::is_default")]
    pub on_failure: OnFailure,
    /// The context of a run: what its nodes write together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
    /// How much a run may use up, with everything within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

impl Definition {
    /// A workflow without nodes that gives back nothing, at version 0.
    #[must_use]
    pub fn new(name: impl Into<Name>) -> Self {
        Self {
            name: name.into(),
            version: 0,
            nodes: Vec::new(),
            output: Expr::default(),
            signals: Vec::new(),
            on_undo_failure: OnUndoFailure::default(),
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

    /// Says how signals of a name are treated.
    #[must_use]
    pub fn with_signal(mut self, rule: SignalRule) -> Self {
        self.signals.push(rule);
        self
    }

    /// Bounds how much a run may use up.
    #[must_use]
    pub const fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Sets what a compensation that fails holds back.
    #[must_use]
    pub const fn with_on_undo_failure(mut self, policy: OnUndoFailure) -> Self {
        self.on_undo_failure = policy;
        self
    }

    /// Sets what a failure leads to that nothing takes care of.
    #[must_use]
    pub const fn with_on_failure(mut self, policy: OnFailure) -> Self {
        self.on_failure = policy;
        self
    }

    /// Declares a variable of its runs.
    #[must_use]
    pub fn with_variable(mut self, variable: Variable) -> Self {
        self.variables.push(variable);
        self
    }

    /// Sets what the run gives back.
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

    /// Name, version and a hash of everything else: what a run is pinned to.
    #[must_use]
    pub fn id(&self) -> DefinitionId {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        DefinitionId { name: self.name.clone(), version: self.version, hash: stable_hash(&bytes) }
    }
}

/// Which definition exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DefinitionId {
    /// The workflow's name.
    pub name: Name,
    /// Its version.
    pub version: u32,
    /// Of its JSON form: two definitions of one name and version that differ are told apart by it.
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
    /// Unique within the definition.
    pub name: Name,
    /// The links that lead here. None: the node starts with the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Link>,
    /// How many of them must be taken.
    #[serde(default)]
    pub join: Join,
    /// What the node does.
    pub action: Action,
    /// What it is given.
    #[serde(default)]
    pub input: Expr,
    /// The task that undoes it, if the run fails after it. It is given `{"input", "output", "certain"}`: what the node was
    /// given, what it gave back, and whether it is certain that it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Work>,
    /// The task that finds out whether it has happened, for when its outcome is unknown. It is given `{"input"}`, what the node
    /// was given, and answers `{"happened": true, "output": ..}` or `{"happened": false}`: then the node has succeeded with
    /// that output, or failed without effect. If it fails, or answers something else, the outcome stays unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Work>,
    /// Makes the end of this node a save-point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save: Option<SavePoint>,
    /// The point of no return: once this node has succeeded nothing is undone any more, and it is tried until its
    /// outcome is known.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub pivot: bool,
    /// Mutual exclusion: of the nodes of a run with one of these names in common, one at a time is under way. One that is
    /// ready waits for its turn, the first in the definition goes first. With links between them the order is partial.
    /// (WCP 17, 39, 40)
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mutex: Vec<Name>,
    /// The stretch of the run in which it may start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone: Option<Milestone>,
    /// What can happen to it while it is under way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handlers: Vec<Handler>,
    /// The region that it cancels: when it succeeds, these nodes are withdrawn, wherever they stand. (WCP 19, 25)
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cancels: Vec<Name>,
    /// What it writes to variables of the run when it succeeds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<Write>,
    /// What must hold for it to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precondition: Option<Precondition>,
    /// What must hold of its output, which is [`Expr::Item`] in it, before anything sees that. If it does not hold, the
    /// output goes nowhere: work that is done once is done again, as a new task, as long as the attempts of its policy
    /// last, and is told what was refused (`{"output"}` as [`Expr::Item`] in the input); then the node fails. What was
    /// refused has happened all the same, and is undone like anything else if the run turns back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcondition: Option<Condition>,
    /// How much it may use up, with everything within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

impl Node {
    /// A node that starts with the run and is given nothing.
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
            precondition: None,
            postcondition: None,
            budget: None,
        }
    }

    /// Bounds how much it may use up.
    #[must_use]
    pub const fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Writes a part of its output to a variable when it succeeds.
    #[must_use]
    pub fn writing(mut self, variable: impl Into<Name>, pointer: impl Into<String>) -> Self {
        self.writes.push(Write::new(variable, pointer));
        self
    }

    /// Sets what must hold for it to start.
    #[must_use]
    pub fn with_precondition(mut self, precondition: Precondition) -> Self {
        self.precondition = Some(precondition);
        self
    }

    /// Sets what must hold of its output before anything sees that.
    #[must_use]
    pub fn with_postcondition(mut self, postcondition: Condition) -> Self {
        self.postcondition = Some(postcondition);
        self
    }

    /// Handles something that can happen to it while it is under way.
    #[must_use]
    pub fn with_handler(mut self, handler: Handler) -> Self {
        self.handlers.push(handler);
        self
    }

    /// Withdraws another node when this one succeeds.
    #[must_use]
    pub fn with_cancel(mut self, node: impl Into<Name>) -> Self {
        self.cancels.push(node.into());
        self
    }

    /// Keeps it apart from the nodes of the same name of exclusion.
    #[must_use]
    pub fn with_mutex(mut self, name: impl Into<Name>) -> Self {
        self.mutex.push(name.into());
        self
    }

    /// Lets it start only in this stretch of the run.
    #[must_use]
    pub fn with_milestone(mut self, milestone: Milestone) -> Self {
        self.milestone = Some(milestone);
        self
    }

    /// Adds a link that leads here.
    #[must_use]
    pub fn with_link(mut self, link: Link) -> Self {
        self.after.push(link);
        self
    }

    /// Sets how many links must be taken.
    #[must_use]
    pub const fn with_join(mut self, join: Join) -> Self {
        self.join = join;
        self
    }

    /// Sets what the node is given.
    #[must_use]
    pub fn with_input(mut self, input: Expr) -> Self {
        self.input = input;
        self
    }

    /// Sets the task that undoes it.
    #[must_use]
    pub fn with_undo(mut self, undo: Work) -> Self {
        self.undo = Some(undo);
        self
    }

    /// Sets the task that finds out whether it has happened.
    #[must_use]
    pub fn with_query(mut self, query: Work) -> Self {
        self.query = Some(query);
        self
    }

    /// Makes its end a save-point.
    #[must_use]
    pub fn as_save_point(mut self, save: SavePoint) -> Self {
        self.save = Some(save);
        self
    }

    /// Makes it the point of no return.
    #[must_use]
    pub const fn as_pivot(mut self) -> Self {
        self.pivot = true;
        self
    }
}

/// What a node does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Does a piece of work once.
    Do(Body),
    /// Takes branches by conditions on its input.
    Choose {
        /// One branch or several.
        #[serde(default)]
        pick: Pick,
        /// The branches, in the order in which their conditions are asked.
        cases: Vec<Case>,
        /// The branch for when no condition holds. Without one that is a failure of the node.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        otherwise: Option<Name>,
    },
    /// Does a piece of work for each item of a list.
    Map(Map),
    /// Does a piece of work again and again.
    Repeat(Repeat),
    /// Does a piece of work whose agent may hand parts of it on.
    Delegate(Delegate),
    /// Waits for a signal, a while, or whichever comes first. Its output is what the signal brought, null after the while.
    /// (WCP 16, 24)
    Wait {
        /// The signal, kept for the wait if it comes early.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<Name>,
        /// The while.
        #[serde(with = "crate::time::span::option", default, skip_serializing_if = "Option::is_none")]
        timer: Option<Duration>,
    },
    /// Waits for the first of several things: all are offered, and with the first that happens the others are withdrawn at
    /// once, with their timers and subscriptions. Links name what happened ([`On::Case`]). Its output is what a signal
    /// brought, null for a moment, and `{"by", "option", "note"}` for a decision. (WCP 16)
    Race {
        /// What is offered.
        offers: Vec<Offer>,
    },
    /// Gives back its input: a place for branches to meet.
    Pass,
    /// Lets one token move between states, which may form cycles. (WCP 10)
    States(States),
    /// Ends the run, which succeeds with this node's input as its output: whatever else is under way or has not begun is
    /// withdrawn. (WCP 43)
    Stop,
    /// Fails with this message: the end of a way that should not have been taken.
    Fail(Name),
}

impl Action {
    /// A task of this kind.
    #[must_use]
    pub fn task(kind: impl Into<Name>) -> Self {
        Self::Do(Body::Task(Work::new(kind)))
    }

    /// A workflow within the workflow.
    #[must_use]
    pub fn flow(definition: Definition) -> Self {
        Self::Do(Body::Flow(Arc::new(definition)))
    }
}

/// A piece of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Body {
    /// One task for an agent.
    Task(Work),
    /// A workflow of its own, as a child run.
    Flow(Arc<Definition>),
    /// A workflow that the engine holds, as a child run.
    Call(Call),
}

/// A task as a node describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Work {
    /// The task's kind.
    pub kind: Name,
    /// What it needs of an agent; a skill of the kind's name if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
    /// How urgent it is; as urgent as the run if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Retries and timeouts.
    #[serde(default, skip_serializing_if = "Policy::is_default")]
    pub policy: Policy,
    /// What an attempt is expected to use up: so much is put aside of a [`Budget`] for each.
    #[serde(default, skip_serializing_if = "Usage::is_nothing")]
    pub estimate: Usage,
}

impl Work {
    /// A task of this kind.
    #[must_use]
    pub fn new(kind: impl Into<Name>) -> Self {
        Self { kind: kind.into(), needs: None, tier: None, policy: Policy::default(), estimate: Usage::default() }
    }

    /// Sets what it needs.
    #[must_use]
    pub fn with_needs(mut self, needs: Needs) -> Self {
        self.needs = Some(needs);
        self
    }

    /// Sets how urgent it is.
    #[must_use]
    pub const fn with_tier(mut self, tier: Tier) -> Self {
        self.tier = Some(tier);
        self
    }

    /// Says what an attempt is expected to use up.
    #[must_use]
    pub const fn with_estimate(mut self, usage: Usage) -> Self {
        self.estimate = usage;
        self
    }

    /// Sets retries and timeouts.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }
}

/// One branch or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pick {
    /// The first whose condition holds. (WCP 4)
    #[default]
    First,
    /// Every one whose condition holds. (WCP 6)
    Every,
}

/// A branch of a choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Case {
    /// What links call it.
    pub name: Name,
    /// When it is taken, asked of the node's input as [`Expr::Item`].
    pub when: Condition,
}

impl Case {
    /// A branch that is taken when the condition holds.
    #[must_use]
    pub fn new(name: impl Into<Name>, when: Condition) -> Self {
        Self { name: name.into(), when }
    }
}
