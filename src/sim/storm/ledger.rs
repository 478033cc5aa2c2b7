//! The outside system with the side effects of attempts.
//!
//! It recognises a repeated request by its task id, as a real system should, and rejects requests that arrive after
//! their compensation. It cannot recognise two tasks for one step: if there are two, the engine has a bug.

use crate::base::id::{NodeIx, RunId, TaskId, mix};
use crate::base::payload::Payload;
use crate::base::structure::Random;
use crate::definition::{FunctionAnswer, FunctionTurn};
use crate::host::Agent;
use crate::task::{Failure, Owner, Phase, TaskSpec};
use crate::workflow::Attempt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) type Instance = (RunId, NodeIx, u32);

#[derive(Debug, Default)]
pub(super) struct Books {
    /// The tasks with side effects.
    done: BTreeSet<TaskId>,
    /// The tasks with side effects, by instance.
    instances: BTreeMap<Instance, Vec<TaskId>>,
    /// The latest task that compensated each instance. The engine's ids ascend, so an instance that was restarted after its
    /// compensation has tasks with larger ids.
    compensated: BTreeMap<Instance, TaskId>,
    /// The number of failed compensations by instance.
    failed_compensations: BTreeMap<Instance, u32>,
    pub(super) repeats: u64,
    pub(super) too_late: u64,
}

/// The outside system, as an agent.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    seed: u64,
    books: Arc<Mutex<Books>>,
}

/// The behaviour of a task in all its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    Good,
    /// It fails this number of times before it succeeds.
    Slow(u32),
    /// It always fails with a transient failure.
    Poison,
    Infeasible,
    Busy,
    Unclear,
}

impl Ledger {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, books: Arc::default() }
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        // No code below panics with the lock held in an inconsistent state, so a poisoned lock can be used.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the first compensation of an instance fails. Independent of the nature of its work, which may have none.
    fn resists(&self, owner: Owner) -> bool {
        let place = mix(owner.run.get()) ^ u64::from(owner.node.get()) << 8 ^ u64::from(owner.item);
        Random::new(self.seed ^ 0x0072_6573_6973_7473, place).below(6) == 0
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
            // A task with an insisting policy must succeed eventually.
            13..18 if !insists => Nature::Poison,
            18..22 => Nature::Infeasible,
            22..26 => Nature::Busy,
            26..30 if !insists => Nature::Unclear,
            _ => Nature::Good,
        }
    }
}

impl Books {
    fn undo(&mut self, instance: Instance, task: TaskId, certainly_fails: bool) -> Result<Payload, Failure> {
        let failed_compensations = self.failed_compensations.entry(instance).or_default();
        if certainly_fails && *failed_compensations == 0 {
            *failed_compensations += 1;
            return Err(Failure::permanent("an operator has to decide"));
        }
        self.compensated.insert(instance, task);
        self.done.insert(task);
        Ok(Payload::NULL)
    }

    /// Whether the instance was done. If not, requests that were sent before the query are rejected from now on.
    fn query(&mut self, instance: Instance, task: TaskId) -> Payload {
        let undone = self.compensated.get(&instance).copied();
        let happened =
            self.instances.get(&instance).into_iter().flatten().any(|done| undone.is_none_or(|undo| undo < *done));
        if !happened {
            self.compensated.insert(instance, task);
        }
        self.done.insert(task);
        Payload::new(serde_json::json!({ "happened": happened, "output": { "did": "found" } }))
    }

    /// Performs the side effect of the task, once.
    fn act(&mut self, task: &TaskSpec) -> Result<Payload, Failure> {
        if !self.done.insert(task.id) {
            self.repeats += 1;
            return Ok(output(task));
        }
        if let Some(owner) = task.owner {
            let instance = instance(owner);
            if self.compensated.get(&instance).is_some_and(|undo| *undo > task.id) {
                self.done.remove(&task.id);
                self.too_late += 1;
                return Err(Failure::permanent("the request was withdrawn"));
            }
            self.instances.entry(instance).or_default().push(task.id);
        }
        Ok(output(task))
    }

    /// Whether the task had its side effect.
    pub(super) fn has_done(&self, task: TaskId) -> bool {
        self.done.contains(&task)
    }

    /// The tasks with side effects, by instance.
    pub(super) fn instances(&self) -> impl Iterator<Item = (Instance, &[TaskId])> {
        self.instances.iter().map(|(instance, tasks)| (*instance, tasks.as_slice()))
    }

    /// Instances of this run that were done and not compensated, for matching nodes.
    pub(super) fn uncompensated(&self, run: RunId, node: impl Fn(NodeIx) -> bool) -> Vec<Instance> {
        let done = self.instances.iter().filter(|(instance, _)| instance.0 == run && node(instance.1));
        let open = done.filter(|(instance, tasks)| {
            let undo = self.compensated.get(instance);
            tasks.iter().any(|task| undo.is_none_or(|undo| undo < task))
        });
        open.map(|(instance, _)| *instance).collect()
    }

    /// Tasks of this run that were done and not compensated, for matching ones.
    pub(super) fn uncompensated_work(&self, run: RunId, is: impl Fn(TaskId) -> bool) -> Vec<TaskId> {
        let own = self.instances.iter().filter(|(instance, _)| instance.0 == run);
        let open = own.flat_map(|(instance, tasks)| {
            let undo = self.compensated.get(instance);
            tasks.iter().filter(move |task| undo.is_none_or(|undo| undo < *task))
        });
        open.copied().filter(|task| is(*task)).collect()
    }
}

const fn instance(owner: Owner) -> Instance {
    (owner.run, owner.node, owner.item)
}

/// The answer to work that can be split: parts of it, or its result. Without side effects.
fn delegated(task: &TaskSpec, nature: Nature) -> Option<Payload> {
    let payload = task.payload.value();
    let done = || Some(Payload::new(serde_json::json!({ "done": 1 })));
    if payload.get("results").is_some() {
        return done();
    }
    let parts = payload.get("parts")?.as_u64()?;
    if parts == 0 || nature == Nature::Busy {
        return done();
    }
    let part = serde_json::json!({ "kind": "k0", "payload": { "parts": parts - 1 } });
    let count = if nature == Nature::Infeasible { 4 } else { 2 };
    Some(Payload::new(serde_json::json!({ "delegate": vec![part; count] })))
}

/// The answer to a turn of a durable function. What it requests follows from the number of results alone, and is right also if a
/// retry has dropped some.
fn turn(task: &TaskSpec, nature: Nature) -> Option<Payload> {
    let [reserve, look, rest, ship] = super::flows::calls();
    let calls = match task.payload.to().ok()? {
        FunctionTurn::<serde_json::Value>::Begin { results: 0, .. } => vec![reserve, look, rest],
        FunctionTurn::Begin { results: 1..4, .. } => vec![reserve, look, rest, ship],
        FunctionTurn::Resume { results: 0..3, .. } => Vec::new(),
        FunctionTurn::Resume { results: 3, .. } => vec![ship],
        // The first time around.
        FunctionTurn::Begin { turn: 0..5, .. } | FunctionTurn::Resume { turn: 0..5, .. }
            if matches!(nature, Nature::Slow(_)) =>
        {
            return Payload::of(&FunctionAnswer::Again("again")).ok();
        }
        FunctionTurn::Begin { .. } | FunctionTurn::Resume { .. } => match nature {
            Nature::Infeasible => {
                let failure = Failure::permanent("impossible").with_code("storm.impossible");
                return Payload::of(&FunctionAnswer::<()>::Fail(failure)).ok();
            }
            // It is held for an operator.
            Nature::Busy => vec![reserve.with_input("another")],
            Nature::Good | Nature::Slow(_) | Nature::Poison | Nature::Unclear => {
                return Payload::of(&FunctionAnswer::Done("done")).ok();
            }
        },
    };
    Payload::of(&FunctionAnswer::<()>::Calls(calls)).ok()
}

fn output(task: &TaskSpec) -> Payload {
    Payload::new(serde_json::json!({ "did": task.kind.as_str() }))
}

impl Agent for Ledger {
    fn perform(&self, task: &TaskSpec, attempt: &Attempt) -> Result<Payload, Failure> {
        let nature = self.nature(task);
        let mut books = self.books();
        if let Some(answer) = delegated(task, nature).or_else(|| turn(task, nature)) {
            books.done.insert(task.id);
            return Ok(answer);
        }
        if let Some(owner) = task.owner.filter(|owner| owner.phase == Phase::Undo) {
            return books.undo(instance(owner), task.id, self.resists(owner));
        }
        if let Some(owner) = task.owner.filter(|owner| owner.phase == Phase::Query) {
            return Ok(books.query(instance(owner), task.id));
        }
        match nature {
            Nature::Slow(times) if attempt.number() <= times => Err(Failure::transient("not yet")),
            Nature::Poison => Err(Failure::transient("never")),
            Nature::Infeasible => {
                Err(Failure::permanent("impossible").with_code("storm.impossible").with_details(task.payload.clone()))
            }
            Nature::Busy if attempt.number() == 1 => {
                Err(Failure::overloaded("later", Duration::from_secs(3)).with_code("storm.busy"))
            }
            Nature::Unclear => {
                // The outcome is unknown to the agent; the side effect took place.
                books.act(task).and_then(|_| Err(Failure::unknown("perhaps").with_code("storm.perhaps")))
            }
            Nature::Slow(_) | Nature::Busy | Nature::Good => books.act(task),
        }
    }
}
