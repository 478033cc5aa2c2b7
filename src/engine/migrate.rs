//! Migration of a run to another definition.

use super::book::{Book, Folded};
use super::drive::Driver;
use crate::base::canonical::Canonical;
use crate::base::id::RunId;
use crate::base::name::Name;
use crate::definition::Definition;
use crate::message::command::Accepted;
use crate::message::event::RunEvent;
use crate::message::rejected::{Misuse, Rejected, Unknown, WrongState};
use crate::message::run::{Migration, MigrationReport, MigrationTarget, RunPhase};
use crate::scheduler::{Tx, named};
use crate::task::{Owner, Phase};
use crate::workflow::machine::{Mapping, Run, Worker};
use crate::workflow::plan::Plan;
use crate::workflow::validate;
use std::collections::BTreeSet;
use std::sync::Arc;

type Verdict = Result<Accepted, Rejected>;

impl Driver {
    /// The report on a migration that is not executed.
    pub(super) fn migration(&self, id: RunId, migration: &Migration) -> Result<MigrationReport, Rejected> {
        let (run, plan) = self.target(id, migration)?;
        Ok(run.changes().migration(&plan, &migration.nodes).0)
    }

    pub(super) fn migrate(&mut self, id: RunId, migration: &Migration, reason: Name, tx: &mut Tx<'_>) -> Verdict {
        named("reason", &reason, self.core.config().limits())?;
        let (run, plan) = self.target(id, migration)?;
        if run.plan().id == plan.id {
            return Ok(Accepted::Repeated);
        }
        let (report, Mapping { from, .. }) = run.changes().migration(&plan, &migration.nodes);
        if !report.obstacles.is_empty() {
            return Err(Rejected::State(WrongState::NotMigratable { run: id, obstacles: report.obstacles }));
        }
        let definition = match &migration.to {
            MigrationTarget::Own(_) => Some(Arc::clone(&plan.definition)),
            MigrationTarget::Version(_) | MigrationTarget::Parent => None,
        };
        let (version, hash) = (plan.id.version, plan.id.hash);
        self.emit(RunEvent::Migrated { version, hash, definition, from, reason }.of(id), tx);
        Ok(Accepted::Done)
    }

    /// A run in its forward phase and the plan to which it would migrate.
    fn target(&self, id: RunId, migration: &Migration) -> Result<(&Run, Arc<Plan>), Rejected> {
        let run = self.book.runs.get(id).ok_or(Rejected::Unknown(Unknown::Run(id)))?;
        if run.phase() != RunPhase::Running {
            return Err(Rejected::State(WrongState::RunPhase { run: id, phase: run.phase() }));
        }
        let plan = match (&migration.to, run.owner) {
            (MigrationTarget::Own(definition), _) => self.own_plan(run, definition)?,
            (MigrationTarget::Version(version), owner) if owner.is_none_or(|owner| is_free(&self.book, owner)) => {
                let name = &run.plan().id.name;
                let unknown = || Rejected::Unknown(Unknown::Workflow { name: name.clone(), version: Some(*version) });
                self.book.catalog.get(name, *version).cloned().ok_or_else(unknown)?
            }
            (MigrationTarget::Parent, Some(owner)) => {
                self.book.child_plan(owner).ok_or(Rejected::Unknown(Unknown::Run(owner.run)))?
            }
            (MigrationTarget::Version(_), Some(owner)) => {
                return Err(Rejected::Misuse(Misuse::ChildRun { run: id, parent: Some(owner.run) }));
            }
            (MigrationTarget::Version(_) | MigrationTarget::Parent, None) => {
                return Err(Rejected::Misuse(Misuse::ChildRun { run: id, parent: None }));
            }
        };
        Ok((run, plan))
    }

    /// The plan of a definition that applies to a single run.
    fn own_plan(&self, run: &Run, definition: &Arc<Definition>) -> Result<Arc<Plan>, Rejected> {
        validate(definition, self.core.config().limits())?;
        let unknown = || {
            Rejected::Unknown(Unknown::Workflow { name: definition.name.clone(), version: Some(definition.version) })
        };
        if definition.name != run.plan().id.name {
            return Err(unknown());
        }
        let functions = &self.book.functions;
        if let Some(function) = functions.missing_in(definition) {
            return Err(Rejected::Unknown(Unknown::Function { workflow: definition.name.clone(), function }));
        }
        let mut definition = Arc::clone(definition);
        definition.make_canonical();
        Plan::new(definition, functions).ok_or_else(unknown)
    }
}

impl Book {
    /// Applies the migration of a run.
    pub(super) fn migrated(&mut self, id: RunId, event: &RunEvent) -> Folded {
        let RunEvent::Migrated { version, hash, definition, from, .. } = event else {
            return Err("the event of a migration is of another kind".into());
        };
        let run = self.runs.get(id).ok_or("a migrated run is unknown")?;
        let plan = match (definition, run.owner) {
            (Some(definition), _) => Plan::new(Arc::clone(definition), &self.functions),
            (None, _) => self.plan_for(&run.spec, *version, run.owner),
        };
        let plan = plan.filter(|plan| plan.id.hash == *hash).ok_or("the definition of a migration is unknown")?;
        let mut once = BTreeSet::new();
        let fits = run.phase() == RunPhase::Running
            && from.len() == plan.nodes.len()
            && from.iter().flatten().all(|index| once.insert(*index));
        let moved = if fits { run.migrated(&plan, from) } else { None };
        let moved = moved.ok_or("a migrated run does not fit its new definition")?;
        let workers: Vec<(Owner, Worker)> = moved.workforce().all().collect();
        let is_renamed = run.plan().id.name != plan.id.name;
        if let Some(run) = self.runs.get_mut(id) {
            *run = moved;
        }
        if is_renamed {
            self.runs.recount_families();
        }
        for (owner, worker) in workers {
            self.rehome(owner, worker);
        }
        plan.indexes().for_each(|node| self.runs.set_timers(id, node));
        self.runs.set_timer(id);
        self.runs.schedule(id);
        self.audit_accounts()
    }

    /// Updates the owner of a task or child run to the new index of its node.
    fn rehome(&mut self, owner: Owner, worker: Worker) {
        match worker {
            Worker::Task(task) => self.set_owner(task, owner),
            Worker::Child(child) => {
                if let Some(child) = self.runs.get_mut(child) {
                    child.owner = Some(Owner { phase: Phase::Do, ..owner });
                }
            }
        }
    }
}

/// Whether a child run was started by a call that names no version, so that it can follow any.
pub(super) fn is_free(book: &Book, owner: Owner) -> bool {
    let node = book.runs.node_of(owner);
    let call = node.and_then(|node| node.work_of(owner.item)).and_then(|work| work.call.as_ref());
    call.is_some_and(|call| call.version.is_none())
}
