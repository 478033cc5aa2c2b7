//! What no document can express.

use crate::base::name::Name;
use core::fmt;
use thiserror::Error;

/// The number of characters of a text that a message shows.
const SHOWN: usize = 64;

/// Why a workflow has no document, and where.
///
/// ```
/// use counterpoint::definition::{Action, Definition, DurableFunction, Work};
/// use counterpoint::language::Document;
///
/// let flow = DurableFunction::new(Work::new("plan")).definition("plan");
/// let error = Document::of(&flow).unwrap_err();
/// assert_eq!(error.to_string(), "plan: a durable function has no form in a document");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub struct PrintError {
    /// The node, with the nodes that contain it from the outside in; empty for the workflow as a whole.
    pub path: Vec<Name>,
    /// What has no form in a document.
    pub kind: PrintErrorKind,
}

impl PrintError {
    pub(super) const fn new(kind: PrintErrorKind) -> Self {
        Self { path: Vec::new(), kind }
    }

    /// The same in a node.
    pub(super) fn within(mut self, node: &Name) -> Self {
        self.path.insert(0, node.clone());
        self
    }
}

impl fmt::Display for PrintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, node) in self.path.iter().enumerate() {
            write!(f, "{}{node}", if index == 0 { "" } else { "/" })?;
        }
        write!(f, "{}{}", if self.path.is_empty() { "" } else { ": " }, self.kind)
    }
}

/// What has no form in a document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PrintErrorKind {
    /// The name of a node is no id of a task.
    #[error("the name of the node is no id of a task: letters, digits, `_`, `-` and spaces")]
    Name,
    /// A durable function.
    #[error("a durable function has no form in a document")]
    Function,
    /// An expression whose text is read as another one.
    #[error("an expression has no text that is read as the same: `{}`", Shown(.0))]
    Expression(String),
    /// A setting without a field.
    #[error("{0} has no form in a document")]
    Setting(&'static str),
    /// The document is larger or deeper than documents can be.
    #[error("the document would be too large: {0}")]
    TooLarge(String),
    /// What would be read is not what was printed, or has a mistake.
    #[error("a document cannot express it: {0}")]
    Differs(String),
}

/// The beginning of a text.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().take(SHOWN).try_for_each(|letter| write!(f, "{letter}"))
    }
}
