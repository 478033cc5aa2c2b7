//! A worker of a run: takes a ready node, runs it, and determines the nodes that become ready.
//!
//! The optimisations, each of which delays no node:
//! - The first node that becomes ready runs next on the same worker, without a queue. A chain uses no queue at all.
//! - A node with one dependency needs no counter: the worker of the dependency runs or queues it.
//! - Ready neighbours in the array of successors are queued as one `Span`.
//! - A worker that runs several dependencies of one node in a row subtracts them from its counter at once (`Held`). It
//!   delays the subtraction only while it continues with another dependency of the same node, which could not start in
//!   that time. Ten thousand nodes before one join do not contend for its counter.
//! - A counter that reaches zero is restored at once for the next run, while it is in the cache.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crossbeam::{
    deque::{Stealer, Worker as Deque},
    utils::CachePadded,
};
use parking_lot::Mutex;

use super::{
    super::{NodeIx, Topology},
    Failure, Report,
    idle::{Idle, Role},
    span::{Cell, Span},
};
use crate::base::structure::threads::{
    atomic::{
        AtomicBool, AtomicU32,
        Ordering::{AcqRel, Relaxed},
    },
    thread::Scope,
};

/// The state that all workers of a runner share. It outlives the run.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) topology: Arc<Topology>,
    /// The number of dependencies of each node that are not subtracted yet. Unused for nodes with fewer than two.
    pub(super) missing: Vec<AtomicU32>,
    pub(super) cells: Vec<CachePadded<Cell>>,
    pub(super) stealers: Vec<Stealer<Span>>,
}

/// The state of one worker. It outlives the run. Between runs its queues are empty and it holds no count.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) index: usize,
    pub(super) deque: Deque<Span>,
    pub(super) role: Role,
    held: Held,
    /// The node whose closure is running, to attribute a panic.
    current: NodeIx,
}

impl Local {
    /// The worker in the calling thread has index zero.
    pub(super) fn new(index: usize) -> Self {
        let role = if index == 0 { Role::Caller } else { Role::Other };
        let current = NodeIx::new(0);
        Self { index, deque: Deque::new_lifo(), role, held: Held::default(), current }
    }
}

/// Dependencies of one node that are done but not subtracted from its counter. Unset if `count` is zero.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    /// An index of the node in the array of successors.
    place: u32,
    count: u32,
}

/// The state that consecutive runs with the same closure share.
pub(super) struct Turn<'r, E, F> {
    pub(super) shared: &'r Shared,
    pub(super) body: &'r F,
    pub(super) idle: Idle,
    /// Locals of workers whose threads have not started, and of those whose threads have ended.
    pub(super) locals: Mutex<Vec<Local>>,
    pub(super) failed: Mutex<Vec<(NodeIx, Failure<E>)>>,
    /// The nodes that were ready after the run was stopped.
    pub(super) dropped: Mutex<Vec<NodeIx>>,
    /// Set at the first failure, if a failure stops the run.
    pub(super) stopped: AtomicBool,
    pub(super) stop_on_failure: bool,
    pub(super) cancelled: &'r AtomicBool,
}

impl<E, F> Turn<'_, E, F>
where
    E: Send,
    F: Fn(NodeIx) -> Result<(), E> + Sync,
{
    /// One run, in the thread of the caller. Failed and dropped nodes are left for the caller.
    pub(super) fn run<'s>(&'s self, local: &mut Local, scope: &'s Scope<'s, '_>) {
        self.idle.begin();
        self.stopped.store(false, Relaxed);
        let (from, to) = self.shared.topology.outgoing().starts_span();
        if from < to {
            local.deque.push(Span { from, to });
        }
        self.work(local, scope);
    }

    /// The report of the last run; restores the counters for the next. Called by the caller, between runs.
    pub(super) fn report(&self) -> Report<E> {
        let failed = std::mem::take(&mut *self.failed.lock());
        let dropped = std::mem::take(&mut *self.dropped.lock());
        let topology = &self.shared.topology;
        if !failed.is_empty() || !dropped.is_empty() {
            // A counter restores itself when it reaches zero, and some did not reach it.
            for (missing, &all) in self.shared.missing.iter().zip(topology.indegrees()) {
                missing.store(all, Relaxed);
            }
        }
        Report::new(topology, failed, &dropped)
    }

    /// Works until the worker has to leave. A panic of the closure ends the inner loop, fails its node, and the loop is
    /// entered again. So catching panics costs nothing per node.
    pub(super) fn work<'s>(&'s self, local: &mut Local, scope: &'s Scope<'s, '_>) {
        while let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.run_all(local, scope))) {
            self.fail(local.current, Failure::Panicked(message(payload)));
        }
    }

    fn run_all<'s>(&'s self, local: &mut Local, scope: &'s Scope<'s, '_>) {
        while let Some(first) = self.next(local, scope) {
            let mut next = Some(first);
            while let Some(node) = next {
                next = self.run_one(node, local, scope);
            }
        }
    }

    #[inline]
    fn run_one<'s>(&'s self, node: NodeIx, local: &mut Local, scope: &'s Scope<'s, '_>) -> Option<NodeIx> {
        if self.is_stopped() {
            self.dropped.lock().push(node);
            return None;
        }
        let span = self.shared.topology.outgoing().span(node);
        self.flush_unless_before(span, local, scope);
        local.current = node;
        match (self.body)(node) {
            Ok(()) => self.release(span, local, scope),
            Err(error) => {
                self.fail(node, Failure::Error(error));
                None
            }
        }
    }

    #[inline]
    fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed) || self.cancelled.load(Relaxed)
    }

    #[cold]
    fn fail(&self, node: NodeIx, failure: Failure<E>) {
        self.failed.lock().push((node, failure));
        if self.stop_on_failure {
            self.stopped.store(true, Relaxed);
        }
    }

    /// Subtracts one dependency from the successors in `span`. The first that becomes ready is returned, the others are
    /// queued.
    #[inline]
    fn release<'s>(&'s self, (from, to): (u32, u32), local: &mut Local, scope: &'s Scope<'s, '_>) -> Option<NodeIx> {
        if to - from == 1 {
            return self.release_only(from, local);
        }
        let graph = self.shared.topology.outgoing();
        let mut first = None;
        let mut open = Span::EMPTY;
        let mut queued = false;
        for place in from..to {
            let Some(node) = graph.at(place) else { break };
            if !self.subtract(node, 1) {
                continue;
            }
            if first.is_none() {
                first = Some(node);
            } else if open.to == place && !open.is_empty() {
                open.to = place + 1;
            } else {
                if !open.is_empty() {
                    local.deque.push(open);
                    queued = true;
                }
                open = Span { from: place, to: place + 1 };
            }
        }
        if !open.is_empty() {
            local.deque.push(open);
            queued = true;
        }
        if queued {
            self.offer(scope);
        }
        first
    }

    #[inline]
    fn release_only(&self, place: u32, local: &mut Local) -> Option<NodeIx> {
        let node = self.shared.topology.outgoing().at(place)?;
        let all = self.indegree(node);
        if all == 1 {
            return Some(node);
        }
        // Any other held count was subtracted before the node ran.
        local.held = Held { place, count: local.held.count + 1 };
        if local.held.count == all {
            // All its dependencies ran on this worker in a row: its counter was never touched.
            local.held.count = 0;
            return Some(node);
        }
        None
    }

    /// Subtracts the held count, unless the next node, with these successors, is a dependency of the held node, too.
    #[inline]
    fn flush_unless_before<'s>(&'s self, (from, to): (u32, u32), local: &mut Local, scope: &'s Scope<'s, '_>) {
        if local.held.count == 0 {
            return;
        }
        let graph = self.shared.topology.outgoing();
        if to - from == 1 && graph.at(from) == graph.at(local.held.place) {
            return;
        }
        let place = local.held.place;
        if self.flush(local).is_some() {
            local.deque.push(Span { from: place, to: place + 1 });
            self.offer(scope);
        }
    }

    /// Subtracts the held count; returns the node if it became ready.
    pub(super) fn flush(&self, local: &mut Local) -> Option<NodeIx> {
        let Held { place, count } = std::mem::take(&mut local.held);
        if count == 0 {
            return None;
        }
        let node = self.shared.topology.outgoing().at(place)?;
        self.subtract(node, count).then_some(node)
    }

    /// Returns true if no dependency is missing any more.
    #[inline]
    fn subtract(&self, node: NodeIx, count: u32) -> bool {
        let all = self.indegree(node);
        if all == count {
            return true;
        }
        let Some(missing) = self.shared.missing.get(node.index()) else {
            return false;
        };
        if missing.fetch_sub(count, AcqRel) != count {
            return false;
        }
        missing.store(all, Relaxed);
        true
    }

    #[inline]
    fn indegree(&self, node: NodeIx) -> u32 {
        self.shared.topology.indegrees().get(node.index()).copied().unwrap_or(0)
    }
}

/// The message of a panic.
fn message(payload: Box<dyn std::any::Any + Send>) -> String {
    let known = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = known.or_else(|| payload.downcast_ref::<String>().cloned());
    // A payload of another type may panic in turn when it is dropped, which must not end this worker.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    text.unwrap_or_else(|| "a panic without a message".to_owned())
}
