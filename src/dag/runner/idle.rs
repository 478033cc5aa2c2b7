//! Workers without work: how they wait, how they are woken, how the last one notices that the run is over.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use parking_lot::{Condvar, Mutex};

/// Counts the workers that wait.
///
/// A worker only waits when its own queues are empty, and only a worker that does not wait puts anything into its own. So
/// when all wait there is nothing anywhere, and the run is over: no count of finished nodes is needed.
///
/// A worker that was never started waits as well. Its first wake-up is its start, so a graph without anything to share
/// starts no thread.
#[derive(Debug)]
pub(super) struct Idle {
    workers: usize,
    /// A copy of `State::waiting` to look at without the lock.
    waiting: AtomicUsize,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    /// How many there are; less than at the start if threads could not be had.
    workers: usize,
    waiting: usize,
    unstarted: usize,
    /// Wake-ups that were given and not yet taken. Whoever wakes takes the sleeper off the count at once, so that the next
    /// one does not wake the same sleeper again while it is still getting up.
    tokens: usize,
    over: bool,
}

/// What whoever woke a worker has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Woken {
    Nothing,
    /// Start a worker: the one that was woken has not been started yet.
    Start,
}

impl Idle {
    /// One worker at work, the others not started.
    pub(super) fn new(workers: usize) -> Self {
        let waiting = workers - 1;
        let state = State { workers, waiting, unstarted: waiting, tokens: 0, over: false };
        let (waiting, state) = (AtomicUsize::new(waiting), Mutex::new(state));
        Self { workers, waiting, state, wake: Condvar::new() }
    }

    /// Whether a worker waits. To be asked after work was put where others find it, with a sequentially consistent
    /// operation in between: then either this sees the waiting worker, or that one saw the work.
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.waiting.load(SeqCst) > 0
    }

    /// How many workers do not wait, as far as can be seen from here, and at most.
    pub(super) fn at_work(&self) -> usize {
        self.workers - self.waiting.load(SeqCst)
    }

    #[cold]
    pub(super) fn wake_one(&self) -> Woken {
        let mut state = self.state.lock();
        if state.waiting == 0 || state.over {
            return Woken::Nothing;
        }
        self.set_waiting(&mut state, |waiting| waiting - 1);
        if state.unstarted > 0 {
            state.unstarted -= 1;
            return Woken::Start;
        }
        state.tokens += 1;
        self.wake.notify_one();
        Woken::Nothing
    }

    /// The thread for a woken worker could not be had: the run goes on with one worker less.
    #[cold]
    pub(super) fn not_started(&self) {
        self.state.lock().workers -= 1;
    }

    /// Waits until there may be work; false if the run is over. `work` says whether there is any to be seen: it is asked
    /// after this worker has been counted, so that nothing slips between looking and waiting.
    #[cold]
    pub(super) fn wait(&self, work: impl FnOnce() -> bool) -> bool {
        let mut state = self.state.lock();
        self.set_waiting(&mut state, |waiting| waiting + 1);
        if state.waiting == state.workers {
            state.over = true;
            self.wake.notify_all();
            return false;
        }
        if work() {
            self.set_waiting(&mut state, |waiting| waiting - 1);
            return true;
        }
        while state.tokens == 0 && !state.over {
            self.wake.wait(&mut state);
        }
        if state.over {
            return false;
        }
        state.tokens -= 1;
        true
    }

    fn set_waiting(&self, state: &mut State, change: impl FnOnce(usize) -> usize) {
        state.waiting = change(state.waiting);
        self.waiting.store(state.waiting, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_worker_is_over_when_it_waits() {
        let idle = Idle::new(1);
        assert!(!idle.any());
        assert!(!idle.wait(|| false));
    }

    #[test]
    fn the_first_wake_up_is_a_start_and_is_given_once() {
        let idle = Idle::new(2);
        assert!(idle.any());
        assert_eq!(idle.wake_one(), Woken::Start);
        assert_eq!(idle.wake_one(), Woken::Nothing);
        assert!(!idle.any());
    }

    #[test]
    fn a_thread_that_could_not_be_had_does_not_hold_up_the_end() {
        let idle = Idle::new(2);
        idle.wake_one();
        idle.not_started();
        assert_eq!(idle.wake_one(), Woken::Nothing);
        assert!(!idle.wait(|| false));
    }

    #[test]
    fn work_seen_at_the_last_moment_is_not_slept_over() {
        let idle = Idle::new(3);
        idle.wake_one();
        assert!(idle.wait(|| true));
        assert!(idle.any());
    }
}
