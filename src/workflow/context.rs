//! The writes that each reader of a variable sees, computed once for all runs of a definition.

use crate::base::id::NodeIx;
use crate::base::name::Name;
use crate::dag::Topology;
use crate::definition::{Definition, Reducer};
use std::collections::{BTreeMap, BTreeSet};

/// The reader of a variable: a node, or the output of the run if `None`.
pub(crate) type Reader = Option<NodeIx>;

/// The variables of a definition, ready to be read.
#[derive(Debug, Default)]
pub(crate) struct Context {
    names: BTreeMap<Name, u32>,
    /// For each reader and variable: the nodes whose writes it sees, in the order in which they are combined.
    seen: BTreeMap<(Reader, u32), Box<[NodeIx]>>,
    /// For each reader: the variables that it reads and that a reducer of the host combines.
    custom: BTreeMap<Reader, Box<[u32]>>,
}

impl Context {
    pub(crate) fn new(definition: &Definition, reversed: &Topology) -> Self {
        let mut context = Self::default();
        if definition.variables.is_empty() {
            return context;
        }
        context.names = definition.variables.iter().map(|variable| variable.name.clone()).zip(0..).collect();
        let writers = context.writers(definition, &ranks(definition.nodes.len(), reversed));
        context.add(definition, None, &definition.parts().names().0, &writers, |_| true);
        for (ix, node) in (0..).map(NodeIx::new).zip(&definition.nodes) {
            let read = node.parts().names().0;
            if read.is_empty() {
                continue;
            }
            // In the reversed graph, the predecessors of a node are its successors.
            let mut before = vec![false; definition.nodes.len()];
            for writer in reversed.descendants(&[ix]) {
                if let Some(before) = before.get_mut(writer.index()) {
                    *before = true;
                }
            }
            context.add(definition, Some(ix), &read, &writers, |writer| before.get(writer.index()) == Some(&true));
        }
        context
    }

    /// For each variable, the nodes that write to it, in the order in which their writes are combined.
    fn writers(&self, definition: &Definition, ranks: &[u32]) -> Vec<Vec<NodeIx>> {
        let mut writers = vec![BTreeSet::new(); definition.variables.len()];
        for (ix, node) in (0..).map(NodeIx::new).zip(&definition.nodes) {
            for write in &node.writes {
                if let Some(of) = self.index_of(&write.to).and_then(|variable| writers.get_mut(variable as usize)) {
                    of.insert((ranks.get(ix.index()).copied(), ix));
                }
            }
        }
        writers.into_iter().map(|of| of.into_iter().map(|(_, ix)| ix).collect()).collect()
    }

    fn add(
        &mut self,
        definition: &Definition,
        reader: Reader,
        read: &BTreeSet<&Name>,
        writers: &[Vec<NodeIx>],
        sees: impl Fn(NodeIx) -> bool,
    ) {
        let mut custom = Vec::new();
        for name in read {
            let Some(&variable) = self.names.get(*name) else { continue };
            let of = writers.get(variable as usize).map(Vec::as_slice).unwrap_or_default();
            self.seen.insert((reader, variable), of.iter().copied().filter(|ix| sees(*ix)).collect());
            let reducer = definition.variables.get(variable as usize).map(|variable| &variable.reducer);
            if matches!(reducer, Some(Reducer::Custom(_))) {
                custom.push(variable);
            }
        }
        if !custom.is_empty() {
            self.custom.insert(reader, custom.into_boxed_slice());
        }
    }

    /// The index of the variable of this name.
    pub(crate) fn index_of(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    /// The nodes whose writes to a variable a reader sees, in the order in which they are combined.
    pub(crate) fn seen(&self, reader: Reader, variable: u32) -> &[NodeIx] {
        self.seen.get(&(reader, variable)).map(|writers| &writers[..]).unwrap_or_default()
    }

    /// The variables that a reader sees and that a reducer of the host combines.
    pub(crate) fn custom(&self, reader: Reader) -> &[u32] {
        self.custom.get(&reader).map(|variables| &variables[..]).unwrap_or_default()
    }
}

/// The rank of each node in the order in which writes are combined: a topological order in which, of several possible
/// next nodes, the first in the definition comes first.
fn ranks(nodes: usize, reversed: &Topology) -> Vec<u32> {
    let mut waits = vec![0_usize; nodes];
    for node in reversed.nodes() {
        if let Some(waits) = waits.get_mut(node.index()) {
            *waits = reversed.successors(node).len();
        }
    }
    let mut ready: BTreeSet<u32> = (0..).zip(&waits).filter(|(_, waits)| **waits == 0).map(|(node, _)| node).collect();
    let mut ranks = vec![0; nodes];
    let mut next = 0;
    while let Some(node) = ready.pop_first() {
        if let Some(rank) = ranks.get_mut(node as usize) {
            *rank = next;
        }
        next += 1;
        for follower in reversed.predecessors(NodeIx::new(node)) {
            if let Some(waits) = waits.get_mut(follower.index()) {
                *waits = waits.saturating_sub(1);
                if *waits == 0 {
                    ready.insert(follower.get());
                }
            }
        }
    }
    ranks
}
