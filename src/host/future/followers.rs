//! Subscriptions to the progress of runs.

use crate::base::id::RunId;
use crate::journal::Projection;
use crate::message::event::{Entry, Event};
use crate::message::run::RunPhase;
use crate::observe::{Progress, RunProgress};
use async_channel::{Receiver, Sender, bounded};
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_util::Stream;

/// The progress of every run, and the subscriptions to it.
#[derive(Default)]
pub(super) struct Followers {
    progress: Progress,
    /// With the last progress that was sent.
    following: Vec<(RunId, Option<RunProgress>, Sender<RunProgress>)>,
    stale: bool,
}

impl Followers {
    /// No subscriptions, with the progress after these entries.
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut followers = Self::default();
        followers.progress.replay(entries);
        followers
    }

    pub(super) fn follow(&mut self, run: RunId, send: Sender<RunProgress>) {
        self.following.push((run, None, send));
        self.stale = true;
    }

    pub(super) fn note(&mut self, entry: &Entry) {
        self.progress.apply(entry);
        self.stale |= !matches!(entry.event, Event::Agent { .. });
    }

    /// Sends the progress of runs that have changed. The subscriptions to a run that has ended or is unknown are
    /// closed.
    pub(super) fn notify(&mut self) {
        if !core::mem::take(&mut self.stale) {
            return;
        }
        let progress = &self.progress;
        self.following.retain_mut(|(run, seen, send)| {
            let Some(now) = progress.run(*run) else { return false };
            let over = now.phase == RunPhase::Finished;
            if seen.as_ref() == Some(&now) {
                return !send.is_closed();
            }
            *seen = Some(now.clone());
            send.force_send(now).is_ok() && !over
        });
    }
}

/// The progress of a run whenever it changes: a stream that ends with the run or the host. A value that was not read in
/// time is replaced by the newer one, so the reader never sees a backlog.
pub struct ProgressStream {
    run: RunId,
    feed: Pin<Box<Receiver<RunProgress>>>,
}

impl ProgressStream {
    pub(super) fn new(run: RunId) -> (Self, Sender<RunProgress>) {
        let (send, feed) = bounded(1);
        (Self { run, feed: Box::pin(feed) }, send)
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
