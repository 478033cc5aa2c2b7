//! The progress of a run as an iterator.

use crate::base::id::RunId;
use crate::base::structure::threads::thread::{self, ThreadId};
use crate::host::followers::Follower;
use crate::observe::RunProgress;
use core::fmt;
use core::time::Duration;
use crossbeam::channel::{Receiver, TrySendError, bounded};
use std::sync::Arc;

/// The progress of a run whenever it changes: a blocking iterator that ends with the run or the host. A value that was not
/// read in time is replaced by the newer one, so the reader never sees a backlog. In a callback of the host it does not block
/// and ends when no value is buffered.
pub struct ProgressStream {
    run: RunId,
    feed: Receiver<RunProgress>,
    /// The thread that must not wait: the owner's.
    inside: ThreadId,
    /// The owner's end holds a weak reference, and so finds whether this one was dropped.
    _open: Arc<()>,
}

impl ProgressStream {
    pub(super) fn new(run: RunId, inside: ThreadId) -> (Self, Follower) {
        let (send, feed) = bounded(1);
        let open = Arc::new(());
        let (is_open, older) = (Arc::downgrade(&open), feed.clone());
        let follower = move |progress: Option<RunProgress>| {
            if let Some(progress) = progress
                && let Err(TrySendError::Full(progress)) = send.try_send(progress)
            {
                // The reader may have taken it meanwhile. This is the only sender, so there is room now.
                let _older = older.try_recv();
                let _full = send.try_send(progress);
            }
            is_open.strong_count() > 0
        };
        (Self { run, feed, inside, _open: open }, Box::new(follower))
    }

    /// The progress after the next change, if it arrives in time; `None` when the run or the host has ended, too.
    #[must_use]
    pub fn next_within(&self, patience: Duration) -> Option<RunProgress> {
        let patience = if thread::current().id() == self.inside { Duration::ZERO } else { patience };
        self.feed.recv_timeout(patience).ok()
    }
}

impl Iterator for ProgressStream {
    type Item = RunProgress;

    fn next(&mut self) -> Option<RunProgress> {
        if thread::current().id() == self.inside {
            return self.feed.try_recv().ok();
        }
        self.feed.recv().ok()
    }
}

impl fmt::Debug for ProgressStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProgressStream({})", self.run)
    }
}
