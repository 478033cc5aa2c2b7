//! Calls of workflows by name.

use crate::base::name::Name;
use serde::{Deserialize, Serialize};

/// A child run of a workflow that the engine holds, referred to by name. The name is resolved when the node starts, and the
/// version that was found is recorded. A workflow may call itself, directly or through other workflows.
///
/// If the engine holds no such workflow then, the node fails. If the node is already nested in `depth` runs of the workflow,
/// it fails with [`LimitReached::Depth`](crate::message::LimitReached::Depth). (WCP 22)
///
/// ```
/// use counterpoint::definition::{Action, Body, Call, Case, Condition, Definition, Expr, Link, Node, Pick};
///
/// // Moves `n` discs: those above the largest, the largest, and those above it again.
/// let above = || Action::Do(Body::Call(Call::of("hanoi").to_depth(8)));
/// let some = Case::new("some", Condition::less(Expr::value(0), Expr::Item));
/// let ask = Action::Choose { pick: Pick::First, cases: vec![some], otherwise: Some("none".into()) };
/// let fewer = Expr::object([("n", Expr::node("count"))]);
/// let hanoi = Definition::new("hanoi")
///     .with_node(Node::new("any", ask).with_input(Expr::Input.at("/n")))
///     .with_node(Node::new("count", Action::task("minus one")).with_link(Link::case("any", "some")).with_input(Expr::Input))
///     .with_node(Node::new("first", above()).with_link(Link::success("count")).with_input(fewer.clone()))
///     .with_node(Node::new("move", Action::task("move")).with_link(Link::success("first")))
///     .with_node(Node::new("last", above()).with_link(Link::success("move")).with_link(Link::success("count")).with_input(fewer));
/// assert!(counterpoint::workflow::validate(&hanoi, &counterpoint::Limits::default()).is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Call {
    /// The name of the workflow.
    pub workflow: Name,
    /// The version. Without one, the newest version is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// How many runs of the workflow may be nested in each other, including the one that this call starts. 1, the default,
    /// allows no recursion.
    #[serde(default = "one")]
    pub depth: u32,
}

const fn one() -> u32 {
    1
}

impl Call {
    /// The newest version of the workflow, without recursion.
    #[must_use]
    pub fn of(workflow: impl Into<Name>) -> Self {
        Self { workflow: workflow.into(), version: None, depth: 1 }
    }

    /// Sets the version.
    #[must_use]
    pub const fn with_version(mut self, version: u32) -> Self {
        self.version = Some(version);
        self
    }

    /// Sets how many runs of the workflow may be nested in each other.
    #[must_use]
    pub const fn to_depth(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }
}
