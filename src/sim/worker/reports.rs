//! Heartbeats of attempts, with details.

use super::{Crew, State};
use crate::base::id::{AttemptId, mix};
use crate::base::payload::Payload;
use crate::message::command::AgentCommand;
use crate::sim::timeline::{From, Timeline, What};
use crate::task::TaskSpec;
use core::time::Duration;
use std::sync::Arc;

/// The interval of the heartbeats of an attempt; none if it needs none.
pub(super) fn report_every(task: &TaskSpec) -> Option<Duration> {
    task.policy.heartbeat_timeout().map(|span| (span / 3).max(Duration::from_millis(1)))
}

impl Crew {
    /// Sends a heartbeat of an attempt that the agent works on, and schedules the next one.
    pub(in crate::sim) fn report(&self, time: &mut Timeline, number: usize, generation: u32, attempt: AttemptId) {
        let Some(worker) = self.workers.get(number).filter(|worker| worker.is(generation)) else { return };
        let Some(work) = worker.assigned.get(&attempt) else { return };
        let (State::Working(since), by, task) = (&work.state, work.by, Arc::clone(&work.task)) else { return };
        let spent = time.now.since(*since);
        let details = details(mix(attempt.task().get()) ^ mix(time.now.as_nanos()), spent);
        time.say(From::Worker(number), AgentCommand::AttemptHeartbeat { by, attempt, details });
        if let Some(every) = report_every(&task) {
            time.push(time.now + every, What::Report(number, generation, attempt));
        }
    }
}

/// Mostly what has been done so far; sometimes nothing, the same as before, or too much.
fn details(drawn: u64, spent: Duration) -> Payload {
    match drawn % 12 {
        0 => Payload::NULL,
        1 | 2 => Payload::new("the same".into()),
        3 => Payload::new("x".repeat(20_000).into()),
        4 => Payload::new(false.into()),
        _ => Payload::new(spent.as_secs().into()),
    }
}
