//! The nodes that may start now: the state of one run over a graph.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{NodeIx, Refused, Topology, queue::ReadyQueue};

/// The state of a node in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NodeState {
    /// A dependency has not ended.
    Waiting,
    /// All dependencies are done, and the node is not running.
    Ready,
    /// The node was returned by a batch and has not been reported.
    Running,
    /// The node was reported as done.
    Done,
    /// The node was reported as failed.
    Failed,
    /// A direct or indirect dependency has failed. The node will not start.
    Skipped,
}

/// The stored state of a node. Waiting and ready are distinguished by the number of missing dependencies, so becoming
/// ready writes one word instead of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Unstarted,
    Running,
    Done,
    Failed,
    Skipped,
}

/// Returns the nodes of a graph as their dependencies are done. A state machine without threads and clock.
///
/// It works in batches, because a caller usually pays for a lock, a channel or a journal entry per call. A node is
/// ready as soon as its last dependency is done; it never waits for a layer of the graph to end. Nodes are returned in
/// the order in which they became ready (roots in the order of declaration; successors of one node in the order of
/// their edges), or by tier first. Equal sequences of reports lead to equal batches.
///
/// Every run ends: while the run is not [finished](Self::is_finished), at least one node is ready or running.
///
/// ```
/// use counterpoint::dag::{Builder, Readiness, Refused};
///
/// let mut graph = Builder::new();
/// let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| graph.node(name, ()));
/// graph.edge(a, b).edge(a, c).edge(c, d);
/// let graph = graph.build()?;
///
/// let mut run = Readiness::new(graph.topology());
/// let mut batch = Vec::new();
/// run.next_batch(&mut batch, 8);
/// assert_eq!(batch, [a]);
/// run.complete_batch(&[a])?;
///
/// batch.clear();
/// run.next_batch(&mut batch, 8);
/// assert_eq!(batch, [b, c]);
/// run.complete_batch(&[b])?;
/// assert_eq!(run.complete_batch(&[b]), Err(Refused::AlreadyEnded(b)));
///
/// let mut skipped = Vec::new();
/// run.fail(c, &mut skipped)?;
/// assert_eq!(skipped, [d]);
/// assert!(run.is_finished() && !run.is_success());
///
/// run.reset(); // restarts without an allocation
/// assert_eq!(run.ready(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Readiness {
    topology: Arc<Topology>,
    /// The number of dependencies of each node that are not done.
    missing: Vec<u32>,
    marks: Vec<Mark>,
    queue: ReadyQueue,
    running: usize,
    done: usize,
    failed: usize,
    skipped: usize,
}

impl Readiness {
    /// A new run, first in, first out.
    #[must_use]
    pub fn new(topology: &Arc<Topology>) -> Self {
        Self::with_queue(topology, ReadyQueue::Plain(topology.roots().to_vec().into()))
    }

    /// A new run that returns ready nodes of a lower tier first; within a tier, first in, first out. Tiers above 63
    /// count as 63.
    ///
    /// ```
    /// use counterpoint::dag::{Builder, Readiness};
    ///
    /// let mut graph = Builder::new();
    /// let [low, high] = [("low", 3), ("high", 0)].map(|(name, tier)| graph.node(name, tier));
    /// let graph = graph.build()?;
    ///
    /// let mut run = Readiness::with_tiers(graph.topology(), |node| graph.get(node).copied().unwrap_or(0));
    /// let mut batch = Vec::new();
    /// run.next_batch(&mut batch, 2);
    /// assert_eq!(batch, [high, low]);
    /// # Ok::<(), counterpoint::dag::BuildError>(())
    /// ```
    #[must_use]
    pub fn with_tiers(topology: &Arc<Topology>, tier: impl FnMut(NodeIx) -> u8) -> Self {
        let mut queue = ReadyQueue::tiered(topology.nodes().map(tier).collect());
        for &root in topology.roots() {
            queue.push(root);
        }
        Self::with_queue(topology, queue)
    }

    fn with_queue(topology: &Arc<Topology>, queue: ReadyQueue) -> Self {
        Self {
            topology: Arc::clone(topology),
            missing: topology.indegrees().to_vec(),
            marks: vec![Mark::Unstarted; topology.len()],
            queue,
            running: 0,
            done: 0,
            failed: 0,
            skipped: 0,
        }
    }

    /// Restarts the run. Copies two arrays; allocates nothing.
    pub fn reset(&mut self) {
        self.missing.copy_from_slice(self.topology.indegrees());
        self.marks.fill(Mark::Unstarted);
        self.queue.clear();
        for &root in self.topology.roots() {
            self.queue.push(root);
        }
        (self.running, self.done, self.failed, self.skipped) = (0, 0, 0, 0);
    }

    /// Appends up to `max` ready nodes to `buf` and returns their number. They count as running from then on.
    pub fn next_batch(&mut self, buf: &mut Vec<NodeIx>, max: usize) -> usize {
        let taken = self.queue.take(buf, max);
        let start = buf.len() - taken;
        for node in buf.get(start..).unwrap_or_default() {
            if let Some(mark) = self.marks.get_mut(node.index()) {
                *mark = Mark::Running;
            }
        }
        self.running += taken;
        taken
    }

    /// Reports nodes as done; returns the number of nodes that became ready.
    ///
    /// # Errors
    ///
    /// A node is not running, or occurs twice in `nodes`. None of the reports is accepted then.
    pub fn complete_batch(&mut self, nodes: &[NodeIx]) -> Result<usize, Refused> {
        self.end_batch(nodes, Mark::Done)?;
        self.done += nodes.len();
        let Self { topology, missing, queue, .. } = self;
        let mut freed = 0;
        for &node in nodes {
            for &next in topology.successors(node) {
                if let Some(count) = missing.get_mut(next.index()) {
                    *count -= 1;
                    if *count == 0 {
                        queue.push(next);
                        freed += 1;
                    }
                }
            }
        }
        Ok(freed)
    }

    /// Reports a node as failed. Its direct and indirect dependants will not start: those that this failure newly
    /// excludes are appended to `skipped`, nearest first.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub fn fail(&mut self, node: NodeIx, skipped: &mut Vec<NodeIx>) -> Result<(), Refused> {
        self.end_batch(&[node], Mark::Failed)?;
        self.failed += 1;
        let first = skipped.len();
        let mut from = Some(node);
        let mut read = first;
        // `skipped` is both the result and the queue of a breadth-first search.
        while let Some(node) = from {
            for &next in self.topology.successors(node) {
                if let Some(mark @ Mark::Unstarted) = self.marks.get_mut(next.index()) {
                    *mark = Mark::Skipped;
                    skipped.push(next);
                }
            }
            from = skipped.get(read).copied();
            read += 1;
        }
        self.skipped += skipped.len() - first;
        Ok(())
    }

    /// Returns running nodes to the queue, behind those that are ready: their worker was lost, or they are to be
    /// retried.
    ///
    /// # Errors
    ///
    /// A node is not running, or occurs twice in `nodes`. None of them is returned then.
    pub fn give_back(&mut self, nodes: &[NodeIx]) -> Result<(), Refused> {
        self.end_batch(nodes, Mark::Unstarted)?;
        for &node in nodes {
            self.queue.push(node);
        }
        Ok(())
    }

    /// The state of a node.
    #[must_use]
    pub fn state(&self, node: NodeIx) -> Option<NodeState> {
        let missing = *self.missing.get(node.index())?;
        Some(match self.marks.get(node.index())? {
            Mark::Unstarted if missing == 0 => NodeState::Ready,
            Mark::Unstarted => NodeState::Waiting,
            Mark::Running => NodeState::Running,
            Mark::Done => NodeState::Done,
            Mark::Failed => NodeState::Failed,
            Mark::Skipped => NodeState::Skipped,
        })
    }

    /// The number of ready nodes.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.queue.len()
    }

    /// The number of running nodes.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }

    /// The number of nodes that are done.
    #[must_use]
    pub fn done(&self) -> usize {
        self.done
    }

    /// The number of failed nodes.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// The number of nodes that will not start because of a failure.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// Whether every node is done, failed or skipped.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.done + self.failed + self.skipped == self.topology.len()
    }

    /// Whether every node is done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.done == self.topology.len()
    }

    /// The graph of the run.
    #[must_use]
    pub fn topology(&self) -> &Arc<Topology> {
        &self.topology
    }

    /// Moves all of `nodes` from running to `mark`, or none of them. The mark itself detects duplicates: the second
    /// occurrence of a node is no longer running.
    fn end_batch(&mut self, nodes: &[NodeIx], mark: Mark) -> Result<(), Refused> {
        for (taken, &node) in nodes.iter().enumerate() {
            match self.marks.get_mut(node.index()) {
                Some(slot @ Mark::Running) => *slot = mark,
                other => {
                    let refused = refusal(node, other.copied(), nodes.iter().take(taken).any(|&n| n == node));
                    self.take_back(nodes.get(..taken).unwrap_or_default());
                    return Err(refused);
                }
            }
        }
        self.running -= nodes.len();
        Ok(())
    }

    fn take_back(&mut self, nodes: &[NodeIx]) {
        for node in nodes {
            if let Some(slot) = self.marks.get_mut(node.index()) {
                *slot = Mark::Running;
            }
        }
    }
}

fn refusal(node: NodeIx, mark: Option<Mark>, twice: bool) -> Refused {
    match mark {
        None => Refused::UnknownNode(node),
        Some(_) if twice => Refused::AlreadyEnded(node),
        Some(Mark::Done | Mark::Failed) => Refused::AlreadyEnded(node),
        Some(Mark::Unstarted | Mark::Running | Mark::Skipped) => Refused::NotRunning(node),
    }
}

impl fmt::Debug for Readiness {
    /// The counts; use [`state`](Self::state) for the state of a node.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness")
            .field("nodes", &self.topology.len())
            .field("ready", &self.ready())
            .field("running", &self.running)
            .field("done", &self.done)
            .field("failed", &self.failed)
            .field("skipped", &self.skipped)
            .finish_non_exhaustive()
    }
}
