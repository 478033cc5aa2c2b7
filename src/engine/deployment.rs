//! What hosts ask about the runs in flight when a definition is deployed.

use super::book::Book;
use super::migrate::is_free;
use super::{Engine, RunCursor, RunFilter};
use crate::base::id::RunId;
use crate::base::name::Name;
use crate::definition::Definition;
use crate::message::rejected::Conflict;
use crate::message::run::{Migration, MigrationTarget, RunPhase};
use crate::task::Owner;

impl Engine {
    /// The unfinished runs of a workflow that follow another definition than that of this version, those that a call without a
    /// version has started among them, and their unfinished child runs that follow another one than their parent run's: each
    /// with the migration that would change that, parents first. Visits a page of the runs without a parent run.
    pub(crate) fn behind(
        &self,
        workflow: &Name,
        version: u32,
        after: Option<RunCursor>,
        most: usize,
    ) -> (Vec<(RunId, Migration)>, Option<RunCursor>) {
        let page = self.find_runs(&RunFilter::default(), after, most);
        let book = &self.driver.book;
        let unfinished = page.runs.iter().filter(|run| run.phase() != RunPhase::Finished);
        let families = unfinished.flat_map(|run| book.runs.family(run.id()));
        let behind = families.filter_map(|run| {
            let (plan, migration) = match run.owner.filter(|owner| !is_free(book, *owner)) {
                None => {
                    let is_meant = run.plan().id.name == *workflow;
                    (book.catalog.get(workflow, version).filter(|_| is_meant).cloned()?, Migration::to_version(version))
                }
                Some(owner) => {
                    let plan = book.child_plan(owner).filter(|_| is_nested_in(book, owner, workflow))?;
                    (plan, Migration::to(MigrationTarget::Parent))
                }
            };
            (run.plan().id != plan.id).then(|| (run.id(), migration))
        });
        (behind.collect(), page.next)
    }

    /// The conflict of a new version with unfinished runs of the workflow that follow a definition with another meaning.
    pub(crate) fn in_flight(&self, new: &Definition) -> Option<Conflict> {
        if self.driver.book.catalog.get(&new.name, new.version).is_some() {
            return None;
        }
        let others = self.definitions();
        let mut others = others.iter().filter(|view| view.id.name == new.name && view.active > 0);
        others.find_map(|view| {
            let known = view.definition.clone().with_version(new.version);
            let conflict = || Conflict::InFlight {
                definition: view.id.clone(),
                runs: view.active,
                differs: known.differences(new),
            };
            (!known.is_compatible_with(new)).then(conflict)
        })
    }
}

/// Whether the definition of a child run is part of this workflow.
fn is_nested_in(book: &Book, owner: Owner, workflow: &Name) -> bool {
    let mut parent = book.runs.get(owner.run);
    while let Some(run) = parent {
        let Some(owner) = run.owner.filter(|owner| book.child_plan(*owner).is_some()) else {
            return run.plan().id.name == *workflow;
        };
        parent = book.runs.get(owner.run);
    }
    false
}
