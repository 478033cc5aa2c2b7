//! Workflows: steps that users write, a typed builder, and validation.
//!
//! A [`Step`] is a type with a kind, an input and an output. A [`Workflow`] declares the steps and their inputs; the
//! compiler checks the types, and [`validate`] everything else. The result is a
//! [`Definition`](crate::definition::Definition): plain data, which can also be written by hand as JSON or YAML.
//! [`Steps`] performs the attempts of an agent, in any process.
//!
//! ```
//! use counterpoint::workflow::{Attempt, Done, Step, Steps, Undo, Workflow};
//! use counterpoint::{AttemptId, Failure, Payload, Retry, TaskId};
//! use serde::{Deserialize, Serialize};
//! use std::time::Duration;
//!
//! #[derive(Serialize, Deserialize)]
//! struct Order { item: String, cents: u64 }
//! #[derive(Serialize, Deserialize)]
//! struct Reservation { shelf: u32 }
//! #[derive(Serialize, Deserialize)]
//! struct Receipt { paid: u64 }
//! #[derive(Serialize, Deserialize)]
//! struct Shipment { parcel: String }
//!
//! struct Reserve;
//! impl Step for Reserve {
//!     const KIND: &'static str = "reserve";
//!     type Input = Order;
//!     type Output = Reservation;
//!     fn run(&self, order: Order, _: &Attempt) -> Result<Reservation, Failure> {
//!         if order.item == "tea" { Ok(Reservation { shelf: 7 }) } else { Err(Failure::permanent("we sell tea")) }
//!     }
//! }
//! impl Undo for Reserve {
//!     fn undo(&self, _: Done<Order, Reservation>, _: &Attempt) -> Result<(), Failure> { Ok(()) }
//! }
//!
//! struct Charge;
//! impl Step for Charge {
//!     const KIND: &'static str = "charge";
//!     type Input = Order;
//!     type Output = Receipt;
//!     fn run(&self, order: Order, attempt: &Attempt) -> Result<Receipt, Failure> {
//!         let _key = attempt.idempotency_key(); // sent to the bank, which recognises a repeated charge by it
//!         Ok(Receipt { paid: order.cents })
//!     }
//! }
//! impl Undo for Charge {
//!     fn undo(&self, _: Done<Order, Receipt>, _: &Attempt) -> Result<(), Failure> { Ok(()) }
//! }
//!
//! struct Ship;
//! impl Step for Ship {
//!     const KIND: &'static str = "ship";
//!     type Input = (Reservation, Receipt);
//!     type Output = Shipment;
//!     fn run(&self, (stock, _): (Reservation, Receipt), _: &Attempt) -> Result<Shipment, Failure> {
//!         Ok(Shipment { parcel: format!("from shelf {}", stock.shelf) })
//!     }
//! }
//!
//! // The workflow: two concurrent steps, each compensated if the order fails, and then the pivot.
//! let flow = Workflow::<Order, Shipment>::named("order");
//! let stock = flow.step(Reserve, flow.input()).undoable();
//! let payment = flow
//!     .step(Charge, flow.input())
//!     .retry(Retry::exponential(5, Duration::from_secs(1), Duration::from_secs(30)))
//!     .undoable();
//! let parcel = flow.step(Ship, (stock, payment)).pivot();
//! let order = flow.output(parcel)?;
//!
//! let names: Vec<&str> = order.definition().nodes.iter().map(|node| node.name.as_str()).collect();
//! assert_eq!(names, ["reserve", "charge", "ship"]);
//!
//! // The agent: a host passes each attempt to the steps of its agent.
//! let steps = Steps::new().with_undo(Reserve).with_undo(Charge).with(Ship);
//! let kinds: Vec<&str> = steps.kinds().map(|kind| kind.as_str()).collect();
//! assert_eq!(kinds, ["charge", "charge.undo", "reserve", "reserve.undo", "ship"]);
//!
//! let attempt = Attempt::new(AttemptId::new(TaskId::new(1), 1), "reserve");
//! let payload = Payload::of(&Order { item: "tea".to_owned(), cents: 450 })?;
//! let reserved: Reservation = steps.perform("reserve", &payload, &attempt)?.to()?;
//! assert_eq!(reserved.shelf, 7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "async")]
mod asynchronous;
mod attempt;
mod builder;
mod check;
pub(crate) mod context;
#[cfg(feature = "functions")]
mod durable;
pub(crate) mod functions;
#[cfg(feature = "coordination")]
mod group;
pub(crate) mod machine;
pub(crate) mod plan;
#[cfg_attr(
    not(feature = "reports"),
    allow(
        dead_code,
        unnameable_types,
        unreachable_pub,
        reason = "hosts have the way for reports; the feature `reports` makes them"
    )
)]
pub(crate) mod report;
mod spec;
mod step;
mod steps;
mod validate;

#[cfg(feature = "async")]
pub use asynchronous::{AsyncQuery, AsyncStep, AsyncSteps, AsyncUndo, Awaited, Awaiting};
pub use attempt::{Attempt, Cancelled, NoIdempotencyKey};
pub use builder::{Branches, CaseRef, Choice, Flow, Handle, Source, Value, VariableRef, Workflow, kind};
pub use check::{Advice, Check, NoAgents, Unperformable, check, check_against};
#[cfg(feature = "functions")]
pub(crate) use durable::{Begun, EndedCall, Facts, OpenCall, Turns};
#[cfg(feature = "functions")]
pub use durable::{Ctx, Decided, DurableFunctions, FunctionFuture, FunctionSpec};
#[cfg(feature = "coordination")]
pub use group::{Answers, Decide, Group, GroupDecision};
#[cfg(feature = "reports")]
pub use report::ReportError;
pub use spec::{StepKind, StepSpec, UndoSpec};
pub use step::{Done, Query, Step, Undo};
pub use steps::Steps;
#[cfg(feature = "async")]
pub(crate) use steps::unreadable_input;
#[cfg(feature = "observe")]
pub(crate) use validate::graph::topology;
pub use validate::{DefinitionError, Fault, Finding, Location, validate};
