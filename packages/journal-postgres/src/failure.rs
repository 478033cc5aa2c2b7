//! What an error of the database means.

use counterpoint::journal::{AppendError, JournalError};
use postgres::error::SqlState;
use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Why the last append failed, for who asks afterwards: a host ends without a word about it. Clones tell of the same journal.
#[derive(Debug, Clone, Default)]
pub struct Failure(Arc<Mutex<Option<AppendError>>>);

impl Failure {
    /// Why, if one has failed since the journal was taken over.
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

/// The database has said no: then nothing was kept. Or the connection broke, or the server went down: then nobody knows.
pub(crate) fn append_error(error: postgres::Error) -> AppendError {
    let said = error.as_db_error().map(|said| said.code());
    let unknown = said.is_none_or(|code| {
        // Class 08 is about connections, class 57 about a server that goes down or an operator who stepped in.
        code.code().starts_with("08")
            || code.code().starts_with("57")
            || *code == SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
    });
    if unknown { AppendError::Unknown } else { AppendError::Refused(text(&error).into()) }
}

pub(crate) fn journal_error(error: postgres::Error) -> JournalError {
    JournalError::new(text(&error))
}

/// The error with what led to it: its own words say only that there was one.
fn text(error: &postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
