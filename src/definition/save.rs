//! Save-points.

use crate::name::Name;
use serde::{Deserialize, Serialize};

/// What makes the end of a node a save-point.
///
/// When a node that comes after it fails, and nothing takes care of that, the run does not turn back to its beginning: what came
/// after the save-point is withdrawn and undone, and done again from there. What does not come after it goes on as if nothing
/// had happened. Of several save-points before the node that failed the last ones count; when their rounds are used up, the
/// ones before them; then the run turns back as a whole. A save-point after which a pivot has happened is none any more.
///
/// ```
/// use counterpoint::definition::{Action, Definition, Link, Node, SavePoint};
///
/// // Packed goods stay packed: shipping is tried by two carriers in turn, then by post.
/// let order = Definition::new("order")
///     .with_node(Node::new("pack", Action::task("pack")).as_save_point(SavePoint::again(2).or_instead("by post")))
///     .with_node(Node::new("ship", Action::task("ship")).with_link(Link::success("pack")))
///     .with_node(Node::new("post", Action::task("post")).with_link(Link::case("pack", "by post")));
/// assert_eq!(order.nodes[0].save.as_ref().map(|save| save.again), Some(2));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SavePoint {
    /// How many times what comes after it is done again.
    pub again: u32,
    /// The way that is taken once more after that: links from the node on this case are taken instead of those on its success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<Name>,
}

impl SavePoint {
    /// What comes after it is done again so many times.
    #[must_use]
    pub const fn again(times: u32) -> Self {
        Self { again: times, instead: None }
    }

    /// And then another way is taken, once: that of the links on this case.
    #[must_use]
    pub fn or_instead(mut self, case: impl Into<Name>) -> Self {
        self.instead = Some(case.into());
        self
    }

    /// How often it can be gone back to.
    pub(crate) fn most(&self) -> u32 {
        self.again.saturating_add(u32::from(self.instead.is_some()))
    }
}
