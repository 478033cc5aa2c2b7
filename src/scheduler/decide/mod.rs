//! Decisions: commands and timers lead to events. The state changes only when an event is applied.

mod admission;
mod agents;
mod attempts;
mod batches;
mod control;
mod dead;
mod deferral;
mod dispatch;
mod heartbeats;
mod preemption;
mod rebalance;
mod recovery;
mod retention;
mod submit;
mod tasks;
mod timers;
mod unroutable;
mod validate;

pub use admission::Admission;
pub(crate) use agents::check_report;
pub(super) use recovery::Awaited;
pub use recovery::Recovery;
pub(crate) use submit::Reuse;
#[cfg(all(feature = "cluster", feature = "threads"))]
pub(super) use validate::agent as agent_fits;
pub(crate) use validate::{bounded, fits, named};
