//! The critical path: the nodes that determine the total duration, and the slack of the others.

use super::{NodeIx, Topology};

/// The start and end times of a node if each node takes as long as its weight and workers are unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Timing {
    /// The earliest time at which the node can start.
    pub earliest_start: u64,
    /// The earliest time at which it can end.
    pub earliest_end: u64,
    /// The latest start that does not extend the total duration.
    pub latest_start: u64,
    /// The latest end that does not extend the total duration.
    pub latest_end: u64,
}

impl Timing {
    /// The delay of the node that does not extend the total duration. Zero for critical nodes.
    #[must_use]
    pub fn slack(&self) -> u64 {
        self.latest_start.saturating_sub(self.earliest_start)
    }
}

/// The longest path through a graph, and the timing of every node. Made by [`Topology::critical_path`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CriticalPath {
    length: u64,
    path: Vec<NodeIx>,
    timings: Vec<Timing>,
}

impl CriticalPath {
    /// The sum of the weights on the longest path: a lower bound of the total duration with any number of workers.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// A longest path from a root to a leaf. Ties are broken by the order of declaration.
    #[must_use]
    pub fn path(&self) -> &[NodeIx] {
        &self.path
    }

    /// The earliest and latest times of a node.
    #[must_use]
    pub fn timing(&self, node: NodeIx) -> Option<Timing> {
        self.timings.get(node.index()).copied()
    }

    /// The slack of a node; zero for a node that is not part of the graph.
    #[must_use]
    pub fn slack(&self, node: NodeIx) -> u64 {
        self.timing(node).map_or(0, |timing| timing.slack())
    }

    /// The sum of the weights on the longest path from the start of a node to the end of the graph. This is the usual
    /// rank of list scheduling: of several ready nodes, the one with the highest rank starts first.
    #[must_use]
    pub fn remaining(&self, node: NodeIx) -> u64 {
        self.timing(node).map_or(0, |timing| self.length - timing.latest_start)
    }
}

impl Topology {
    /// The longest path through the graph when each node takes `weight(node)`.
    ///
    /// Sums saturate at `u64::MAX`. In nanoseconds that is 584 years.
    ///
    /// ```
    /// use counterpoint::dag::Builder;
    ///
    /// let mut graph = Builder::new();
    /// let tasks = [("plan", 2), ("build", 9), ("test", 4), ("ship", 1)].map(|(name, days)| graph.node(name, days));
    /// let [plan, build, test, ship] = tasks;
    /// graph.edge(plan, build).edge(plan, test).edge(build, ship).edge(test, ship);
    /// let project = graph.build()?;
    ///
    /// let critical = project.critical_path(|_, &days| days);
    /// assert_eq!(critical.length(), 12);
    /// assert_eq!(critical.path(), [plan, build, ship]);
    /// assert_eq!(critical.slack(test), 5);
    /// # Ok::<(), counterpoint::dag::BuildError>(())
    /// ```
    #[must_use]
    pub fn critical_path(&self, mut weight: impl FnMut(NodeIx) -> u64) -> CriticalPath {
        let weights: Vec<u64> = self.nodes().map(&mut weight).collect();
        let mut timings = vec![Timing::default(); self.len()];
        let length = forward(self, &weights, &mut timings);
        backward(self, &weights, length, &mut timings);
        let path = longest(self, length, &timings);
        CriticalPath { length, path, timings }
    }
}

fn forward(graph: &Topology, weights: &[u64], timings: &mut [Timing]) -> u64 {
    let mut length = 0;
    for &node in graph.order() {
        let before = graph.predecessors(node).iter().filter_map(|p| timings.get(p.index()));
        let start = before.map(|timing| timing.earliest_end).max().unwrap_or(0);
        let end = start.saturating_add(of(weights, node));
        length = length.max(end);
        if let Some(timing) = timings.get_mut(node.index()) {
            (timing.earliest_start, timing.earliest_end) = (start, end);
        }
    }
    length
}

fn backward(graph: &Topology, weights: &[u64], length: u64, timings: &mut [Timing]) {
    for &node in graph.order().iter().rev() {
        let after = graph.successors(node).iter().filter_map(|s| timings.get(s.index()));
        let end = after.map(|timing| timing.latest_start).min().unwrap_or(length);
        if let Some(timing) = timings.get_mut(node.index()) {
            timing.latest_end = end;
            // With saturated sums the difference could be less than the earliest start.
            timing.latest_start = end.saturating_sub(of(weights, node)).max(timing.earliest_start);
        }
    }
}

/// Backwards from the first node that ends last, to a predecessor whose end equals the start of its successor.
fn longest(graph: &Topology, length: u64, timings: &[Timing]) -> Vec<NodeIx> {
    let ends = |node: NodeIx| timings.get(node.index()).map_or(0, |timing| timing.earliest_end);
    let starts = |node: NodeIx| timings.get(node.index()).map_or(0, |timing| timing.earliest_start);
    let mut path = Vec::new();
    let mut at = graph.leaves().iter().copied().find(|&leaf| ends(leaf) == length);
    while let Some(node) = at {
        path.push(node);
        at = graph.predecessors(node).iter().copied().filter(|&p| ends(p) == starts(node)).min();
    }
    path.reverse();
    path
}

fn of(weights: &[u64], node: NodeIx) -> u64 {
    weights.get(node.index()).copied().unwrap_or(0)
}
