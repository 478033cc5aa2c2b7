//! Waiting tasks in the order of a discipline.
//!
//! Tasks wait in one line per requirement class, so that a task that nobody can do now never blocks another. Within a
//! lane each tier is a list in order of arrival, which is the order that almost every task keeps: push, pop and removal are
//! constant. The few that arrive out of order (a retry keeps its first place; a deadline may be earlier than the tier's
//! target) wait in a sorted map beside.

mod discipline;
mod lane;

pub use discipline::Discipline;
pub(crate) use lane::{Lanes, Rank, Ticket};
