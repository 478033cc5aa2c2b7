//! Whom an entry is about.

use super::table::Table;
use crate::event::{Entry, Event, RunEvent, TaskEvent};
use crate::id::{AgentId, RunId, TaskId};
use crate::task::Owner;
use serde::{Deserialize, Serialize};

/// Whom a story is about, or a subscription.
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

/// Says whom entries are about: it knows which tasks perform steps of which runs.
#[derive(Debug, Clone)]
pub(crate) struct Subjects {
    /// Of the tasks that perform steps and have not ended: whose.
    steps: Table<TaskId, RunId>,
}

impl Subjects {
    pub(crate) fn new(bound: usize) -> Self {
        Self { steps: Table::new(bound) }
    }

    /// Whom the next entry is about.
    pub(crate) fn of(&mut self, entry: &Entry) -> Vec<Subject> {
        let mut about = Vec::with_capacity(3);
        match &entry.event {
            Event::Agent(event) => about.push(event.incarnation().agent().into()),
            Event::Control(event) => about.extend(event.agent().map(Subject::Agent)),
            Event::Task(event) => self.of_task(event, &mut about),
            Event::Run(event) => {
                about.extend(event.run().map(Subject::Run));
                if let RunEvent::Started { owner: Some(owner), .. } = event {
                    about.push(owner.run.into());
                }
            }
        }
        about
    }

    fn of_task(&mut self, event: &TaskEvent, about: &mut Vec<Subject>) {
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
            | TaskEvent::Discarded { .. }
            | TaskEvent::Prioritised { .. } => {}
        }
    }
}
