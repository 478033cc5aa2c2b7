//! Waits for signals that the workflow neither sends nor declares.

use crate::base::name::Name;
use crate::definition::{Action, Boundary, Definition, Node};
use std::collections::BTreeSet;

/// The signals that a workflow sends, also in nested ones, or has rules for: those come from outside.
pub(super) struct Known<'d>(BTreeSet<&'d Name>);

impl<'d> Known<'d> {
    /// Recurses as deep as the nesting, which validation bounds.
    pub(super) fn of(definition: &'d Definition) -> Self {
        let mut known = Self(BTreeSet::new());
        known.add(definition);
        known
    }

    fn add(&mut self, definition: &'d Definition) {
        self.0.extend(definition.signals.iter().map(|rule| &rule.name));
        for node in &definition.nodes {
            if let Action::Send(send) = &node.action {
                self.0.insert(&send.signal);
            }
            node.action.flows().for_each(|flow| self.add(flow));
        }
    }

    /// The other signals that a node waits for, each once.
    pub(super) fn unsent(&self, node: &'d Node) -> BTreeSet<&'d Name> {
        let handled = node.handlers.iter().filter_map(|handler| match &handler.on {
            Boundary::Signal { signal, .. } => Some(signal),
            Boundary::Error(_) | Boundary::Timeout(_) | Boundary::Cancel | Boundary::When(_) => None,
        });
        let awaited = node.action.parts().signals;
        awaited.into_iter().chain(handled).filter(|signal| !self.0.contains(signal)).collect()
    }
}
