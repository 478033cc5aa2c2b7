//! Conversion of database errors.

use counterpoint::journal::{AppendError, JournalError};
use postgres::error::SqlState;
use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};

/// The reason why the last append failed, because a host that ends does not report it. Clones refer to the same
/// journal.
#[derive(Debug, Clone, Default)]
pub struct Failure(Arc<Mutex<Option<AppendError>>>);

impl Failure {
    /// The reason, if an append has failed since the journal was taken over.
    #[must_use]
    pub fn why(&self) -> Option<AppendError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn note(&self, error: &AppendError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
    }

    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// An error of a statement means that nothing was stored. After a broken connection or a server shutdown the outcome is
/// unknown.
pub(crate) fn append_error(error: postgres::Error) -> AppendError {
    let code = error.as_db_error().map(|error| error.code());
    let unknown = code.is_none_or(|code| {
        // Class 08 contains connection errors, class 57 server shutdowns and interventions of an operator.
        code.code().starts_with("08")
            || code.code().starts_with("57")
            || *code == SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
    });
    if unknown { AppendError::Unknown } else { AppendError::Refused(text(&error).into()) }
}

pub(crate) fn journal_error(error: postgres::Error) -> JournalError {
    JournalError::new(text(&error))
}

/// The error with its sources: its own text only states that there was an error.
fn text(error: &postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
