//! The reset of a run by an operator: the nodes after a point are cancelled, optionally compensated, and restarted.

use crate::base::id::NodeIx;
use crate::base::name::Name;
use crate::message::run::{CallPoint, ResetObstacle, ResetPoint};
use crate::saga::{Step as _, Steps as _};
use crate::workflow::machine::change::Changes;
use crate::workflow::machine::graph::BoundNode;
use crate::workflow::machine::node::{NodeState, waits_with_work};
use std::collections::BTreeSet;

impl Changes<'_> {
    /// The nodes that a reset to a point restarts, in ascending order. The error names a node that does not exist.
    pub(crate) fn nodes_from(self, point: &ResetPoint) -> Result<Vec<NodeIx>, Name> {
        let (names, stay) = match point {
            ResetPoint::Start => return Ok(self.run.graph.indexes().collect()),
            ResetPoint::After(names) => (names, true),
            ResetPoint::Before(names) => (names, false),
            ResetPoint::Call(call) => (&vec![call.node.clone()], false),
        };
        let index = |name: &Name| self.run.plan().index_of(name).ok_or_else(|| name.clone());
        let points = names.iter().map(index).collect::<Result<Vec<NodeIx>, Name>>()?;
        let mut anew: BTreeSet<NodeIx> = self.run.graph.after(&points).into_iter().collect();
        if !stay {
            anew.extend(points);
        }
        Ok(anew.into_iter().collect())
    }

    /// Whether the reset under way is one to this call of a function, or to none.
    pub(crate) fn is_reset_to(self, call: Option<&CallPoint>) -> bool {
        let cuts = |node: BoundNode<'_>| Some((node.ix, node.function_work()?.cut()?));
        let known = self.run.graph.nodes().find_map(cuts);
        known == call.and_then(|call| self.first_call(call).ok())
    }

    /// Whether these nodes can be restarted. Child runs are not checked.
    pub(crate) fn can_be_reset(self, anew: &[NodeIx], point: &ResetPoint) -> Result<(), ResetObstacle> {
        if self.run.rollback.is_partial() {
            return Err(ResetObstacle::RollingBack);
        }
        let is_anew = |ix: NodeIx| anew.binary_search(&ix).is_ok();
        let cut = match point {
            ResetPoint::Call(call) => Some(self.first_call(call)?),
            ResetPoint::Start | ResetPoint::After(_) | ResetPoint::Before(_) => None,
        };
        if let ResetPoint::After(points) = point {
            let has_succeeded = |ix: NodeIx| self.run.graph.state(ix).is_some_and(|state| state.has_succeeded());
            let is_open =
                |name: &&Name| self.run.plan().index_of(name).is_some_and(|ix| !is_anew(ix) && !has_succeeded(ix));
            if let Some(node) = points.iter().find(is_open) {
                return Err(ResetObstacle::NotSucceeded { node: node.clone() });
            }
        }
        let mut nodes = self.run.graph.nodes().filter(|node| is_anew(node.ix)).map(|node| node.state);
        let has_begun = |state: &NodeState| !state.is_waiting() || waits_with_work(state);
        if !nodes.any(|state| has_begun(state) || state.aside().held.is_some() || state.aside().remedy.is_some()) {
            return Err(ResetObstacle::Nothing);
        }
        let obstacle = |node: BoundNode<'_>| {
            if is_anew(node.ix) { self.cannot_be_renewed(node, anew, cut) } else { self.cannot_stay(node) }
        };
        self.run.graph.nodes().find_map(obstacle).map_or(Ok(()), Err)
    }

    /// The node of a function and the number of the first call that it performs again.
    fn first_call(self, call: &CallPoint) -> Result<(NodeIx, u32), ResetObstacle> {
        let node = self.run.plan().index_of(&call.node).and_then(|ix| self.run.graph.node(ix));
        let found = node.and_then(|node| Some((node, node.function_work()?.number_of(&call.key, &call.occurrence)?)));
        let (node, number) = found.ok_or_else(|| ResetObstacle::NotRequested { call: call.clone() })?;
        if number > 0 && node.state.compensated().is_some() {
            return Err(ResetObstacle::Compensated { node: node.name() });
        }
        Ok((node.ix, number))
    }

    /// The reason for which a node cannot be restarted, the function of one node from a call on.
    fn cannot_be_renewed(
        self,
        node: BoundNode<'_>,
        anew: &[NodeIx],
        cut: Option<(NodeIx, u32)>,
    ) -> Option<ResetObstacle> {
        let is_irreversible = match (node.function_work(), cut) {
            (Some(work), Some((ix, from))) if ix == node.ix => work.is_irreversible_from(from, node.state.instances()),
            (_, _) => node.is_irreversible(),
        };
        if is_irreversible || node.has_pivot_under_way() {
            return Some(ResetObstacle::Pivot { node: node.name() });
        }
        let mut sources = self.run.graph.links_to(node.ix).map(|link| link.source);
        let from_outside = node.definition.join.repeats() && sources.any(|source| anew.binary_search(&source).is_err());
        from_outside.then(|| ResetObstacle::Stream { node: node.name() })
    }

    /// The reason for which a node cannot keep its state while others restart.
    fn cannot_stay(self, node: BoundNode<'_>) -> Option<ResetObstacle> {
        if node.state.compensated().is_some() {
            return Some(ResetObstacle::Compensated { node: node.name() });
        }
        if self.run.graph.is_unhandled(node.ix) {
            return Some(ResetObstacle::Failed { node: node.name() });
        }
        let is_ended_by = node.state.aside().remedy.is_some() || node.state.aside().interrupted().is_some();
        let leaves = !node.state.has_ended() && !is_ended_by && self.run.graph.is_to_be_cancelled(node);
        (leaves || self.was_cancelled_by_failure(node.ix)).then(|| ResetObstacle::Cancelled { node: node.name() })
    }
}
