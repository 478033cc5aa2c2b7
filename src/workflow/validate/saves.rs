//! Checks of queries and save-points.

use super::{Checker, Fault};
use crate::dag::{NodeIx, Topology};
use crate::definition::{Action, Body, Node};

impl<'d> Checker<'d, '_> {
    pub(super) fn query(&mut self, index: usize, node: &'d Node) {
        let Some(query) = node.query.as_ref().filter(|_| !matches!(node.action, Action::Function(_))) else { return };
        let task = matches!(node.action.body(), Some(Body::Task(_))) || matches!(node.action, Action::Delegate(_));
        if !task {
            self.fault(Some(index), Fault::QueryWithoutTask);
        } else if node.pivot {
            self.fault(Some(index), Fault::QueryOfPivot);
        }
        self.side_work(index, "query", query);
    }

    pub(super) fn save(&mut self, index: usize, node: &'d Node) {
        let Some(save) = &node.save else { return };
        if save.max_rollbacks() == 0 {
            self.fault(Some(index), Fault::SavePointOfNothing);
        }
        let Some(instead) = &save.alternative else { return };
        self.name(Some(index), "a case", instead);
        let handled = node.handlers.iter().any(|handler| handler.name == *instead);
        if handled || self.ways(index).is_some_and(|ways| ways.contains(&instead)) {
            self.fault(Some(index), Fault::DuplicateCase { case: instead.clone() });
        }
    }

    /// A node that starts more than once uses each value once; after a rollback, values from nodes outside of the
    /// rolled back region would be missing.
    pub(super) fn streams(&mut self, graph: &Topology) {
        let points: Vec<usize> =
            (0..).zip(&self.definition.nodes).filter(|(_, node)| node.save.is_some()).map(|(index, _)| index).collect();
        let repeats = self.definition.nodes.iter().any(|node| node.join.repeats());
        for point in points.into_iter().filter(|_| repeats) {
            let Some(at) = u32::try_from(point).ok().map(NodeIx::new) else { continue };
            let mut after: Vec<usize> = graph.descendants(&[at]).into_iter().map(NodeIx::index).collect();
            after.sort_unstable();
            for &index in &after {
                let Some(node) = self.definition.nodes.get(index).filter(|node| node.join.repeats()) else { continue };
                let around = node.after.iter().find(|link| {
                    self.indexes.get(link.node.as_str()).is_some_and(|source| after.binary_search(source).is_err())
                });
                if let (Some(link), Some(save)) = (around, self.definition.nodes.get(point)) {
                    let (source_node, save_point) = (link.node.clone(), save.name.clone());
                    self.fault(Some(index), Fault::StreamAroundSavePoint { source_node, save_point });
                }
            }
        }
    }
}
