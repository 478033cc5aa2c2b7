//! Checks of links and joins, and of the graph that they form.

use super::data::Use;
use super::graph::{not_before, topology};
use super::{Checker, Fault};
use crate::base::name::Name;
use crate::definition::{Action, Case, Join, Link, Node, On, Pick, Remaining, Trigger};
use std::collections::{BTreeMap, BTreeSet};

impl<'d> Checker<'d, '_> {
    /// Checks the links that lead to a node, and its join.
    pub(super) fn links(&mut self, index: usize, node: &'d Node) {
        let mut seen = BTreeSet::new();
        for link in &node.after {
            if !seen.insert((link.node.as_str(), rank(&link.on))) {
                let (source_node, on) = (link.node.clone(), link.on.clone());
                self.fault(Some(index), Fault::DuplicateLink { source_node, on });
            } else if link.node == node.name {
                self.fault(Some(index), Fault::SelfLink);
            } else if let Some(&source) = self.indexes.get(link.node.as_str()) {
                if link.on == On::Each {
                    self.each_link(index, source, link);
                }
                self.case_link(index, source, link);
            } else {
                let (source_node, suggestion) = (link.node.clone(), self.suggest_node(&link.node));
                self.fault(Some(index), Fault::UnknownSource { source_node, suggestion });
            }
        }
        self.join(index, node);
    }

    fn case_link(&mut self, index: usize, source: usize, link: &Link) {
        let On::Case(case) = &link.on else { return };
        let (source_node, case) = (link.node.clone(), case.clone());
        let known: Vec<&Name> = match (self.choice(source), self.named_ways(source)) {
            (Some((_, cases, otherwise)), _) => cases.iter().map(|case| &case.name).chain(otherwise).collect(),
            (None, Some(ways)) => ways,
            (None, None) => return self.fault(Some(index), Fault::NotAChoice { source_node, case }),
        };
        if !self.analyse(known.len()) {
            return;
        }
        if !known.contains(&&case) {
            let suggestion = self.suggest(&case, known.into_iter());
            self.fault(Some(index), Fault::UnknownCase { source_node, case, suggestion });
        }
    }

    fn choice(&self, index: usize) -> Option<(Pick, &'d [Case], Option<&'d Name>)> {
        match self.definition.nodes.get(index).map(|node| &node.action) {
            Some(Action::Choose { pick, cases, otherwise }) => Some((*pick, cases, otherwise.as_ref())),
            _ => None,
        }
    }

    fn join(&mut self, index: usize, node: &'d Node) {
        match node.join {
            Join::All => self.exclusive(index, node),
            Join::Any if node.after.is_empty() => self.fault(Some(index), Fault::JoinWithoutLinks),
            Join::Any => {}
            Join::Count { remaining: Remaining::Hold, .. } => self.fault(Some(index), Fault::HoldsOnce),
            Join::Count { required: of, .. } => {
                let links = node.after.len();
                if of == 0 || of as usize > links {
                    self.fault(Some(index), Fault::JoinCount { of, links });
                }
            }
            Join::Trigger(rule) => self.trigger(index, node, rule),
            Join::Each => self.repeating(index, node, 1),
            Join::Rounds { required: of, remaining: rest } => {
                self.repeating(index, node, of);
                if rest == Remaining::Cancel {
                    self.fault(Some(index), Fault::CancelsRounds);
                }
            }
        }
    }

    /// A node that may start more than once must perform work, and needs links.
    fn repeating(&mut self, index: usize, node: &'d Node, of: u32) {
        let links = node.after.len();
        if of == 0 || of as usize > links {
            self.fault(Some(index), Fault::JoinCount { of, links });
        }
        if !matches!(node.action, Action::Do(_)) {
            self.fault(Some(index), Fault::RepeatsWithoutWork);
        }
    }

    /// A link for each instance is valid only from a node with several instances to a node that starts more than once.
    fn each_link(&mut self, index: usize, source: usize, link: &Link) {
        let several =
            self.definition.nodes.get(source).is_some_and(|source| {
                matches!(source.action, Action::Map(_) | Action::Repeat(_)) || source.join.repeats()
            });
        let repeats = self.definition.nodes.get(index).is_some_and(|node| node.join.repeats());
        if !several || !repeats {
            self.fault(Some(index), Fault::EachLink { source_node: link.node.clone() });
        }
        if self.definition.nodes.get(source).is_some_and(|source| source.retry.is_some()) {
            self.fault(Some(source), Fault::RetryOfStream);
        }
        if self.definition.nodes.get(source).is_some_and(|source| source.guards.postcondition.is_some()) {
            self.fault(Some(index), Fault::EachBeforePostcondition { source_node: link.node.clone() });
        }
    }

    /// A trigger rule depends on the ends of the sources, so its links must have no condition on them.
    fn trigger(&mut self, index: usize, node: &'d Node, rule: Trigger) {
        if node.after.is_empty() {
            self.fault(Some(index), Fault::TriggerWithoutLinks);
        }
        for link in &node.after {
            if matches!(link.on, On::Failure | On::Always | On::Each) {
                let (source_node, on) = (link.node.clone(), link.on.clone());
                self.fault(Some(index), Fault::TriggerLink { source_node, on });
            }
        }
        if rule == Trigger::AllSucceeded {
            self.exclusive(index, node);
        }
    }

    /// A node that requires all its links can never start if two of them exclude each other.
    fn exclusive(&mut self, index: usize, node: &'d Node) {
        let mut sources: BTreeMap<&str, Taken<'d>> = BTreeMap::new();
        for link in &node.after {
            let taken = sources.entry(link.node.as_str()).or_default();
            match &link.on {
                On::Always | On::Each => {}
                On::Failure => taken.failure = true,
                On::Success => taken.success = true,
                On::Case(case) => drop(taken.cases.insert(case)),
            }
        }
        for (name, taken) in sources {
            let choice = self.indexes.get(name).and_then(|&source| self.choice(source));
            if taken.exclusive(choice) {
                self.fault(Some(index), Fault::NeverStarts { source_node: name.into() });
            }
        }
    }

    /// Checks that the links form no cycle, and that outputs are used only after their nodes.
    pub(super) fn graph(mut self) {
        let definition = self.definition;
        if !self.analyse_plan() {
            return;
        }
        let graph = match topology(definition) {
            Ok(graph) => graph,
            Err(cycle) => {
                let name = |&index: &usize| Some(definition.nodes.get(index)?.name.clone());
                let path = cycle.iter().filter_map(name).collect();
                return self.fault(None, Fault::Cycle { path });
            }
        };
        self.streams(&graph);
        let uses = core::mem::take(&mut self.uses);
        let pairs: Vec<(usize, usize)> = uses.iter().map(|&Use { used, by, .. }| (used, by)).collect();
        let used = uses.iter().map(|one| one.used).collect::<BTreeSet<usize>>().len();
        let size = graph.len().saturating_add(graph.edge_count());
        if !self.analyse(size.saturating_mul(used.div_ceil(64))) {
            return;
        }
        self.concurrent_writes(&graph);
        for Use { used, by, location } in not_before(&graph, &pairs).into_iter().filter_map(|wrong| uses.get(wrong)) {
            if let Some(node) = definition.nodes.get(*used) {
                self.fault(Some(*by), Fault::TooEarly { location: location.clone(), node: node.name.clone() });
            }
        }
    }
}

/// The links from one node to another.
#[derive(Default)]
struct Taken<'d> {
    success: bool,
    failure: bool,
    cases: BTreeSet<&'d Name>,
}

impl Taken<'_> {
    fn exclusive(&self, choice: Option<(Pick, &[Case], Option<&Name>)>) -> bool {
        let ends = self.failure && (self.success || !self.cases.is_empty());
        let cases = match choice {
            Some((Pick::First, ..)) => self.cases.len() > 1,
            Some((Pick::Every, _, Some(otherwise))) => self.cases.len() > 1 && self.cases.contains(otherwise),
            Some((Pick::Every, _, None)) | None => false,
        };
        ends || cases
    }
}

/// An order on the conditions of links.
fn rank(on: &On) -> (u8, &str) {
    match on {
        On::Success => (0, ""),
        On::Failure => (1, ""),
        On::Always => (2, ""),
        On::Each => (3, ""),
        On::Case(case) => (4, case),
    }
}
