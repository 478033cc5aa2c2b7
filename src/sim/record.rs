//! The record of durable events, from which the report is computed.

#![expect(clippy::wildcard_enum_match_arm, reason = "the record ignores most events")]

use super::client::Errand;
use crate::base::id::{AgentId, AttemptId, RunId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::event::{AgentEvent, Entry, Event, RunEvent, TaskEvent};
use crate::message::run::RunOutcome;
use crate::task::{Owner, TaskOutcome, TaskStatus, Tier};
use core::time::Duration;
use std::collections::BTreeMap;

/// The record of a task.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskStory {
    /// The task's id.
    pub id: TaskId,
    /// The kind.
    pub kind: Name,
    /// The tenant.
    pub tenant: Option<Name>,
    /// The tier.
    pub tier: Tier,
    /// The step of a run that it performs, if any.
    pub owner: Option<Owner>,
    /// The time of its submission.
    pub submitted: Time,
    /// The time of its first assignment.
    pub begun: Option<Time>,
    /// The time of its end.
    pub ended: Option<Time>,
    /// The agent that held it last.
    pub agent: Option<AgentId>,
    /// The number of attempts.
    pub attempts: u32,
    /// The outcome.
    pub outcome: Option<TaskOutcome>,
}

impl TaskStory {
    /// The time from submission to the first attempt.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.begun.map(|at| at.since(self.submitted))
    }

    /// The time from submission to the end.
    #[must_use]
    pub fn turnaround(&self) -> Option<Duration> {
        self.ended.map(|at| at.since(self.submitted))
    }

    /// The final status, if it has ended.
    #[must_use]
    pub fn status(&self) -> Option<TaskStatus> {
        self.outcome.as_ref().map(TaskStatus::from)
    }
}

/// The record of a top-level run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunStory {
    /// The run's id.
    pub id: RunId,
    /// The name of its workflow.
    pub workflow: Name,
    /// The time of its start.
    pub started: Time,
    /// The time of its end.
    pub ended: Option<Time>,
    /// The outcome.
    pub outcome: Option<RunOutcome>,
}

#[derive(Debug, Default)]
pub(super) struct Recorder {
    read: usize,
    pub(super) tasks: BTreeMap<TaskId, TaskStory>,
    pub(super) runs: BTreeMap<RunId, RunStory>,
    open_tasks: usize,
    open_runs: usize,
    /// Tasks with more than one end event.
    pub(super) twice: Vec<TaskId>,
    pub(super) retries: u64,
    pub(super) preempted: u64,
    pub(super) lost_agents: u64,
}

impl Recorder {
    /// Reads further entries.
    pub(super) fn follow(&mut self, journal: &[Entry]) {
        for entry in journal.get(self.read..).unwrap_or_default() {
            match &entry.event {
                Event::Task { task, event } => self.task(*task, event, entry.at),
                Event::Run { run, event } => self.run(*run, event, entry.at),
                Event::Agent { event: AgentEvent::Lost, .. } => self.lost_agents += 1,
                _ => {}
            }
        }
        self.read = journal.len();
    }

    /// The number of tasks and runs that have not ended.
    pub(super) const fn open(&self) -> usize {
        self.open_tasks + self.open_runs
    }

    pub(super) fn left(&self) -> Vec<String> {
        let tasks = self.tasks.values().filter(|task| task.ended.is_none()).map(|task| format!("task {}", task.id));
        let runs = self.runs.values().filter(|run| run.ended.is_none()).map(|run| format!("run {}", run.id));
        let mut left: Vec<String> = tasks.chain(runs).take(12).collect();
        if self.open() > left.len() {
            left.push(format!("{} more", self.open() - left.len()));
        }
        left
    }

    /// The number of accepted tasks and runs that the journal does not contain.
    pub(super) fn lost(&self, errands: &[Errand]) -> usize {
        let tasks = errands.iter().flat_map(Errand::promised).filter(|task| !self.tasks.contains_key(&task.id));
        let runs = errands.iter().filter_map(Errand::promised_run).filter(|run| !self.runs.contains_key(&run.id));
        tasks.count() + runs.count()
    }

    fn task(&mut self, id: TaskId, event: &TaskEvent, at: Time) {
        match event {
            TaskEvent::Submitted { spec, .. } => {
                self.open_tasks += 1;
                let story = TaskStory {
                    id,
                    kind: spec.kind.clone(),
                    tenant: spec.tenant.clone(),
                    tier: spec.tier,
                    owner: spec.owner,
                    submitted: at,
                    begun: None,
                    ended: None,
                    agent: None,
                    attempts: 0,
                    outcome: None,
                };
                self.tasks.insert(id, story);
            }
            TaskEvent::Assigned { attempt, to } => self.begun(attempt.of(id), to.agent(), at),
            TaskEvent::Yielded { .. } => self.preempted += 1,
            TaskEvent::AttemptFailed { next: crate::message::event::Next::Retry { .. }, .. } => self.retries += 1,
            _ => {}
        }
        let Some(outcome) = event.outcome() else { return };
        if let Some(story) = self.tasks.get_mut(&id) {
            if story.ended.is_some() {
                self.twice.push(id);
                return;
            }
            story.ended = Some(at);
            story.outcome = Some(outcome);
            self.open_tasks -= 1;
        }
    }

    fn begun(&mut self, attempt: AttemptId, agent: AgentId, at: Time) {
        if let Some(story) = self.tasks.get_mut(&attempt.task()) {
            story.begun = story.begun.or(Some(at));
            story.agent = Some(agent);
            story.attempts = attempt.number().get();
        }
    }

    fn run(&mut self, id: RunId, event: &RunEvent, at: Time) {
        if let RunEvent::Started { spec, owner: None, .. } = event {
            self.open_runs += 1;
            let workflow = spec.workflow.clone();
            self.runs.insert(id, RunStory { id, workflow, started: at, ended: None, outcome: None });
        }
        // A run that is retried or reset after its end goes on.
        if let RunEvent::Retried { .. } | RunEvent::Reset { .. } = event
            && let Some(story) = self.runs.get_mut(&id).filter(|story| story.ended.is_some())
        {
            (story.ended, story.outcome) = (None, None);
            self.open_runs += 1;
        }
        if let RunEvent::Finished { outcome } = event
            && let Some(story) = self.runs.get_mut(&id)
            && story.ended.is_none()
        {
            story.ended = Some(at);
            story.outcome = Some(outcome.clone());
            self.open_runs -= 1;
        }
    }
}
