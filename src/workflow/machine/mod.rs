//! A run as a state machine: facts in, the next move out.
//!
//! [`apply`](Run::apply) and the `note_` functions fold facts; [`next_move`](Run::next_move) says what is to be done next,
//! as a function of the state alone. So a run that was cut off anywhere goes on where it was: whatever its last fact, the
//! next move follows from the state. Every move leads to facts that take away its reason.

mod again;
mod apply;
mod bill;
mod boundary;
mod context;
mod delegate;
mod ended;
mod ending;
mod guard;
mod hold;
mod many;
mod migrate;
mod moves;
mod needs;
mod node;
mod obstacles;
mod piece;
mod pieces;
mod query;
mod redo;
mod reset;
mod snapshot;
mod tokens;
mod tree;
mod unwind;
mod wait;
mod walk;

use again::Way;
pub(crate) use apply::child_end;
pub(crate) use bill::Standing;
pub(crate) use boundary::Watch;
pub(crate) use context::NoUpdate;
use context::Shared;
pub(crate) use delegate::misread;
pub(crate) use ending::PieceEnd;
pub(crate) use moves::Move;
pub(crate) use needs::Need;
use node::is_none;
pub(crate) use node::{NodeStage, NodeState};
pub(crate) use obstacles::Mapping;
use piece::PieceUndo;
pub(crate) use piece::{Piece, Worker};
pub(crate) use snapshot::RunRecord;
use tokens::Tokens;
pub(crate) use wait::{Kept, Wanted};

use super::context::Reader;
use super::plan::Plan;
use crate::definition::{Scope, TooWide};
use crate::event::NodeRef;
use crate::id::{RunId, Seq};
use crate::limits::Limits;
use crate::name::Name;
use crate::payload::Payload;
use crate::run::{Cause, NodeOutcome, NodeRemedy, RunOutcome, RunPhase, RunSpec};
use crate::saga::Unwinding;
use crate::task::{Owner, Phase, Spending, Tier};
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// One execution of a plan.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) plan: Arc<Plan>,
    pub(crate) spec: Arc<RunSpec>,
    pub(crate) owner: Option<Owner>,
    /// The fact that it began, and when; zero for runs of old snapshots.
    pub(crate) begun: (Seq, Time),
    pub(crate) phase: RunPhase,
    pub(crate) cause: Option<Box<Cause>>,
    pub(crate) outcome: Option<Box<RunOutcome>>,
    pub(crate) nodes: Vec<NodeState>,
    pub(crate) signals: BTreeMap<Name, VecDeque<Kept>>,
    unwinding: Option<Box<Unwinding>>,
    /// A node whose failure nothing takes care of, and those that failed so since.
    broken: Option<u32>,
    also_broken: Box<[u32]>,
    /// The save-points that the run goes back to.
    back: Option<Box<Way>>,
    pivot_passed: bool,
    /// On what grounds an operator stopped it from making moves.
    pub(crate) paused: Option<Name>,
    /// The runs within of nodes that were done anew.
    former: Box<[RunId]>,
    /// The nodes that did something which was left as it was when they were done anew.
    pub(crate) left: Box<[Name]>,
    /// What nodes used up that are not there any more since the run moved.
    gone: Option<Box<Spending>>,
    /// How urgent an operator has made it.
    pub(crate) raised: Option<Tier>,
    /// Whether it is on record which ways nodes took that have ended. Not for runs of old snapshots.
    took_known: bool,
    /// The node that ended the run.
    stopped: Option<u32>,
    /// What it knows of its variables beyond what its nodes say.
    shared: Shared,
    /// When it was over.
    pub(crate) ended: Option<Time>,
    /// Nodes that have not ended.
    open: u32,
    /// Nodes that have begun and not ended.
    working: u32,
    /// The nodes to look at: those that something has changed for. Empty between calls.
    agenda: BTreeSet<u32>,
}

impl Run {
    pub(crate) fn new(plan: Arc<Plan>, spec: Arc<RunSpec>, owner: Option<Owner>, begun: (Seq, Time)) -> Self {
        let count = u32::try_from(plan.nodes.len()).unwrap_or(u32::MAX);
        Self {
            nodes: vec![NodeState::default(); plan.nodes.len()],
            plan,
            spec,
            owner,
            begun,
            phase: RunPhase::Running,
            cause: None,
            outcome: None,
            signals: BTreeMap::new(),
            unwinding: None,
            broken: None,
            also_broken: Box::default(),
            back: None,
            pivot_passed: false,
            paused: None,
            former: Box::default(),
            left: Box::default(),
            gone: None,
            raised: None,
            took_known: true,
            stopped: None,
            shared: Shared::default(),
            ended: None,
            open: count,
            working: 0,
            agenda: (0..count).collect(),
        }
    }

    pub(crate) fn id(&self) -> RunId {
        self.spec.id
    }

    /// How urgent its tasks are, where nodes do not say otherwise.
    pub(crate) fn tier(&self) -> Tier {
        self.raised.unwrap_or(self.spec.tier)
    }

    /// Whether it goes forward and its definition names functions of the host that are not there.
    pub(crate) fn lacks_functions(&self) -> bool {
        self.phase == RunPhase::Running && !self.plan.missing.is_empty()
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.phase == RunPhase::Finished
    }

    /// Nodes as events name them.
    pub(crate) fn refs(&self, nodes: &[u32]) -> Vec<NodeRef> {
        nodes.iter().map(|node| self.plan.node_ref(*node)).collect()
    }

    /// Looks at a node again: its moment has come.
    pub(crate) fn wake(&mut self, node: u32) {
        if (node as usize) < self.nodes.len() {
            self.agenda.insert(node);
        }
    }

    /// Looks at everything again, after a restore.
    pub(crate) fn wake_all(&mut self) {
        self.agenda = (0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)).collect();
        self.look_at_all_parts();
    }

    /// The runs within a node.
    pub(crate) fn children_of(&self, node: u32) -> impl Iterator<Item = RunId> {
        let pieces = self.state(node).into_iter().flat_map(|state| &state.pieces);
        pieces.filter_map(|piece| match piece.worker {
            Some(Worker::Child(run)) => Some(run),
            Some(Worker::Task(_)) | None => None,
        })
    }

    /// The runs within.
    pub(crate) fn children(&self) -> impl Iterator<Item = RunId> {
        self.nodes.iter().flat_map(NodeState::children).chain(self.former.iter().copied())
    }

    /// Those of them that are under way.
    pub(crate) fn active_children(&self) -> impl Iterator<Item = RunId> {
        self.nodes.iter().flat_map(|state| &state.pieces).filter(|piece| piece.is_active()).filter_map(|piece| {
            match piece.worker {
                Some(Worker::Child(run)) => Some(run),
                Some(Worker::Task(_)) | None => None,
            }
        })
    }

    /// Looks at the nodes that wait.
    pub(crate) fn wake_waits(&mut self) {
        if self.plan.listens {
            let nodes = (0..).zip(&self.nodes).filter(|(_, state)| state.is_working());
            self.agenda.extend(nodes.map(|(node, _)| node));
        }
    }

    /// Who works for the run now, and at what.
    pub(crate) fn workers(&self) -> impl Iterator<Item = (Owner, Worker)> {
        (0..).zip(&self.nodes).flat_map(move |(node, state)| {
            (0..).zip(&state.pieces).filter_map(move |(item, piece)| match &piece.undo {
                PieceUndo::Active(worker) => Some((Owner::new(self.id(), node, item, Phase::Undo), *worker)),
                PieceUndo::Idle if piece.doubt().is_some() => {
                    let asked = piece.doubt().and_then(|doubt| doubt.asked)?;
                    Some((Owner::new(self.id(), node, item, Phase::Query), Worker::Task(asked)))
                }
                PieceUndo::Idle if piece.is_active() => {
                    Some((Owner::new(self.id(), node, item, Phase::Do), piece.worker?))
                }
                PieceUndo::Idle | PieceUndo::Undone | PieceUndo::Failed(_) => None,
            })
        })
    }

    /// Whether a run within does or did this piece, or one of a node that was done anew.
    pub(crate) fn is_within(&self, owner: Owner, child: RunId) -> bool {
        self.done_by(owner, child).is_some() || self.former.contains(&child)
    }

    fn done_by(&self, owner: Owner, child: RunId) -> Option<&Piece> {
        let piece = self.state(owner.node)?.pieces.get(owner.item as usize)?;
        (piece.worker == Some(Worker::Child(child))).then_some(piece)
    }

    /// Whether a run within does this piece now, or is being undone for it.
    pub(crate) fn is_worked_on_by(&self, owner: Owner, child: RunId) -> bool {
        self.done_by(owner, child).is_some_and(|piece| match piece.undo {
            PieceUndo::Idle => piece.is_active(),
            PieceUndo::Active(worker) => worker == Worker::Child(child),
            PieceUndo::Undone | PieceUndo::Failed(_) => false,
        })
    }

    /// Who works for the run now, and the runs within that have.
    pub(crate) fn all_workers(&self) -> impl Iterator<Item = (Owner, Worker)> {
        (0..).zip(&self.nodes).flat_map(move |(node, state)| {
            (0..).zip(&state.pieces).flat_map(move |(item, piece)| {
                let asked = piece.doubt().and_then(|doubt| doubt.asked).map(|task| (Phase::Query, Worker::Task(task)));
                let did = piece.worker.map(|worker| (Phase::Do, worker));
                did.into_iter()
                    .chain(asked)
                    .map(move |(phase, worker)| (Owner::new(self.id(), node, item, phase), worker))
            })
        })
    }

    /// The moments that nodes wait for.
    pub(crate) fn timers(&self) -> impl Iterator<Item = (Time, RunId, u32)> {
        let nodes = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        (0..nodes).flat_map(move |node| self.moments(node).into_iter().map(move |at| (at, self.id(), node)))
    }

    /// Whether nothing may be undone once the node has had its effect.
    pub(crate) fn is_pivot(&self, node: u32) -> bool {
        self.plan.node(node).is_some_and(|(definition, _)| definition.pivot)
    }

    /// How an operator wants a node to end.
    pub(crate) fn remedy(&self, node: u32) -> Option<&NodeRemedy> {
        self.state(node)?.more.as_ref()?.remedy.as_ref()
    }

    /// Whether a node has not ended.
    pub(crate) fn is_alive(&self, node: u32) -> bool {
        !self.goes_back(node) && self.state(node).is_some_and(|state| state.ended().is_none())
    }

    /// Whether the point of no return is behind.
    pub(crate) const fn is_past_pivot(&self) -> bool {
        self.pivot_passed
    }

    fn state(&self, node: u32) -> Option<&NodeState> {
        self.nodes.get(node as usize)
    }

    fn state_mut(&mut self, node: u32) -> Option<&mut NodeState> {
        self.nodes.get_mut(node as usize)
    }

    /// Whether a counting join for which alone the node works has started: its end no longer matters.
    fn is_spare(&self, node: u32) -> bool {
        let serves = self.plan.nodes.get(node as usize).map(|plan| &plan.serves);
        serves.is_some_and(|joins| joins.iter().any(|join| self.has_started(*join)))
    }

    fn has_started(&self, node: u32) -> bool {
        self.state(node).is_some_and(|state| {
            state.stage != NodeStage::Waiting
                && !matches!(state.ended(), Some(NodeOutcome::Skipped | NodeOutcome::Cancelled { .. }))
        })
    }

    /// Whether a node that could start must wait for its turn, or has missed its milestone.
    fn turn(&self, node: u32) -> Turn {
        let Some(plan) = self.plan.nodes.get(node as usize) else { return Turn::Missed };
        if let Some((after, until)) = plan.milestone {
            // One that was withdrawn counts as one that has started: what has passed does not come back.
            let over = matches!(self.state(until).and_then(NodeState::ended), Some(NodeOutcome::Cancelled { .. }));
            if over || self.has_started(until) {
                return Turn::Missed;
            }
            match self.state(after).and_then(NodeState::ended) {
                None => return Turn::Later,
                Some(NodeOutcome::Succeeded) => {}
                Some(_) => return Turn::Missed,
            }
        }
        let busy = plan.rivals.iter().any(|rival| self.state(*rival).is_some_and(NodeState::is_busy));
        if busy { Turn::Later } else { Turn::Now }
    }

    fn scope(&self, reader: Reader, item: Payload, limits: &Limits) -> RunScope<'_> {
        self.scope_of(reader, item, limits.payload_bytes)
    }

    const fn scope_of(&self, reader: Reader, item: Payload, most: u32) -> RunScope<'_> {
        RunScope { run: self, reader, item, most }
    }
}

/// Whether it is a node's turn.
enum Turn {
    Now,
    Later,
    Missed,
}

/// What the expressions of a run see.
struct RunScope<'a> {
    run: &'a Run,
    reader: Reader,
    item: Payload,
    most: u32,
}

impl Scope for RunScope<'_> {
    fn input(&self) -> Payload {
        self.run.spec.input.clone()
    }

    fn node(&self, name: &str) -> Payload {
        let place = self.run.plan.place(name);
        place.and_then(|place| self.run.state(place)).map(|state| state.output.clone()).unwrap_or_default()
    }

    fn item(&self) -> Payload {
        self.item.clone()
    }

    fn variable(&self, name: &str) -> Result<Payload, TooWide> {
        self.run.variable(self.reader, name, self.most)
    }

    fn asks(&self, predicate: &str, of: &Payload) -> bool {
        self.run.plan.functions.asks(predicate, of)
    }

    fn most(&self) -> u32 {
        self.most
    }
}
