//! A workflow by its name.

use crate::name::Name;
use serde::{Deserialize, Serialize};

/// A run of a workflow that the engine holds, by its name: found when it begins, and the version that was found is written
/// down. A workflow may call itself, and so may several in turn.
///
/// If there is no such workflow then, the node fails. If as many runs of the workflow are around it already as `depth`
/// allows, the node fails with [`LimitReached::Depth`](crate::LimitReached::Depth). (WCP 22)
///
/// ```
/// use counterpoint::definition::{Action, Body, Call, Case, Condition, Definition, Expr, Link, Node, Pick};
///
/// // Move `n` discs: those above the largest, the largest, those above again.
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
    /// The workflow's name.
    pub workflow: Name,
    /// Its version; the newest there is if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// How many runs of the workflow may be within each other, this one included; 1 if nothing is said: no recursion.
    #[serde(default = "one")]
    pub depth: u32,
}

const fn one() -> u32 {
    1
}

impl Call {
    /// The newest version of this workflow, which must not be around the node already.
    #[must_use]
    pub fn of(workflow: impl Into<Name>) -> Self {
        Self { workflow: workflow.into(), version: None, depth: 1 }
    }

    /// Asks for this version.
    #[must_use]
    pub const fn with_version(mut self, version: u32) -> Self {
        self.version = Some(version);
        self
    }

    /// Lets so many runs of the workflow be within each other.
    #[must_use]
    pub const fn to_depth(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }
}
