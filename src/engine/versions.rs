//! Commands for versions of workflows: the default of new runs, and the retirement of versions.

use super::commands::at_limit;
use super::drive::Driver;
use crate::base::canonical::Canonical;
use crate::base::name::Name;
use crate::definition::{Definition, DefinitionId, Difference};
use crate::message::command::Accepted;
use crate::message::event::CatalogueEvent;
use crate::message::rejected::{Conflict, Rejected, Unknown};
use crate::scheduler::{Tx, named};
use crate::workflow::validate;
use std::sync::Arc;

type Verdict = Result<Accepted, Rejected>;

impl Driver {
    pub(super) fn define(&mut self, mut definition: Arc<Definition>, tx: &mut Tx<'_>) -> Verdict {
        let limits = self.core.config().limits();
        validate(&definition, limits)?;
        definition.make_canonical();
        if let Some(function) = self.core.config().functions().missing_in(&definition) {
            return Err(Rejected::Unknown(Unknown::Function { workflow: definition.name.clone(), function }));
        }
        let id = definition.id();
        let catalog = &self.book.catalog;
        if let Some(known) = catalog.get(&id.name, id.version) {
            let Some(changed) = replaced(&known.definition, &definition, &id)? else { return Ok(Accepted::Repeated) };
            self.book.identified = Some((Arc::clone(&definition), id));
            self.emit(CatalogueEvent::Redefined { definition, changed: changed.clone() }, tx);
            return Ok(Accepted::Compatible { changed });
        }
        if catalog.retired_hash(&id).is_some_and(|hash| hash != id.hash) {
            return Err(Rejected::Conflict(Conflict::Definition { definition: id, differs: Vec::new() }));
        }
        if catalog.len() >= limits.runs.definitions as usize {
            return Err(at_limit("definitions", limits.runs.definitions));
        }
        self.book.identified = Some((Arc::clone(&definition), id));
        self.emit(CatalogueEvent::Defined { definition }, tx);
        Ok(Accepted::Done)
    }

    pub(super) fn set_default(
        &mut self,
        workflow: Name,
        version: Option<u32>,
        reason: Name,
        tx: &mut Tx<'_>,
    ) -> Verdict {
        named("reason", &reason, self.core.config().limits())?;
        let catalog = &self.book.catalog;
        let known = match version {
            Some(version) => catalog.get(&workflow, version),
            None => catalog.default_of(&workflow),
        };
        if known.is_none() {
            return Err(Rejected::Unknown(Unknown::Workflow { name: workflow, version }));
        }
        if catalog.explicit_default(&workflow) == version {
            return Ok(Accepted::Repeated);
        }
        self.emit(CatalogueEvent::DefaultSet { workflow, version, reason }, tx);
        Ok(Accepted::Done)
    }

    pub(super) fn retire_version(&mut self, workflow: Name, version: u32, reason: Name, tx: &mut Tx<'_>) -> Verdict {
        named("reason", &reason, self.core.config().limits())?;
        let catalog = &self.book.catalog;
        let Some(plan) = catalog.get(&workflow, version) else {
            return Err(Rejected::Unknown(Unknown::Workflow { name: workflow, version: Some(version) }));
        };
        if catalog.explicit_default(&workflow) == Some(version) {
            return Err(Rejected::Conflict(Conflict::IsDefault(plan.id.clone())));
        }
        let runs = self.book.active_of(&plan.id);
        if runs > 0 {
            return Err(Rejected::Conflict(Conflict::InUse { definition: plan.id.clone(), runs }));
        }
        self.emit(CatalogueEvent::Retired { workflow, version, reason }, tx);
        Ok(Accepted::Done)
    }
}

/// What changes if a definition takes the place of a known one of its version; none if it is the same.
fn replaced(known: &Definition, again: &Definition, id: &DefinitionId) -> Result<Option<Vec<Difference>>, Rejected> {
    if known == again {
        return Ok(None);
    }
    let differs = known.differences(again);
    if known.is_compatible_with(again) {
        return Ok(Some(differs));
    }
    Err(Rejected::Conflict(Conflict::Definition { definition: id.clone(), differs }))
}
