//! Hierarchies of agents: elections with hysteresis, and a tree that hands work down.
//!
//! | what | with |
//! |---|---|
//! | who leads | [`Election`] |
//! | who does what | [`Hierarchy`] |

mod election;
mod tree;

pub use election::{Change, Election, Why};
pub use tree::{Delegated, Hierarchy, HierarchyError, Left};
