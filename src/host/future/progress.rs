//! The progress of a run as a stream.

use crate::base::id::RunId;
use crate::host::followers::Follower;
use crate::observe::RunProgress;
use async_channel::{Receiver, bounded};
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_util::Stream;

/// The progress of a run whenever it changes: a stream that ends with the run or the host. A value that was not read in
/// time is replaced by the newer one, so the reader never sees a backlog.
pub struct ProgressStream {
    run: RunId,
    feed: Pin<Box<Receiver<RunProgress>>>,
}

impl ProgressStream {
    pub(super) fn new(run: RunId) -> (Self, Follower) {
        let (send, feed) = bounded(1);
        let follower = move |progress: Option<RunProgress>| match progress {
            None => !send.is_closed(),
            Some(progress) => send.force_send(progress).is_ok(),
        };
        (Self { run, feed: Box::pin(feed) }, Box::new(follower))
    }

    /// The progress after the next change; `None` when the run or the host has ended.
    pub async fn next(&mut self) -> Option<RunProgress> {
        self.feed.recv().await.ok()
    }
}

impl Stream for ProgressStream {
    type Item = RunProgress;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<RunProgress>> {
        self.feed.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for ProgressStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProgressStream({})", self.run)
    }
}
