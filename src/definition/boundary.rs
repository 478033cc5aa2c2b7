//! What can happen to a node while it is under way.

use super::Condition;
use crate::name::Name;
use crate::task::FailureKind;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A handler at the boundary of a node, or of a region if the node is a workflow: what can happen while it is under way,
/// and where the run goes then. Links name the handler ([`On::Case`](super::On::Case)).
///
/// An interrupting handler cancels what the node does and ends it; a failure that a handler takes care of does not fail the
/// run, and is no failure for links that wait for one. One that does not interrupt starts its branch beside the node, once.
/// When the whole run turns back, no handler is asked.
///
/// ```
/// use counterpoint::FailureKind;
/// use counterpoint::definition::{Action, Handler, Link, Node};
/// use std::time::Duration;
///
/// let call = Node::new("call", Action::task("call"))
///     .with_handler(Handler::timeout("remind", Duration::from_secs(60)).beside())
///     .with_handler(Handler::timeout("give up", Duration::from_secs(600)))
///     .with_handler(Handler::error("busy", [FailureKind::Overloaded]));
/// let remind = Node::new("remind", Action::task("mail")).with_link(Link::case("call", "remind"));
/// assert!(!call.handlers[0].interrupts && call.handlers[1].interrupts);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Handler {
    /// What links call it.
    pub name: Name,
    /// What has to happen.
    pub on: Boundary,
    /// Whether the node ends with it. Errors and cancellations end it in any case.
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

    /// The node fails in one of these ways; in whatever way if none is given.
    #[must_use]
    pub fn error(name: impl Into<Name>, kinds: impl IntoIterator<Item = FailureKind>) -> Self {
        Self::new(name, Boundary::Error { kinds: kinds.into_iter().collect() })
    }

    /// The node has been under way for so long.
    #[must_use]
    pub fn timeout(name: impl Into<Name>, span: Duration) -> Self {
        Self::new(name, Boundary::Timeout(span))
    }

    /// A signal of this name comes.
    #[must_use]
    pub fn signal(name: impl Into<Name>, signal: impl Into<Name>) -> Self {
        Self::new(name, Boundary::Signal { signal: signal.into(), matching: Condition::True })
    }

    /// The node is withdrawn while the run goes on.
    #[must_use]
    pub fn cancel(name: impl Into<Name>) -> Self {
        Self::new(name, Boundary::Cancel)
    }

    /// Starts its branch beside the node, which goes on.
    #[must_use]
    pub const fn beside(mut self) -> Self {
        self.interrupts = false;
        self
    }
}

/// What can happen to a node that is under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Boundary {
    /// It fails.
    Error {
        /// In which ways; all if none is named.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        kinds: Vec<FailureKind>,
    },
    /// It has been under way for so long.
    Timeout(#[serde(with = "crate::time::span")] Duration),
    /// A signal comes.
    Signal {
        /// Its name.
        signal: Name,
        /// Which of that name, asked of what they bring, as [`Expr::Item`](super::Expr::Item).
        #[serde(default = "anything", skip_serializing_if = "is_anything")]
        matching: Condition,
    },
    /// It is withdrawn: by a join or a node that cancels it, or by an operator.
    Cancel,
}

const fn anything() -> Condition {
    Condition::True
}

fn is_anything(condition: &Condition) -> bool {
    *condition == Condition::True
}
