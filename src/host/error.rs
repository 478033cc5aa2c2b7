//! What can go wrong with a host, and with a run that somebody waits for.

use crate::base::error::{PayloadError, RestoreError};
use crate::base::payload::Payload;
use crate::journal::{AppendError, JournalError};
use crate::message::rejected::Rejected;
use crate::message::run::RunOutcome;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// A host could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HostError {
    /// The engine refused the command; nothing changed.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The host has ended: it was shut down, or its journal failed.
    #[error("the host has ended")]
    Ended,
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal does not keep facts any more: the host has ended, and nothing that was not kept has left it.
    #[error("the journal failed: {0}")]
    Append(AppendError),
    /// The journal cannot be restored from.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// A snapshot was not kept.
    #[error("the snapshot was not kept: {0}")]
    Snapshot(AppendError),
    /// The input has no JSON form.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(String),
    /// So many attempts were still under way when the host ended.
    #[error("{0} attempts were still under way when the host ended")]
    StillWorking(usize),
}

/// A run gave nothing back.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RunError {
    /// It did not succeed.
    #[error("the run {0}")]
    Unsuccessful(RunOutcome),
    /// What it gave back is of another type.
    #[error(transparent)]
    Output(PayloadError),
    /// The host ended first; the run goes on when another takes over its journal.
    #[error("the host ended before the run did")]
    HostEnded,
}

/// What a run that ended so gave back.
pub(super) fn output_of<O: DeserializeOwned>(outcome: RunOutcome) -> Result<O, RunError> {
    match outcome {
        RunOutcome::Succeeded { output } => Payload::to(&output).map_err(RunError::Output),
        outcome @ (RunOutcome::Compensated { .. } | RunOutcome::Failed { .. }) => Err(RunError::Unsuccessful(outcome)),
    }
}
