//! The engine's state as data, and back.

use super::Engine;
use super::book::Book;
use super::drive::Driver;
use crate::definition::Definition;
use crate::error::RestoreError;
use crate::id::RunId;
use crate::scheduler::{Config, Core, Log, SchedulerSnapshot, TaskStage};
use crate::workflow::functions::Functions;
use crate::workflow::machine::{Run, RunRecord};
use crate::workflow::plan::Plan;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The whole state of an engine as data. Two engines with the same facts have equal snapshots, byte for byte once
/// serialised.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EngineSnapshot {
    /// Tasks and agents, and the number of the last fact.
    pub scheduler: SchedulerSnapshot,
    /// The definitions, by name and version.
    pub definitions: Vec<Arc<Definition>>,
    /// The last number of the ids that the engine makes.
    pub serial: u64,
    /// The runs, by id; those within others after these.
    runs: Vec<RunRecord>,
    /// The finished runs, in the order of their ends.
    pub finished: Vec<RunId>,
}

impl Driver {
    pub(super) fn snapshot(&self, log: &Log) -> EngineSnapshot {
        let mut runs: Vec<RunRecord> = self.book.runs.iter().map(|(_, run)| run.record()).collect();
        // An owner's id is always smaller than that of what it owns: the engine's own ids are large and ascend.
        runs.sort_by_key(|run| run.spec.id);
        EngineSnapshot {
            scheduler: self.core.snapshot(log),
            definitions: self.book.plans.values().map(|plan| Arc::clone(&plan.definition)).collect(),
            serial: self.book.serial,
            runs,
            finished: self.book.finished.iter().copied().collect(),
        }
    }
}

impl Engine {
    pub(super) fn from_snapshot(config: Config, snapshot: &EngineSnapshot) -> Result<Self, RestoreError> {
        let book = book(snapshot, config.functions()).map_err(|reason| RestoreError::Snapshot { reason })?;
        let driver = Driver::with(Core::from_snapshot(config, &snapshot.scheduler)?, book);
        driver.check_books().map_err(|reason| RestoreError::Snapshot { reason })?;
        let log = Log::continue_after(snapshot.scheduler.last, snapshot.scheduler.at);
        Ok(Self { driver, log })
    }
}

fn book(snapshot: &EngineSnapshot, functions: &Arc<Functions>) -> Result<Book, String> {
    let mut book = Book::with(Arc::clone(functions));
    book.serial = snapshot.serial;
    for definition in &snapshot.definitions {
        let plan =
            Plan::new(Arc::clone(definition), functions).ok_or_else(|| format!("{} has a cycle", definition.name))?;
        book.plans.insert((definition.name.clone(), definition.version), plan);
    }
    for record in &snapshot.runs {
        let id = record.spec.id;
        if book.slot(id).is_some() {
            return Err(format!("run {id} stands there twice"));
        }
        let plan = book
            .plan_for(&record.spec, record.version, record.owner)
            .ok_or_else(|| format!("the definition of run {id} is missing"))?;
        book.put(Run::from_record(record, plan).ok_or_else(|| format!("run {id} does not fit its definition"))?);
    }
    book.finished.extend(&snapshot.finished);
    let ended = |stage: &TaskStage| matches!(stage, TaskStage::Ended { .. });
    book.recount(snapshot.scheduler.tasks.iter().map(|task| (&*task.spec, ended(&task.stage))));
    Ok(book)
}
