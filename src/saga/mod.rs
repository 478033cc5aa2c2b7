//! Sagas: steps that others perform, forward, and back where that is needed.
//!
//! [`Saga`] is a machine of its own: it takes a graph of steps through success, failure and doubt, back to a save-point or to
//! the beginning, and says what to do next; who does it is the host's business. [`Unwinding`] is the backward half alone, over
//! any set of steps that have happened. The engine of workflows uses the same code for the nodes of its runs.
//!
//! ```
//! use counterpoint::Payload;
//! use counterpoint::dag::Builder;
//! use counterpoint::saga::{Answer, Saga, SagaOutcome, StepSpec, Work, WorkKind};
//!
//! let mut trip = Builder::new();
//! let flight = trip.node("flight", StepSpec::new().undoable());
//! let hotel = trip.node("hotel", StepSpec::new().undoable());
//! let invoice = trip.node("invoice", StepSpec::new());
//! trip.edge(flight, invoice).edge(hotel, invoice);
//! let trip = trip.build()?;
//!
//! let (mut saga, mut facts) = (Saga::new(&trip), Vec::new());
//! while let Some(Work { step, kind }) = saga.next(&mut facts) {
//!     // Write `facts` down here, then do it.
//!     let answer = match kind {
//!         WorkKind::Do { .. } if step == invoice => Answer::Failed,
//!         WorkKind::Do { .. } => Answer::Done(Payload::of(&format!("booked {step}"))?),
//!         WorkKind::Undo { output, .. } => { println!("cancel {output}"); Answer::Done(Payload::NULL) }
//!         _ => Answer::Unknown,
//!     };
//!     saga.answer(step, answer, &mut facts)?;
//! }
//! assert_eq!(saga.outcome(), Some(&SagaOutcome::Compensated));
//!
//! // The same facts, the same saga.
//! assert_eq!(Saga::restore(&trip, &facts)?, saga);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The rules
//!
//! After Garcia-Molina and Salem (1987), extended to partial orders, with the pivots of Richardson (2018):
//!
//! 1. What has happened is undone, and what may have happened. A step whose outcome is unknown is first
//!    [asked](StepSpec::with_query) about, if there is a way to ask; the answer decides. What never began is left alone.
//! 2. A compensation starts when those of all steps that came causally after it have ended; independent ones run at once.
//! 3. A compensation that failed is a state with a name; somebody says [what becomes of it](Saga::settle). A saga that left
//!    something behind says so and is never called compensated.
//! 4. What is under way when something fails is awaited first.
//! 5. Once a [pivot](StepSpec::as_pivot) has happened, or may have, nothing that came before is undone.
//! 6. A failure leads back to the last [save-point](StepSpec::as_save_point) before the step that failed, and forward again,
//!    so many times; then to the save-point before that; then to the beginning. What goes back is what came causally after
//!    the save-point; the rest of the saga does not notice.
//! 7. A compensation is given what its step gave, as it was recorded.

mod decide;
mod fact;
mod machine;
mod points;
mod spec;
mod unwinding;

pub use decide::{Answer, Settle, Work, WorkKind};
pub use fact::{SagaError, SagaFact, SagaOutcome};
pub use machine::{Saga, SagaPhase, Stage};
pub use points::last_save_points;
pub use spec::StepSpec;
pub use unwinding::{Step, UnwindError, Unwinding};
