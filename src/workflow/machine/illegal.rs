//! Inputs that the state of a run, a node or an instance does not allow.

use crate::saga::{IllegalProgress, RollbackError};
use core::fmt;
use thiserror::Error;

/// An input that does not fit the state. A journal that contains one is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Illegal {
    input: &'static str,
    state: Reason,
}

/// The state that does not allow an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Reason {
    #[error("{0}")]
    State(&'static str),
    #[error(transparent)]
    Progress(#[from] IllegalProgress),
    #[error(transparent)]
    Rollback(#[from] RollbackError),
}

impl Illegal {
    pub(super) const fn new(input: &'static str, state: &'static str) -> Self {
        Self { input, state: Reason::State(state) }
    }

    /// The state machine of a saga does not allow the input.
    pub(super) fn by<E: Into<Reason>>(input: &'static str) -> impl FnOnce(E) -> Self {
        move |state| Self { input, state: state.into() }
    }

    /// The input refers to a node that the run does not have.
    pub(super) const fn unknown_node(input: &'static str) -> Self {
        Self::new(input, "the run has no such node")
    }
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, although {}", self.input, self.state)
    }
}

/// The result of applying an input.
pub(crate) type Applied<T = ()> = Result<T, Illegal>;
