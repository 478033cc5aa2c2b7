//! Hierarchies of agents: leader election with hysteresis, and a tree through which tasks are delegated.
//!
//! | purpose | type |
//! |---|---|
//! | leader election | [`Election`] |
//! | delegation down a tree | [`Hierarchy`] |

mod election;
mod tree;

pub use election::{Change, Election, Why};
pub use tree::{Delegated, Hierarchy, HierarchyError, Left};
