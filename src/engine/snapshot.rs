//! The engine's state as data.

use super::Engine;
use super::book::Book;
use super::drive::Driver;
use super::schedules::{ScheduleRecord, Schedules};
use crate::base::error::RestoreError;
use crate::base::id::{RunId, by_creation};
use crate::base::name::Name;
use crate::base::packed;
use crate::definition::{Definition, DefinitionId};
use crate::scheduler::{Config, Core, Log, SchedulerSnapshot};
use crate::workflow::functions::Functions;
use crate::workflow::machine::{Run, RunRecord};
use crate::workflow::plan::Plan;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The whole state of an engine as data. Two engines that have applied the same events have equal snapshots, byte for
/// byte when serialised.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EngineSnapshot {
    /// Tasks and agents, and the sequence number of the last entry.
    pub scheduler: SchedulerSnapshot,
    /// The definitions, by name and version.
    pub definitions: Vec<Arc<Definition>>,
    /// The versions that were made the default of a name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<Name, u32>,
    /// The versions that were retired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<DefinitionId>,
    /// Definitions that are no longer offered but that runs use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_use: Vec<Arc<Definition>>,
    /// The serial number of the last id that the engine created.
    pub serial: u64,
    /// The runs of the host by id, then child runs in the order of their creation.
    runs: Vec<RunRecord>,
    /// The finished runs, in the order in which they ended.
    pub finished: Vec<RunId>,
    /// The schedules, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    schedules: Vec<ScheduleRecord>,
    /// The schedule of the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_schedule: Option<Name>,
}

/// The beginning of the bytes of a snapshot; the last of these is the version.
const MAGIC: &[u8; 8] = b"CPointS\x01";

impl EngineSnapshot {
    /// The snapshot in the binary form in which hosts store it. Equal snapshots have equal bytes.
    ///
    /// The form contains the names of fields, each once, so a reader skips fields that it does not know. Serialised to another
    /// format, a snapshot is the same data in more bytes.
    ///
    /// ```
    /// use counterpoint::engine::EngineSnapshot;
    ///
    /// let snapshot = EngineSnapshot::default();
    /// let bytes = snapshot.to_bytes()?;
    /// assert_eq!(EngineSnapshot::from_bytes(&bytes)?, snapshot);
    /// # Ok::<(), counterpoint::RestoreError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RestoreError::Snapshot`] if the state contains data that no reader accepts.
    #[inline]
    pub fn to_bytes(&self) -> Result<Vec<u8>, RestoreError> {
        packed::to_vec(MAGIC, self).map_err(|error| RestoreError::Snapshot { reason: error.to_string() })
    }

    /// Reads what [`to_bytes`](Self::to_bytes) has written.
    ///
    /// # Errors
    ///
    /// [`RestoreError::Snapshot`] if the bytes are no snapshot or one of another version.
    #[inline]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RestoreError> {
        let reason = |reason: &dyn core::fmt::Display| RestoreError::Snapshot { reason: reason.to_string() };
        let state = bytes.strip_prefix(MAGIC).ok_or_else(|| reason(&"it is in another format or version"))?;
        packed::from_slice(state).map_err(|error| reason(&error))
    }
}

impl Driver {
    pub(super) fn snapshot(&self, log: &Log) -> EngineSnapshot {
        let mut runs: Vec<RunRecord> = self.book.runs.iter().map(|run| run.record()).collect();
        // A parent run is older than its child runs.
        runs.sort_by_key(|run| by_creation(run.spec.id));
        EngineSnapshot {
            scheduler: self.core.snapshot(log),
            definitions: self.book.catalog.plans().map(|plan| Arc::clone(&plan.definition)).collect(),
            defaults: self.book.catalog.defaults().clone(),
            retired: self.book.catalog.retired().collect(),
            in_use: self.in_use(),
            serial: self.book.serial,
            runs,
            finished: self.book.finished.iter().copied().collect(),
            schedules: self.book.schedules.records(),
            last_schedule: self.book.schedules.last().cloned(),
        }
    }
}

impl Driver {
    /// The definitions of runs that are neither offered nor inline in the parent run.
    fn in_use(&self) -> Vec<Arc<Definition>> {
        let book = &self.book;
        let found = |run: &Run| book.plan_for(&run.spec, run.plan().id.version, run.owner);
        let lone = book.runs.iter().filter(|run| found(run).is_none_or(|plan| plan.id != run.plan().id));
        let lone: BTreeMap<_, _> = lone.map(|run| (&run.plan().id, &run.plan().definition)).collect();
        lone.into_values().cloned().collect()
    }
}

impl Engine {
    pub(super) fn from_snapshot(config: Config, snapshot: &EngineSnapshot) -> Result<Self, RestoreError> {
        let book = book(snapshot, &config).map_err(|reason| RestoreError::Snapshot { reason })?;
        let driver = Driver::with(Core::from_snapshot(config, &snapshot.scheduler)?, book);
        driver.check_books().map_err(|reason| RestoreError::Snapshot { reason })?;
        let log = Log::continue_after(snapshot.scheduler.last, snapshot.scheduler.at);
        Ok(Self { driver, log, work: 0 })
    }
}

fn book(snapshot: &EngineSnapshot, config: &Config) -> Result<Book, String> {
    let functions = config.functions();
    let mut book = Book::with(config);
    book.serial = snapshot.serial;
    for definition in &snapshot.definitions {
        book.catalog.define(plan(definition, functions)?);
    }
    for (name, version) in &snapshot.defaults {
        book.catalog
            .get(name, *version)
            .ok_or_else(|| format!("the default version {version} of {name} is not among the definitions"))?;
        book.catalog.set_default(name, Some(*version));
    }
    snapshot.retired.iter().for_each(|id| book.catalog.note_retired(id));
    let mut in_use = BTreeMap::new();
    for definition in &snapshot.in_use {
        let plan = plan(definition, functions)?;
        in_use.insert(plan.id.clone(), plan);
    }
    for record in &snapshot.runs {
        let id = record.spec.id;
        if book.runs.get(id).is_some() {
            return Err(format!("run {id} occurs twice"));
        }
        let pinned = |plan: &Arc<Plan>| record.hash == plan.id.hash;
        let plan = book.plan_for(&record.spec, record.version, record.owner).filter(pinned);
        let own = in_use.values().find(|plan| pinned(plan) && plan.id.version == record.version);
        let plan = plan.or_else(|| own.filter(|plan| plan.id.name == record.spec.workflow).cloned());
        let plan = plan.ok_or_else(|| format!("the definition of run {id} is missing"))?;
        book.runs
            .insert(Run::from_record(record, plan).ok_or_else(|| format!("run {id} does not fit its definition"))?);
    }
    book.finished.extend(&snapshot.finished);
    book.schedules = Schedules::of(&snapshot.schedules, snapshot.last_schedule.clone())?;
    book.recount().map_err(|reason| reason.to_string())?;
    Ok(book)
}

fn plan(definition: &Arc<Definition>, functions: &Arc<Functions>) -> Result<Arc<Plan>, String> {
    Plan::new(Arc::clone(definition), functions).ok_or_else(|| format!("{} has a cycle", definition.name))
}
