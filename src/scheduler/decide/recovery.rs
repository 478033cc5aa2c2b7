//! What becomes of attempts that were under way when the engine stopped.

use crate::effect::{Effect, Outbox};
use crate::id::AttemptId;
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::task::Failure;
use crate::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// What [`resume`](crate::Engine::resume) does, after a restart, with the attempts that agents held.
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
    /// Asks for each of them again, under the same id. For agents that recognise an attempt they have: those that never
    /// heard of it begin now, those that are at it go on, those that are done answer again.
    #[default]
    Reissue,
    /// Asks for none again. An agent that is still at it answers as ever; where no answer has come within the agent's lease,
    /// counted from the restart, the outcome is unknown, and the task's policy says what follows. For agents that would do
    /// twice what they are asked twice. A sign of life is no answer: the request may have been lost with the engine.
    Await {
        /// In place of the lease, for agents that have none.
        #[serde(with = "crate::time::span")]
        unleased: Duration,
    },
}

impl Core {
    /// After a restore: asks again, or sets the moments until which answers are awaited.
    pub(crate) fn recover(&mut self, now: Time, out: &mut Outbox) {
        self.awaited.clear();
        let mut owed = Outbox::default();
        self.outstanding(&mut owed);
        for effect in owed.effects() {
            match (self.config.recovery, effect) {
                (Recovery::Await { unleased }, Effect::Dispatch { attempt, to, .. }) => {
                    let lease = self.state.fleet.by_id(to.agent()).and_then(|member| member.spec.lease);
                    self.awaited.insert((now + lease.unwrap_or(unleased), *attempt));
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

    /// The moment at which somebody has been awaited long enough.
    pub(crate) fn next_awaited(&self) -> Option<Time> {
        self.awaited.first().map(|(at, _)| *at)
    }

    /// Gives up what was awaited until now, unless it has been answered.
    pub(crate) fn fire_awaited(&mut self, tx: &mut Tx<'_>) {
        for _ in 0..self.config.limits.timers_per_call.max(1) {
            let Some(&(at, attempt)) = self.awaited.first() else { return };
            if at > tx.now {
                return;
            }
            self.awaited.pop_first();
            self.await_no_longer(attempt, tx);
        }
    }

    fn await_no_longer(&mut self, attempt: AttemptId, tx: &mut Tx<'_>) {
        let Some(task) = self.state.get(attempt.task()).filter(|task| task.attempts == attempt.number()) else {
            return;
        };
        let Some((by, place)) = task.running().map(|running| (running.by, running.agent)) else { return };
        self.attempt_failed(by, attempt, Failure::unknown("no answer came after a restart"), tx);
        self.after_end(place, tx);
    }
}
