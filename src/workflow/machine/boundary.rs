//! What happens to nodes while they are under way: handlers, cancelled regions, the end of everything.

use super::moves::Move;
use super::{NodeState, Run, Wanted};
use crate::definition::{Action, Boundary, Handler};
use crate::event::NodeEvent;
use crate::limits::Limits;
use crate::name::Name;
use crate::run::{NodeOutcome, NodeRemedy, RunPhase};
use crate::task::Failure;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// Of a node with handlers: what has happened to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watch {
    /// Since when it is under way.
    since: Time,
    /// The handlers that started a branch beside it, one bit each.
    #[serde(default)]
    beside: u32,
    /// The handler that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interrupted: Option<u32>,
}

impl Watch {
    pub(super) const fn new(since: Time) -> Self {
        Self { since, beside: 0, interrupted: None }
    }

    const fn has_fired(&self, handler: u32) -> bool {
        match 1_u32.checked_shl(handler) {
            Some(bit) => self.beside & bit != 0,
            None => true,
        }
    }
}

impl Run {
    fn handlers(&self, node: u32) -> &[Handler] {
        self.plan.node(node).map(|(node, _)| &node.handlers[..]).unwrap_or_default()
    }

    fn watch(&self, node: u32) -> Option<&Watch> {
        self.state(node)?.watch()
    }

    /// The handlers that a node still listens to, with their places and since when it is under way.
    fn watching(&self, node: u32) -> impl Iterator<Item = (u32, &Handler, Time)> {
        let watch = self.watch(node).filter(|watch| watch.interrupted.is_none());
        let watch = watch.filter(|_| !self.goes_back(node) && self.state(node).is_some_and(NodeState::is_working));
        watch.into_iter().flat_map(move |watch| {
            let handlers = (0..).zip(self.handlers(node)).filter(|(place, _)| !watch.has_fired(*place));
            handlers.map(|(place, handler)| (place, handler, watch.since))
        })
    }

    /// The signals that handlers of a node wait for.
    pub(super) fn watched_signals(&self, node: u32) -> impl Iterator<Item = Wanted<'_>> {
        self.watching(node).filter_map(move |(_, handler, _)| match &handler.on {
            Boundary::Signal { signal, matching } => Some(Wanted::new(node, signal, matching)),
            Boundary::Error { .. } | Boundary::Timeout(_) | Boundary::Cancel => None,
        })
    }

    /// The moments that handlers of a node wait for.
    pub(super) fn watched_moments(&self, node: u32) -> impl Iterator<Item = Time> {
        self.watching(node).filter_map(|(_, handler, since)| match handler.on {
            Boundary::Timeout(span) => Some(since + span),
            Boundary::Error { .. } | Boundary::Signal { .. } | Boundary::Cancel => None,
        })
    }

    /// Something has happened to a node that a handler waits for.
    pub(super) fn handle(&self, node: u32, now: Time, limits: &Limits) -> Option<Move> {
        for (handler, definition, since) in self.watching(node) {
            let signal = match &definition.on {
                Boundary::Timeout(span) if since + *span <= now => None,
                Boundary::Signal { signal, matching } => {
                    let wanted = Wanted::new(node, signal, matching);
                    match self.first_meant(&wanted, self.signals.get(signal), now, limits) {
                        Some((place, _)) => Some(place),
                        None => continue,
                    }
                }
                Boundary::Timeout(_) | Boundary::Error { .. } | Boundary::Cancel => continue,
            };
            return Some(Move::of(node, NodeEvent::HandlerFired { handler, signal }));
        }
        None
    }

    /// The handler by which a node ends that ends so.
    pub(super) fn handler_of(&self, node: u32, outcome: &NodeOutcome) -> Option<Name> {
        if self.phase != RunPhase::Running || self.goes_back(node) {
            return None;
        }
        let handlers = self.handlers(node);
        let found = match (outcome, self.interrupted(node)) {
            (NodeOutcome::Cancelled { .. }, Some(handler)) => handlers.get(handler as usize),
            (NodeOutcome::Cancelled { .. }, None) => {
                let begun = self.state(node).is_some_and(NodeState::is_working);
                handlers.iter().find(|handler| begun && handler.on == Boundary::Cancel)
            }
            (NodeOutcome::Failed { failure, .. }, _) => handlers.iter().find(|handler| match &handler.on {
                Boundary::Error { kinds } => kinds.is_empty() || kinds.contains(&failure.kind),
                Boundary::Timeout(_) | Boundary::Signal { .. } | Boundary::Cancel => false,
            }),
            (NodeOutcome::Succeeded | NodeOutcome::Skipped, _) => None,
        };
        found.map(|handler| handler.name.clone())
    }

    /// The handler that ended a node.
    pub(super) fn interrupted(&self, node: u32) -> Option<u32> {
        self.watch(node)?.interrupted
    }

    /// Whether a handler of this name has started a branch beside the node already.
    pub(super) fn went_beside(&self, node: u32, name: &Name) -> bool {
        let Some(watch) = self.watch(node) else { return false };
        (0..)
            .zip(self.handlers(node))
            .any(|(place, handler)| handler.name == *name && !handler.interrupts && watch.has_fired(place))
    }

    pub(super) fn handler_fired(&mut self, node: u32, handler: u32, signal: Option<u32>) -> Result<(), &'static str> {
        let definition = self.handlers(node).get(handler as usize).ok_or("an unknown handler fires")?.clone();
        if let Boundary::Signal { signal: name, .. } = &definition.on {
            self.give_up(name, signal.unwrap_or(0))?;
        }
        self.agenda.insert(node);
        let state = self.state_mut(node).ok_or("an unknown handler fires")?;
        let watch = state.more_mut().watch.as_mut().ok_or("a handler fires of a node that is not under way")?;
        if definition.interrupts {
            watch.interrupted = Some(handler);
            return Ok(());
        }
        watch.beside |= 1_u32.checked_shl(handler).ok_or("an unknown handler fires")?;
        self.branch_begins(node, &definition.name);
        Ok(())
    }

    /// A node that is withdrawn ends: as an operator wants it, or as cancelled.
    pub(super) fn end_withdrawn(&self, node: u32, begun: bool) -> Move {
        let maybe = self.state(node).is_some_and(NodeState::is_doubtful);
        let cancelled = NodeOutcome::Cancelled { maybe };
        match self.remedy(node).filter(|_| self.phase == RunPhase::Running && !self.goes_back(node)) {
            Some(NodeRemedy::Complete { output, .. }) if output.is_null() => self.end(node, NodeOutcome::Succeeded),
            Some(NodeRemedy::Complete { output, .. }) => self.end_with(node, Vec::new(), output.clone()),
            Some(NodeRemedy::Fail { reason }) => {
                let failure = Failure::permanent(format!("an operator had it fail: {reason}"));
                self.end(node, NodeOutcome::Failed { failure, maybe, limit: None })
            }
            Some(NodeRemedy::Skip { .. }) if !begun => self.end(node, NodeOutcome::Skipped),
            Some(NodeRemedy::Skip { .. }) | None => self.end(node, cancelled),
        }
    }

    /// Whether what a node does is no longer wanted: a join that cancels the rest has started, a node that cancels this one
    /// has succeeded, the run has come to its end, or a handler has ended the node.
    pub(super) fn is_withdrawn(&self, node: u32) -> bool {
        let Some(plan) = self.plan.nodes.get(node as usize) else { return false };
        let cancels = |join: &u32| self.plan.nodes.get(*join as usize).is_some_and(|plan| !plan.cancels.is_empty());
        let succeeded = |other: &u32| {
            self.state(*other).and_then(NodeState::ended).is_some_and(|outcome| *outcome == NodeOutcome::Succeeded)
        };
        plan.serves.iter().any(|join| self.has_started(*join) && cancels(join))
            || plan.cancelled_by.iter().any(succeeded)
            || self.stopped.is_some_and(|stop| stop != node)
            || self.interrupted(node).is_some()
            || self.remedy(node).is_some()
    }

    /// The node by which the run has come to its end, if it is one that ends all.
    pub(super) fn find_stop(&self) -> Option<u32> {
        (0..).zip(&self.nodes).find_map(|(node, state)| {
            let stop = matches!(self.plan.node(node)?.0.action, Action::Stop);
            (stop && state.ended() == Some(&NodeOutcome::Succeeded)).then_some(node)
        })
    }
}
