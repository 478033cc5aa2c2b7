//! Save-points: how far back a failure leads.

use crate::dag::{NodeIx, Topology};
use std::collections::BTreeSet;

/// The last save-points before a step: of its ancestors those that `holds` says are save-points to go back to, without any
/// that comes before another of them. What goes back is all that comes after one of them:
/// [`Topology::descendants`]. Ascending; empty if there is none.
///
/// ```
/// use counterpoint::dag::Builder;
/// use counterpoint::saga::last_save_points;
///
/// let mut graph = Builder::new();
/// let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| graph.node(name, ()));
/// graph.edge(a, b).edge(b, c).edge(a, c).edge(c, d);
/// let graph = graph.build()?;
/// assert_eq!(last_save_points(graph.topology(), d, |step| step == a || step == b), [b]);
/// assert_eq!(graph.topology().descendants(&[b]), [c, d]);
/// # Ok::<(), counterpoint::dag::BuildError>(())
/// ```
#[must_use]
pub fn last_save_points(graph: &Topology, step: NodeIx, mut holds: impl FnMut(NodeIx) -> bool) -> Vec<NodeIx> {
    let (mut found, mut seen, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![step]);
    while let Some(step) = open.pop() {
        for &before in graph.predecessors(step) {
            if !seen.insert(before) {
                continue;
            }
            if holds(before) {
                found.insert(before);
            } else {
                open.push(before);
            }
        }
    }
    let found: Vec<NodeIx> = found.into_iter().collect();
    let earlier: BTreeSet<NodeIx> = graph.ancestors(&found).into_iter().collect();
    found.into_iter().filter(|step| !earlier.contains(step)).collect()
}
