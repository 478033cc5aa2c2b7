//! Guards of nodes: conditions before the start of a node and on its output.

use super::{Decider, Move, Next};
use crate::base::payload::Payload;
use crate::definition::{OnUnmet, Precondition};
use crate::message::event::NodeEvent;
use crate::message::run::Refusal;
use crate::task::codes;
use crate::workflow::machine::graph::BoundNode;
use crate::workflow::machine::node::{Ending, NodeWork, Stage, Surroundings, Unfit};
use crate::workflow::machine::variables::Within;
use serde_json::json;

impl Decider<'_> {
    /// The move before the start of a node that could start: combining a variable for it, or refusing it by its
    /// precondition. None if there is none.
    pub(super) fn admit(&self, node: BoundNode<'_>) -> Option<Move> {
        let limit = self.limits.sizes.payload_bytes;
        let run = self.run;
        match run.variables.next_reduction(&run.graph, Some(node.ix), Within { most: limit, meter: self.meter }) {
            Some((variable, Ok(value))) => return Some(Move::Node(node.ix, NodeEvent::Reduced { variable, value })),
            Some((_, Err(why))) => return Some(self.end(node, Ending::unfit(&Unfit::new(why, self.limits)))),
            None => {}
        }
        let Precondition { when, .. } = node.definition.guards.precondition.as_ref()?;
        let sight = self.sight(node);
        match sight.input(Payload::NULL) {
            Ok(item) => (!sight.holds(when, item)).then(|| Self::refuse(node, Refusal::Precondition)),
            Err(unfit) => Some(self.end(node, Ending::unfit(&unfit))),
        }
    }

    pub(super) const fn refuse(node: BoundNode<'_>, guard: Refusal) -> Move {
        Move::Node(node.ix, NodeEvent::Refused { guard })
    }

    /// Whether a guard did not hold and the node has not reacted yet.
    pub(super) fn is_refused(node: BoundNode<'_>) -> bool {
        let aside = node.state.aside();
        let refusals = aside.refusals;
        match (node.state.stage(), node.state.work()) {
            (Stage::Working, NodeWork::Task) => {
                refusals > 0 && refusals.saturating_add(aside.retried()) >= node.state.instances().len()
            }
            (Stage::Waiting | Stage::Working, _) => refusals > 0,
            (Stage::Ended(_), _) => false,
        }
    }

    /// The move after a guard did not hold: another instance, or the end of the node.
    pub(super) fn after_refusal(&self, node: BoundNode<'_>) -> Next {
        let instances = node.state.instances();
        if let Some(worker) = instances.next_to_cancel() {
            return Move::cancel(worker).into();
        }
        if instances.active() > 0 {
            return Next::Wait;
        }
        if node.state.is_waiting() {
            let skips =
                node.definition.guards.precondition.as_ref().is_some_and(|guard| guard.otherwise == OnUnmet::Skip);
            let failed = || Ending::failed(codes::PRECONDITION, Refusal::Precondition.to_string());
            return self.end(node, if skips { Ending::Skipped } else { failed() }).into();
        }
        let attempts = node.plan.work.task.as_ref().map_or(1, |task| task.policy.retry().attempts);
        let is_repeated = matches!(node.state.work(), NodeWork::Task) && node.state.aside().refusals < attempts;
        if !is_repeated {
            return self.end(node, Ending::failed(codes::POSTCONDITION, Refusal::Postcondition.to_string())).into();
        }
        let refused = instances.last().and_then(|instance| instance.end()).map(|end| end.output()).unwrap_or_default();
        self.meter.spend_copy(refused.bytes());
        let item = Payload::new(json!({ "output": refused.value() }));
        match self.sight(node).input(item) {
            Ok(input) => self.begin(node, instances.len(), input),
            Err(unfit) => self.end(node, Ending::unfit(&unfit)).into(),
        }
    }
}
