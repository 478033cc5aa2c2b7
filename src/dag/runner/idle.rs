//! Idle workers: waiting, waking, and detecting the end of a run.

use crate::base::structure::threads::atomic::{AtomicUsize, Ordering::SeqCst};
use parking_lot::{Condvar, Mutex, MutexGuard};

/// Counts the waiting workers.
///
/// A worker waits only when its own queues are empty, and only a running worker adds to its own queues. So when all
/// workers wait, all queues are empty and the run has ended: no count of finished nodes is needed.
///
/// Workers are woken with tokens. A worker that was given a token but has not been scheduled yet owns no work, so the
/// end of a run takes the token back instead of waiting for the operating system to schedule that thread, which on a
/// busy machine can take longer than the run. A worker whose thread has not been started counts as waiting, and its
/// first token starts the thread: a graph without parallelism starts no thread.
#[derive(Debug)]
pub(super) struct Idle {
    workers: usize,
    /// A copy of `State::waiting` that is read without the lock.
    waiting: AtomicUsize,
    state: Mutex<State>,
    /// All workers but the caller wait here.
    wake: Condvar,
    /// The caller waits here, so that the end of a run wakes no other thread.
    home: Condvar,
}

#[derive(Debug)]
struct State {
    /// The number of workers; less than at the start if threads could not be started.
    workers: usize,
    /// The number of waiting workers without a token.
    waiting: usize,
    /// The number of waiting workers without a thread.
    unstarted: usize,
    /// The tokens for any worker but the caller.
    tokens: usize,
    caller: Caller,
    over: bool,
    closed: bool,
}

/// The thread that called the runner. It is a worker, too, and the only one that returns at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Up,
    Waits,
    /// Waits, and has a token.
    Called,
}

/// The kind of a waiting worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Caller,
    Other,
}

/// The action that remains for the waking worker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Woken {
    Nothing,
    /// Start a thread: the worker with the token has none.
    Start,
}

impl Idle {
    /// All workers wait, and no thread is started.
    pub(super) fn new(workers: usize) -> Self {
        let state = State {
            workers,
            waiting: workers,
            unstarted: workers - 1,
            tokens: 0,
            caller: Caller::Up,
            over: true,
            closed: false,
        };
        let (wake, home) = (Condvar::new(), Condvar::new());
        Self { workers, waiting: AtomicUsize::new(workers), state: Mutex::new(state), wake, home }
    }

    /// Begins a run; the caller is running.
    pub(super) fn begin(&self) {
        let mut state = self.state.lock();
        (state.over, state.caller) = (false, Caller::Up);
        let others = state.workers - 1;
        self.set_waiting(&mut state, others);
    }

    /// Ends all threads: no further run follows.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_all();
    }

    /// Whether a worker waits. Call it after adding work to a shared queue, with a sequentially consistent operation in
    /// between: then either this call sees the waiting worker, or that worker has seen the work.
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.waiting.load(SeqCst) > 0
    }

    /// An upper bound of the number of workers that are not waiting, from relaxed reads.
    pub(super) fn at_work(&self) -> usize {
        self.workers - self.waiting.load(SeqCst)
    }

    /// Gives a token to a waiting worker.
    #[cold]
    pub(super) fn wake_one(&self) -> Woken {
        let mut state = self.state.lock();
        let Some(left) = state.waiting.checked_sub(1) else {
            return Woken::Nothing;
        };
        self.set_waiting(&mut state, left);
        if state.caller == Caller::Waits {
            state.caller = Caller::Called;
            self.home.notify_one();
            return Woken::Nothing;
        }
        state.tokens += 1;
        if left >= state.unstarted {
            self.wake.notify_one();
            return Woken::Nothing;
        }
        state.unstarted -= 1;
        Woken::Start
    }

    /// The thread for a woken worker could not be started: the run continues with one worker less.
    #[cold]
    pub(super) fn not_started(&self) {
        let mut state = self.state.lock();
        state.workers -= 1;
        // Its token may have been taken by another worker that was about to wait, and that now waits in its place.
        if state.tokens > 0 {
            state.tokens -= 1;
        } else {
            let left = state.waiting.saturating_sub(1);
            self.set_waiting(&mut state, left);
        }
    }

    /// Waits until there may be work. Returns false when the worker has to leave: the caller at the end of a run, other
    /// workers when no further run follows. `work` reports whether any work is visible: it is called after this worker
    /// has been counted as waiting, so that no work is missed between the check and the wait.
    #[cold]
    pub(super) fn wait(&self, role: Role, work: impl FnOnce() -> bool) -> bool {
        let mut state = self.state.lock();
        let waiting = state.waiting + 1;
        self.set_waiting(&mut state, waiting);
        let called = usize::from(state.caller == Caller::Called);
        if waiting + state.tokens + called == state.workers {
            state.over = true;
            state.tokens = 0;
            let all = state.workers;
            self.set_waiting(&mut state, all);
            if role == Role::Caller {
                return false;
            }
            self.home.notify_one();
        } else if work() {
            self.set_waiting(&mut state, waiting - 1);
            return true;
        }
        match role {
            Role::Caller => self.caller_rises(state),
            Role::Other => self.rises(state),
        }
    }

    /// The first wait of a new thread: for its token. Returns false if no further run follows.
    pub(super) fn start(&self) -> bool {
        self.rises(self.state.lock())
    }

    fn rises(&self, mut state: MutexGuard<'_, State>) -> bool {
        while state.tokens == 0 && !state.closed {
            self.wake.wait(&mut state);
        }
        if state.closed {
            return false;
        }
        state.tokens -= 1;
        true
    }

    fn caller_rises(&self, mut state: MutexGuard<'_, State>) -> bool {
        state.caller = Caller::Waits;
        while state.caller == Caller::Waits && !state.over {
            self.home.wait(&mut state);
        }
        state.caller = Caller::Up;
        !state.over
    }

    fn set_waiting(&self, state: &mut State, waiting: usize) {
        state.waiting = waiting;
        self.waiting.store(waiting, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(workers: usize) -> Idle {
        let idle = Idle::new(workers);
        idle.begin();
        idle
    }

    #[test]
    fn a_lone_worker_is_over_when_it_waits() {
        let idle = begun(1);
        assert!(!idle.any());
        assert!(!idle.wait(Role::Caller, || true));
    }

    #[test]
    fn the_first_token_is_a_start_and_is_given_once() {
        let idle = begun(2);
        assert!(idle.any());
        assert_eq!(idle.wake_one(), Woken::Start);
        assert_eq!(idle.wake_one(), Woken::Nothing);
        assert!(!idle.any());
        assert!(idle.start());
    }

    #[test]
    fn a_thread_that_could_not_be_had_does_not_hold_up_the_end() {
        let idle = begun(2);
        assert_eq!(idle.wake_one(), Woken::Start);
        idle.not_started();
        assert_eq!(idle.wake_one(), Woken::Nothing);
        assert!(!idle.wait(Role::Caller, || false));
    }

    #[test]
    fn a_thread_that_is_slow_to_rise_does_not_hold_up_the_end() {
        let idle = begun(2);
        assert_eq!(idle.wake_one(), Woken::Start);
        assert!(!idle.wait(Role::Caller, || false));
        // It rises when all is over: its token is gone, and it waits for the next run or for the end.
        idle.close();
        assert!(!idle.start());
    }

    #[test]
    fn work_that_arrives_last_wakes_a_worker() {
        let idle = begun(3);
        assert_eq!(idle.wake_one(), Woken::Start);
        assert!(idle.start());
        assert!(idle.wait(Role::Other, || true));
        assert!(idle.any());
    }
}
