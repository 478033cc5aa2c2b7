//! The handle of a node.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A node of one graph: its place in the order of declaration, from zero.
///
/// A handle means something only together with the graph that gave it. It is 32 bits wide on purpose: the arrays of a
/// graph are half as large, and every conversion from a length is checked.
///
/// ```
/// use counterpoint::dag::NodeIx;
///
/// let third = NodeIx::new(2);
/// assert_eq!(third.index(), 2);
/// assert_eq!(third.to_string(), "n2");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeIx(u32);

impl NodeIx {
    /// The handle of the node declared at place `index`.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The place as an index into a slice that is in the order of declaration.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The place as a number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for NodeIx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl fmt::Debug for NodeIx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
