//! Somebody leads: elections with hysteresis, a tree that hands work down, reports that come up once.
//!
//! | what | with |
//! |---|---|
//! | who leads | [`Election`] |
//! | who does what | [`Hierarchy`] |
//! | what came of it | [`Rollup`] |
//! | how good is giving work to whoever is free | [`longest_first`], [`list_makespan`] (Graham 1966, 1969) |

mod balance;
mod election;
mod rollup;
mod tree;

pub use balance::{list_makespan, longest_first, makespan};
pub use election::{Change, Election, Why};
pub use rollup::{Rollup, RollupError};
pub use tree::{Delegated, Hierarchy, HierarchyError, Left};
