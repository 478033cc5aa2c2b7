//! Runs a closure for every node on several threads, with work stealing.

mod cancel;
mod idle;
mod outcome;
mod share;
mod span;
mod worker;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, OnceLock},
};

use crossbeam::utils::CachePadded;
use parking_lot::Mutex;

pub use cancel::CancelFlag;
pub use outcome::{Failure, Outcome, Outcomes, Report};

use self::{
    idle::Idle,
    span::Cell,
    worker::{Local, Shared, Turn},
};
use super::{NodeIx, Topology};
use crate::base::structure::threads::{
    atomic::{AtomicBool, AtomicU32},
    thread,
};

/// The effect of a failure on the nodes that do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnFailure {
    /// They run.
    #[default]
    Continue,
    /// Nodes that have not started are reported as cancelled.
    Stop,
}

/// Runs closures over a graph, in parallel where the graph allows, any number of times.
///
/// A node starts as soon as all its dependencies are done and a worker is free, preferably on the worker that finished
/// the last dependency. Queues and counters are reused between runs.
///
/// The calling thread is the first worker. The others are scoped threads, which start when a second node can run at the
/// same time, so a chain starts none. They end with the run, unless a [crew](Self::crew) keeps them.
///
/// A panic in a closure fails its node, and the dependants of a failed node are skipped. (The panic hook prints its
/// message as usual. A program that is built to abort on panics aborts.)
///
/// ```
/// use counterpoint::dag::{Builder, Failure, Outcome, Runner};
///
/// let mut graph = Builder::new();
/// let [two, three, product, root] = ["two", "three", "product", "root"].map(|name| graph.node(name, ()));
/// graph.edge(two, product).edge(three, product).edge(product, root);
/// let graph = graph.build()?;
///
/// let mut runner = Runner::new(graph.topology(), 2);
/// let outcomes = runner.run(|node, inputs| match graph.name(node) {
///     Some("two") => Ok(2.0_f64),
///     Some("three") => Ok(3.0),
///     Some("product") => Ok(inputs.values().product()),
///     _ => Err("no root today"),
/// });
/// assert_eq!(outcomes.value(product), Some(&6.0));
/// assert_eq!(outcomes.get(root), Some(&Outcome::Failed(Failure::Error("no root today"))));
/// # Ok::<(), counterpoint::dag::BuildError>(())
/// ```
pub struct Runner {
    shared: Shared,
    /// The local state of each worker; the caller's is the first.
    locals: Vec<Local>,
    on_failure: OnFailure,
    cancel: CancelFlag,
}

impl Runner {
    /// A runner with this number of workers, including the calling thread; 0 counts as 1.
    #[must_use]
    pub fn new(topology: &Arc<Topology>, workers: usize) -> Self {
        let locals: Vec<Local> = (0..workers.max(1)).map(Local::new).collect();
        let shared = Shared {
            topology: Arc::clone(topology),
            missing: topology.indegrees().iter().map(|&count| AtomicU32::new(count)).collect(),
            cells: locals.iter().map(|_| CachePadded::new(Cell::new())).collect(),
            stealers: locals.iter().map(|local| local.deque.stealer()).collect(),
        };
        Self { shared, locals, on_failure: OnFailure::default(), cancel: CancelFlag::new() }
    }

    /// Sets the effect of a failure on the nodes that do not depend on it.
    #[must_use]
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// Sets a flag that can cancel runs.
    #[must_use]
    pub fn cancelled_by(mut self, cancel: &CancelFlag) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// The number of workers.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.shared.cells.len()
    }

    /// Runs `body` for every node, with the outputs of its dependencies.
    pub fn run<T, E, F>(&mut self, body: F) -> Outcomes<T, E>
    where
        T: Send + Sync,
        E: Send,
        F: Fn(NodeIx, Inputs<'_, T>) -> Result<T, E> + Sync,
    {
        let topology = Arc::clone(&self.shared.topology);
        let values: Vec<OnceLock<T>> = topology.nodes().map(|_| OnceLock::new()).collect();
        let report = self.each(|node| {
            let value = body(node, Inputs { nodes: topology.predecessors(node), values: &values })?;
            // Each node runs once, so its slot is empty.
            if let Some(slot) = values.get(node.index()) {
                slot.get_or_init(|| value);
            }
            Ok(())
        });
        Outcomes::join(values.into_iter().map(OnceLock::into_inner), report)
    }

    /// Runs `body` for every node, without passing outputs between nodes: the closure stores its results itself. This
    /// is the cheapest way to run; a run without failures allocates next to nothing.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// use counterpoint::dag::{Builder, Runner};
    ///
    /// let mut graph = Builder::new();
    /// graph.edge("left", "join").edge("right", "join");
    /// for name in ["left", "right", "join"] {
    ///     graph.node(name, ());
    /// }
    /// let graph = graph.build()?;
    ///
    /// let ran = AtomicU32::new(0);
    /// let mut runner = Runner::new(graph.topology(), 2);
    /// for _ in 0..3 {
    ///     let report = runner.each(|_| {
    ///         ran.fetch_add(1, Ordering::Relaxed);
    ///         Ok::<(), ()>(())
    ///     });
    ///     assert!(report.is_success());
    /// }
    /// assert_eq!(ran.into_inner(), 9);
    /// # Ok::<(), counterpoint::dag::BuildError>(())
    /// ```
    pub fn each<E, F>(&mut self, body: F) -> Report<E>
    where
        E: Send,
        F: Fn(NodeIx) -> Result<(), E> + Sync,
    {
        self.crew(body, |crew| crew.each())
    }

    /// Runs `body` for every node each time that `work` requests it, on the same threads.
    ///
    /// [`each`](Self::each) waits at its end for its threads. On a busy machine it can take longer to schedule a thread
    /// that has nothing left to do than the whole run took. A crew keeps its threads, and the end of a run waits only
    /// for closures that have begun.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// use counterpoint::dag::{Builder, Runner};
    ///
    /// let mut graph = Builder::new();
    /// graph.edge("read", "write");
    /// graph.node("read", ());
    /// graph.node("write", ());
    /// let graph = graph.build()?;
    ///
    /// let ran = AtomicU32::new(0);
    /// let count = |_| {
    ///     ran.fetch_add(1, Ordering::Relaxed);
    ///     Ok::<(), ()>(())
    /// };
    /// let all_well = Runner::new(graph.topology(), 2).crew(count, |crew| (0..1_000).all(|_| crew.each().is_success()));
    /// assert!(all_well);
    /// assert_eq!(ran.into_inner(), 2_000);
    /// # Ok::<(), counterpoint::dag::BuildError>(())
    /// ```
    pub fn crew<E, F, R>(&mut self, body: F, work: impl FnOnce(&mut Crew<'_, E>) -> R) -> R
    where
        E: Send,
        F: Fn(NodeIx) -> Result<(), E> + Sync,
    {
        // There is always a first local: it is taken here and put back below, even after a panic.
        let mut own = self.locals.remove(0);
        let turn = Turn {
            shared: &self.shared,
            body: &body,
            idle: Idle::new(self.shared.cells.len()),
            locals: Mutex::new(std::mem::take(&mut self.locals)),
            failed: Mutex::new(Vec::new()),
            dropped: Mutex::new(Vec::new()),
            stopped: AtomicBool::new(false),
            stop_on_failure: self.on_failure == OnFailure::Stop,
            cancelled: self.cancel.as_atomic(),
        };
        // `work` belongs to the caller and may panic. The threads must end even then, or the scope would wait forever;
        // and the runner must get its queues back.
        let result = thread::scope(|scope| {
            let mut run = || {
                turn.run(&mut own, scope);
                turn.report()
            };
            let result = catch_unwind(AssertUnwindSafe(|| work(&mut Crew { run: &mut run })));
            turn.idle.close();
            result
        });
        self.locals = turn.locals.into_inner();
        self.locals.insert(0, own);
        result.unwrap_or_else(|payload| resume_unwind(payload))
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("topology", &self.shared.topology)
            .field("workers", &self.workers())
            .field("on_failure", &self.on_failure)
            .finish_non_exhaustive()
    }
}

/// A runner with its threads and its closure; see [`Runner::crew`].
pub struct Crew<'a, E> {
    run: &'a mut dyn FnMut() -> Report<E>,
}

impl<E> Crew<'_, E> {
    /// Runs the closure for every node.
    pub fn each(&mut self) -> Report<E> {
        (self.run)()
    }
}

impl<E> fmt::Debug for Crew<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").finish_non_exhaustive()
    }
}

/// The outputs of a node's dependencies, in the order in which the edges were declared.
#[derive(Debug)]
pub struct Inputs<'a, T> {
    nodes: &'a [NodeIx],
    values: &'a [OnceLock<T>],
}

impl<'a, T> Inputs<'a, T> {
    /// The number of dependencies.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether the node has no dependencies.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The output of the dependency at an index.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&'a T> {
        self.value(*self.nodes.get(place)?)
    }

    /// The output of a node, if it is one of the dependencies.
    #[must_use]
    pub fn of(&self, node: NodeIx) -> Option<&'a T> {
        // Only dependencies: whether another node has finished yet depends on timing.
        if self.nodes.contains(&node) { self.value(node) } else { None }
    }

    /// Each dependency with its output.
    pub fn iter(&self) -> impl Iterator<Item = (NodeIx, &'a T)> + use<'a, T> {
        let Self { nodes, values } = *self;
        nodes.iter().filter_map(move |&node| Some((node, values.get(node.index())?.get()?)))
    }

    /// The output of each dependency.
    pub fn values(&self) -> impl Iterator<Item = &'a T> + use<'a, T> {
        self.iter().map(|(_, value)| value)
    }

    fn value(&self, node: NodeIx) -> Option<&'a T> {
        self.values.get(node.index())?.get()
    }
}

impl<T> Clone for Inputs<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Inputs<'_, T> {}
