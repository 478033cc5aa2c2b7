//! Hosts: what drives the core. Thin, and the only place with threads or a clock.

#[cfg(any(feature = "threads", feature = "async"))]
mod clock;
#[cfg(any(feature = "threads", feature = "async"))]
mod desk;
#[cfg(any(feature = "threads", feature = "async"))]
mod error;
#[cfg(feature = "async")]
pub mod future;
#[cfg(any(feature = "threads", feature = "async"))]
mod snapshots;
#[cfg(feature = "threads")]
pub mod thread;

#[cfg(any(feature = "threads", feature = "async"))]
#[cfg(any(feature = "threads", feature = "async"))]
pub use error::{HostError, RunError};
#[cfg(any(feature = "threads", feature = "async"))]
pub use snapshots::{SnapshotStatus, Snapshots};

#[cfg(any(feature = "threads", feature = "async"))]
use crate::base::name::Name;
use crate::base::payload::Payload;
#[cfg(any(feature = "threads", feature = "async"))]
use crate::task::agent::AgentSpec;
use crate::task::{Failure, TaskSpec};
use crate::workflow::{Attempt, Steps};

/// Whoever performs attempts at tasks, one call for each.
///
/// The work may be asked for again after a failure or a crash: [`Attempt::task`] is the key by which the world outside
/// recognises that it has been done. [`Steps`] is an agent, and so is every function of the right form.
///
/// ```
/// use counterpoint::host::Agent;
/// use counterpoint::workflow::Attempt;
/// use counterpoint::{Failure, Payload, TaskSpec};
///
/// struct Shouter;
///
/// impl Agent for Shouter {
///     fn perform(&self, task: &TaskSpec, attempt: &Attempt) -> Result<Payload, Failure> {
///         if attempt.is_cancelled() {
///             return Err(Failure::transient("not wanted any more"));
///         }
///         let text: String = task.payload.to().map_err(|error| Failure::permanent(error.to_string()))?;
///         Payload::of(&text.to_uppercase()).map_err(|error| Failure::permanent(error.to_string()))
///     }
/// }
/// ```
pub trait Agent: Send + Sync + 'static {
    /// Performs an attempt.
    ///
    /// # Errors
    ///
    /// The failure says what it means for the next attempt. An agent that is not sure whether the work was done says
    /// [`Failure::unknown`].
    fn perform(&self, task: &TaskSpec, attempt: &Attempt) -> Result<Payload, Failure>;
}

impl Agent for Steps {
    fn perform(&self, task: &TaskSpec, attempt: &Attempt) -> Result<Payload, Failure> {
        Self::perform(self, &task.kind, &task.payload, attempt)
    }
}

impl<F: Fn(&TaskSpec, &Attempt) -> Result<Payload, Failure> + Send + Sync + 'static> Agent for F {
    fn perform(&self, task: &TaskSpec, attempt: &Attempt) -> Result<Payload, Failure> {
        self(task, attempt)
    }
}

/// The agent with a skill for every kind of step that it can do.
#[cfg(any(feature = "threads", feature = "async"))]
fn with_kinds<'a>(spec: AgentSpec, kinds: impl Iterator<Item = &'a Name>) -> AgentSpec {
    kinds.fold(spec, |spec, kind| {
        let level = spec.skills.get(kind).copied().unwrap_or(0);
        spec.with_skill(kind.clone(), level)
    })
}
