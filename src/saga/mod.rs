//! Sagas: steps that are performed forward, and compensated when the saga fails.
//!
//! [`Saga`] executes a graph of steps without an engine: it decides which step, query or compensation is next, and the host
//! performs it. [`Compensation`] computes only the order of compensation, for any set of completed steps. Runs of workflows
//! use the same state machine for the rollback of their nodes.
//!
//! ```
//! use counterpoint::Payload;
//! use counterpoint::dag::Builder;
//! use counterpoint::saga::{Answer, Saga, SagaOutcome, StepSpec, Work, WorkKind};
//!
//! let mut trip = Builder::new();
//! let flight = trip.node("flight", StepSpec::new().compensable());
//! let hotel = trip.node("hotel", StepSpec::new().compensable());
//! let invoice = trip.node("invoice", StepSpec::new());
//! trip.edge(flight, invoice).edge(hotel, invoice);
//! let trip = trip.build()?;
//!
//! let (mut saga, mut events) = (Saga::new(&trip), Vec::new());
//! while let Some(Work { step, kind, .. }) = saga.next(&mut events) {
//!     // Store `events` here, then perform the work.
//!     let answer = match kind {
//!         WorkKind::Do { .. } if step == invoice => Answer::Failed,
//!         WorkKind::Do { .. } => Answer::Done(Payload::of(&format!("booked {step}"))?),
//!         WorkKind::Compensate { output, .. } => { println!("cancel {output}"); Answer::Done(Payload::NULL) }
//!         _ => Answer::Unknown,
//!     };
//!     saga.answer(step, answer, &mut events)?;
//! }
//! assert_eq!(saga.outcome(), Some(&SagaOutcome::Compensated));
//!
//! // The same events give the same saga.
//! assert_eq!(Saga::restore(&trip, &events)?, saga);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The rules
//!
//! After Garcia-Molina and Salem (1987), extended to partial orders, with the pivots of Richardson (2018):
//!
//! 1. Steps whose side effects are done or possible are compensated. A step whose outcome is unknown is first
//!    [queried](StepSpec::with_query), if it has a query. Steps that never began are not compensated.
//! 2. A compensation begins when those of all steps that causally follow its step have ended; independent ones run in parallel.
//! 3. A failed compensation is a state that waits for a [remedy](Saga::settle). The outcome of a saga names the steps whose
//!    side effects remain.
//! 4. When a step fails, the steps under way are awaited first.
//! 5. Once a [pivot](StepSpec::as_pivot) has completed, or may have completed and cannot be compensated, no earlier step is
//!    compensated.
//! 6. A failure rolls back to the last [save-points](StepSpec::as_save_point) before the step that failed, and the saga
//!    continues from there, a bounded number of times; then to the save-points before those; then to the beginning. Only the
//!    steps that causally follow the save-points are rolled back.
//! 7. A compensation receives the recorded output of its step.

mod compensation;
mod decide;
mod event;
mod progress;
mod rollback;
mod spec;
mod state;

pub use compensation::{Compensation, CompensationEnd, CompensationError, CompensationState};
pub use decide::{Answer, Remedy, Work, WorkKind};
pub use event::{IllegalEvent, SagaError, SagaEvent, SagaOutcome};
pub(crate) use progress::{IllegalProgress, Progress};
pub use rollback::RollbackError;
pub(crate) use rollback::{Goal, Next, Pivot, ResetMode, Rollback, RollbackRecord, Step, Steps};
pub use spec::StepSpec;
pub use state::{Saga, SagaPhase, Stage};
