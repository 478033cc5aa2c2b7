//! Recovery of attempts that were under way when the engine stopped.

use super::timers::DueTimers;
use crate::base::id::AttemptId;
use crate::base::time::Time;
use crate::message::effect::{Effect, Outbox};
use crate::scheduler::machine::Core;
use crate::scheduler::tasks::Running;
use crate::task::{Failure, codes};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How [`resume`](crate::Engine::resume) treats the attempts that agents held before a restart.
///
/// ```
/// use counterpoint::Config;
/// use counterpoint::scheduler::Recovery;
/// use std::time::Duration;
///
/// let config = Config::default().with_recovery(Recovery::Await { unleased: Duration::from_secs(30) });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Recovery {
    /// Dispatches each of them again under the same id. For agents that deduplicate attempts by id: an agent begins an
    /// attempt that it had not received, continues one that it works on, and repeats its answer to one that it has
    /// finished.
    #[default]
    Reissue,
    /// Dispatches none again. For agents that would execute a repeated attempt twice. An agent that still works on an
    /// attempt answers as usual. If no answer arrives within the agent's lease, counted from the restart, the attempt
    /// fails with its outcome unknown, and the task's policy decides what follows. A heartbeat is no answer: the
    /// dispatch may have been lost in the crash.
    Await {
        /// The time to wait for an answer of an agent without a lease.
        #[serde(with = "crate::base::time::span")]
        unleased: Duration,
    },
}

/// The attempts whose answers are awaited after a restart, with the end of the wait. No event records them: another
/// restart computes them again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Awaited(BTreeSet<(Time, AttemptId)>);

impl Awaited {
    pub(in crate::scheduler) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the first wait ends.
    pub(in crate::scheduler) fn next(&self) -> Option<Time> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Removes and returns an attempt whose wait has ended.
    fn pop_due(&mut self, now: Time) -> Option<AttemptId> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop_first().map(|(_, attempt)| attempt)
    }
}

impl Core {
    /// After a restore: repeats the effects that a crash may have lost, or awaits the answers of agents.
    pub(crate) fn recover(&mut self, now: Time, out: &mut Outbox) {
        self.reader.now = now;
        self.awaited = Awaited::default();
        let mut outstanding = Outbox::default();
        self.effects().outstanding(&mut outstanding);
        for effect in outstanding.effects() {
            match (self.reader.config.recovery, effect) {
                (Recovery::Await { unleased }, Effect::Dispatch { attempt, to, .. }) => {
                    let lease =
                        self.reader.state.index().fleet().by_id(to.agent()).and_then(|member| member.spec.lease);
                    self.awaited.0.insert((now + lease.unwrap_or(unleased), *attempt));
                }
                (
                    Recovery::Reissue | Recovery::Await { .. },
                    Effect::Dispatch { .. }
                    | Effect::DispatchBatch { .. }
                    | Effect::Yield { .. }
                    | Effect::Cancel { .. }
                    | Effect::Scale { .. },
                ) => out.ask(effect.clone()),
            }
        }
    }
}

impl DueTimers<'_, '_> {
    /// Fails the attempts whose wait has ended without an answer.
    pub(super) fn awaited(&mut self) {
        for _ in 0..self.core.reader.config.limits.timers_per_call.max(1) {
            if self.tx.meter.is_spent() {
                return;
            }
            let Some(attempt) = self.core.awaited.pop_due(self.tx.now) else { return };
            let task = self.core.reader.state.tasks().by_id(attempt.task());
            let Some(task) = task.filter(|task| task.begun() == attempt.number().get()) else { continue };
            let Some(agent) = task.running().map(Running::agent) else { continue };
            self.core.attempts(self.tx).failed(
                attempt.task(),
                Failure::unknown("the agent did not answer after a restart of the engine").with_code(codes::AGENT_LOST),
            );
            self.core.dispatch(self.tx).settle(agent);
        }
    }
}
