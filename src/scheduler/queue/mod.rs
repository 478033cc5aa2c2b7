//! Waiting tasks in the order of a discipline.
//!
//! Tasks wait in one lane per requirement class, so that a task that nobody can do now never blocks another; within a lane
//! in strands by tenant and kind, so that a tenant or kind that may have no more now never blocks another. Within a strand
//! each tier is a list in order of arrival, which is the order that almost every task keeps: push, pop and removal are
//! constant, and finding the first of a lane grows with the logarithm of its strands. The few tasks that arrive out of
//! order (a retry keeps its first place; a deadline may be earlier than the tier's target) wait in a sorted map beside.

pub(crate) mod accounts;
mod discipline;
mod fair;
mod lane;
pub(crate) mod quota;
mod strand;

pub use discipline::Discipline;
pub(crate) use lane::{Lanes, Rank, Sight};
pub(crate) use strand::{StrandKey, Turn};
