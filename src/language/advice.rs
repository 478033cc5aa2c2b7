//! Advice on the workflow of a document, with its place.

use super::flow::Locations;
use super::marks::{Aspect, Mark, Position};
use crate::base::name::Name;
use crate::workflow::Advice;
use core::fmt;

/// Advice on a document, with its path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DocumentAdvice {
    /// The path of the task, such as `tasks[2]`.
    pub path: String,
    /// The place in the text; none if the reader of the format does not tell places.
    pub at: Option<Position>,
    /// The advice.
    pub advice: Advice,
}

impl DocumentAdvice {
    pub(super) fn new(advice: Advice, locations: &Locations, marks: &Mark) -> Self {
        let mut nodes: Vec<Name> = Vec::new();
        let mut inner = &advice;
        while let Advice::Within { node, advice } = inner {
            nodes.push(node.clone());
            inner = advice;
        }
        nodes.push(inner.node().clone());
        let path = locations.get(&nodes).cloned().unwrap_or_default();
        let at = marks.find(&path, Aspect::Value);
        Self { path, at, advice }
    }
}

impl fmt::Display for DocumentAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "{at}: ")?;
        }
        write!(f, "{}: {}", self.path, self.advice)
    }
}
