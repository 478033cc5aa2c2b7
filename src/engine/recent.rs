//! The most recent entries, for stories.

use super::Engine;
use crate::journal::{Projection, Subject};
use crate::message::event::Entry;
use crate::observe::{Line, Story};
use std::collections::VecDeque;

/// The most recent entries. They are formatted on request.
#[derive(Debug)]
pub(super) struct Recent {
    entries: VecDeque<Entry>,
    most: usize,
}

impl Recent {
    pub(super) const fn new(most: usize) -> Self {
        Self { entries: VecDeque::new(), most }
    }

    pub(super) fn note(&mut self, entry: &Entry) {
        if self.most == 0 {
            return;
        }
        if self.entries.len() >= self.most {
            self.entries.pop_front();
        }
        self.entries.push_back(entry.clone());
    }

    pub(super) fn story(&self, of: Subject) -> Vec<Line> {
        let mut story = Story::new(self.most, self.most.saturating_mul(4));
        story.replay(&self.entries);
        story.of(of).cloned().collect()
    }
}

impl Engine {
    /// The most recent events of a task, an agent or a run as text, the oldest first. Taken from the last events of the
    /// whole engine, see [`Config::with_story`](crate::Config::with_story).
    #[must_use]
    pub fn story(&self, of: impl Into<Subject>) -> Vec<Line> {
        self.driver.recent.story(of.into())
    }
}
