//! The exchange of work between workers: own queues, stealing, waiting, waking, starting threads.

use crossbeam::deque::Steal;

use super::{
    super::NodeIx,
    idle::Woken,
    span::Span,
    worker::{Local, Turn},
};
use crate::base::structure::threads::{
    atomic::{Ordering::SeqCst, fence},
    thread::{self, Scope},
};

/// The number of searches of an idle worker before it waits. Waking costs microseconds, and so do this many searches.
/// (Fewer searches let a model checker find the interleavings of the last search and the wait sooner.)
const ROUNDS: usize = if cfg!(shuttle) { 1 } else { 32 };
/// The number of searches before the worker yields its thread between them.
const HALF: usize = ROUNDS / 2;

impl<E, F> Turn<'_, E, F>
where
    E: Send,
    F: Fn(NodeIx) -> Result<(), E> + Sync,
{
    /// The next node: from the held count, the own queues, or those of others; `None` if the run has ended.
    pub(super) fn next<'s>(&'s self, local: &mut Local, scope: &'s Scope<'s, '_>) -> Option<NodeIx> {
        loop {
            // Checked before the held count is subtracted: the next node may be a dependency of the held node as well.
            if let Some(place) = self.own(local, scope) {
                return self.shared.topology.outgoing().at(place);
            }
            if let Some(node) = self.flush(local) {
                return Some(node);
            }
            if let Some(span) = self.steal(local) {
                // A worker that shares several items wakes one worker, which wakes the next.
                if span.to - span.from == 1 && self.work_in_sight() {
                    self.offer(scope);
                }
                return self.shared.topology.outgoing().at(self.begin(span, local, scope));
            }
            if !self.idle.wait(local.role, || self.work_in_sight()) {
                return None;
            }
        }
    }

    #[inline]
    fn own<'s>(&'s self, local: &Local, scope: &'s Scope<'s, '_>) -> Option<u32> {
        // The newest first: depth-first order keeps queues short and caches warm.
        if let Some(span) = local.deque.pop() {
            return Some(self.begin(span, local, scope));
        }
        self.shared.cells.get(local.index)?.take()
    }

    /// Takes the first index of a span and puts the rest into the own cell, where others can steal from it.
    #[inline]
    fn begin<'s>(&'s self, span: Span, local: &Local, scope: &'s Scope<'s, '_>) -> u32 {
        let rest = Span { from: span.from + 1, ..span };
        if !rest.is_empty() {
            if let Some(cell) = self.shared.cells.get(local.index) {
                let left = cell.replace(rest);
                if !left.is_empty() {
                    local.deque.push(left);
                }
            }
            self.offer(scope);
        }
        span.from
    }

    /// Wakes a waiting worker, if any, after work was made available to others.
    #[inline]
    pub(super) fn offer<'s>(&'s self, scope: &'s Scope<'s, '_>) {
        if self.shared.cells.len() == 1 {
            return;
        }
        fence(SeqCst);
        if self.idle.any() && self.idle.wake_one() == Woken::Start {
            self.start(scope);
        }
    }

    #[cold]
    fn start<'s>(&'s self, scope: &'s Scope<'s, '_>) {
        let Some(mut local) = self.locals.lock().pop() else {
            return self.idle.not_started();
        };
        let work = move || {
            if self.idle.start() {
                self.work(&mut local, scope);
            }
            self.locals.lock().push(local);
        };
        if thread::Builder::new().spawn_scoped(scope, work).is_err() {
            // The run continues with fewer workers.
            self.idle.not_started();
        }
    }

    #[cold]
    fn steal(&self, local: &Local) -> Option<Span> {
        let workers = self.shared.cells.len();
        for round in 0..ROUNDS {
            if round > HALF {
                thread::yield_now();
            } else if round > 0 {
                std::hint::spin_loop();
            }
            for step in 1..workers {
                let victim = (local.index + step) % workers;
                if let Some(span) = self.steal_from(victim, local) {
                    return Some(span);
                }
            }
            if workers == 1 || self.idle.at_work() < 2 {
                return None;
            }
        }
        None
    }

    fn steal_from(&self, victim: usize, local: &Local) -> Option<Span> {
        if let Some(span) = self.shared.cells.get(victim)?.split() {
            return Some(span);
        }
        let stealer = self.shared.stealers.get(victim)?;
        loop {
            match stealer.steal_batch_and_pop(&local.deque) {
                Steal::Success(span) => return Some(span),
                Steal::Empty => return None,
                Steal::Retry => {}
            }
        }
    }

    fn work_in_sight(&self) -> bool {
        let queued = self.shared.stealers.iter().any(|stealer| !stealer.is_empty());
        queued || self.shared.cells.iter().any(|cell| !cell.is_empty())
    }
}
