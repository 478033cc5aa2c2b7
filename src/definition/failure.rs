//! Nodes that fail, and what happens after the failure of a step or of a compensation.

use super::Expr;
use crate::base::name::Name;
use crate::task::{Code, FailureKind};
use serde::{Deserialize, Serialize};

/// The failure of a node that always fails ([`Action::Fail`](super::Action::Fail)). In the expressions the item is the
/// input of the node.
///
/// If a node before it has failed, the failure of the first of them is the [cause](crate::Failure::cause).
///
/// ```
/// use counterpoint::FailureKind;
/// use counterpoint::definition::{Action, Expr, Fail, Link, Node};
///
/// let fail = Fail::new(Expr::Item.at("/why")).with_code("order.refused").with_details(Expr::Item);
/// let node = Node::new("refuse", Action::Fail(fail)).with_input(Expr::node("check")).with_link(Link::success("check"));
/// // The failure of another node again, with its own kind of trouble.
/// let again = Fail::new("given up").with_kind(FailureKind::Transient).with_code_of(Expr::end("call").at("/failure/code"));
/// # let _ = (node, again);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Fail {
    /// The message. A value that is not a string is shown as JSON.
    pub message: Expr,
    /// The kind; permanent by default.
    #[serde(default = "permanent", skip_serializing_if = "is_permanent")]
    pub kind: FailureKind,
    /// The code: a string, or null for none.
    #[serde(default, skip_serializing_if = "is_null")]
    pub code: Expr,
    /// The details.
    #[serde(default, skip_serializing_if = "is_null")]
    pub details: Expr,
}

const fn permanent() -> FailureKind {
    FailureKind::Permanent
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_permanent(kind: &FailureKind) -> bool {
    matches!(kind, FailureKind::Permanent)
}

fn is_null(expr: &Expr) -> bool {
    *expr == Expr::default()
}

impl Fail {
    /// A permanent failure with this message: a text or an expression.
    #[must_use]
    pub fn new(message: impl Into<Expr>) -> Self {
        Self { message: message.into(), kind: FailureKind::Permanent, code: Expr::default(), details: Expr::default() }
    }

    /// Sets the kind.
    #[must_use]
    pub fn with_kind(mut self, kind: FailureKind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the code.
    #[must_use]
    pub fn with_code(self, code: impl Into<Code>) -> Self {
        self.with_code_of(Expr::value(code.into().as_str()))
    }

    /// Sets the code from data.
    #[must_use]
    pub fn with_code_of(mut self, code: Expr) -> Self {
        self.code = code;
        self
    }

    /// Sets the details.
    #[must_use]
    pub fn with_details(mut self, details: Expr) -> Self {
        self.details = details;
        self
    }
}

impl From<&str> for Fail {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl From<Name> for Fail {
    fn from(message: Name) -> Self {
        Self::new(message.as_str())
    }
}

/// What happens after a failure that no link, handler or join of the definition handles.
///
/// ```
/// use counterpoint::definition::{Action, Definition, Node};
/// use counterpoint::{AgentId, AgentSpec, Command, Config, Effect, Engine, Failure, Outbox, RunCommand, RunId, RunSpec, Time};
/// use counterpoint::definition::OnFailure;
/// use counterpoint::engine::RunStanding;
///
/// let print = Node::new("print", Action::task("print"));
/// let flow = Definition::new("letter").with_node(print).with_on_failure(OnFailure::Hold);
/// let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
/// let agent = AgentSpec::new(AgentId::new(1)).with_skill("print", 1);
/// for command in [Command::register(agent), Command::define(flow), Command::start(RunSpec::new(RunId::new(1), "letter"))] {
///     engine.handle(Time::ZERO, command, &mut out)?;
/// }
/// let [Effect::Dispatch { attempt, to, .. }] = out.effects() else { panic!("one attempt begins") };
/// let failed = Command::fail(*to, *attempt, Failure::permanent("no paper"));
/// engine.handle(Time::ZERO, failed, &mut out)?;
///
/// let run = engine.run(RunId::new(1)).expect("it was started");
/// assert_eq!(run.standing(), RunStanding::Stalled);
/// assert_eq!(run.waits()[0].to_string(), "r1 print: an operator's command on the held failure (permanent: no paper)");
/// // An operator has put paper in.
/// let again = RunCommand::Retry { run: RunId::new(1), node: Some("print".into()), reason: "there is paper".into() };
/// engine.handle(Time::ZERO, again.into(), &mut out)?;
/// # Ok::<(), counterpoint::Rejected>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnFailure {
    /// The run rolls back to a save-point, or fails as a whole.
    #[default]
    Fail,
    /// The same, once every node has ended: what does not depend on the failure runs to its end first. The cause is the first
    /// failure.
    Finish,
    /// The node is held, the rest of the run continues, and an operator decides: [`RunCommand::Retry`](crate::RunCommand::Retry)
    /// retries the node, [`RunCommand::Operate`](crate::RunCommand::Operate) completes, skips or fails it; in the last case the
    /// run fails. Handlers of the node that wait for a time or a signal stay active.
    ///
    /// A failure that a link or a trigger rule may handle ends its node. If the node that would have handled it ends without
    /// running, the failure is held then: an operator retries the failed node, skips it, so that the failure counts as handled, or
    /// fails it. It cannot be completed any more, because the nodes after it have been decided.
    Hold,
}

impl OnFailure {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    pub(crate) const fn is_default(&self) -> bool {
        matches!(self, Self::Fail)
    }
}

/// What a failed compensation holds back until an operator decides about it.
///
/// ```
/// use counterpoint::definition::OnCompensationFailure;
///
/// assert_eq!(OnCompensationFailure::default(), OnCompensationFailure::Hold);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnCompensationFailure {
    /// The compensations of what came before it wait; those that are independent of it go on.
    #[default]
    Hold,
    /// Nothing: all others go on, those of what came before it, too. The run waits for the operator at its end.
    Continue,
    /// Everything: no further compensation starts.
    Stop,
}

impl OnCompensationFailure {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    pub(crate) const fn is_default(&self) -> bool {
        matches!(self, Self::Hold)
    }
}
