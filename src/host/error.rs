//! The errors of a host, and of a run that a caller waits for.

use crate::base::error::{PayloadError, RestoreError};
use crate::base::id::Seq;
use crate::base::payload::Payload;
use crate::journal::{AppendError, JournalError};
use crate::message::rejected::Rejected;
use crate::message::run::RunOutcome;
use crate::workflow::NoAgents;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// An error of a host.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HostError {
    /// The engine rejected the command; nothing changed.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// No agent of the host can perform some tasks of the workflow; the run was not started.
    #[error("{0}; add an agent that performs it, or start the run with `start_run` if the agent comes later")]
    NoAgents(NoAgents),
    /// The host has ended: it was shut down, or its journal failed.
    #[error("the host has ended")]
    Ended,
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An append to the journal failed. The host has ended; no answer or effect that depended on the append was
    /// released.
    #[error("{error}; {lost} events after event {durable} are not durable")]
    Append {
        /// Why the append failed. After [`AppendError::Unknown`] the journal may contain the events nevertheless.
        error: AppendError,
        /// The number of the last event that is durable.
        durable: Seq,
        /// The number of events that were decided after it.
        lost: usize,
    },
    /// A closure that reads the engine panicked. The host continues.
    #[error("the closure panicked: {0}")]
    Panicked(String),
    /// A callback of the host (a closure that reads the engine, a watcher, a strategy) called the host or waited for one
    /// of its results. The host could not answer before the callback returns.
    #[error("a callback of the host called the host, which waits for the callback")]
    Reentrant,
    /// The engine cannot be restored from the journal's content.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The journal did not store a snapshot.
    #[error("the snapshot was not stored: {0}")]
    Snapshot(AppendError),
    /// The input has no JSON form.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A payload could not be encoded before it enters the engine, and nothing has changed; or an output could not be decoded.
    #[cfg(feature = "codecs")]
    #[error(transparent)]
    Codec(#[from] crate::base::codec::CodecError),
    /// No shard of the host can execute the command as it is.
    #[cfg(feature = "cluster")]
    #[error(transparent)]
    Misrouted(#[from] crate::cluster::Misrouted),
    /// The host has no such shard, or not this number of shards.
    #[cfg(feature = "cluster")]
    #[error(transparent)]
    Shards(#[from] crate::cluster::BadShards),
    /// The shards of the host cannot share the agent.
    #[cfg(feature = "cluster")]
    #[error(transparent)]
    Home(#[from] crate::cluster::HomeError),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(String),
    /// The host ended while this many attempts were under way.
    #[error("{0} attempts were still under way when the host ended")]
    StillWorking(usize),
}

/// The reason why a run returned no output.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The run did not succeed.
    #[error("the run {0}")]
    Unsuccessful(RunOutcome),
    /// The output of the run has another type.
    #[error(transparent)]
    Output(PayloadError),
    /// The output of the run cannot be decoded, for example without its key. It is in the journal.
    #[cfg(feature = "codecs")]
    #[error(transparent)]
    Codec(#[from] crate::base::codec::CodecError),
    /// A callback of the host waited for the run. The host could not continue the run before the callback returns.
    #[error("a callback of the host waits for the run, and the host waits for the callback")]
    Reentrant,
    /// The host ended first. The run continues when another host takes over the journal.
    #[error("the host ended before the run did")]
    HostEnded,
}

/// The output of a run with this outcome.
pub(super) fn output_of<O: DeserializeOwned>(outcome: RunOutcome) -> Result<O, RunError> {
    match outcome {
        RunOutcome::Succeeded { output } => Payload::to(&output).map_err(RunError::Output),
        outcome @ (RunOutcome::Compensated { .. } | RunOutcome::Failed { .. }) => Err(RunError::Unsuccessful(outcome)),
    }
}
