//! The subjects of entries.

#![expect(clippy::wildcard_enum_match_arm, reason = "a projection ignores most events")]

use crate::base::id::{AgentId, RunId, TaskId};
use crate::base::structure::Table;
use crate::message::event::{ControlEvent, Entry, Event, RunEvent, TaskEvent};
use crate::task::Owner;
use serde::{Deserialize, Serialize};

/// The subject of a story or a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Subject {
    /// A task.
    Task(TaskId),
    /// An agent, in all its incarnations.
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

impl Subject {
    /// The task, run or agent of an event; `None` if it concerns several or a definition.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        let task = event.task().map(Self::Task);
        task.or_else(|| event.run().map(Self::Run)).or_else(|| event.agent().map(Self::Agent))
    }
}

/// Finds all subjects of entries. It stores which tasks perform steps of which runs.
#[derive(Debug, Clone)]
pub(crate) struct Subjects {
    /// The runs of unfinished tasks that perform steps.
    steps: Table<TaskId, RunId>,
}

impl Subjects {
    pub(crate) fn new(bound: usize) -> Self {
        Self { steps: Table::new(bound) }
    }

    /// The subjects of the next entry.
    pub(crate) fn of(&mut self, entry: &Entry) -> Vec<Subject> {
        let mut about = Vec::with_capacity(3);
        about.extend(Subject::of(&entry.event));
        match &entry.event {
            Event::Task { task, event } => self.of_task(*task, event, &mut about),
            Event::Run { event: RunEvent::Started { owner: Some(owner), .. }, .. } => about.push(owner.run.into()),
            Event::Control(ControlEvent::TasksForgotten { tasks }) => {
                for task in tasks {
                    self.steps.remove(task);
                }
            }
            _ => {}
        }
        about
    }

    fn of_task(&mut self, task: TaskId, event: &TaskEvent, about: &mut Vec<Subject>) {
        if let TaskEvent::Submitted { spec, .. } = event
            && let Some(Owner { run, .. }) = spec.owner
        {
            self.steps.insert(task, run);
        }
        about.extend(self.steps.get(&task).map(|run| Subject::Run(*run)));
        about.extend(event.holder().map(|by| Subject::Agent(by.agent())));
        match event {
            TaskEvent::Joined { to: other } | TaskEvent::Answered { from: other, .. } => {
                about.push(Subject::Task(*other))
            }
            TaskEvent::Rated { agent, .. } => about.push(Subject::Agent(*agent)),
            TaskEvent::Submitted { replays, .. } => about.extend(replays.map(Subject::Task)),
            TaskEvent::YieldRequested { reason, .. } => about.extend(reason.by().map(Subject::Task)),
            _ => {}
        }
    }
}
