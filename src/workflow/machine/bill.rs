//! What work uses up, and what becomes of a node or run whose budget is used up.

use super::moves::Move;
use super::{NodeStage, NodeState, Piece, Run, Worker};
use crate::definition::Budget;
use crate::event::{NodeEvent, RunEvent};
use crate::id::AttemptId;
use crate::limits::Limits;
use crate::name::Name;
use crate::payload::Payload;
use crate::run::{Cause, LimitReached, Measure, RunPhase};
use crate::task::{Owner, Phase, Spending, Usage};
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// What a piece of work takes of every budget that it is under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// Put aside and not used up yet.
    pub(crate) reserved: Spending,
    pub(crate) spent: Spending,
}

/// What was put aside for a piece, and what its attempts and those of its compensation used up.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Bill {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reserved: Option<Spending>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    used: Vec<(AttemptId, Usage)>,
}

impl Piece {
    fn spent(&self) -> Spending {
        let used = self.bill().into_iter().flat_map(|bill| &bill.used);
        used.fold(Spending::of(self.attempts.into(), Usage::default()), |sum, (_, usage)| sum + Spending::of(0, *usage))
    }

    fn standing(&self) -> Standing {
        let spent = self.spent();
        let reserved = self.bill().and_then(|bill| bill.reserved).filter(|_| self.is_active());
        Standing { reserved: reserved.map(|reserved| reserved - spent).unwrap_or_default(), spent }
    }
}

impl NodeState {
    /// What its tasks have used up, those of runs within not counted.
    pub(crate) fn spent(&self) -> Spending {
        self.pieces.iter().fold(self.before(), |sum, piece| sum + piece.spent())
    }

    /// What its tasks used up before the run went back to a save-point.
    fn before(&self) -> Spending {
        self.more.as_ref().map_or(Spending::NOTHING, |more| more.before)
    }
}

impl Run {
    /// What the run may use up: of what the definition and the start say, of each the smaller.
    pub(crate) fn budget(&self) -> Option<Budget> {
        match (self.plan.definition.budget, self.spec.budget) {
            (Some(a), Some(b)) => Some(a.within(b)),
            (a, b) => a.or(b),
        }
    }

    /// What a task of the run takes of budgets.
    pub(crate) fn standing(&self, owner: Owner) -> Standing {
        let piece = self.state(owner.node).and_then(|state| state.pieces.get(owner.item as usize));
        piece.map(Piece::standing).unwrap_or_default()
    }

    /// What nodes used up before the run went back to a save-point.
    pub(crate) fn spent_before(&self) -> impl Iterator<Item = (Owner, Spending)> {
        let nodes = (0..).zip(&self.nodes).map(|(node, state)| (node, state.before()));
        let nodes = nodes.filter(|(_, before)| !before.is_nothing());
        // No node has this place, but the run pays.
        let gone = Some((u32::MAX, self.gone())).filter(|(_, gone)| !gone.is_nothing());
        nodes.chain(gone).map(|(node, before)| (Owner::new(self.id(), node, 0, Phase::Do), before))
    }

    /// What nodes used up that the run has no more.
    pub(crate) fn gone(&self) -> Spending {
        self.gone.as_deref().copied().unwrap_or_default()
    }

    /// The same once the run has no nodes any more but these: what was used up is used up, whoever did.
    pub(super) fn gone_without(&self, kept: &[Option<u32>]) -> Option<Box<Spending>> {
        let dropped = (0..).zip(&self.nodes).filter(|(node, _)| !kept.contains(&Some(*node)));
        let gone = dropped.fold(self.gone(), |sum, (_, state)| sum + state.spent());
        (!gone.is_nothing()).then(|| Box::new(gone))
    }

    /// The pieces that are or were tasks.
    pub(crate) fn owners(&self) -> impl Iterator<Item = Owner> {
        (0..).zip(&self.nodes).flat_map(move |(node, state)| {
            let tasks = (0..).zip(&state.pieces).filter(|(_, piece)| matches!(piece.worker, Some(Worker::Task(_))));
            tasks.map(move |(item, _)| Owner::new(self.id(), node, item, Phase::Do))
        })
    }

    pub(crate) fn note_reserved(&mut self, owner: Owner, reserved: Spending) {
        if let Some(piece) = self.piece(owner) {
            piece.aside_mut().bill.get_or_insert_default().reserved = Some(reserved);
        }
    }

    /// An attempt has begun, or was given back and counts as none. Those of compensations are not counted.
    pub(crate) fn note_attempt(&mut self, owner: Owner, begun: bool) {
        if let Some(piece) = self.piece(owner).filter(|_| owner.phase == Phase::Do) {
            piece.attempts = if begun { piece.attempts.saturating_add(1) } else { piece.attempts.saturating_sub(1) };
        }
    }

    /// An attempt has used up so much in all. Said again it replaces what was said.
    pub(crate) fn note_used(&mut self, owner: Owner, attempt: AttemptId, usage: Usage) {
        if let Some(piece) = self.piece(owner) {
            let used = &mut piece.aside_mut().bill.get_or_insert_default().used;
            match used.iter_mut().find(|(known, _)| *known == attempt) {
                Some((_, known)) => *known = usage,
                None => used.push((attempt, usage)),
            }
        }
    }

    /// The node waits for something that only the engine can tell, and is looked at when it has come.
    pub(crate) fn park(&mut self, node: u32) {
        self.agenda.remove(&node);
    }

    fn time_up(budget: Option<Budget>, since: Option<Time>, now: Time) -> Option<LimitReached> {
        let span = budget?.time?;
        (since? + span <= now).then_some(LimitReached::Budget { measure: Measure::Time })
    }

    /// The moment at which the time of a node is over.
    pub(super) fn time_of(&self, node: u32) -> Option<Time> {
        let span = self.plan.node(node)?.0.budget?.time?;
        let state = self.state(node).filter(|state| state.is_working())?;
        state.began().map(|began| began + span)
    }

    /// The moment at which the time of the run is over.
    pub(crate) fn time_of_run(&self) -> Option<Time> {
        (self.phase == RunPhase::Running).then_some(())?;
        self.budget()?.time.map(|span| self.begun.1 + span)
    }

    /// The run's time is over: it turns back, unless there is no way back any more.
    pub(super) fn overdue(&self, now: Time, limits: &Limits) -> Option<Move> {
        if self.phase != RunPhase::Running || self.pivot_passed || self.is_going_back() {
            return None;
        }
        let limit = Self::time_up(self.budget(), Some(self.begun.1), now)?;
        let cause = Cause::Limit { node: None, limit, partial: self.so_far(limits) };
        Some(Move::Run(RunEvent::Failing { cause }))
    }

    /// What the run would give back if it ended now; nothing if that is too large.
    pub(crate) fn so_far(&self, limits: &Limits) -> Payload {
        let made = self.plan.definition.output.eval(&self.scope(None, Payload::NULL, limits)).unwrap_or_default();
        let fits = made.bytes() <= limits.payload_bytes && made.depth() <= limits.payload_depth;
        if fits { made } else { Payload::NULL }
    }

    pub(super) fn note_exhausted(&mut self, node: u32, limit: LimitReached) -> Result<(), &'static str> {
        self.agenda.insert(node);
        self.state_mut(node).ok_or("an unknown node is out of budget")?.more_mut().exhausted = Some(limit);
        Ok(())
    }

    pub(super) fn note_unresolved(&mut self, node: u32, workflow: &Name) -> Result<(), &'static str> {
        self.agenda.insert(node);
        self.state_mut(node).ok_or("an unknown node calls a workflow")?.more_mut().unresolved = Some(workflow.clone());
        Ok(())
    }

    /// A node that is out of budget begins nothing more. What it has begun is awaited, or stopped if it is the time that is
    /// over; then it fails, and what it has done until then is what it gives.
    pub(super) fn within_budget(&mut self, node: u32, now: Time) -> Option<Option<Move>> {
        let state = self.state(node).filter(|state| state.ended().is_none())?;
        if let Some(workflow) = state.more.as_ref().and_then(|more| more.unresolved.as_ref()) {
            let message = format!("no workflow `{workflow}` is defined, or not in that version");
            return Some((state.active == 0).then(|| self.fail(node, message)));
        }
        let Some(limit) = state.more.as_ref().and_then(|more| more.exhausted) else {
            let budget = self.plan.node(node)?.0.budget;
            let since = state.began().filter(|_| state.is_working());
            let limit = Self::time_up(budget, since, now)?;
            return Some(Some(Move::of(node, NodeEvent::Exhausted { limit })));
        };
        if matches!(limit, LimitReached::Budget { measure: Measure::Time })
            && let Some(cancel) = self.cancel_pieces(node)
        {
            return Some(Some(cancel));
        }
        let state = self.state(node).filter(|state| state.active == 0);
        Some(state.map(|state| {
            let partial = match state.token() {
                Some(token) => token.value().clone(),
                None if matches!(state.stage, NodeStage::Waiting) => Payload::NULL,
                None => self.collected(node),
            };
            self.exhausted(node, limit, partial)
        }))
    }
}
