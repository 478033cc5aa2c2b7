//! Those who follow the progress of runs.

use crate::event::{Entry, Event};
use crate::id::RunId;
use crate::insight::{Progress, Projection, RunProgress};
use crate::run::RunPhase;
use async_channel::Sender;

/// The progress of every run, and those who follow one.
#[derive(Default)]
pub(super) struct Followers {
    progress: Progress,
    /// With what they have seen last.
    following: Vec<(RunId, Option<RunProgress>, Sender<RunProgress>)>,
    stale: bool,
}

impl Followers {
    pub(super) fn follow(&mut self, run: RunId, send: Sender<RunProgress>) {
        self.following.push((run, None, send));
        self.stale = true;
    }

    pub(super) fn note(&mut self, entry: &Entry) {
        self.progress.apply(entry);
        self.stale |= !matches!(entry.event, Event::Agent { .. });
    }

    /// Tells those for whom something has changed. A run that is over, or unknown, has no followers any more.
    pub(super) fn tell(&mut self) {
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
