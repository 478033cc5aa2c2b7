//! Linear programs: minimise or maximise a linear objective under linear constraints.
//!
//! The simplex method and, for integer variables, branch and bound come from the crate `microlp`. This module adds the dual value
//! of each constraint and the reasons for infeasible and unbounded programs.

mod allocation;
mod duals;
mod program;
mod reason;
mod sift;

pub use allocation::{Allocation, ShadowPrices, WorkShare, allocate};
pub use program::{Constraint, LinearProgram, LpError, LpSolution, Relation, Variable};
