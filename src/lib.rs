#![cfg_attr(not(feature = "full"), allow(rustdoc::broken_intra_doc_links))]
//! Counterpoint is an embeddable orchestration engine: it assigns tasks to agents, runs workflows of tasks, retries failed
//! tasks, and compensates completed steps when a later step fails. It performs no I/O, reads no clock, starts no thread and
//! draws random numbers only from a seed. A host drives the engine: one of the module [`host`], the simulator, or a loop of
//! your own.
//!
//! # The loop of a host
//!
//! A host passes one command at a time to [`Engine::handle`], appends the events to its journal, answers the caller and
//! performs the effects.
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
//! while let Some(command) = inbox.pop() {                           // or `Command::Tick` at `engine.next_wakeup()`
//!     let answer = engine.handle(clock(), command, &mut outbox);    // the engine decides
//!     journal.extend_from_slice(outbox.entries());                  // write-ahead; if it fails, restore from the journal
//!     answer?;                                                      // answer the caller
//!     for effect in outbox.effects() {                              // perform the effects
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
//! # A typed workflow
//!
//! [`host::thread`] runs that loop on a thread and agents on others. Steps are types, so the compiler checks that inputs and
//! outputs match.
//!
#![cfg_attr(feature = "threads", doc = "```")]
#![cfg_attr(not(feature = "threads"), doc = "```ignore")]
//! use counterpoint::host::thread::ThreadHost;
//! use counterpoint::workflow::{Attempt, Step, Steps, Workflow};
//! use counterpoint::{AgentId, AgentSpec, Config, Failure};
//!
//! struct Length;
//! impl Step for Length {
//!     const KIND: &'static str = "length";
//!     type Input = String;
//!     type Output = usize;
//!     fn run(&self, text: String, _: &Attempt) -> Result<usize, Failure> {
//!         Ok(text.len())
//!     }
//! }
//!
//! let flow = Workflow::<String, usize>::named("measure");
//! let flow = flow.output(flow.step(Length, flow.input()))?;
//! let host = ThreadHost::start(Config::default())?;
//! host.add_agent(AgentSpec::new(AgentId::new(1)), Steps::new().with(Length))?;
//! assert_eq!(host.run(&flow, "doc-1", &"text".to_owned())?.wait()?, 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//!
//! **Start here**: the [guide], [`Engine`] (tasks, agents and workflows), [`host`] (ready-made hosts), [`workflow`] (the typed
//! builder and steps).
//!
//! **Usual**:
//!
//! | module | content |
//! |---|---|
//! | [`task`] | tasks and agents as data: requirements, priorities, retries, failures |
//! | [`message`] | commands, events, effects, rejections, outcomes of runs |
//! | [`definition`] | workflows as data: nodes, links, expressions |
//! | [`scheduler`] | [`Scheduler`]: tasks and agents without workflows; its [`Config`] and views |
//! | [`engine`] | views of runs, snapshots, followers |
//! | [`schedule`] | runs at times that follow from cron expressions, calendars and intervals |
//! | [`routing`] | strategies that choose an agent; the trait for a strategy of your own |
//! | [`resilience`] | delays between attempts, rate limits; with the feature `resilience` also breakers and more |
//! | [`journal`] | storage of events, and readers of events: projections, filters, feeds |
//!
//! **Advanced**: [`dag`] (graphs, readiness, a parallel runner) and [`saga`] (compensation) without an engine, and the modules
//! behind features:
//!
//! | feature | adds |
//! |---|---|
//! | `threads` (default) | `host::thread`, the parallel runner of `dag` |
//! | `async` | `host::future`: a host on any async runtime; steps that are futures |
//! | `tower` | services of tower as agents |
//! | `functions` | durable functions as asynchronous code, under both hosts |
//! | `reports` | heartbeats with details, progress and partial output of attempts |
//! | `time-zones` | schedules in time zones with names |
//! | `learning` | routing strategies that learn from results; estimates of durations |
//! | `resilience` | breakers, outlier ejection, adaptive concurrency, retry budgets, load shedding, caches, scaling advice |
//! | `cluster` | `cluster`: many engines as shards of a deployment, placed on nodes; with `threads`, `ShardedHost` of `host::thread` |
//! | `access` | `access`: roles, tenants, tokens, a decision on each command |
//! | `observe` | `observe`: metrics, progress, lineage, audit, timelines, pictures |
//! | `tracing` | spans of the crate tracing |
//! | `language` | `language`: workflow documents in YAML, JSON or TOML |
//! | `interop` | `interop`: state machines of the Amazon States Language to definitions and back |
//! | `bpmn` | `interop::bpmn`: processes in BPMN 2.0 XML to definitions; enables `interop` |
//! | `protocol` | `protocol`: messages for agents and tools in other processes |
//! | `coordination` | `coordination`, `team`: consensus, markets, hierarchies, reputation, teams |
//! | `decompose` | `decompose`: from a goal to a workflow |
//! | `planning`, `lp` | `planning`: schedules for teams, linear programs |
//! | `sealed` | `journal::sealed`: records in which every change is detected |
//! | `sim`, `testing` | `sim`: simulation with faults; `testing`: a kit for tests of hosts and workflows |

#[cfg(feature = "access")]
pub mod access;
mod base;
#[cfg(feature = "cluster")]
pub mod cluster;
#[cfg(feature = "coordination")]
pub mod coordination;
// Runs use the aggregation of results and the detection of convergence; the rest is behind the feature.
#[cfg(not(feature = "coordination"))]
#[allow(
    dead_code,
    unreachable_pub,
    unnameable_types,
    unused_imports,
    reason = "the feature `coordination` makes it public"
)]
mod coordination;
pub mod dag;
#[cfg(feature = "decompose")]
pub mod decompose;
pub mod definition;
pub mod engine;
#[cfg(any(doc, doctest))]
pub mod guide;
pub mod host;
#[cfg(feature = "interop")]
pub mod interop;
pub mod journal;
#[cfg(feature = "language")]
pub mod language;
pub mod message;
#[cfg(feature = "observe")]
pub mod observe;
#[cfg(feature = "planning")]
pub mod planning;
#[cfg(feature = "protocol")]
pub mod protocol;
pub mod resilience;
pub mod routing;
pub mod saga;
pub mod schedule;
pub mod scheduler;
#[cfg(feature = "sim")]
pub mod sim;
pub mod task;
#[cfg(feature = "coordination")]
pub mod team;
#[cfg(feature = "testing")]
pub mod testing;
pub mod workflow;

pub use base::error::{BadConfig, PayloadError, RestoreError};
pub use base::id::{AgentId, AttemptId, Incarnation, RunId, Seq, TaskId};
pub use base::limits::Limits;
pub use base::name::Name;
pub use base::payload::Payload;
pub use base::structure::Random;
pub use base::time::Time;
pub use engine::Engine;
pub use message::command::{Accepted, AgentCommand, Command, ControlCommand, RunCommand, TaskCommand};
pub use message::effect::{Effect, Outbox};
pub use message::event::{Entry, Event};
pub use message::rejected::{Rejected, RejectedClass};
pub use message::run::{RunOutcome, RunSpec};
pub use message::schedule::ScheduleCommand;
pub use scheduler::Scheduler;
pub use scheduler::config::Config;
pub use task::agent::AgentSpec;
pub use task::failure::{Failure, FailureKind};
pub use task::needs::Needs;
pub use task::outcome::TaskOutcome;
pub use task::policy::{Policy, Retry};
pub use task::{TaskSpec, Tier};

/// The README's example compiles and runs as a test.
#[cfg(all(doctest, feature = "threads"))]
#[doc = include_str!("../README.md")]
struct Readme;
