//! One piece of a node's work. There are as many as runs have begun nodes, so what only few have stands apart.

use super::bill::Bill;
use super::query::Doubt;
use super::{PieceEnd, is_none};
use crate::id::{RunId, TaskId};
use crate::payload::Payload;
use crate::task::{Failure, SideEffects};
use serde::{Deserialize, Serialize};

/// Who does a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Worker {
    Task(TaskId),
    Child(RunId),
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PieceUndo {
    #[default]
    Idle,
    Active(Worker),
    Undone,
    Failed(Box<Failure>),
}

impl PieceUndo {
    pub(super) fn is_idle(&self) -> bool {
        *self == Self::Idle
    }
}

/// One piece of a node's work.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "Record", into = "Record")]
pub(crate) struct Piece {
    pub(crate) worker: Option<Worker>,
    pub(super) input: Payload,
    pub(super) cancelling: bool,
    /// Of a pivot: an agent has it, or had it and nobody knows what came of it. Of a run within: it has passed its pivot. It
    /// cannot be withdrawn any more.
    pub(super) committed: bool,
    /// How many attempts at its task have begun.
    pub(super) attempts: u32,
    pub(super) end: Option<PieceEnd>,
    pub(super) undo: PieceUndo,
    aside: Option<Box<Aside>>,
}

/// What only few pieces have.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Aside {
    /// Nobody knows whether it has happened; somebody is asked, or will be.
    pub(super) doubt: Option<Doubt>,
    /// The state in which it is done, by its place.
    state: u32,
    pub(super) bill: Option<Bill>,
}

impl Piece {
    pub(super) fn is_active(&self) -> bool {
        self.worker.is_some() && self.end.is_none()
    }

    pub(super) fn side_effects(&self) -> &SideEffects {
        self.end.as_ref().map_or(&SideEffects::None, |end| &end.side_effects)
    }

    pub(super) fn had_effect(&self) -> bool {
        *self.side_effects() != SideEffects::None
    }

    /// Whether there is something to undo. A run within that failed has undone what could be undone.
    pub(super) fn can_be_undone(&self) -> bool {
        match self.worker {
            Some(Worker::Child(_)) => matches!(self.side_effects(), SideEffects::Done(_)),
            Some(Worker::Task(_)) | None => self.had_effect(),
        }
    }

    pub(super) fn new(worker: Worker, input: Payload, state: u32) -> Self {
        let aside = (state > 0).then(|| Box::new(Aside { state, ..Aside::default() }));
        Self { worker: Some(worker), input, aside, ..Self::default() }
    }

    pub(super) fn doubt(&self) -> Option<&Doubt> {
        self.aside.as_ref()?.doubt.as_ref()
    }

    /// The state in which it is done, by its place.
    pub(super) fn state(&self) -> u32 {
        self.aside.as_ref().map_or(0, |aside| aside.state)
    }

    pub(super) fn bill(&self) -> Option<&Bill> {
        self.aside.as_ref()?.bill.as_ref()
    }

    pub(super) fn aside_mut(&mut self) -> &mut Aside {
        self.aside.get_or_insert_default()
    }
}

/// As snapshots hold it.
#[derive(Clone, Serialize, Deserialize)]
struct Record {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    worker: Option<Worker>,
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    input: Payload,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    cancelling: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    doubt: Option<Doubt>,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    committed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<PieceEnd>,
    #[serde(default, skip_serializing_if = "PieceUndo::is_idle")]
    undo: PieceUndo,
    #[serde(default, skip_serializing_if = "is_none")]
    state: u32,
    #[serde(default, skip_serializing_if = "is_none")]
    attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bill: Option<Bill>,
}

impl From<Record> for Piece {
    fn from(record: Record) -> Self {
        let Record { worker, input, cancelling, doubt, committed, end, undo, state, attempts, bill } = record;
        let aside = Aside { doubt, state, bill };
        let aside = (aside != Aside::default()).then(|| Box::new(aside));
        Self { worker, input, cancelling, committed, attempts, end, undo, aside }
    }
}

impl From<Piece> for Record {
    fn from(piece: Piece) -> Self {
        let Piece { worker, input, cancelling, committed, attempts, end, undo, aside } = piece;
        let Aside { doubt, state, bill } = aside.map(|aside| *aside).unwrap_or_default();
        Self { worker, input, cancelling, doubt, committed, end, undo, state, attempts, bill }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Snapshots of old are read, and written the same.
    #[test]
    fn a_piece_as_data_is_what_it_was() {
        let doubt = json!({ "end": { "cancelled": true, "side_effects": "possible" }, "asked": 4 });
        let full = json!({
            "worker": { "task": 7 }, "input": 1, "cancelling": true, "doubt": doubt, "committed": true,
            "end": { "side_effects": "none" }, "undo": "undone", "state": 2, "attempts": 3,
            "bill": { "reserved": { "attempts": 1, "cost": 2, "tokens": 3 } },
        });
        for text in [json!({}), json!({ "worker": { "child": 7 } }), full] {
            let piece: Piece = serde_json::from_value(text.clone()).unwrap();
            assert_eq!(serde_json::to_value(&piece).unwrap(), text);
        }
    }
}
