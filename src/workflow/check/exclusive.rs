//! Joins whose branches exclude each other, also over several nodes: a choice decides for one branch, a node ends in one way.

use crate::base::name::Name;
use crate::definition::{Definition, Join, Link, Node, On, Trigger};
use std::collections::{BTreeMap, BTreeSet};

/// How much is known about a node. What is beyond is left out; then fewer joins are found.
const MOST_KNOWN: usize = 64;

/// How many ends of one node are compared with each other.
const MOST_ENDS: usize = 16;

/// What must be so before a link is taken: how the node of this index ended.
type Known<'d> = BTreeSet<(usize, End<'d>)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End<'d> {
    Succeeded,
    Failed,
    Took(&'d Name),
}

/// What is certain about the nodes of a definition, found along the topological order.
pub(super) struct Certain<'d> {
    indexes: BTreeMap<&'d str, usize>,
    definition: &'d Definition,
    /// For each node what must be so when it starts.
    known: Vec<Known<'d>>,
}

impl<'d> Certain<'d> {
    pub(super) fn new(definition: &'d Definition) -> Self {
        let indexes = definition.nodes.iter().map(|node| node.name.as_str()).zip(0..).collect();
        Self { indexes, definition, known: vec![Known::new(); definition.nodes.len()] }
    }

    /// Considers a node, after those before it. Two of its sources that exclude each other if it can therefore never start.
    pub(super) fn add(&mut self, node: &'d Node) -> Option<(&'d Name, &'d Name)> {
        let links: Vec<(&Link, Known<'d>)> = node.after.iter().map(|link| (link, self.of(link))).collect();
        let found = match required(node) {
            0 | 1 => None,
            required if required == links.len() => self.conflict(&links),
            // The largest group of links that no exclusion divides is bounded by leaving out, for each node that decides, all
            // but the most frequent of its ends.
            required => self.at_most(&links).filter(|(most, _)| *most < required).map(|(_, (a, b))| (a, b)),
        };
        let known = match required(node) {
            0 => Known::new(),
            required if required == links.len() => {
                links.into_iter().flat_map(|(_, known)| known).take(MOST_KNOWN).collect()
            }
            _ => {
                let mut links = links.into_iter().map(|(_, known)| known);
                let first = links.next().unwrap_or_default();
                links.fold(first, |both, known| &both & &known)
            }
        };
        if let Some(place) = self.indexes.get(node.name.as_str()).and_then(|index| self.known.get_mut(*index)) {
            *place = known;
        }
        found
    }

    /// What must be so when a link is taken.
    fn of(&self, link: &'d Link) -> Known<'d> {
        let source = self.indexes.get(link.node.as_str()).copied();
        let Some((source, before)) = source.and_then(|source| Some((source, self.known.get(source)?))) else {
            return Known::new();
        };
        // A node whose join cannot reach its number fails without having started.
        let counts = |node: &Node| matches!(node.join, Join::Count { .. } | Join::Rounds { .. });
        let end = match &link.on {
            // A node that was skipped has ended, too.
            On::Always => return Known::new(),
            On::Failure if self.definition.nodes.get(source).is_some_and(counts) => {
                return Known::from([(source, End::Failed)]);
            }
            // An item of a map may have succeeded although the map failed.
            On::Each => None,
            On::Success => Some(End::Succeeded),
            On::Failure => Some(End::Failed),
            On::Case(case) => Some(End::Took(case)),
        };
        before.iter().copied().chain(end.map(|end| (source, end))).collect()
    }

    fn exclude(&self, a: &(usize, End<'d>), b: &(usize, End<'d>)) -> bool {
        let same = a.0 == b.0;
        same && match (a.1, b.1) {
            (End::Succeeded, End::Failed) | (End::Failed, End::Succeeded) => true,
            (End::Took(one), End::Took(other)) if one != other => {
                self.definition.nodes.get(a.0).is_some_and(|node| node.action.takes_one_of(one, other))
            }
            (End::Took(_) | End::Succeeded | End::Failed, _) => false,
        }
    }

    /// Two links of which one requires what excludes the other. Work is linear in the links: of each node few ends are kept.
    fn conflict(&self, links: &[(&'d Link, Known<'d>)]) -> Option<(&'d Name, &'d Name)> {
        let mut seen: BTreeMap<usize, Vec<(End<'d>, &'d Name)>> = BTreeMap::new();
        for (link, known) in links {
            for (node, end) in known {
                let ends = seen.entry(*node).or_default();
                if let Some((_, other)) = ends.iter().find(|(other, _)| self.exclude(&(*node, *other), &(*node, *end)))
                {
                    return Some((other, &link.node));
                }
                if ends.len() < MOST_ENDS && ends.iter().all(|(other, _)| other != end) {
                    ends.push((*end, &link.node));
                }
            }
        }
        None
    }

    /// The most links that can be taken together, and two that exclude each other. None if no two do.
    fn at_most(&self, links: &[(&'d Link, Known<'d>)]) -> Option<(usize, (&'d Name, &'d Name))> {
        let deciding: BTreeSet<usize> = links.iter().flat_map(|(_, known)| known.iter().map(|one| one.0)).collect();
        let bounds = deciding.into_iter().filter_map(|node| {
            let mut groups: BTreeMap<End<'d>, Vec<&'d Name>> = BTreeMap::new();
            for (link, known) in links {
                // A link with two of them about the node, its end and its case, counts by the case.
                if let Some((_, end)) = known.iter().rev().find(|one| one.0 == node) {
                    groups.entry(*end).or_default().push(&link.node);
                }
            }
            if groups.len() > MOST_ENDS {
                return None;
            }
            let ends: Vec<(usize, End<'d>)> = groups.keys().map(|end| (node, *end)).collect();
            let all = ends
                .iter()
                .enumerate()
                .all(|(index, a)| ends.iter().skip(index.saturating_add(1)).all(|b| self.exclude(a, b)));
            let mut sizes: Vec<&Vec<&'d Name>> = groups.values().collect();
            sizes.sort_by_key(|group| core::cmp::Reverse(group.len()));
            let [largest, other, ..] = *sizes.as_slice() else { return None };
            let grouped: usize = groups.values().map(Vec::len).sum();
            let most = links.len().saturating_sub(grouped).saturating_add(largest.len());
            all.then_some((most, (*largest.first()?, *other.first()?)))
        });
        bounds.min_by_key(|(most, _)| *most)
    }
}

/// How many links of a node must be taken for it to start, as far as that is certain.
fn required(node: &Node) -> usize {
    match node.join {
        Join::All | Join::Trigger(Trigger::AllSucceeded) => node.after.len(),
        Join::Any | Join::Each | Join::Trigger(Trigger::AnySucceeded) => usize::from(!node.after.is_empty()),
        Join::Count { required, .. } => (required as usize).min(node.after.len()),
        Join::Rounds { .. } => usize::from(!node.after.is_empty()),
        Join::Trigger(_) => 0,
    }
}
