//! Counterpoint: task distribution among agents and workflow orchestration, as a deterministic core without I/O.

pub mod agent;
pub mod command;
pub mod dag;
pub mod definition;
pub mod effect;
pub mod engine;
pub mod error;
pub mod event;
pub mod host;
pub mod id;
pub mod insight;
pub mod journal;
pub mod limits;
pub mod name;
pub mod payload;
pub mod queue;
pub mod rejected;
pub mod resilience;
pub mod routing;
pub mod run;
pub mod saga;
pub mod scheduler;
#[allow(dead_code)]
mod structure;
pub mod task;
pub mod time;
pub mod workflow;

pub use agent::{AgentSpec, AgentStatus};
pub use command::{Accepted, AgentCommand, Command, RunCommand, TaskCommand};
pub use effect::{Effect, Outbox};
pub use engine::{Engine, EngineSnapshot, NodeView, RunView};
pub use error::{PayloadError, RestoreError};
pub use event::{AgentEvent, Entry, Event, Next, Opening, RunEvent, TaskEvent};
pub use id::{AgentId, AttemptId, Incarnation, RunId, Seq, TaskId};
pub use limits::Limits;
pub use name::Name;
pub use payload::Payload;
pub use queue::Discipline;
pub use rejected::Rejected;
pub use run::{Cause, NodeOutcome, NodeStatus, RunOutcome, RunPhase, RunSpec, UndoOutcome, UndoRemedy};
pub use scheduler::{AgentView, Config, Scheduler, SchedulerSnapshot, TaskStatus, TaskView};
pub use structure::Random;
pub use task::{
    Bound, Exhausted, Failure, FailureKind, Happened, InDoubt, Jitter, Needs, Owner, Phase, Policy, Retry, TaskOutcome,
    TaskSpec, Tier,
};
pub use time::Time;
