//! Subscriptions to the progress of runs.

use crate::base::id::RunId;
use crate::journal::Projection;
use crate::message::event::{Entry, Event};
use crate::message::run::RunPhase;
use crate::observe::{Progress, RunProgress};

/// Sends the progress, if there is one, in place of what was not read yet. Returns whether the subscription is open.
pub(super) type Follower = Box<dyn FnMut(Option<RunProgress>) -> bool + Send>;

/// The progress of every run, and the subscriptions to it.
#[derive(Default)]
pub(super) struct Followers {
    progress: Progress,
    /// With the last progress that was sent.
    following: Vec<(RunId, Option<RunProgress>, Follower)>,
    stale: bool,
}

impl Followers {
    /// No subscriptions, with the progress after these entries.
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut followers = Self::default();
        followers.progress.replay(entries);
        followers
    }

    pub(super) fn follow(&mut self, run: RunId, follower: Follower) {
        self.following.push((run, None, follower));
        self.stale = true;
    }

    pub(super) fn note(&mut self, entry: &Entry) {
        self.progress.apply(entry);
        self.stale |= !matches!(entry.event, Event::Agent { .. });
    }

    /// Sends the progress of runs that have changed. The subscriptions to a run that has ended or is unknown are
    /// closed. Called after all entries of a batch.
    pub(super) fn notify(&mut self) {
        if !core::mem::take(&mut self.stale) {
            return;
        }
        let progress = &self.progress;
        self.following.retain_mut(|(run, seen, follower)| {
            let Some(now) = progress.run(*run) else { return false };
            let over = now.phase == RunPhase::Finished;
            if seen.as_ref() == Some(&now) {
                return follower(None);
            }
            *seen = Some(now.clone());
            follower(Some(now)) && !over
        });
    }
}
