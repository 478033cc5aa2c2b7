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
pub(crate) use delegate::misread;
use ended::Ended;
pub(crate) use ending::PieceEnd;
pub(crate) use moves::Move;
pub(crate) use needs::Need;
pub(crate) use obstacles::Mapping;
pub(crate) use piece::Piece;
pub(crate) use pieces::Pieces;
pub(crate) use snapshot::RunRecord;
use tokens::Tokens;
use tree::Tree;
pub(crate) use wait::{Kept, Ruling, Wanted};
pub(crate) use walk::Token;

use super::context::Reader;
use super::plan::Plan;
use crate::definition::{Scope, TooWide};
use crate::event::Opening;
use crate::id::{RunId, Seq, TaskId};
use crate::limits::Limits;
use crate::name::Name;
use crate::payload::Payload;
use crate::run::{Cause, LimitReached, NodeOutcome, NodeRemedy, RunOutcome, RunPhase, RunSpec, UndoOutcome};
use crate::saga::Unwinding;
use crate::task::{Failure, Happened, Owner, Phase, Spending, Tier};
use crate::time::Time;
use serde::{Deserialize, Serialize};
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
    /// What the host's functions put together for the output of the run, by variable.
    context: BTreeMap<u32, Payload>,
    /// When it was over.
    pub(crate) ended: Option<Time>,
    /// Nodes that have not ended.
    open: u32,
    /// Nodes that have begun and not ended.
    working: u32,
    /// The nodes to look at: those that something has changed for. Empty between calls.
    agenda: BTreeSet<u32>,
}

/// Where a node stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct NodeState {
    pub(crate) stage: NodeStage,
    /// How many of its links are decided, and how many of these are taken.
    decided: u32,
    taken: u32,
    /// How many are not taken because the node before failed.
    #[serde(default, skip_serializing_if = "is_none")]
    failed_inputs: u32,
    /// Whether one of the nodes before it has failed, or was skipped after a failure.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    after_failure: bool,
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub(crate) output: Payload,
    /// The pieces of work it consists of: one, one per item, or one per round.
    #[serde(default, skip_serializing_if = "Pieces::is_empty")]
    pub(crate) pieces: Pieces,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) undo: Option<Box<UndoOutcome>>,
    /// Of the pieces: how many are under way, how many did not succeed.
    #[serde(default)]
    active: u32,
    #[serde(default)]
    failed: u32,
    /// What only few nodes have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    more: Option<Box<More>>,
}

/// What only few nodes have.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct More {
    /// What has come to a node that starts more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens: Option<Tokens>,
    /// Of a node that asks for a decision: where that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ruling: Option<Ruling>,
    /// Of a node with handlers that is or was under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    watch: Option<Watch>,
    /// Of a node with states: where its token is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<Token>,
    /// Of a node whose work may be handed on: its parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tree: Option<Box<Tree>>,
    /// Of a map that is or was open: what was added, and whether it is closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    added: Vec<Payload>,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    closed: bool,
    /// Of a map: it need not wait for more.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    enough: bool,
    /// How an operator wants the node to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remedy: Option<NodeRemedy>,
    /// The ways that a node took which has ended: cases of a choice, what came first of a race, a handler.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    took: Vec<Name>,
    /// Of a map: the item that succeeded last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<u32>,
    /// How many of its pieces are in doubt and are asked about, or will be.
    #[serde(default, skip_serializing_if = "is_none")]
    doubts: u32,
    /// Of a save-point: how often the run went back to it, and whether it takes the other way now.
    #[serde(default, skip_serializing_if = "is_none")]
    used: u32,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    instead: bool,
    /// The pieces before this one need not be asked to stop any more.
    #[serde(skip)]
    asked: u32,
    /// The list that a map goes over, evaluated once; found again when it is missing.
    #[serde(skip)]
    items: Option<Payload>,
    /// What the host's functions put together for the node to read, by variable.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    context: BTreeMap<u32, Payload>,
    /// How many times a guard has said no.
    #[serde(default, skip_serializing_if = "is_none")]
    refused: u32,
    /// The budget that is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exhausted: Option<LimitReached>,
    /// What its tasks used up before the run went back to a save-point.
    #[serde(default, skip_serializing_if = "Spending::is_nothing")]
    before: Spending,
    /// How it has failed, while that waits for an operator's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<Box<NodeOutcome>>,
    /// The workflow that it calls and nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unresolved: Option<Name>,
    /// Of a node whose time is bounded: when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began: Option<Time>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_none(count: &u32) -> bool {
    *count == 0
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NodeStage {
    /// It waits for its links.
    #[default]
    Waiting,
    /// Its one piece of work is under way.
    Working,
    /// It does more than one thing.
    Open(Box<Opening>),
    /// It has ended.
    Ended(Ended),
}

/// Who does a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Worker {
    Task(TaskId),
    Child(RunId),
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PieceUndo {
    #[default]
    Idle,
    Active(Worker),
    Undone,
    Failed(Box<Failure>),
}

impl PieceUndo {
    fn is_idle(&self) -> bool {
        *self == Self::Idle
    }
}

impl Piece {
    fn is_active(&self) -> bool {
        self.worker.is_some() && self.end.is_none()
    }

    fn happened(&self) -> &Happened {
        self.end.as_ref().map_or(&Happened::No, |end| &end.happened)
    }

    fn had_effect(&self) -> bool {
        *self.happened() != Happened::No
    }

    /// Whether there is something to undo. A run within that failed has undone what could be undone.
    fn can_be_undone(&self) -> bool {
        match self.worker {
            Some(Worker::Child(_)) => matches!(self.happened(), Happened::Yes(_)),
            Some(Worker::Task(_)) | None => self.had_effect(),
        }
    }
}

impl NodeState {
    fn more_mut(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// What a snapshot holds: without what is found again.
    fn kept(&self) -> Self {
        let mut kept = self.clone();
        if let Some(more) = &mut kept.more {
            (more.asked, more.items) = (0, None);
            if let Some(tree) = &mut more.tree {
                tree.look.clear();
            }
        }
        kept.more = kept.more.filter(|more| **more != More::default());
        kept
    }

    fn asked(&self) -> u32 {
        self.more.as_ref().map_or(0, |more| more.asked)
    }

    /// The ways that it took.
    pub(super) fn took(&self) -> &[Name] {
        self.more.as_ref().map(|more| &more.took[..]).unwrap_or_default()
    }

    fn tokens(&self) -> Option<&Tokens> {
        self.more.as_ref()?.tokens.as_ref()
    }

    fn ruling(&self) -> Option<&Ruling> {
        self.more.as_ref()?.ruling.as_ref()
    }

    fn watch(&self) -> Option<&Watch> {
        self.more.as_ref()?.watch.as_ref()
    }

    fn token(&self) -> Option<&Token> {
        self.more.as_ref()?.token.as_ref()
    }

    fn began(&self) -> Option<Time> {
        self.more.as_ref()?.began
    }

    /// What it does, if it does more than one thing.
    fn opening(&self) -> Option<&Opening> {
        match &self.stage {
            NodeStage::Open(what) => Some(what),
            NodeStage::Waiting | NodeStage::Working | NodeStage::Ended(_) => None,
        }
    }

    pub(crate) const fn ended(&self) -> Option<&NodeOutcome> {
        match &self.stage {
            NodeStage::Ended(end) => Some(end.outcome()),
            NodeStage::Waiting | NodeStage::Working | NodeStage::Open(_) => None,
        }
    }

    const fn is_working(&self) -> bool {
        matches!(self.stage, NodeStage::Working | NodeStage::Open(_))
    }

    /// Whether it is under way, or has ended and not waited for all of its work.
    const fn is_busy(&self) -> bool {
        self.is_working() || self.active > 0
    }

    fn had_effect(&self) -> bool {
        self.pieces.iter().any(Piece::had_effect)
    }

    /// The runs within.
    fn children(&self) -> impl Iterator<Item = RunId> {
        self.pieces.iter().filter_map(|piece| match piece.worker {
            Some(Worker::Child(run)) => Some(run),
            Some(Worker::Task(_)) | None => None,
        })
    }

    /// Whether some piece may have happened without being certain.
    fn is_doubtful(&self) -> bool {
        self.pieces.iter().any(|piece| *piece.happened() == Happened::Maybe)
    }
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
            context: BTreeMap::new(),
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
        RunScope { run: self, reader, item, most: limits.payload_bytes }
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
