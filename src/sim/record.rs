//! The account of what became durable: what the report is made of.

#![expect(clippy::wildcard_enum_match_arm, reason = "the account reads what it uses")]

use super::client::Errand;
use crate::base::id::{AgentId, AttemptId, RunId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::event::{AgentEvent, Entry, Event, RunEvent, TaskEvent};
use crate::message::run::RunOutcome;
use crate::task::{Owner, TaskOutcome, TaskStatus, Tier};
use core::time::Duration;
use std::collections::BTreeMap;

/// What became of a task.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskStory {
    /// Which.
    pub id: TaskId,
    /// Of which kind.
    pub kind: Name,
    /// For whom.
    pub tenant: Option<Name>,
    /// How urgent.
    pub tier: Tier,
    /// The step that it performed, if it was one.
    pub owner: Option<Owner>,
    /// When it was taken on.
    pub submitted: Time,
    /// When it was first given to an agent.
    pub begun: Option<Time>,
    /// When it ended.
    pub ended: Option<Time>,
    /// The agent that had it last.
    pub agent: Option<AgentId>,
    /// How often it was tried.
    pub attempts: u32,
    /// How it ended.
    pub outcome: Option<TaskOutcome>,
}

impl TaskStory {
    /// From the submit to the first attempt.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.begun.map(|at| at.since(self.submitted))
    }

    /// From the submit to the end.
    #[must_use]
    pub fn turnaround(&self) -> Option<Duration> {
        self.ended.map(|at| at.since(self.submitted))
    }

    /// Where it stands, if it has ended.
    #[must_use]
    pub fn status(&self) -> Option<TaskStatus> {
        self.outcome.as_ref().map(TaskStatus::from)
    }
}

/// What became of a run that no other run owns.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunStory {
    /// Which.
    pub id: RunId,
    /// Of which workflow.
    pub workflow: Name,
    /// When it began.
    pub started: Time,
    /// When it ended.
    pub ended: Option<Time>,
    /// How.
    pub outcome: Option<RunOutcome>,
}

#[derive(Debug, Default)]
pub(super) struct Recorder {
    read: usize,
    pub(super) tasks: BTreeMap<TaskId, TaskStory>,
    pub(super) runs: BTreeMap<RunId, RunStory>,
    open_tasks: usize,
    open_runs: usize,
    /// Tasks that were said to end more than once.
    pub(super) twice: Vec<TaskId>,
    pub(super) retries: u64,
    pub(super) preempted: u64,
    pub(super) lost_agents: u64,
}

impl Recorder {
    /// Reads on.
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

    /// How many tasks and runs have not ended.
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

    /// Promised tasks and runs that the journal does not know.
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
