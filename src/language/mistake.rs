//! What can be wrong with a document, in words, and where.

use crate::workflow::Fault;
use core::fmt;
use thiserror::Error;

/// How many letters of a text a message shows.
const SHOWN: usize = 64;

/// Everything that is wrong with a document, or with what a run is given.
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
/// let lines: Vec<String> = error.mistakes().iter().map(ToString::to_string).collect();
/// assert_eq!(lines, [
///     "tasks[0].timeout: `soon` is no duration such as 250ms or 1m 30s",
///     "tasks[1].depends_on[0]: unknown task `analyse`, did you mean `analyze`?",
/// ]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct DocumentError {
    mistakes: Vec<Mistake>,
    omitted: u64,
}

impl DocumentError {
    pub(super) const fn new(mistakes: Vec<Mistake>, omitted: u64) -> Self {
        Self { mistakes, omitted }
    }

    /// What is wrong, in the order in which it is read; never empty. What only the whole shows comes last.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// How many more mistakes there are: the list has an end, for documents that are nothing but mistakes.
    #[must_use]
    pub const fn omitted(&self) -> u64 {
        self.omitted
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, mistake) in self.mistakes.iter().enumerate() {
            write!(f, "{}{mistake}", if place == 0 { "" } else { "; " })?;
        }
        if self.omitted > 0 {
            write!(f, "; and {} more mistakes", self.omitted)?;
        }
        Ok(())
    }
}

/// A mistake and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mistake {
    /// The path in the document, such as `tasks[2].depends_on[0]`; empty for the document as a whole.
    pub path: String,
    /// What is wrong there.
    pub wrong: Wrong,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.path, if self.path.is_empty() { "" } else { ": " }, self.wrong)
    }
}

/// What is wrong in a place of a document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Wrong {
    /// Something that has to be there is not.
    #[error("`{field}` is missing")]
    Missing {
        /// What.
        field: String,
    },
    /// A name that nothing here has.
    #[error("unknown {what} `{}`{}", Short(.name), meant(.suggestion.as_deref()))]
    Unknown {
        /// Of what.
        what: &'static str,
        /// The name.
        name: String,
        /// The name that may have been meant.
        suggestion: Option<String>,
    },
    /// Another sort of value than belongs there.
    #[error("is {found}, not {expected}")]
    Sort {
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// A value of the right sort that means nothing.
    #[error("`{}` is no {expected}", Short(.text))]
    Meaningless {
        /// What it should be.
        expected: &'static str,
        /// What it is.
        text: String,
    },
    /// A name that something before it has.
    #[error("another {what} is called `{}`", Short(.name))]
    Duplicate {
        /// Of what.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Two things of which a task can have one.
    #[error("`{one}` and `{other}` exclude each other")]
    Exclude {
        /// The one.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// Something that says more about another thing, which is not there.
    #[error("`{field}` means nothing without `{without}`")]
    Idle {
        /// What is there.
        field: &'static str,
        /// What is not.
        without: &'static str,
    },
    /// More than allowed.
    #[error("{count} {what}, more than the {limit} allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// What is allowed.
        limit: u32,
    },
    /// It can be read, and makes no sound workflow.
    #[error("{0}")]
    Unsound(Fault),
}

/// The beginning of a text that may be long.
struct Short<'a>(&'a str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN) {
            Some((end, _)) => write!(f, "{}…", self.0.get(..end).unwrap_or_default()),
            None => f.write_str(self.0),
        }
    }
}

fn meant(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!(", did you mean `{}`?", Short(name)))
}
