//! Rules for failures: a node fails with what an agent or the engine itself reported, and names itself.

use super::{Judged, rule};
use crate::base::name::Name;
use crate::definition::{Action, Definition};
use crate::message::event::NodeRef;
use crate::message::run::NodeOutcome;
use crate::task::{Code, Failure, FailureKind};
use std::collections::BTreeSet;

/// The failures that may occur again: those of attempts so far, and those that definitions declare.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    reported: BTreeSet<Identity>,
    /// The nodes that fail as their definition or the code of their function decides.
    fails: BTreeSet<Name>,
}

/// What stays of a failure wherever it goes: kind, code, message, and details as text.
type Identity = (FailureKind, Option<Code>, Box<str>, String);

fn identity(failure: &Failure) -> Identity {
    (failure.kind, failure.code.clone(), failure.message.clone(), failure.details().to_string())
}

impl Known {
    pub(super) fn learn(&mut self, failure: &Failure) {
        self.reported.insert(identity(failure));
    }

    pub(super) fn learn_definition(&mut self, definition: &Definition) {
        for node in &definition.nodes {
            if matches!(node.action, Action::Fail(_) | Action::Function(_)) {
                self.fails.insert(node.name.clone());
            }
            node.action.flows().for_each(|flow| self.learn_definition(flow));
        }
    }

    fn has(&self, failure: &Failure) -> bool {
        let own = failure.code.as_ref().is_some_and(|code| code.as_str().starts_with("cp."));
        let declared = || failure.path().first().is_some_and(|first| self.fails.contains(&first.node));
        own || declared() || self.reported.contains(&identity(failure))
    }
}

/// A node that fails is the last on the path of the failure, which has the kind, the code, the message and the details that were reported,
/// however deep in nested runs that was.
pub(super) fn judge(known: &Known, node: &NodeRef, outcome: &NodeOutcome) -> Judged {
    let NodeOutcome::Failed { failure, .. } = outcome else { return Ok(()) };
    let ends_here = failure.path().last().is_some_and(|place| place.node == node.name);
    rule(ends_here, || format!("{node} fails with {failure:?}, whose path ends elsewhere"))?;
    rule(known.has(failure), || format!("{node} fails with {failure:?}, which nobody reported"))
}
