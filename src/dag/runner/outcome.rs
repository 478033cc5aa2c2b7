//! The results of a run.

use std::{fmt, sync::Arc};

use super::super::{NodeIx, Topology};

/// The reason why a node failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure<E> {
    /// Its closure returned this error.
    Error(E),
    /// Its closure panicked with this message.
    Panicked(String),
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
        }
    }
}

/// The outcome of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome<T, E> {
    /// The node ran and returned this.
    Done(T),
    /// The node ran and failed.
    Failed(Failure<E>),
    /// The node did not run, because a direct or indirect dependency failed.
    Skipped {
        /// The failed dependency; the first declared, if there are several.
        cause: NodeIx,
    },
    /// The node did not run, because the run was cancelled or stopped at the first failure.
    Cancelled,
}

impl<T, E> Outcome<T, E> {
    /// The output of the node, if it is done.
    #[must_use]
    pub fn done(&self) -> Option<&T> {
        match self {
            Self::Done(value) => Some(value),
            Self::Failed(_) | Self::Skipped { .. } | Self::Cancelled => None,
        }
    }
}

/// The outcomes of all nodes, in the order of declaration. Made by [`Runner::run`](super::Runner::run).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcomes<T, E> {
    outcomes: Vec<Outcome<T, E>>,
    success: bool,
}

impl<T, E> Outcomes<T, E> {
    /// Combines the outputs of nodes with the report on those without output.
    pub(super) fn join(values: impl Iterator<Item = Option<T>>, report: Report<E>) -> Self {
        let success = report.is_success();
        let mut outcomes: Vec<_> = values.map(|value| value.map_or(Outcome::Cancelled, Outcome::Done)).collect();
        let skipped = report.skipped.into_iter().map(|(node, cause)| (node, Outcome::Skipped { cause }));
        let failed = report.failed.into_iter().map(|(node, failure)| (node, Outcome::Failed(failure)));
        for (node, outcome) in skipped.chain(failed) {
            if let Some(slot) = outcomes.get_mut(node.index()) {
                *slot = outcome;
            }
        }
        Self { outcomes, success }
    }

    /// Whether every node is done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.success
    }

    /// The outcome of a node.
    #[must_use]
    pub fn get(&self, node: NodeIx) -> Option<&Outcome<T, E>> {
        self.outcomes.get(node.index())
    }

    /// The output of a node, if it is done.
    #[must_use]
    pub fn value(&self, node: NodeIx) -> Option<&T> {
        self.get(node)?.done()
    }

    /// The outcomes, in the order of declaration.
    #[must_use]
    pub fn as_slice(&self) -> &[Outcome<T, E>] {
        &self.outcomes
    }

    /// The outcomes, in the order of declaration.
    #[must_use]
    pub fn into_vec(self) -> Vec<Outcome<T, E>> {
        self.outcomes
    }
}

/// The nodes that are not done, each list in the order of declaration. Made by [`Runner::each`](super::Runner::each).
///
/// After a success all three lists are empty and have not allocated.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report<E> {
    /// The nodes that failed.
    pub failed: Vec<(NodeIx, Failure<E>)>,
    /// The nodes that were skipped because of a failure, each with the first declared node whose failure caused it.
    pub skipped: Vec<(NodeIx, NodeIx)>,
    /// The nodes that had not started when the run was cancelled or stopped.
    pub cancelled: Vec<NodeIx>,
}

impl<E> Report<E> {
    /// Whether every node is done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failed.is_empty() && self.cancelled.is_empty()
    }

    /// Computed from the nodes that failed and those that were ready but not started. A node that did not run is one of
    /// these, or depends on one that did not run; every other node ran. So a run need not record which nodes ran.
    pub(super) fn new(topology: &Arc<Topology>, mut failed: Vec<(NodeIx, Failure<E>)>, dropped: &[NodeIx]) -> Self {
        if failed.is_empty() && dropped.is_empty() {
            return Self { failed, skipped: Vec::new(), cancelled: Vec::new() };
        }
        failed.sort_unstable_by_key(|&(node, _)| node);
        let fates = fates(topology, &failed, dropped);
        let (mut skipped, mut cancelled) = (Vec::new(), Vec::new());
        for (node, fate) in topology.nodes().zip(fates) {
            match fate {
                Fate::Lost { cause } if cause != node => skipped.push((node, cause)),
                Fate::Ran | Fate::Lost { .. } => {}
                Fate::Cancelled => cancelled.push(node),
            }
        }
        Self { failed, skipped, cancelled }
    }
}

/// Ordered so that the greatest value among the dependencies of a node decides.
#[derive(Clone, Copy)]
enum Fate {
    Ran,
    Cancelled,
    /// The cause failed: the node itself, or a dependency.
    Lost {
        cause: NodeIx,
    },
}

impl Fate {
    fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Lost { cause: a }, Self::Lost { cause: b }) => Self::Lost { cause: a.min(b) },
            (lost @ Self::Lost { .. }, _) | (_, lost @ Self::Lost { .. }) => lost,
            (Self::Cancelled, _) | (_, Self::Cancelled) => Self::Cancelled,
            (Self::Ran, Self::Ran) => Self::Ran,
        }
    }
}

fn fates<E>(topology: &Topology, failed: &[(NodeIx, Failure<E>)], dropped: &[NodeIx]) -> Vec<Fate> {
    let mut fates = vec![Fate::Ran; topology.len()];
    let own = failed.iter().map(|&(node, _)| (node, Fate::Lost { cause: node }));
    for (node, fate) in own.chain(dropped.iter().map(|&node| (node, Fate::Cancelled))) {
        if let Some(slot) = fates.get_mut(node.index()) {
            *slot = fate;
        }
    }
    for &node in topology.order() {
        let before = topology.predecessors(node).iter().filter_map(|p| fates.get(p.index()));
        let inherited = before.fold(Fate::Ran, |worst, &fate| worst.worse(fate));
        if let Some(slot) = fates.get_mut(node.index()) {
            *slot = slot.worse(inherited);
        }
    }
    fates
}
