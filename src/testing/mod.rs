//! Tools for tests of programs that use this crate: scripted agents, virtual time, assertions on events as text.
//!
//! | type | use |
//! |---|---|
//! | [`Rehearsal`] | runs a whole orchestration in virtual time, without threads or futures; simulates crashes and
//! silent agents; with the feature `functions`, also of durable functions |
//! | [`Script`], [`Reply`] | defines the answers of agents by kind and attempt, with delays |
//! | [`Recording`] | asserts on events as text; stores, loads, replays and compares them |
//! | [`VirtualClock`], and with the feature `async` `Executor` and `ScriptedAgent` | run futures under `host::future`
//! in virtual time |
//!
//! A workflow with failing agents:
//!
//! ```
//! use counterpoint::testing::{Rehearsal, Reply, Script};
//! use counterpoint::workflow::{Attempt, Done, Step, Undo, Workflow};
//! use counterpoint::{AgentId, AgentSpec, Config, Failure, RunId, RunOutcome};
//! use std::time::Duration;
//!
//! # struct Reserve;
//! # impl Step for Reserve {
//! #     const KIND: &'static str = "reserve";
//! #     type Input = String;
//! #     type Output = u32;
//! #     fn run(&self, _: String, _: &Attempt) -> Result<u32, Failure> { Ok(1) }
//! # }
//! # impl Undo for Reserve {
//! #     fn undo(&self, _: Done<String, u32>, _: &Attempt) -> Result<(), Failure> { Ok(()) }
//! # }
//! # struct Charge;
//! # impl Step for Charge {
//! #     const KIND: &'static str = "charge";
//! #     type Input = u32;
//! #     type Output = String;
//! #     fn run(&self, _: u32, _: &Attempt) -> Result<String, Failure> { Ok(String::new()) }
//! # }
//! // `Reserve` and `Charge` are the steps of the program; here a script replaces them.
//! let flow = Workflow::<String, String>::named("order");
//! let shelf = flow.step(Reserve, flow.input()).undoable();
//! let order = flow.output(flow.step(Charge, shelf))?;
//!
//! let script = Script::new()
//!     .on("reserve", [Reply::ok(&7).after(Duration::from_secs(2))])
//!     .on("reserve.undo", [Reply::ok(&())])
//!     .on("charge", [Reply::fail(Failure::permanent("no money"))]);
//! let mut rehearsal = Rehearsal::new(Config::default);
//! rehearsal.join(AgentSpec::new(AgentId::new(1)), script);
//! rehearsal.start(order.definition().clone(), order.run(RunId::new(1), &"tea".to_owned())?);
//! rehearsal.crash(); // the orchestrator crashes and is restored
//! rehearsal.run();
//!
//! let recording = rehearsal.recording();
//! assert!(matches!(recording.run_outcome(RunId::new(1)), Some(RunOutcome::Compensated { .. })));
//! recording.assert_count("no money", 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod clock;
#[cfg(feature = "async")]
mod executor;
mod recording;
mod rehearsal;
mod role;
mod script;

pub use clock::VirtualClock;
#[cfg(feature = "async")]
pub use executor::Executor;
pub use recording::{BadRecording, Recording};
pub use rehearsal::Rehearsal;
#[cfg(feature = "async")]
pub use script::ScriptedAgent;
pub use script::{Reply, Script};
