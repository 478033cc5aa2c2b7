//! Linear programs: the least of a sum under conditions that are sums.
//!
//! The simplex method and, where numbers must be whole, branch and bound are those of the crate `microlp`. Ours is what a
//! caller wants to know beyond the values: what each condition costs (duals), and why there is no answer.

mod allocation;
mod duals;
mod program;
mod reason;
mod sift;

pub use allocation::{Allocation, Prices, Share, allocate};
pub use program::{Condition, LinearProgram, LpError, LpSolution, Relation, Variable};
