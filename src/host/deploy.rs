//! The deployment of a definition, and the runs that follow another one.

use super::HostError;
use crate::base::id::RunId;
use crate::base::name::Name;
use crate::definition::Definition;
use crate::engine::{Engine, RunCursor};
use crate::message::command::{Accepted, Command, RunCommand};
use crate::message::rejected::{Rejected, Unknown, WrongState};
use crate::message::run::{Migration, RunPhase};
use std::collections::BTreeSet;

/// The number of runs without a parent run that one reading of the engine visits.
const PAGE: usize = 64;

/// What a deployment does with unfinished runs of the workflow that follow another definition, be it an earlier or a later
/// version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum InFlight {
    /// They continue under their definition.
    #[default]
    Pin,
    /// Each of them migrates if that is safe, that is if a dry run of its [migration](crate::message::Migration) finds no
    /// obstacle; its child runs follow. The others continue under their definition.
    Migrate,
    /// The deployment of a new version is refused while there are any, unless the definitions are
    /// [compatible](Definition::is_compatible_with).
    Refuse,
}

/// The result of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deployed {
    /// How the definition was accepted: as new, as a repetition, or as compatible with the earlier one of its version.
    pub defined: Accepted,
    /// The runs that migrated, each before its child runs.
    pub migrated: Vec<RunId>,
    /// With [`InFlight::Migrate`], the runs that continue under their definition.
    pub pinned: Vec<Pinned>,
}

/// A run that did not migrate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pinned {
    /// The run.
    pub run: RunId,
    /// Why: [`WrongState::NotMigratable`] with all obstacles, or the phase of the run.
    pub reason: Rejected,
}

/// A deployment under way. Each step is a command of its own: after a crash, the same deployment migrates the rest.
pub(super) struct Deployment {
    workflow: Name,
    version: u32,
    after: Option<RunCursor>,
    tried: BTreeSet<RunId>,
    stage: Stage,
    done: Deployed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The next page is to be read.
    Reading,
    /// A run of the present page has migrated: its child runs may follow.
    Moved,
    Done,
}

/// The runs that the next commands migrate, and the cursor of the next page.
pub(super) type Behind = (Vec<(RunId, Migration)>, Option<RunCursor>);

impl Deployment {
    pub(super) fn new(definition: &Definition, in_flight: InFlight, defined: Accepted) -> Self {
        let done = Deployed { defined, migrated: Vec::new(), pinned: Vec::new() };
        let (workflow, version) = (definition.name.clone(), definition.version);
        let stage = match in_flight {
            InFlight::Migrate => Stage::Reading,
            InFlight::Pin | InFlight::Refuse => Stage::Done,
        };
        Self { workflow, version, after: None, tried: BTreeSet::new(), stage, done }
    }

    /// Reads the present page of the engine; none at the end.
    pub(super) fn page(&self) -> Option<impl FnOnce(&Engine) -> Behind + Send + use<>> {
        let (workflow, version, after) = (self.workflow.clone(), self.version, self.after);
        (self.stage != Stage::Done).then_some(move |engine: &Engine| engine.behind(&workflow, version, after, PAGE))
    }

    /// The commands for a page, each of a run that has not been tried.
    pub(super) fn commands(&mut self, runs: Vec<(RunId, Migration)>) -> Vec<(RunId, Command)> {
        let reason = Name::from(format!("deployment of version {}", self.version));
        let fresh = runs.into_iter().filter(|(run, _)| self.tried.insert(*run));
        let command = |(run, migration)| (run, RunCommand::Migrate { run, migration, reason: reason.clone() }.into());
        fresh.map(command).collect()
    }

    /// Records the answer to a command.
    pub(super) fn note(&mut self, run: RunId, verdict: Result<Accepted, HostError>) -> Result<(), HostError> {
        match verdict {
            Ok(_) => {
                self.stage = Stage::Moved;
                self.done.migrated.push(run);
            }
            // It ended in the meantime.
            Err(HostError::Rejected(
                Rejected::Unknown(Unknown::Run(_))
                | Rejected::State(WrongState::RunPhase { phase: RunPhase::Finished, .. }),
            )) => {}
            Err(HostError::Rejected(reason)) => self.done.pinned.push(Pinned { run, reason }),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Turns to the next page. A page of which a run has migrated is read once more.
    pub(super) fn turn(&mut self, next: Option<RunCursor>) {
        self.stage = match (self.stage, next) {
            (Stage::Moved, _) => Stage::Reading,
            (Stage::Reading | Stage::Done, Some(next)) => {
                self.after = Some(next);
                Stage::Reading
            }
            (Stage::Reading | Stage::Done, None) => Stage::Done,
        };
    }

    pub(super) fn done(self) -> Deployed {
        self.done
    }
}
