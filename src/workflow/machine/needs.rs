//! What a run waits for, node by node.

use super::moves::Verdict;
use super::{NodeStage, NodeState, Piece, PieceUndo, Run, Turn, Worker};
use crate::event::Opening;
use crate::name::Name;
use crate::run::{NodeOutcome, RunPhase};
use crate::saga::Step;
use crate::time::Time;

/// What a node waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    /// The end of a task or of a run within, forward or back.
    Work(Worker),
    Signal(Name),
    Decision {
        roles: Vec<Name>,
        to: Option<Name>,
    },
    Moment(Time),
    /// More items, or the word that there are no more.
    Items,
    /// A node that must not be under way at the same time.
    Turn(Name),
    /// The node after which its stretch of the run begins.
    Milestone(Name),
    /// What becomes of a compensation that failed.
    Remedy,
    /// What becomes of a failure that is held.
    Word(String),
}

impl Run {
    /// What a node waits for now: whatever of it comes first lets it go on. Nothing if it waits only for nodes before it,
    /// which have waits of their own.
    pub(crate) fn needs(&self, node: u32) -> Vec<Need> {
        let Some(state) = self.state(node) else { return Vec::new() };
        match self.phase {
            RunPhase::Running if self.goes_back(node) && self.unwinding.is_some() => self.needs_back(node, state),
            RunPhase::Running if self.goes_back(node) => working(state).collect(),
            RunPhase::Running => self.needs_forward(node, state),
            // What was on its way back to a save-point is undone to the end.
            RunPhase::Halting if self.unwinding.is_some() => {
                working(state).chain(self.needs_back(node, state)).collect()
            }
            RunPhase::Halting => working(state).collect(),
            RunPhase::Compensating | RunPhase::CompensationFailed => self.needs_back(node, state),
            RunPhase::Finished => Vec::new(),
        }
    }

    /// The work alone that is under way: all that a paused run waits for.
    pub(crate) fn work(&self, node: u32) -> impl Iterator<Item = Need> {
        self.state(node).into_iter().flat_map(|state| working(state).chain(undoing(state)))
    }

    fn needs_forward(&self, node: u32, state: &NodeState) -> Vec<Need> {
        let held = state.held().map(|outcome| Need::Word(why(outcome)));
        let mut needs: Vec<Need> = match &state.stage {
            _ if held.is_some() => held.into_iter().collect(),
            NodeStage::Waiting => self.needs_turn(node).into_iter().collect(),
            NodeStage::Open(what) if matches!(**what, Opening::Wait { .. } | Opening::Race { .. }) => {
                self.needs_occasion(node)
            }
            NodeStage::Working | NodeStage::Open(_) | NodeStage::Ended(_) => working(state).collect(),
        };
        if self.items_if_open(node).is_some() && state.held().is_none() {
            needs.push(Need::Items);
        }
        if state.is_working() {
            needs.extend(self.watched_signals(node).map(|wanted| Need::Signal(wanted.signal.clone())));
            needs.extend(self.watched_moments(node).min().map(Need::Moment));
            let time = self.time_of(node).filter(|_| state.held().is_none());
            needs.extend(time.map(Need::Moment));
        }
        needs
    }

    fn needs_occasion(&self, node: u32) -> Vec<Need> {
        let signals = self.wanted_by(node);
        let mut needs: Vec<Need> = signals.iter().map(|wanted| Need::Signal(wanted.signal.clone())).collect();
        if let Some((decision, ruling)) = self.asks(node) {
            needs.push(Need::Decision { roles: decision.roles(ruling.level).cloned().collect(), to: ruling.to });
        }
        needs.extend(self.occasion_until(node).map(Need::Moment));
        needs
    }

    /// When a wait or race ends by itself, or its decision is escalated.
    fn occasion_until(&self, node: u32) -> Option<Time> {
        match self.state(node)?.opening()? {
            Opening::Wait { until } => *until,
            Opening::Race { since, until } => {
                let escalation = self.asks(node).and_then(|(decision, ruling)| {
                    Some(*since + decision.escalation.get(ruling.level as usize)?.after)
                });
                until.iter().copied().flatten().chain(escalation).min()
            }
            Opening::Map { .. } | Opening::Repeat | Opening::States | Opening::Rounds | Opening::Delegation => None,
        }
    }

    /// Of a node that could start by its links: what it must wait for all the same.
    fn needs_turn(&self, node: u32) -> Option<Need> {
        let plan = self.plan.nodes.get(node as usize)?;
        if self.verdict(node)? != Verdict::Starts || !matches!(self.turn(node), Turn::Later) {
            return None;
        }
        let busy = plan.rivals.iter().find(|rival| self.state(**rival).is_some_and(NodeState::is_busy));
        let early = plan.milestone.filter(|(after, _)| self.state(*after).is_some_and(|state| state.ended().is_none()));
        match (early, busy) {
            (Some((after, _)), _) => Some(Need::Milestone(self.plan.name(after))),
            (None, Some(rival)) => Some(Need::Turn(self.plan.name(*rival))),
            (None, None) => None,
        }
    }

    fn needs_back(&self, node: u32, state: &NodeState) -> Vec<Need> {
        if self.step_back(node) == Some(Step::Failed) {
            return vec![Need::Remedy];
        }
        undoing(state).collect()
    }
}

/// How a node has failed, in words.
fn why(outcome: &NodeOutcome) -> String {
    match outcome {
        NodeOutcome::Failed { failure, .. } => failure.to_string(),
        NodeOutcome::Succeeded | NodeOutcome::Skipped | NodeOutcome::Cancelled { .. } => outcome.to_string(),
    }
}

/// The pieces of a node that are under way.
fn working(state: &NodeState) -> impl Iterator<Item = Need> {
    let active = state.pieces.iter().filter(|piece| piece.is_active());
    let worker = |piece: &Piece| match piece.doubt() {
        Some(doubt) => doubt.asked.map(Worker::Task),
        None => piece.worker,
    };
    active.filter_map(worker).map(Need::Work)
}

/// The compensations of a node that are under way.
fn undoing(state: &NodeState) -> impl Iterator<Item = Need> {
    state.pieces.iter().filter_map(|piece| match &piece.undo {
        PieceUndo::Active(worker) => Some(Need::Work(*worker)),
        PieceUndo::Idle | PieceUndo::Undone | PieceUndo::Failed(_) => None,
    })
}
