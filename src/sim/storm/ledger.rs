//! The world outside: what has happened in it, counted where it happened.
//!
//! It recognises a repeated request by its task, as a real one should, and refuses what comes after its own undoing. So what
//! it cannot recognise are two tasks for one step: if that ever happens, the engine has done something twice.

use crate::base::id::{NodeIx, RunId, TaskId, mix};
use crate::base::payload::Payload;
use crate::base::structure::Random;
use crate::host::Agent;
use crate::task::{Failure, Owner, Phase, TaskSpec};
use crate::workflow::Attempt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Piece = (RunId, NodeIx, u32);

#[derive(Debug, Default)]
pub(super) struct Books {
    /// The tasks that have had their effect.
    done: BTreeSet<TaskId>,
    /// The tasks that have had it for each piece of a run.
    pieces: BTreeMap<Piece, Vec<TaskId>>,
    undone: BTreeSet<Piece>,
    /// How often a piece could not be undone.
    stubborn: BTreeMap<Piece, u32>,
    pub(super) repeats: u64,
    pub(super) too_late: u64,
}

/// The world, as agents see it.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    seed: u64,
    books: Arc<Mutex<Books>>,
}

/// What comes of a task whenever it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    Good,
    /// It fails so often before it succeeds.
    Slow(u32),
    /// It never succeeds, and nobody knows why.
    Poison,
    Hopeless,
    Busy,
    Unclear,
}

impl Ledger {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, books: Arc::default() }
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        // Nothing below panics half-way, so a poisoned lock guards whole books.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nature(&self, task: &TaskSpec) -> Nature {
        let place = task
            .owner
            .map_or(0, |owner| mix(owner.run.get()) ^ u64::from(owner.node.get()) << 8 ^ u64::from(owner.item));
        let own = if task.owner.is_some() { place } else { task.id.get() };
        let mut random = Random::new(self.seed ^ 0x6e61_7475_7265, own);
        let insists = task.policy.retry().in_doubt == crate::task::InDoubt::Insist;
        match random.below(100) {
            0..8 => Nature::Slow(1),
            8..13 => Nature::Slow(3),
            // What is insisted on must be settled some time.
            13..18 if !insists => Nature::Poison,
            18..22 => Nature::Hopeless,
            22..26 => Nature::Busy,
            26..30 if !insists => Nature::Unclear,
            _ => Nature::Good,
        }
    }
}

impl Books {
    fn undo(&mut self, piece: Piece, task: TaskId, certainly_fails: bool) -> Result<Payload, Failure> {
        let stubborn = self.stubborn.entry(piece).or_default();
        if certainly_fails && *stubborn == 0 {
            *stubborn += 1;
            return Err(Failure::permanent("somebody has to call"));
        }
        self.undone.insert(piece);
        self.done.insert(task);
        Ok(Payload::NULL)
    }

    /// The task has its effect, once.
    fn act(&mut self, task: &TaskSpec) -> Result<Payload, Failure> {
        if !self.done.insert(task.id) {
            self.repeats += 1;
            return Ok(output(task));
        }
        if let Some(owner) = task.owner {
            let piece = piece(owner);
            if self.undone.contains(&piece) {
                self.done.remove(&task.id);
                self.too_late += 1;
                return Err(Failure::permanent("it was withdrawn"));
            }
            self.pieces.entry(piece).or_default().push(task.id);
        }
        Ok(output(task))
    }

    /// Whether the task had its effect.
    pub(super) fn has_done(&self, task: TaskId) -> bool {
        self.done.contains(&task)
    }

    /// Pieces of runs that were done by more than one task.
    pub(super) fn twice(&self) -> impl Iterator<Item = String> {
        self.pieces.iter().filter(|(_, tasks)| tasks.len() > 1).map(|(piece, tasks)| format!("{piece:?} by {tasks:?}"))
    }

    /// Pieces of this run that were done and not undone, of nodes that pass.
    pub(super) fn standing(&self, run: RunId, node: impl Fn(NodeIx) -> bool) -> Vec<Piece> {
        let done = self.pieces.keys().filter(|piece| piece.0 == run && node(piece.1));
        done.filter(|piece| !self.undone.contains(piece)).copied().collect()
    }
}

const fn piece(owner: Owner) -> Piece {
    (owner.run, owner.node, owner.item)
}

fn output(task: &TaskSpec) -> Payload {
    Payload::new(serde_json::json!({ "did": task.kind.as_str() }))
}

impl Agent for Ledger {
    fn perform(&self, task: &TaskSpec, attempt: &Attempt) -> Result<Payload, Failure> {
        let nature = self.nature(task);
        let mut books = self.books();
        if let Some(owner) = task.owner.filter(|owner| owner.phase == Phase::Undo) {
            return books.undo(piece(owner), task.id, nature == Nature::Hopeless);
        }
        match nature {
            Nature::Slow(times) if attempt.number() <= times => Err(Failure::transient("not yet")),
            Nature::Poison => Err(Failure::transient("never")),
            Nature::Hopeless => Err(Failure::permanent("impossible")),
            Nature::Busy if attempt.number() == 1 => Err(Failure::overloaded("later", Duration::from_secs(3))),
            Nature::Unclear => {
                // Whether it has happened nobody can tell, and this time it has.
                books.act(task).and_then(|_| Err(Failure::unknown("perhaps")))
            }
            Nature::Slow(_) | Nature::Busy | Nature::Good => books.act(task),
        }
    }
}
