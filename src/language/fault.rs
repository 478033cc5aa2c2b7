//! The errors in a document.

use super::marks::{Aspect, Position};
use crate::definition::ExprError;
use crate::workflow::Fault;
use core::fmt;
use thiserror::Error;

/// The number of characters of a string that a message shows.
const MAX_SHOWN: usize = 64;

/// All errors in a document, or in the input of a run.
///
/// ```
/// use counterpoint::Limits;
/// use counterpoint::language::Document;
///
/// let text = r#"{"name": "report", "tasks": [
///     {"id": "analyze", "timeout": "soon"},
///     {"id": "write", "depends_on": ["analyse"]}
/// ]}"#;
/// let error = serde_json::from_str::<Document>(text)?.compile(&Limits::default()).unwrap_err();
/// let lines: Vec<String> = error.faults().iter().map(ToString::to_string).collect();
/// assert_eq!(lines, [
///     "tasks[0].timeout: invalid value `soon`, expected a duration such as 250ms or 1m 30s",
///     "tasks[1].depends_on[0]: unknown task `analyse`, did you mean `analyze`?",
/// ]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct DocumentError {
    faults: Vec<DocumentFault>,
    omitted: u64,
}

impl DocumentError {
    pub(super) const fn new(faults: Vec<DocumentFault>, omitted: u64) -> Self {
        Self { faults, omitted }
    }

    /// The errors, in reading order; never empty. Errors found by validating the whole workflow come last.
    #[must_use]
    pub fn faults(&self) -> &[DocumentFault] {
        &self.faults
    }

    /// The number of further errors beyond the listed ones. The list is bounded.
    #[must_use]
    pub const fn omitted(&self) -> u64 {
        self.omitted
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{fault}", if index == 0 { "" } else { "; " })?;
        }
        if self.omitted > 0 {
            write!(f, "; and {} more errors", self.omitted)?;
        }
        Ok(())
    }
}

/// An error in a document, with its path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DocumentFault {
    /// The path in the document, such as `tasks[2].depends_on[0]`; empty for the document as a whole.
    pub path: String,
    /// The place in the text; none if the reader of the format does not tell places.
    pub at: Option<Position>,
    /// The error.
    pub kind: DocumentFaultKind,
}

impl fmt::Display for DocumentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "{at}: ")?;
        }
        write!(f, "{}{}{}", self.path, if self.path.is_empty() { "" } else { ": " }, self.kind)
    }
}

/// The kinds of errors in a document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DocumentFaultKind {
    /// A required field is missing.
    #[error("`{field}` is missing")]
    Missing {
        /// The field.
        field: String,
    },
    /// A name is not defined.
    #[error("unknown {what} `{}`{}", Truncated(.name), did_you_mean(.suggestion.as_deref()))]
    Unknown {
        /// What the name should refer to, such as "task".
        what: &'static str,
        /// The name.
        name: String,
        /// The most similar defined name.
        suggestion: Option<String>,
    },
    /// A value has the wrong type.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// The expected type, with an article.
        expected: &'static str,
        /// The type that was found, with an article.
        found: &'static str,
    },
    /// A value has the right type, but is not valid.
    #[error("invalid value `{}`, expected {expected}", Truncated(.text))]
    InvalidValue {
        /// The expected value, with an article.
        expected: &'static str,
        /// The value that was found.
        text: String,
    },
    /// A text is not an expression.
    #[error("{error}: `{}`", Truncated(.text))]
    Expression {
        /// The text.
        text: String,
        /// The mistake.
        error: ExprError,
    },
    /// A name is used twice.
    #[error("duplicate {what} `{}`", Truncated(.name))]
    Duplicate {
        /// What the name refers to, such as "task".
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Two fields cannot be used together.
    #[error("`{one}` and `{other}` exclude each other")]
    Exclusive {
        /// The first field.
        one: &'static str,
        /// The second field.
        other: &'static str,
    },
    /// A field has no effect, because another one is missing.
    #[error("`{field}` has no effect without `{without}`")]
    WithoutEffect {
        /// The field.
        field: &'static str,
        /// The missing field.
        without: &'static str,
    },
    /// A limit is exceeded.
    #[error("{count} {what} exceed the limit of {limit}")]
    TooMany {
        /// What is counted, such as "tasks".
        what: &'static str,
        /// The number.
        count: usize,
        /// The limit.
        limit: u32,
    },
    /// The workflow is invalid.
    #[error("{0}")]
    InvalidWorkflow(Fault),
}

impl DocumentFaultKind {
    /// What of a field the error is about.
    pub(super) fn aspect(&self) -> Aspect {
        let is_name = matches!(self, Self::Unknown { what: "field", .. } | Self::WithoutEffect { .. });
        if is_name { Aspect::Name } else { Aspect::Value }
    }
}

/// A string of which only the beginning is shown.
struct Truncated<'a>(&'a str);

impl fmt::Display for Truncated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(MAX_SHOWN) {
            Some((end, _)) => write!(f, "{}…", self.0.get(..end).unwrap_or_default()),
            None => f.write_str(self.0),
        }
    }
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!(", did you mean `{}`?", Truncated(name)))
}
