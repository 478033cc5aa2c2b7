//! The checks of variables and guards.

use super::data::{Site, is_pointer};
use super::graph::not_before;
use super::{Checker, Fault, Location, works};
use crate::base::name::Name;
use crate::dag::Topology;
use crate::definition::{Action, Join, Link, Node, On, Pick, Reducer};
use std::collections::{BTreeMap, BTreeSet};

impl<'d> Checker<'d, '_> {
    pub(super) fn variables(&mut self) {
        let mut names = BTreeSet::new();
        for variable in &self.definition.variables {
            self.name(None, "a variable", &variable.name);
            if let Reducer::Custom(reducer) = &variable.reducer {
                self.name(None, "a reducer", reducer);
            }
            let site = Site { location: Location::Variable(variable.name.clone()), item: false, node: None };
            self.constant(&variable.initial, &site);
            if let Some(condition) = &variable.updates {
                let location = Location::Updates(variable.name.clone());
                self.condition(condition, &Site { location, item: true, node: None });
            }
            let variable = (variable, variable.name.clone());
            if !names.insert(&variable.0.name) {
                self.fault(None, Fault::DuplicateVariable { variable: variable.1.clone() });
            }
            if let Some(wanted) = variable.0.reducer.expected_type(variable.0.initial.value())
                && !variable.0.initial.is_null()
            {
                self.fault(None, Fault::InitialValue { variable: variable.1, wanted });
            }
        }
    }

    /// A variable that is referred to must exist.
    pub(super) fn variable(&mut self, name: &Name, site: &Site) {
        if !self.variables.contains_key(name) {
            let suggestion = self.suggest(name, self.definition.variables.iter().map(|variable| &variable.name));
            let fault = Fault::UnknownVariable { location: site.location.clone(), variable: name.clone(), suggestion };
            self.site_fault(site, fault);
        }
    }

    pub(super) fn writes(&mut self, index: usize, node: &'d Node) {
        let site = Site::of(index, Location::Writes, false);
        let mut replaced = BTreeSet::new();
        for write in &node.writes {
            self.variable(&write.to, &site);
            if !is_pointer(&write.at) {
                let pointer = write.at.as_str().into();
                self.fault(Some(index), Fault::BadPointer { location: Location::Writes, pointer });
            }
            if self.replaces(&write.to) && !replaced.insert(&write.to) {
                self.fault(Some(index), Fault::WritesTwice { variable: write.to.clone() });
            }
            if self.replaces(&write.to) && self.takes_updates(&write.to) {
                self.fault(Some(index), Fault::WrittenAndUpdated { variable: write.to.clone() });
            }
        }
    }

    fn replaces(&self, name: &Name) -> bool {
        self.variables.get(name).is_some_and(|variable| !variable.reducer.combines_concurrent())
    }

    fn takes_updates(&self, name: &Name) -> bool {
        self.variables.get(name).is_some_and(|variable| variable.updates.is_some())
    }

    pub(super) fn guards(&mut self, index: usize, node: &'d Node) {
        if let Some(guard) = &node.guards.precondition {
            self.condition(&guard.when, &Site::of(index, Location::Precondition, true));
        }
        let Some(condition) = &node.guards.postcondition else { return };
        self.condition(condition, &Site::of(index, Location::Postcondition, true));
        if !works(&node.action) {
            self.fault(Some(index), Fault::PostconditionWithoutWork);
        }
    }

    /// Concurrent writes to a variable with [`Reducer::Replace`] are faults: two writers must be causally ordered or
    /// exclude each other.
    ///
    /// Writers are compared with their predecessors in a topological order: if each pair of neighbours is ordered, all
    /// are. Only otherwise all pairs are compared.
    pub(super) fn concurrent_writes(&mut self, graph: &Topology) {
        let definition = self.definition;
        let Some(conditions) = Conditions::of(self, graph) else { return };
        let size = graph.len().saturating_add(graph.edge_count());
        let mut all: BTreeMap<&Name, Vec<usize>> = BTreeMap::new();
        for index in graph.order().iter().map(|node| node.index()) {
            let writes = definition.nodes.get(index).map(|node| &node.writes[..]).unwrap_or_default();
            let written: BTreeSet<&Name> = writes.iter().map(|write| &write.to).collect();
            written.into_iter().for_each(|name| all.entry(name).or_default().push(index));
        }
        for variable in definition.variables.iter().filter(|variable| !variable.reducer.combines_concurrent()) {
            let writers: Vec<usize> = all.remove(&variable.name).unwrap_or_default();
            if !self.analyse(size.saturating_mul(writers.len().div_ceil(64))) {
                return;
            }
            let chain: Vec<(usize, usize)> = writers.iter().copied().zip(writers.iter().copied().skip(1)).collect();
            if not_before(graph, &chain).is_empty() {
                continue;
            }
            for (at, &later) in writers.iter().enumerate() {
                if !self.analyse(size.saturating_mul(at.div_ceil(64))) {
                    return;
                }
                let pairs: Vec<(usize, usize)> = writers.iter().take(at).map(|earlier| (*earlier, later)).collect();
                let loose = not_before(graph, &pairs).into_iter().filter_map(|pair| pairs.get(pair));
                let apart = loose.map(|pair| pair.0).find(|earlier| !conditions.exclude(*earlier, later));
                if let Some(other) = apart.and_then(|other| definition.nodes.get(other)) {
                    let (variable, other) = (variable.name.clone(), other.name.clone());
                    self.fault(Some(later), Fault::ConcurrentWrites { variable, other });
                }
            }
        }
    }
}

/// How a node must have ended for another one to start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ended<'d> {
    Well,
    Badly,
    By(&'d Name),
}

/// For each node: the ends of other nodes that are certain when it starts.
struct Conditions<'d>(Vec<BTreeMap<usize, Ended<'d>>>);

impl<'d> Conditions<'d> {
    /// None if the analysis takes too many steps.
    fn of(checker: &mut Checker<'d, '_>, graph: &Topology) -> Option<Self> {
        let definition = checker.definition;
        let mut all: Vec<BTreeMap<usize, Ended<'d>>> = vec![BTreeMap::new(); definition.nodes.len()];
        if !definition.variables.iter().any(|variable| !variable.reducer.combines_concurrent()) {
            return Some(Self(all));
        }
        for at in graph.order() {
            let Some(node) = definition.nodes.get(at.index()) else { continue };
            let known = |link: &Link| checker.indexes.get(link.node.as_str()).and_then(|source| all.get(*source));
            let steps = node.after.iter().filter_map(known).map(|needs| 1 + needs.len()).sum::<usize>();
            if !checker.analyse(steps.saturating_mul(16)) {
                return None;
            }
            let links = node.after.iter().filter_map(|link| {
                let source = *checker.indexes.get(link.node.as_str())?;
                let ended = match &link.on {
                    On::Success | On::Each => Ended::Well,
                    On::Failure => Ended::Badly,
                    On::Case(case) => Ended::By(case),
                    On::Always => return Some(BTreeMap::new()),
                };
                let mut needs = all.get(source).cloned().unwrap_or_default();
                needs.insert(source, ended);
                Some(needs)
            });
            let needs = match node.join {
                Join::All => links.flatten().collect(),
                Join::Any | Join::Count { .. } | Join::Each | Join::Rounds { .. } => {
                    let common = |a: BTreeMap<usize, Ended<'d>>, b: BTreeMap<usize, Ended<'d>>| {
                        a.into_iter().filter(|(node, ended)| b.get(node) == Some(ended)).collect()
                    };
                    links.reduce(common).unwrap_or_default()
                }
                Join::Trigger(_) => BTreeMap::new(),
            };
            if let Some(slot) = all.get_mut(at.index()) {
                *slot = needs.into_iter().filter(|(node, ended)| is_one_of(checker, *node, *ended)).collect();
            }
        }
        Some(Self(all))
    }

    /// Whether two nodes never both start.
    fn exclude(&self, a: usize, b: usize) -> bool {
        let (Some(a), Some(b)) = (self.0.get(a), self.0.get(b)) else { return false };
        a.iter().any(|(node, ended)| match (ended, b.get(node)) {
            (Ended::By(case), Some(Ended::By(other))) => case != other,
            (Ended::Well, Some(Ended::Badly)) | (Ended::Badly, Some(Ended::Well)) => true,
            (Ended::Well | Ended::Badly | Ended::By(_), _) => false,
        })
    }
}

/// Whether this end of a node excludes all others. A choice that takes several cases, and a non-interrupting handler,
/// do not exclude others.
fn is_one_of(checker: &Checker<'_, '_>, node: usize, ended: Ended<'_>) -> bool {
    let Some(node) = checker.definition.nodes.get(node) else { return false };
    match (ended, &node.action) {
        (Ended::Well | Ended::Badly, _) => true,
        (Ended::By(_), Action::Choose { pick, .. }) => *pick == Pick::First,
        (Ended::By(case), _) => !node.handlers.iter().any(|handler| handler.name == *case),
    }
}
