//! Whether failures of nodes are handled: a run succeeds only if every failure was handled by something that ran.

use super::{BoundNode, Graph};
use crate::base::id::NodeIx;
use crate::base::name::Name;
use crate::definition::{Join, On};
use crate::message::run::NodeRemedy;
use crate::workflow::plan::Next;

/// Whether something that handles the failure of a node has run, or still may. A handler without links is a statement that
/// the failure does no harm.
pub(super) fn is_handled(graph: &Graph, failed: BoundNode<'_>) -> bool {
    let (took, next) = (failed.state.took(), &failed.plan.next);
    let is_linked = |case: &Name| next.iter().any(|next| matches!(&next.on, On::Case(on) if on == case));
    let by_rule = |next: &Next| {
        let join = graph.plan.node(next.to).map(|(node, _)| node.join);
        matches!(join, Some(Join::Trigger(rule)) if rule.handles_failure())
    };
    // An operator has decided that the failure does no harm.
    let is_accepted = matches!(failed.state.aside().remedy, Some(NodeRemedy::Skip { .. }));
    let may = |ix: NodeIx| graph.state(ix).is_some_and(|state| !state.has_dodged());
    is_accepted
        || took.iter().any(|handler| !is_linked(handler))
        || next.iter().any(|next| (next.on.follows_failure(took) || by_rule(next)) && may(next.to))
        || failed.plan.serves.iter().any(|join| may(*join))
}

/// The nodes whose failures are unhandled because this node, which ended without running, does not handle them.
pub(super) fn left_by(graph: &Graph, ix: NodeIx) -> Vec<NodeIx> {
    let mut sources = branches_to(graph, ix);
    sources.retain(|source| !graph.failures.contains(source) && graph.is_unhandled(*source));
    sources
}

/// The nodes that lead to a node: those that it is linked to, and all nodes of the branches that a counting join counts. In the
/// order of their indexes.
pub(crate) fn branches_to(graph: &Graph, ix: NodeIx) -> Vec<NodeIx> {
    let mut sources: Vec<NodeIx> = graph.links_to(ix).map(|link| link.source).collect();
    if graph.plan.node(ix).is_some_and(|(node, _)| matches!(node.join, Join::Count { .. })) {
        let serving = graph.nodes().filter(|node| node.plan.serves.contains(&ix));
        sources.extend(serving.map(|node| node.ix));
    }
    sources.sort_unstable();
    sources.dedup();
    sources
}
