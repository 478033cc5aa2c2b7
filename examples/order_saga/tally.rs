//! The content of the journal, by order.

use crate::orders::order_of;
use counterpoint::message::{Cause, CompensationOutcome, Next, NodeEvent, NodeOutcome, NodeRef, RunEvent, TaskEvent};
use counterpoint::task::{Owner, Phase, SideEffects};
use counterpoint::{AttemptId, Entry, Event, FailureKind, Incarnation, RunId, RunOutcome, TaskId, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What became of one order.
#[derive(Debug, Clone, Default)]
pub struct Tale {
    pub started: Time,
    pub ended: Time,
    /// One, if all is well.
    pub outcomes: Vec<RunOutcome>,
    pub untold: bool,
    pub shipped: bool,
    pub attempts: u64,
    pub retries: u64,
    pub failovers: u64,
    pub undone: u64,
    pub unknown: u64,
    /// Steps that are being done, by their tasks.
    under_way: BTreeSet<TaskId>,
    /// What was not in order.
    pub wrong: Vec<String>,
}

impl Tale {
    pub fn took(&self) -> Duration {
        self.ended.since(self.started)
    }

    /// How it ended, in a few words: rows of the table.
    pub fn ending(&self) -> String {
        match self.outcomes.last() {
            None => "not ended".to_owned(),
            Some(RunOutcome::Succeeded { .. }) if self.untold => "shipped, notification lost".to_owned(),
            Some(RunOutcome::Succeeded { .. }) => "shipped".to_owned(),
            Some(RunOutcome::Compensated { cause }) => format!("compensated: {}", reason(cause)),
            Some(RunOutcome::Failed { cause, residue }) if residue.is_empty() => {
                format!("nothing to compensate: {}", reason(cause))
            }
            Some(RunOutcome::Failed { cause, .. }) => format!("not compensated: {}", reason(cause)),
            Some(other) => other.to_string(),
        }
    }
}

fn reason(cause: &Cause) -> String {
    match cause {
        Cause::Node { failure, .. } if failure.kind == FailureKind::Permanent => failure.message.to_string(),
        Cause::Node { node, .. } => format!("{node} did not work"),
        Cause::Cancelled { .. } => "customer cancelled".to_owned(),
        _ => cause.to_string(),
    }
}

/// A fold over the facts.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub tales: BTreeMap<u64, Tale>,
    tasks: BTreeMap<TaskId, Owner>,
    holders: BTreeMap<TaskId, Incarnation>,
    pub facts: usize,
    /// Before the last order ended; afterwards all go home.
    pub agents_lost: u64,
    lost: u64,
}

impl Tally {
    pub fn of(journal: &[Entry]) -> Self {
        let mut tally = Self::default();
        for entry in journal {
            tally.note(entry);
        }
        tally
    }

    pub fn note(&mut self, entry: &Entry) {
        self.facts += 1;
        match &entry.event {
            Event::Run { run, event } => self.note_run(entry.at, *run, event),
            Event::Node { run, node, event } => self.note_node(*run, node, event),
            Event::Task { task, event } => self.note_task(*task, event),
            Event::Agent { event: counterpoint::message::AgentEvent::Lost, .. } => self.lost += 1,
            _ => {}
        }
    }

    fn tale(&mut self, run: RunId) -> &mut Tale {
        self.tales.entry(order_of(run)).or_default()
    }

    fn note_run(&mut self, at: Time, run: RunId, event: &RunEvent) {
        match event {
            RunEvent::Started { .. } => self.tale(run).started = at,
            RunEvent::Finished { outcome } => {
                self.agents_lost = self.lost;
                let tale = self.tale(run);
                tale.ended = at;
                tale.outcomes.push(outcome.clone());
            }
            _ => {}
        }
    }

    fn note_node(&mut self, run: RunId, node: &NodeRef, event: &NodeEvent) {
        let tale = self.tale(run);
        match event {
            NodeEvent::Finished { outcome, .. } => {
                tale.shipped |= node.name == "ship" && *outcome == NodeOutcome::Succeeded;
                tale.untold |= node.name == "tell" && *outcome != NodeOutcome::Succeeded;
            }
            NodeEvent::Compensated { outcome } => {
                tale.undone += u64::from(!matches!(outcome, CompensationOutcome::Failed { .. }));
            }
            _ => {}
        }
    }

    fn note_task(&mut self, task: TaskId, event: &TaskEvent) {
        if let TaskEvent::Submitted { spec, .. } = event
            && let Some(owner) = spec.owner
        {
            self.tasks.insert(spec.id, owner);
            return self.begun(spec.id, owner);
        }
        let Some(owner) = self.tasks.get(&task).copied() else { return };
        if let TaskEvent::Assigned { attempt, to } = event {
            return self.assigned(attempt.of(task), *to, owner);
        }
        let tale = self.tale(owner.run);
        match event {
            TaskEvent::AttemptFailed { failure, next, .. } => {
                tale.unknown += u64::from(failure.kind == FailureKind::Unknown);
                tale.retries += u64::from(matches!(next, Next::Retry { .. }));
            }
            TaskEvent::Cancelled { side_effects: SideEffects::Possible, .. } => tale.unknown += 1,
            _ => {}
        }
        if event.outcome().is_some() {
            tale.under_way.remove(&task);
        }
    }

    fn begun(&mut self, task: TaskId, owner: Owner) {
        let tale = self.tale(owner.run);
        if owner.phase == Phase::Do {
            tale.under_way.insert(task);
            return;
        }
        if tale.shipped {
            tale.wrong.push(format!("{task} compensates a step after the parcel was sent"));
        }
        if let Some(step) = tale.under_way.first() {
            tale.wrong.push(format!("{task} compensates a step while {step} is under way"));
        }
    }

    fn assigned(&mut self, attempt: AttemptId, to: Incarnation, owner: Owner) {
        let before = self.holders.insert(attempt.task(), to);
        let tale = self.tale(owner.run);
        tale.attempts += 1;
        tale.failovers += u64::from(before.is_some_and(|before| before.agent() != to.agent()));
    }
}
