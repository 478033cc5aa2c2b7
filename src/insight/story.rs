//! The last things that happened to one task, agent or run.

use super::table::Table;
use super::{Projection, describe};
use crate::event::{Entry, Event, RunEvent, TaskEvent};
use crate::id::{AgentId, RunId, Seq, TaskId};
use crate::task::Owner;
use crate::time::Time;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Whom a story is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Subject {
    /// A task.
    Task(TaskId),
    /// An agent, in all its lives.
    Agent(AgentId),
    /// A run, with the tasks and child runs that perform its steps.
    Run(RunId),
}

impl From<TaskId> for Subject {
    fn from(task: TaskId) -> Self {
        Self::Task(task)
    }
}

impl From<AgentId> for Subject {
    fn from(agent: AgentId) -> Self {
        Self::Agent(agent)
    }
}

impl From<RunId> for Subject {
    fn from(run: RunId) -> Self {
        Self::Run(run)
    }
}

/// An entry in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Line {
    /// The entry's number.
    pub seq: Seq,
    /// When.
    pub at: Time,
    /// What, in words.
    pub text: Box<str>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.seq, self.at, self.text)
    }
}

/// The last events about each task, agent and run: what to print when something looks wrong.
///
/// It keeps lines and no payloads. When there are more subjects than it has room for, the one that was silent longest is
/// forgotten.
///
/// ```
/// use counterpoint::insight::{Projection, Story};
/// use counterpoint::{AgentId, AttemptId, Entry, Incarnation, Payload, Seq, TaskEvent, TaskId, Time};
///
/// let (attempt, life) = (AttemptId::new(TaskId::new(7), 1), Incarnation::new(AgentId::new(3), 1));
/// let events = [
///     TaskEvent::Assigned { attempt, to: life },
///     TaskEvent::Succeeded { attempt, by: life, output: Payload::NULL },
/// ];
/// let mut story = Story::default();
/// for (seq, event) in (1..).zip(events) {
///     story.apply(&Entry { seq: Seq::new(seq), at: Time::from_secs(seq), event: event.into() });
/// }
/// let lines: Vec<String> = story.of(AgentId::new(3)).map(ToString::to_string).collect();
/// assert_eq!(lines, ["#1 1s t7.1 assigned to a3#1", "#2 2s t7.1 succeeded on a3#1"]);
/// ```
#[derive(Debug, Clone)]
pub struct Story {
    lines: usize,
    rings: Table<Subject, VecDeque<Arc<Line>>>,
    /// Of the tasks that perform steps and have not ended: whose.
    steps: Table<TaskId, RunId>,
}

impl Default for Story {
    /// 32 lines about each of at most 4,096 subjects.
    fn default() -> Self {
        Self::new(32, 4_096)
    }
}

impl Story {
    /// So many lines about each of at most so many subjects; 0 counts as 1.
    #[must_use]
    pub fn new(lines: usize, subjects: usize) -> Self {
        Self { lines: lines.max(1), rings: Table::new(subjects), steps: Table::new(subjects) }
    }

    /// The last lines about a subject, the oldest first; none if it is unknown or forgotten.
    pub fn of(&self, subject: impl Into<Subject>) -> impl Iterator<Item = &Line> {
        self.rings.get(&subject.into()).into_iter().flatten().map(AsRef::as_ref)
    }

    /// Those about whom there is something to tell.
    pub fn subjects(&self) -> impl Iterator<Item = Subject> {
        self.rings.iter().map(|(subject, _)| *subject)
    }

    fn tell(&mut self, subject: Subject, line: &Arc<Line>) {
        if let Some(ring) = self.rings.touch(&subject) {
            while ring.len() >= self.lines {
                ring.pop_front();
            }
            ring.push_back(Arc::clone(line));
        } else {
            self.rings.insert(subject, VecDeque::from([Arc::clone(line)]));
        }
    }

    fn task_subjects(&mut self, event: &TaskEvent, about: &mut Vec<Subject>) {
        if let TaskEvent::Submitted { spec, .. } = event
            && let Some(Owner { run, .. }) = spec.owner
        {
            self.steps.insert(spec.id, run);
        }
        if let Some(task) = event.task() {
            about.push(task.into());
            about.extend(self.steps.get(&task).map(|run| Subject::Run(*run)));
        }
        match event {
            TaskEvent::Assigned { to: by, .. }
            | TaskEvent::Yielded { by, .. }
            | TaskEvent::Used { by, .. }
            | TaskEvent::AttemptFailed { by, .. }
            | TaskEvent::Succeeded { by, .. } => about.push(by.agent().into()),
            TaskEvent::Answered { from, .. } => about.push(Subject::Task(*from)),
            TaskEvent::Submitted { replays, .. } => about.extend(replays.map(Subject::Task)),
            TaskEvent::Forgotten { tasks } => {
                for task in tasks {
                    self.steps.remove(task);
                }
            }
            TaskEvent::YieldRequested { why, .. } => about.extend(why.by().map(Subject::Task)),
            TaskEvent::Ready { .. }
            | TaskEvent::Started { .. }
            | TaskEvent::CancelRequested { .. }
            | TaskEvent::Cancelled { .. }
            | TaskEvent::Expired { .. }
            | TaskEvent::Discarded { .. } => {}
        }
    }
}

impl Projection for Story {
    fn apply(&mut self, entry: &Entry) {
        let mut about = Vec::with_capacity(3);
        match &entry.event {
            Event::Agent(event) => about.push(event.incarnation().agent().into()),
            Event::Control(event) => about.extend(event.agent().map(Subject::Agent)),
            Event::Task(event) => self.task_subjects(event, &mut about),
            Event::Run(event) => {
                about.extend(event.run().map(Subject::Run));
                if let RunEvent::Started { owner: Some(owner), .. } = event {
                    about.push(owner.run.into());
                }
            }
        }
        if about.is_empty() {
            return;
        }
        let line = Arc::new(Line { seq: entry.seq, at: entry.at, text: describe(entry).into_boxed_str() });
        for subject in about {
            self.tell(subject, &line);
        }
    }
}
