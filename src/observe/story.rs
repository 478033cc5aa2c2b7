//! The most recent events of one task, agent or run.

use super::names::{Either, Named};
use super::{NameSource, Names, text_of};
use crate::base::id::Seq;
use crate::base::structure::Table;
use crate::base::time::Time;
use crate::journal::Projection;
use crate::journal::{Subject, Subjects};
use crate::message::event::Entry;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// An entry as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Line {
    /// The entry's number.
    pub seq: Seq,
    /// The time.
    pub at: Time,
    /// The event as text.
    pub text: Box<str>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.seq, self.at, self.text)
    }
}

/// The most recent events of each task, agent and run, for diagnosis.
///
/// Stores lines of text, no payloads. Beyond its maximum of subjects, the subject with the oldest last event is
/// evicted.
///
/// ```
/// use counterpoint::journal::Projection;
/// use counterpoint::observe::Story;
/// use counterpoint::{AgentId, Entry, Incarnation, Payload, Seq, TaskId, Time};
/// use counterpoint::task::AttemptNumber;
/// use counterpoint::message::TaskEvent;
///
/// let (attempt, ada) = (AttemptNumber::FIRST, Incarnation::new(AgentId::new(3), 1));
/// let events = [
///     TaskEvent::Assigned { attempt, to: ada },
///     TaskEvent::Succeeded { attempt, by: ada, output: Payload::NULL },
/// ];
/// let mut story = Story::default();
/// for (seq, event) in (1..).zip(events) {
///     story.apply(&Entry { seq: Seq::new(seq), at: Time::from_secs(seq), event: event.of(TaskId::new(7)) });
/// }
/// let lines: Vec<String> = story.of(AgentId::new(3)).map(ToString::to_string).collect();
/// assert_eq!(lines, ["#1 1s t7-1 assigned to a3-1", "#2 2s t7-1 succeeded on a3-1"]);
/// ```
#[derive(Debug, Clone)]
pub struct Story {
    lines: usize,
    rings: Table<Subject, VecDeque<Arc<Line>>>,
    subjects: Subjects,
    names: Names,
}

impl Default for Story {
    /// 32 lines for each of at most 4,096 subjects.
    fn default() -> Self {
        Self::new(32, 4_096)
    }
}

impl Story {
    /// Stores up to `lines` lines for each of up to `subjects` subjects; 0 counts as 1.
    #[must_use]
    pub fn new(lines: usize, subjects: usize) -> Self {
        Self {
            lines: lines.max(1),
            rings: Table::new(subjects),
            subjects: Subjects::new(subjects),
            names: Names::new(subjects),
        }
    }

    /// The most recent lines of a subject, the oldest first; none if it is unknown or was evicted.
    pub fn of(&self, subject: impl Into<Subject>) -> impl Iterator<Item = &Line> {
        self.rings.get(&subject.into()).into_iter().flatten().map(AsRef::as_ref)
    }

    /// The subjects with lines.
    pub fn subjects(&self) -> impl Iterator<Item = Subject> {
        self.rings.iter().map(|(subject, _)| *subject)
    }

    /// Adds an entry with the names of another source, where the story itself does not know them.
    pub(crate) fn note(&mut self, entry: &Entry, more: &dyn NameSource) {
        self.names.apply(entry);
        let about = self.subjects.of(entry);
        if !about.is_empty() {
            let text = text_of(entry, Named(&Either(&self.names, more)));
            self.add_line(entry, &about, text);
        }
    }

    fn add_line(&mut self, entry: &Entry, about: &[Subject], text: String) {
        let line = Arc::new(Line { seq: entry.seq, at: entry.at, text: text.into_boxed_str() });
        for subject in about {
            self.add(*subject, &line);
        }
    }

    fn add(&mut self, subject: Subject, line: &Arc<Line>) {
        if let Some(ring) = self.rings.touch(&subject) {
            while ring.len() >= self.lines {
                ring.pop_front();
            }
            ring.push_back(Arc::clone(line));
        } else {
            self.rings.insert(subject, VecDeque::from([Arc::clone(line)]));
        }
    }
}

impl Projection for Story {
    fn apply(&mut self, entry: &Entry) {
        self.names.apply(entry);
        let about = self.subjects.of(entry);
        if !about.is_empty() {
            let text = self.names.describe(entry);
            self.add_line(entry, &about, text);
        }
    }
}
