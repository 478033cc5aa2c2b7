//! Messages between a host and the core, as data: commands in, events and effects out, and the reasons of rejections.
//!
//! | type | direction | meaning |
//! |---|---|---|
//! | [`Command`](crate::Command) | host to core | a request: submit, register, complete, signal, cancel, operate |
//! | [`Accepted`](crate::Accepted), [`Rejected`](crate::Rejected) | core to host | the answer to a command |
//! | [`Event`](crate::Event) | core to host | what the core decided or received; the journal is the sequence of events |
//! | [`Effect`](crate::Effect) | core to host | what the host must do next: dispatch an attempt, cancel an attempt |
//!
//! The messages themselves are at the root of the crate, as [`Command`](crate::Command) is; this module has their parts.

mod accepted;
mod canonical;
pub(crate) mod command;
pub(crate) mod effect;
pub(crate) mod event;
pub mod rejected;
pub(crate) mod run;
pub(crate) mod schedule;

pub use command::DeadFilter;
pub use effect::Dispatched;
pub use event::{
    AgentEvent, CatalogueEvent, ControlEvent, DecisionEvent, MapEvent, Next, NodeEvent, NodeRef, Opening, PartEvent,
    RunEvent, ScheduleEvent, SkipReason, TaskEvent, Unroutable, YieldReason,
};
pub use run::{
    CallPoint, Carried, Cause, CompensationOutcome, CompensationRemedy, DelegatedPart, DroppedSubtask, LastRound,
    LimitReached, Measure, Migration, MigrationReport, MigrationTarget, NodeOutcome, NodeRemedy, NodeStatus, Obstacle,
    PartOutcome, Refusal, ResetObstacle, ResetPoint, RunKey, RunPhase,
};
