//! The order of timers: those of one instant fire in the order of the ids of their tasks, in every engine.

use super::{Judged, Rules, Stage, rule};
use crate::base::id::TaskId;
use crate::base::time::Time;
use crate::message::command::Command;
use crate::message::event::{AgentEvent, Event, TaskEvent};
use crate::sim::oracle::Step;
use crate::task::codes;
use std::collections::BTreeSet;

/// Timeouts and back-offs that end in one tick at the same time do so in the order of the ids of their tasks. Only the first
/// timer of a task counts: the others are set in the tick itself, as after an attempt whose timeout and back-off are zero.
pub(super) fn in_order(rules: &Rules, step: &Step<'_>) -> Judged {
    let is_lost = |event: &Event| matches!(event, Event::Agent { event: AgentEvent::Lost, .. });
    if !matches!(step.command, Some(Command::Tick)) || step.entries.iter().any(|entry| is_lost(&entry.event)) {
        return Ok(());
    }
    let mut last: Option<(Time, TaskId)> = None;
    let mut fired: BTreeSet<TaskId> = BTreeSet::new();
    for entry in step.entries {
        let Event::Task { task, event } = &entry.event else { continue };
        let Some(due) = due(rules, *task, event).filter(|_| fired.insert(*task)) else { continue };
        if let Some((at, other)) = last.filter(|(at, _)| *at == due) {
            rule(other < *task, || {
                format!("the timer of {task} and that of {other}, both of {at}, fire in another order")
            })?;
        }
        last = Some((due, *task));
    }
    Ok(())
}

/// When the timer was due that caused the event.
fn due(rules: &Rules, task: TaskId, event: &TaskEvent) -> Option<Time> {
    let known = rules.tasks.get(&task)?;
    match (event, &known.stage) {
        (TaskEvent::Ready, Stage::Backoff(until)) => Some(*until),
        (TaskEvent::AttemptFailed { failure, .. }, Stage::Running(hold))
            if failure.code.as_ref().is_none_or(|code| code.as_str() != codes::HEARTBEAT_TIMEOUT) =>
        {
            let asked = hold.cancel.is_some() || hold.yielding.is_some() || hold.unstarted;
            Some(hold.since + known.spec.policy.attempt_timeout().filter(|_| !asked)?)
        }
        _ => None,
    }
}
