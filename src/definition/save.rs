//! Save-points.

use crate::base::name::Name;
use serde::{Deserialize, Serialize};

/// Makes the end of a node a save-point.
///
/// When a node after the save-point fails and nothing handles the failure, the run does not fail as a whole. The nodes
/// causally after the save-point are cancelled and compensated, and the run continues from the save-point. Other nodes are
/// not affected. If several save-points lie before the failed node, the run rolls back to the last of them; when their
/// retries are used up, to the ones before them; and when there are none left, the run fails. A save-point after which a
/// pivot has succeeded has no effect any more.
///
/// ```
/// use counterpoint::definition::{Action, Definition, Link, Node, SavePoint};
///
/// // Packed goods stay packed: shipping is attempted with two carriers in turn, and then by post.
/// let order = Definition::new("order")
///     .with_node(Node::new("pack", Action::task("pack")).as_save_point(SavePoint::retries(2).or_alternative("by post")))
///     .with_node(Node::new("ship", Action::task("ship")).with_link(Link::success("pack")))
///     .with_node(Node::new("post", Action::task("post")).with_link(Link::case("pack", "by post")));
/// assert_eq!(order.nodes[0].save.as_ref().map(|save| save.retries), Some(2));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SavePoint {
    /// How many times the run may roll back to this point and continue on the same branch.
    pub retries: u32,
    /// The branch for one more try after that: the links from the node on this case are taken instead of those on its
    /// success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternative: Option<Name>,
}

impl SavePoint {
    /// A save-point to which the run may roll back this many times.
    #[must_use]
    pub const fn retries(retries: u32) -> Self {
        Self { retries, alternative: None }
    }

    /// Takes another branch once when the retries are used up: that of the links on this case.
    #[must_use]
    pub fn or_alternative(mut self, case: impl Into<Name>) -> Self {
        self.alternative = Some(case.into());
        self
    }

    /// How many times the run can roll back to this point.
    pub(crate) fn max_rollbacks(&self) -> u32 {
        self.retries.saturating_add(u32::from(self.alternative.is_some()))
    }
}
