//! Inputs that are not valid in the state of a run, a node or an instance.

use core::fmt;

/// An input that is not valid in the current state. A journal that contains one is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Illegal {
    /// The input.
    input: &'static str,
    /// The state.
    state: &'static str,
}

impl Illegal {
    pub(super) const fn new(input: &'static str, state: &'static str) -> Self {
        Self { input, state }
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
