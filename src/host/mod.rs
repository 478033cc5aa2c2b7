//! Hosts, which drive the core. Only hosts read a clock; only hosts and the parallel runner of [`dag`](crate::dag) start
//! threads.

#[cfg(any(feature = "threads", feature = "async"))]
mod clock;
#[cfg(all(feature = "codecs", any(feature = "threads", feature = "async")))]
mod codec;
#[cfg(any(feature = "threads", feature = "async"))]
mod coder;
#[cfg(any(feature = "threads", feature = "async"))]
mod deploy;
#[cfg(any(feature = "threads", feature = "async"))]
#[cfg_attr(not(feature = "durable"), allow(dead_code, unreachable_pub, reason = "durable hosts use it"))]
mod durable;
#[cfg(any(feature = "threads", feature = "async"))]
mod error;
#[cfg(all(feature = "observe", any(feature = "threads", feature = "async")))]
mod followers;
#[cfg(feature = "async")]
pub mod future;
#[cfg(any(feature = "threads", feature = "async"))]
mod reentry;
#[cfg(any(feature = "threads", feature = "async"))]
mod snapshots;
#[cfg(any(feature = "threads", feature = "async"))]
mod state;
#[cfg(feature = "threads")]
pub mod thread;
#[cfg(any(feature = "threads", feature = "async"))]
mod ticket;
#[cfg(any(feature = "threads", feature = "async"))]
mod watchers;

#[cfg(feature = "codecs")]
pub use crate::base::codec::{CodecError, Encoding, PayloadCodec};
#[cfg(any(feature = "threads", feature = "async"))]
pub use deploy::{Deployed, InFlight, Pinned};
#[cfg(all(feature = "durable", any(feature = "threads", feature = "async")))]
pub use durable::Durable;
#[cfg(any(feature = "threads", feature = "async"))]
pub use error::{HostError, RunError};
#[cfg(any(feature = "threads", feature = "async"))]
pub use snapshots::SnapshotStatus;

#[cfg(all(feature = "reports", any(feature = "threads", feature = "async")))]
pub use crate::workflow::report::{Report, ReportContent, Reported, Reports};

#[cfg(any(feature = "threads", feature = "async"))]
use crate::base::name::Name;
use crate::base::payload::Payload;
#[cfg(any(feature = "threads", feature = "async"))]
use crate::task::agent::AgentSpec;
use crate::task::{Failure, TaskSpec};
use crate::workflow::{Attempt, Steps};

/// Performs attempts, one call for each.
///
/// The same work may be requested again after a failure or a crash: [`Attempt::idempotency_key`] is the key by which an
/// outside system recognises that the work has been done. [`Steps`] implements this trait, and so does every function with a
/// matching signature.
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
///             return Err(Failure::transient("cancelled"));
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
    /// The failure states whether another attempt makes sense. An agent that cannot know whether the work was done
    /// returns [`Failure::unknown`].
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

/// Adds a skill for every kind of step to an agent's specification.
#[cfg(any(feature = "threads", feature = "async"))]
fn with_kinds<'a>(spec: AgentSpec, kinds: impl Iterator<Item = &'a Name>) -> AgentSpec {
    kinds.fold(spec, |spec, kind| {
        let level = spec.skills.get(kind).copied().unwrap_or(0);
        spec.with_skill(kind.clone(), level)
    })
}
