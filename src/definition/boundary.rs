//! Handlers at the boundary of a node: errors, timeouts, signals and cancellations while the node is under way.

use super::Condition;
use crate::base::name::Name;
use crate::task::Failures;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A handler at the boundary of a node, or of a region if the node is a nested workflow. It names what can happen while the
/// node is under way; links that name the handler ([`On::Case`](super::On::Case)) lead to the branch that starts then.
///
/// An interrupting handler cancels the node and ends it. A failure that a handler matches does not fail the run, and does
/// not count as a failure for links on failure. A non-interrupting handler starts its branch while the node goes on, at most
/// once. Handlers are not evaluated while the run as a whole is failing.
///
/// ```
/// use counterpoint::FailureKind;
/// use counterpoint::task::Failures;
/// use counterpoint::definition::{Action, Handler, Link, Node};
/// use std::time::Duration;
///
/// let call = Node::new("call", Action::task("call"))
///     .with_handler(Handler::timeout("remind", Duration::from_secs(60)).non_interrupting())
///     .with_handler(Handler::timeout("give up", Duration::from_secs(600)))
///     .with_handler(Handler::error("busy", FailureKind::Overloaded))
///     .with_handler(Handler::error("declined", Failures::code("card.*")));
/// let remind = Node::new("remind", Action::task("mail")).with_link(Link::case("call", "remind"));
/// assert!(!call.handlers[0].interrupts && call.handlers[1].interrupts);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Handler {
    /// The name by which links refer to the handler.
    pub name: Name,
    /// What the handler matches.
    pub on: Boundary,
    /// Whether the handler ends the node. Errors and cancellations end it in any case.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub interrupts: bool,
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_yes(interrupts: &bool) -> bool {
    *interrupts
}

impl Handler {
    fn new(name: impl Into<Name>, on: Boundary) -> Self {
        Self { name: name.into(), on, interrupts: true }
    }

    /// Matches these failures: kinds, or [`Failures`].
    #[must_use]
    pub fn error(name: impl Into<Name>, failures: impl Into<Failures>) -> Self {
        Self::new(name, Boundary::Error(failures.into()))
    }

    /// Matches when the node has been under way for this long.
    #[must_use]
    pub fn timeout(name: impl Into<Name>, span: Duration) -> Self {
        Self::new(name, Boundary::Timeout(span))
    }

    /// Matches a signal of this name.
    #[must_use]
    pub fn signal(name: impl Into<Name>, signal: impl Into<Name>) -> Self {
        Self::new(name, Boundary::Signal { signal: signal.into(), matching: Condition::True })
    }

    /// Matches when a condition holds while the node is under way ([`Boundary::When`]).
    ///
    /// ```
    /// use counterpoint::definition::{Action, Handler, Node};
    ///
    /// // The search ends when enough was found elsewhere.
    /// let enough = Handler::when("enough", "context.found >= 3".parse()?);
    /// let search = Node::new("search", Action::task("search")).with_handler(enough);
    /// assert_eq!(search.handlers.len(), 1);
    /// # Ok::<(), counterpoint::definition::ExprError>(())
    /// ```
    #[must_use]
    pub fn when(name: impl Into<Name>, condition: Condition) -> Self {
        Self::new(name, Boundary::When(condition))
    }

    /// Matches the cancellation of the node while the run goes on.
    #[must_use]
    pub fn cancel(name: impl Into<Name>) -> Self {
        Self::new(name, Boundary::Cancel)
    }

    /// Starts the branch of the handler while the node goes on.
    #[must_use]
    pub const fn non_interrupting(mut self) -> Self {
        self.interrupts = false;
        self
    }
}

/// What a [`Handler`] matches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Boundary {
    /// The node fails with one of these failures. The failure of a nested workflow has the kind and the code of the failure
    /// of its node, at any depth.
    Error(Failures),
    /// The node has been under way for this long.
    Timeout(#[serde(with = "crate::base::time::span")] Duration),
    /// A signal arrives.
    Signal {
        /// The name of the signal.
        signal: Name,
        /// The condition on the content of the signal, given as [`Expr::Item`](super::Expr::Item).
        #[serde(default = "anything", skip_serializing_if = "is_anything")]
        matching: Condition,
    },
    /// A condition holds, evaluated as that of [`WaitFor::When`](super::WaitFor::When).
    When(Condition),
    /// The node is cancelled, by a join, by another node or by an operator.
    Cancel,
}

const fn anything() -> Condition {
    Condition::True
}

fn is_anything(condition: &Condition) -> bool {
    *condition == Condition::True
}
