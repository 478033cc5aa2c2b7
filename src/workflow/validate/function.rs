//! Checks of durable functions.

use super::{Checker, Fault};
use crate::definition::{DurableFunction, Node};

impl Checker<'_, '_> {
    pub(super) fn function(&mut self, index: usize, node: &Node, function: &DurableFunction) {
        self.side_work(index, "function", &function.work);
        for (what, is_set) in
            [("pivot", node.pivot), ("compensation", node.undo.is_some()), ("query", node.query.is_some())]
        {
            if is_set {
                self.fault(Some(index), Fault::OfFunction { what });
            }
        }
        for (what, number) in [("max_calls", function.max_calls), ("max_calls_per_turn", function.max_calls_per_turn)] {
            if number == 0 {
                self.fault(Some(index), Fault::NoCalls { what });
            }
        }
    }
}
