//! Migration of a run to another plan. States are kept; data derived from links is recomputed.

use super::obstacles::Case;
use crate::base::id::NodeIx;
use crate::base::name::Name;
use crate::message::run::{Carried, MigrationReport, Obstacle};
use crate::workflow::machine::Run;
use crate::workflow::machine::change::Changes;
use crate::workflow::plan::Plan;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The mapping between the nodes of two plans.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mapping {
    /// For each node of the new plan: the node of the old one that it continues.
    pub(crate) from: Vec<Option<NodeIx>>,
    /// For each node of the old plan: the node of the new one that continues it.
    to: Vec<Option<NodeIx>>,
}

impl Mapping {
    /// Maps nodes by name, unless `given` maps them otherwise. Returns also the faults of `given`.
    fn new(old: &Plan, new: &Plan, given: &BTreeMap<Name, Option<Name>>) -> (Self, Vec<Obstacle>) {
        let unknown = |name: &Name| Obstacle::UnknownNode { node: name.clone() };
        let mut wrong: Vec<Obstacle> = given.keys().filter(|name| old.index_of(name).is_none()).map(unknown).collect();
        wrong.extend(given.values().flatten().filter(|name| new.index_of(name).is_none()).map(unknown));
        let mut mapping = Self { from: vec![None; new.nodes.len()], to: vec![None; old.nodes.len()] };
        for (ix, node) in old.indexes().zip(&old.definition.nodes) {
            let image = given.get(&node.name).map_or_else(|| Some(node.name.clone()), Clone::clone);
            let Some(image) = image.and_then(|name| new.index_of(&name)) else { continue };
            match mapping.from.get_mut(image.index()) {
                Some(Some(_)) => wrong.push(Obstacle::Merged { node: new.name(image) }),
                Some(free) => *free = Some(ix),
                None => {}
            }
            if let Some(to) = mapping.to.get_mut(ix.index()) {
                *to = Some(image);
            }
        }
        (mapping, wrong)
    }

    pub(super) fn image(&self, old: NodeIx) -> Option<NodeIx> {
        self.to.get(old.index()).copied().flatten()
    }

    pub(super) fn origin(&self, new: NodeIx) -> Option<NodeIx> {
        self.from.get(new.index()).copied().flatten()
    }
}

impl Changes<'_> {
    /// The effects of a migration to another plan.
    pub(crate) fn migration(
        self,
        plan: &Arc<Plan>,
        given: &BTreeMap<Name, Option<Name>>,
    ) -> (MigrationReport, Mapping) {
        let (mapping, wrong) = Mapping::new(self.run.plan(), plan, given);
        let mut report = MigrationReport::new(self.run.id(), self.run.plan().id.clone(), plan.id.clone());
        report.obstacles = wrong;
        if self.run.rollback.is_partial() {
            report.obstacles.push(Obstacle::RollingBack);
        }
        for node in self.run.graph.nodes() {
            match mapping.image(node.ix) {
                Some(image) => {
                    report.carried.push(Carried::new(node.name(), plan.name(image), self.run.status(node.ix)));
                }
                None => report.dropped.push(node.name()),
            }
        }
        let added = plan.indexes().zip(&mapping.from).filter(|(_, from)| from.is_none());
        report.added = added.map(|(ix, _)| plan.name(ix)).collect();
        if let Some(new) = self.run.migrated(plan, &mapping.from) {
            Case { old: self.run, new: &new, mapping: &mapping }.obstacles(&mut report.obstacles);
        }
        report.obstacles.sort();
        report.obstacles.dedup();
        (report, mapping)
    }
}

impl Run {
    /// The run under another plan. `from` maps each node of that plan to the node of this one that it continues. None
    /// if it is inconsistent.
    pub(crate) fn migrated(&self, plan: &Arc<Plan>, from: &[Option<NodeIx>]) -> Option<Self> {
        let graph = self.graph.migrated(plan, from)?;
        let gone = self.graph.dropped(from).fold(self.workforce().gone(), |sum, state| sum + state.spent());
        let mut variables = self.variables.clone();
        variables.forget_reduced();
        let mut run = Self {
            work: self.work,
            spec: Arc::clone(&self.spec),
            owner: self.owner,
            begun: self.begun,
            course: self.course.clone(),
            rollback: self.rollback.migrated(),
            left_behind: self.left_behind.clone(),
            graph,
            signals: self.signals.clone(),
            variables,
            paused: self.paused.clone(),
            raised: self.raised,
            former: self.former.clone(),
            gone: (!gone.is_nothing()).then(|| Box::new(gone)),
            evaluated: None,
        };
        run.release_held();
        run.graph.wake_all();
        Some(run)
    }

    /// Releases held failures that the new plan does not hold.
    fn release_held(&mut self) {
        let held = self.graph.nodes().filter(|node| node.state.aside().held.is_some() && !self.holds_failure(*node));
        let held: Vec<NodeIx> = held.map(|node| node.ix).collect();
        for ix in held {
            self.graph.keep(ix, |state| state.release());
        }
    }
}
