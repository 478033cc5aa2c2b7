//! The definitions of runs and the names of their nodes, from the entries.

#![expect(clippy::wildcard_enum_match_arm, reason = "a projection ignores most events")]

use crate::base::id::{NodeIx, RunId};
use crate::base::name::Name;
use crate::base::structure::Table;
use crate::definition::{Action, Body, Definition, Node};
use crate::message::event::{CatalogueEvent, ControlEvent, Event, RunEvent};
use crate::task::Owner;
use std::sync::Arc;

/// Definitions and the runs that are pinned to them.
#[derive(Debug, Clone)]
pub(crate) struct Catalog {
    definitions: Table<(Name, u32), Arc<Definition>>,
    runs: Table<RunId, Home>,
}

/// The definition that a run is pinned to.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub(crate) workflow: Name,
    pub(crate) definition: Option<Arc<Definition>>,
    owner: Option<Owner>,
}

/// After a migration of the run: the node that now owns the work of the given node.
pub(crate) fn follow(owner: &mut Owner, run: RunId, from: &[Option<NodeIx>]) {
    if run == owner.run {
        let image = (0..).map(NodeIx::new).zip(from).find(|(_, was)| **was == Some(owner.node));
        owner.node = image.map_or(NodeIx::new(u32::MAX), |(image, _)| image);
    }
}

impl Catalog {
    pub(crate) fn new(definitions: usize, runs: usize) -> Self {
        Self { definitions: Table::new(definitions), runs: Table::new(runs) }
    }

    pub(crate) fn set_runs(&mut self, bound: usize) {
        self.runs.set_bound(bound);
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Catalogue(CatalogueEvent::Defined { definition } | CatalogueEvent::Redefined { definition, .. }) => {
                let key = (definition.name.clone(), definition.version);
                self.definitions.insert(key, Arc::clone(definition));
            }
            Event::Run { run, event: RunEvent::Started { spec, version, owner, .. } } => {
                let definition = match owner {
                    Some(owner) if !self.is_called(*owner, &spec.workflow) => self.inner(*owner).cloned(),
                    Some(_) | None => self.definitions.get(&(spec.workflow.clone(), *version)).cloned(),
                };
                self.runs.insert(*run, Home { workflow: spec.workflow.clone(), definition, owner: *owner });
            }
            Event::Run { run, event: RunEvent::Migrated { version, definition, from, .. } } => {
                self.migrated(*run, *version, definition.as_ref(), from);
            }
            Event::Control(ControlEvent::RunsForgotten { runs }) => {
                for run in runs {
                    self.runs.remove(run);
                }
            }
            _ => {}
        }
    }

    fn migrated(&mut self, run: RunId, version: u32, own: Option<&Arc<Definition>>, from: &[Option<NodeIx>]) {
        self.runs.iter_mut().flat_map(|(_, home)| &mut home.owner).for_each(|owner| follow(owner, run, from));
        let Some(home) = self.runs.get(&run) else { return };
        let found = match (own, home.owner) {
            (Some(own), _) => Some(Arc::clone(own)),
            (None, Some(owner)) if !self.is_called(owner, &home.workflow) => self.inner(owner).cloned(),
            (None, _) => self.definitions.get(&(home.workflow.clone(), version)).cloned(),
        };
        if let Some(home) = self.runs.get_mut(&run) {
            home.definition = found;
        }
    }

    pub(crate) fn home(&self, run: RunId) -> Option<&Home> {
        self.runs.get(&run)
    }

    pub(crate) fn node(&self, run: RunId, node: NodeIx) -> Option<&Node> {
        self.runs.get(&run)?.definition.as_ref()?.nodes.get(node.index())
    }

    /// Whether a node has a nested workflow under this name.
    fn is_called(&self, owner: Owner, workflow: &Name) -> bool {
        let calls = |body: &Body| matches!(body, Body::Call(call) if call.workflow == *workflow);
        self.node(owner.run, owner.node).is_some_and(|node| node.action.bodies().any(calls))
    }

    fn inner(&self, owner: Owner) -> Option<&Arc<Definition>> {
        flow_of(&self.node(owner.run, owner.node)?.action)
    }
}

/// The nested workflow of a node.
pub(crate) const fn flow_of(action: &Action) -> Option<&Arc<Definition>> {
    if let Some(Body::Flow(flow)) = action.body() { Some(flow) } else { None }
}
