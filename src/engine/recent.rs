//! The last facts, kept for whoever asks what happened.

use crate::event::Entry;
use crate::insight::{Line, Projection, Story, Subject};
use std::collections::VecDeque;

/// The last facts. Putting them into words waits until somebody asks.
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
