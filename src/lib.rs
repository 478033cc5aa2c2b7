#![cfg_attr(not(feature = "full"), allow(rustdoc::broken_intra_doc_links))]
//! Counterpoint is the mind of an orchestrator as a library: which agent does which task, when, what follows, what to retry,
//! what to undo. It performs no I/O, reads no clock, starts no thread and draws no hidden randomness; a host drives it.
//!
//! # Five words
//!
//! | word | meaning |
//! |---|---|
//! | [`Command`] | what a host asks of the core |
//! | [`Event`] | a fact that the core decided or learned: the journal, the audit trail and the feed of every observer |
//! | [`Effect`] | what the host must do next: plain data |
//! | [`Rejected`] | a command that was refused; nothing changed |
//! | [`Projection`](feed::Projection) | a fold over events: metrics, progress, timelines. The core's own state is one, too |
//!
//! # The host's loop
//!
//! One command in, one outbox out, one deadline to ask for. This is all of it; [`host::thread`] is this loop on threads.
//!
//! ```
//! use counterpoint::{AgentId, AgentSpec, Command, Config, Effect, Engine, Outbox, Payload, TaskId, TaskSpec, Time};
//! # let mut inbox = vec![
//! #     Command::submit(TaskSpec::new(TaskId::from_key("letter-1"), "translate")),
//! #     Command::register(AgentSpec::new(AgentId::new(1)).with_skill("translate", 1)),
//! # ];
//! # let mut journal = Vec::new();
//! # let clock = || Time::ZERO;
//!
//! let mut engine = Engine::new(Config::default());
//! let mut outbox = Outbox::default();
//! // 1. Wait for a command, or until `engine.next_wakeup()` and then take `Command::Tick`.
//! while let Some(command) = inbox.pop() {
//!     // 2. Let the core decide.
//!     let verdict = engine.handle(clock(), command, &mut outbox);
//!     // 3. Write the facts down, before anything leaves the house. If that fails: drop the engine and restore.
//!     journal.extend_from_slice(outbox.entries());
//!     // 4. Answer whoever asked.
//!     verdict?;
//!     // 5. Act.
//!     for effect in outbox.effects() {
//!         if let Effect::Dispatch { attempt, to, .. } = effect {
//!             inbox.push(Command::complete(*to, *attempt, Payload::of(&"done")?));
//!         }
//!     }
//!     outbox.clear();
//! }
//! assert_eq!(engine.queued(), [0; 4]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to begin
//!
//! With the [guide], whose first page takes ten minutes.
//!
//! # Where things are
//!
//! - [`Engine`]: tasks, agents and workflows. [`Scheduler`]: tasks and agents alone.
//! - [`workflow`]: the typed builder, steps, validation; [`definition`]: workflows as data.
//! - [`language`]: workflows as people write them, in YAML, JSON or TOML, with every mistake told by its path.
//! - [`routing`], [`resilience`]: how the scheduler chooses and retries; guards and [`capacity`] for hosts.
//! - [`coordination`]: how agents come to act as one: votes, markets, traces, reputation.
//! - [`team`]: who can do what, who shall work together, phases; [`decompose`]: from a goal to a workflow.
//! - [`capacity`]: how many agents, where, and with what; advice, never a decision.
//! - `planning` (feature `planning`): the best schedule for a team: assignment, projects with skills, DAGs with communication.
//! - [`dag`]: graphs, what is ready in them, and a parallel runner; [`saga`]: compensation. Both usable alone.
//! - [`journal`]: where facts are kept; [`insight`]: what they tell; [`protocol`]: messages for agents elsewhere.
//! - [`protocol`]: messages for agents and tools elsewhere, and the task states of other protocols.
//! - [`host`]: ready-made hosts, on threads and (feature `async`) as a future; `testing` (feature `testing`): a kit for tests.
//! - [`access`]: who may command what, and the trail of who did.
//! - `sim` (feature `sim`): all of it in virtual time, with modelled agents, loads and faults.

#[cfg(feature = "access")]
pub mod access;
pub mod agent;
pub mod capacity;
pub mod command;
pub mod coordination;
pub mod dag;
#[cfg(feature = "decompose")]
pub mod decompose;
pub mod definition;
pub mod effect;
pub mod engine;
pub mod error;
pub mod event;
pub mod feed;
#[cfg(any(doc, doctest))]
pub mod guide;
pub mod host;
pub mod id;
#[cfg(feature = "observe")]
pub mod insight;
pub mod journal;
#[cfg(feature = "language")]
pub mod language;
pub mod limits;
pub mod name;
pub mod payload;
#[cfg(feature = "planning")]
pub mod planning;
#[cfg(feature = "protocol")]
pub mod protocol;
pub mod rejected;
pub mod resilience;
pub mod routing;
pub mod run;
pub mod saga;
pub mod scheduler;
#[cfg(feature = "sim")]
pub mod sim;
mod structure;
pub mod task;
#[cfg(feature = "coordination")]
pub mod team;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod token;
pub mod trace;
pub mod workflow;

pub use agent::{AgentSpec, AgentStatus, Guard, Scope};
pub use command::{Accepted, AgentCommand, Command, ControlCommand, DeadFilter, RunCommand, TaskCommand};
pub use definition::{OnCompensationFailure, OnFailure};
pub use effect::{Dispatched, Effect, Outbox};
pub use engine::{
    Ask, Awaited, Balance, DefinitionView, Engine, EngineSnapshot, Follower, NodeView, PartView, RunCursor, RunFilter,
    RunMetrics, RunPage, RunStanding, RunView, Wait,
};
pub use error::{BadConfig, PayloadError, RestoreError};
pub use event::{
    AgentEvent, CatalogueEvent, ControlEvent, DecisionEvent, Entry, Event, MapEvent, Next, NodeEvent, NodeRef, Opening,
    PartEvent, RunEvent, TaskEvent, YieldReason,
};
pub use id::{AgentId, AttemptId, AttemptNumber, Incarnation, NodeIx, RunId, Seq, TaskId};
pub use limits::Limits;
pub use name::Name;
pub use payload::Payload;
pub use rejected::{Rejected, RejectedClass};
pub use run::{
    Carried, Cause, CompensationOutcome, CompensationRemedy, DelegatedPart, DroppedSubtask, LastRound, LimitReached,
    Measure, Migration, MigrationReport, MigrationTarget, NodeOutcome, NodeRemedy, NodeStatus, Obstacle, PartOutcome,
    Refusal, ResetObstacle, ResetPoint, RunOutcome, RunPhase, RunSpec,
};
pub use scheduler::{
    AgentView, Config, Discipline, Quota, Routability, Scheduler, SchedulerSnapshot, TaskStatus, TaskView, TaskWait,
};
pub use structure::Random;
pub use task::{
    Affinity, Bound, Exhausted, Failure, FailureKind, InDoubt, Jitter, Needs, Owner, Phase, Policy, Retry, SideEffects,
    Spending, TaskOutcome, TaskSpec, Tier, Usage,
};
pub use time::Time;
pub use token::Token;
pub use trace::TraceContext;

/// The README's example compiles and runs as a test.
#[cfg(all(doctest, feature = "threads"))]
#[doc = include_str!("../README.md")]
struct Readme;
