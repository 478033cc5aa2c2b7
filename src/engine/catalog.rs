//! The definitions that runs can be started from, by name and version.

use super::book::Book;
use crate::base::name::Name;
use crate::definition::{Definition, DefinitionId};
use crate::workflow::plan::Plan;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A definition and its use.
///
/// ```
/// use counterpoint::definition::Definition;
/// use counterpoint::{Command, Config, Engine, Outbox, RunCommand, Time};
///
/// let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
/// for version in [1, 2] {
///     engine.handle(Time::ZERO, Command::define(Definition::new("order").with_version(version)), &mut out)?;
/// }
/// let back = RunCommand::SetDefault { workflow: "order".into(), version: Some(1), reason: "2 is broken".into() };
/// engine.handle(Time::ZERO, back.into(), &mut out)?;
/// let defaults: Vec<bool> = engine.definitions().iter().map(|definition| definition.is_default).collect();
/// assert_eq!(defaults, [true, false]);
/// # Ok::<(), counterpoint::Rejected>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct DefinitionView<'a> {
    /// Name, version and hash.
    pub id: &'a DefinitionId,
    /// The definition itself.
    pub definition: &'a Definition,
    /// Whether runs can be started from it. If not, it was retired or replaced by a compatible one, or belongs to a single
    /// run; it is listed as long as runs of it are known.
    pub is_offered: bool,
    /// Whether runs that specify no version are started from it.
    pub is_default: bool,
    /// The number of its unfinished runs, without child runs.
    pub active: u32,
    /// The number of its known finished runs, without child runs.
    pub finished: u32,
}

/// The definitions that runs can be started from.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    plans: BTreeMap<(Name, u32), Arc<Plan>>,
    /// The versions that were made the default of a name.
    defaults: BTreeMap<Name, u32>,
    /// The hashes of retired versions: a version cannot be defined again with other content.
    retired: BTreeMap<(Name, u32), u64>,
}

impl Catalog {
    pub(super) fn define(&mut self, plan: Arc<Plan>) {
        let key = (plan.id.name.clone(), plan.id.version);
        self.retired.remove(&key);
        self.plans.insert(key, plan);
    }

    pub(super) fn get(&self, name: &Name, version: u32) -> Option<&Arc<Plan>> {
        self.plans.get(&(name.clone(), version))
    }

    /// The plan for runs that specify no version: the one that was made the default, or the newest.
    pub(super) fn default_of(&self, name: &Name) -> Option<&Arc<Plan>> {
        match self.defaults.get(name) {
            Some(version) => self.get(name, *version),
            None => self.plans.range((name.clone(), 0)..=(name.clone(), u32::MAX)).next_back().map(|(_, plan)| plan),
        }
    }

    /// The version that was made the default of a name.
    pub(super) fn explicit_default(&self, name: &Name) -> Option<u32> {
        self.defaults.get(name).copied()
    }

    pub(super) fn set_default(&mut self, name: &Name, version: Option<u32>) {
        match version {
            Some(version) => self.defaults.insert(name.clone(), version),
            None => self.defaults.remove(name),
        };
    }

    pub(super) fn retire(&mut self, name: &Name, version: u32) -> Option<()> {
        let key = (name.clone(), version);
        let plan = self.plans.remove(&key)?;
        self.retired.insert(key, plan.id.hash);
        Some(())
    }

    /// The hash that this version had before it was retired.
    pub(super) fn retired_hash(&self, id: &DefinitionId) -> Option<u64> {
        self.retired.get(&(id.name.clone(), id.version)).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.plans.len()
    }

    pub(super) fn plans(&self) -> impl Iterator<Item = &Arc<Plan>> {
        self.plans.values()
    }

    pub(super) const fn defaults(&self) -> &BTreeMap<Name, u32> {
        &self.defaults
    }

    /// The retired versions, for a snapshot.
    pub(super) fn retired(&self) -> impl Iterator<Item = DefinitionId> {
        self.retired.iter().map(|((name, version), hash)| DefinitionId {
            name: name.clone(),
            version: *version,
            hash: *hash,
        })
    }

    pub(super) fn note_retired(&mut self, id: &DefinitionId) {
        self.retired.insert((id.name.clone(), id.version), id.hash);
    }
}

impl Book {
    /// All definitions that are offered or in use, by name, version and hash.
    pub(super) fn definitions(&self) -> Vec<DefinitionView<'_>> {
        let catalog = &self.catalog;
        let offered = catalog.plans().map(|plan| (&plan.id, (plan, true, 0, 0)));
        let mut known: BTreeMap<&DefinitionId, (&Arc<Plan>, bool, u32, u32)> = offered.collect();
        for run in self.runs.iter().filter(|run| run.owner.is_none()) {
            let (.., active, finished) = known.entry(&run.plan().id).or_insert_with(|| (run.plan(), false, 0, 0));
            *if run.is_finished() { finished } else { active } += 1;
        }
        let views = known.into_iter().map(|(id, (plan, is_offered, active, finished))| DefinitionView {
            id,
            definition: &plan.definition,
            is_offered,
            is_default: catalog.default_of(&id.name).is_some_and(|plan| plan.id == *id),
            active,
            finished,
        });
        views.collect()
    }

    /// The number of unfinished runs of a version, without child runs; with those of the definitions that it has replaced.
    pub(super) fn active_of(&self, id: &DefinitionId) -> u32 {
        let is_of = |plan: &Plan| (&plan.id.name, plan.id.version) == (&id.name, id.version);
        let runs = self.runs.iter();
        let active = runs.filter(|run| run.owner.is_none() && !run.is_finished() && is_of(run.plan())).count();
        u32::try_from(active).unwrap_or(u32::MAX)
    }
}
