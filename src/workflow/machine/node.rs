//! Where a node stands. There are as many as runs have nodes, so what only few have stands apart.

use super::boundary::Watch;
use super::ended::Ended;
use super::pieces::Pieces;
use super::tokens::Tokens;
use super::tree::Tree;
use super::wait::Ruling;
use super::walk::Token;
use super::{Piece, Worker};
use crate::event::Opening;
use crate::id::RunId;
use crate::name::Name;
use crate::payload::Payload;
use crate::run::{LimitReached, NodeOutcome, NodeRemedy, UndoOutcome};
use crate::task::{SideEffects, Spending};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a node stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct NodeState {
    pub(crate) stage: NodeStage,
    /// How many of its links are decided, and how many of these are taken.
    pub(super) decided: u32,
    pub(super) taken: u32,
    /// How many are not taken because the node before failed.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) failed_inputs: u32,
    /// Whether one of the nodes before it has failed, or was skipped after a failure.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(super) after_failure: bool,
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub(crate) output: Payload,
    /// The pieces of work it consists of: one, one per item, or one per round.
    #[serde(default, skip_serializing_if = "Pieces::is_empty")]
    pub(crate) pieces: Pieces,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) undo: Option<Box<UndoOutcome>>,
    /// Of the pieces: how many are under way, how many did not succeed.
    #[serde(default)]
    pub(super) active: u32,
    #[serde(default)]
    pub(super) failed: u32,
    /// What only few nodes have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) more: Option<Box<More>>,
}

/// What only few nodes have.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct More {
    /// What has come to a node that starts more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tokens: Option<Tokens>,
    /// Of a node that asks for a decision: where that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ruling: Option<Ruling>,
    /// Of a node with handlers that is or was under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) watch: Option<Watch>,
    /// Of a node with states: where its token is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<Token>,
    /// Of a node whose work may be handed on: its parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tree: Option<Box<Tree>>,
    /// Of a map that is or was open: what was added, and whether it is closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) added: Vec<Payload>,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(super) closed: bool,
    /// Of a map: it need not wait for more.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(super) enough: bool,
    /// How an operator wants the node to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<NodeRemedy>,
    /// The ways that a node took which has ended: cases of a choice, what came first of a race, a handler.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) took: Vec<Name>,
    /// Of a map: the item that succeeded last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<u32>,
    /// How many of its pieces are in doubt and are asked about, or will be.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) doubts: u32,
    /// Of a save-point: how often the run went back to it, and whether it takes the other way now.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) used: u32,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(super) instead: bool,
    /// The pieces before this one need not be asked to stop any more.
    #[serde(skip)]
    pub(super) asked: u32,
    /// The list that a map goes over, evaluated once; found again when it is missing.
    #[serde(skip)]
    pub(super) items: Option<Payload>,
    /// What the host's functions put together for the node to read, by variable.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) context: BTreeMap<u32, Payload>,
    /// How many times a guard has said no.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) refused: u32,
    /// The budget that is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) exhausted: Option<LimitReached>,
    /// What its tasks used up before the run went back to a save-point.
    #[serde(default, skip_serializing_if = "Spending::is_nothing")]
    pub(super) before: Spending,
    /// How it has failed, while that waits for an operator's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) held: Option<Box<NodeOutcome>>,
    /// The workflow that it calls and nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unresolved: Option<Name>,
    /// Of a node whose time is bounded: when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) began: Option<Time>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
pub(super) const fn is_none(count: &u32) -> bool {
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

impl NodeState {
    pub(super) fn more_mut(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// What a snapshot holds: without what is found again.
    pub(super) fn kept(&self) -> Self {
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

    pub(super) fn asked(&self) -> u32 {
        self.more.as_ref().map_or(0, |more| more.asked)
    }

    /// The ways that it took.
    pub(super) fn took(&self) -> &[Name] {
        self.more.as_ref().map(|more| &more.took[..]).unwrap_or_default()
    }

    pub(super) fn tokens(&self) -> Option<&Tokens> {
        self.more.as_ref()?.tokens.as_ref()
    }

    pub(super) fn ruling(&self) -> Option<&Ruling> {
        self.more.as_ref()?.ruling.as_ref()
    }

    pub(super) fn watch(&self) -> Option<&Watch> {
        self.more.as_ref()?.watch.as_ref()
    }

    pub(super) fn token(&self) -> Option<&Token> {
        self.more.as_ref()?.token.as_ref()
    }

    pub(super) fn began(&self) -> Option<Time> {
        self.more.as_ref()?.began
    }

    /// What it does, if it does more than one thing.
    pub(super) fn opening(&self) -> Option<&Opening> {
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

    pub(super) const fn is_working(&self) -> bool {
        matches!(self.stage, NodeStage::Working | NodeStage::Open(_))
    }

    /// Whether it is under way, or has ended and not waited for all of its work.
    pub(super) const fn is_busy(&self) -> bool {
        self.is_working() || self.active > 0
    }

    pub(super) fn had_effect(&self) -> bool {
        self.pieces.iter().any(Piece::had_effect)
    }

    /// The runs within.
    pub(super) fn children(&self) -> impl Iterator<Item = RunId> {
        self.pieces.iter().filter_map(|piece| match piece.worker {
            Some(Worker::Child(run)) => Some(run),
            Some(Worker::Task(_)) | None => None,
        })
    }

    /// Whether some piece may have happened without being certain.
    pub(super) fn is_doubtful(&self) -> bool {
        self.pieces.iter().any(|piece| *piece.side_effects() == SideEffects::Possible)
    }
}
