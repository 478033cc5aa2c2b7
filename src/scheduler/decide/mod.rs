//! Decisions: commands and timers in, events out. State changes only when an event is applied.

pub(crate) mod admission;
pub(crate) mod agents;
pub(crate) mod batches;
pub(crate) mod bulk;
pub(crate) mod control;
pub(crate) mod dispatch;
pub(crate) mod finish;
pub(crate) mod preemption;
pub(crate) mod prioritise;
pub(crate) mod rebalance;
pub(crate) mod recovery;
pub(crate) mod submit;
pub(crate) mod timers;
