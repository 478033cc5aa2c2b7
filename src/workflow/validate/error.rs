//! The faults of a definition, with their locations.

use super::fault::Fault;
use super::location::Short;
use crate::base::name::Name;
use crate::message::rejected::{Invalid, Rejected};
use core::fmt;
use thiserror::Error;

/// All faults of a definition.
///
/// ```
/// use counterpoint::Limits;
/// use counterpoint::definition::{Action, Definition, Expr, Link, Node};
/// use counterpoint::workflow::{Fault, validate};
///
/// let broken = Definition::new("order")
///     .with_node(Node::new("reserve", Action::task("reserve")))
///     .with_node(Node::new("ship", Action::task("ship")).with_link(Link::success("resreve")))
///     .with_output(Expr::node("parcel"));
/// let error = validate(&broken, &Limits::default()).unwrap_err();
/// assert_eq!(error.findings().len(), 2);
/// assert_eq!(
///     error.findings()[0].to_string(),
///     "node ship: is linked after `resreve`, which does not exist; did you mean `reserve`?",
/// );
/// assert!(matches!(error.findings()[1].fault, Fault::UnknownNode { .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct DefinitionError {
    workflow: Name,
    findings: Vec<Finding>,
    omitted: u64,
}

impl DefinitionError {
    pub(super) const fn new(workflow: Name, findings: Vec<Finding>, omitted: u64) -> Self {
        Self { workflow, findings, omitted }
    }

    /// The name of the workflow.
    #[must_use]
    pub const fn workflow(&self) -> &Name {
        &self.workflow
    }

    /// The faults, in the order of the nodes; never empty.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The number of further faults, beyond the length of the list.
    #[must_use]
    pub const fn omitted(&self) -> u64 {
        self.omitted
    }

    /// Whether it contains this fault.
    #[must_use]
    pub fn has(&self, fault: &Fault) -> bool {
        self.findings.iter().any(|finding| finding.fault == *fault)
    }

    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.findings.iter().map(Finding::to_string).collect();
        if self.omitted > 0 {
            lines.push(format!("and {} more faults", self.omitted));
        }
        lines
    }
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "workflow {} is not sound: {}", Short(&self.workflow), self.lines().join("; "))
    }
}

impl From<DefinitionError> for Rejected {
    fn from(error: DefinitionError) -> Self {
        Invalid::Unsound { faults: error.lines(), name: error.workflow }.into()
    }
}

/// A fault with its location.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The names of the nodes that lead to it, the outermost first: several for a nested workflow, none for a fault of
    /// the workflow as a whole.
    pub path: Vec<Name>,
    /// The fault.
    pub fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, node) in self.path.iter().enumerate() {
            write!(f, "{}node {}", if index == 0 { "" } else { " > " }, Short(node))?;
        }
        write!(f, "{}{}", if self.path.is_empty() { "" } else { ": " }, self.fault)
    }
}
