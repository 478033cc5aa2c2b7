//! Attempts under way: start, end, failure, and yield.
//!
//! An agent holds an attempt until it answers, even when it was asked to stop the attempt or to give it back. Any
//! answer is applied: given back, completed or failed. If none arrives within the grace period, the attempt fails with
//! its outcome unknown.

use super::validate::{explained, fits};
use crate::base::id::{AttemptId, Incarnation, TaskId};
use crate::base::payload::Payload;
use crate::message::command::Accepted;
use crate::message::event::{Next, TaskEvent};
use crate::message::rejected::{Rejected, Stale, Unknown, WrongState};
use crate::resilience::delay;
use crate::scheduler::ix::{AgentIx, Place, TaskIx};
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::scheduler::reader::Reader;
use crate::scheduler::tasks::{Running, Task};
use crate::task::agent::AgentStatus;
use crate::task::{Exhausted, Failure, FailureKind, InDoubt, SideEffects, TaskSpec, Usage};

/// Decisions about attempts under way.
pub(super) struct Attempts<'c, 'o> {
    pub(super) core: &'c mut Core,
    pub(super) tx: &'c mut Tx<'o>,
}

/// An attempt under way and the agent that reports on it.
struct Report<'a> {
    agent: AgentIx,
    at: TaskIx,
    task: &'a Task,
    running: &'a Running,
}

impl Core {
    pub(super) const fn attempts<'c, 'o>(&'c mut self, tx: &'c mut Tx<'o>) -> Attempts<'c, 'o> {
        Attempts { core: self, tx }
    }
}

/// Lookups of attempts.
impl Reader {
    /// Rejects a report about an attempt that is not the current one of its task, or that this incarnation does not hold.
    pub(super) fn is_current(&self, by: Incarnation, attempt: AttemptId) -> Result<(), Rejected> {
        self.attempt_of(by, attempt).map(drop)
    }

    /// Checks that the attempt is the current one of its task and that this incarnation holds it.
    fn attempt_of(&self, by: Incarnation, attempt: AttemptId) -> Result<Report<'_>, Rejected> {
        if let Some((at, task)) = self.state.tasks().of_attempt(attempt)
            && let Some(running) = task.running()
            && task.begun() == attempt.number().get()
            && let Some(agent) = running.agent()
            && running.by == by
        {
            // An attempt that an agent holds is held by the current incarnation of the agent.
            return Ok(Report { agent, at, task, running });
        }
        Err(self.why_not(by, attempt))
    }

    /// The agent and the task of an attempt that this incarnation holds.
    pub(super) fn held(&self, by: Incarnation, attempt: AttemptId) -> Result<(AgentIx, TaskIx), Rejected> {
        self.attempt_of(by, attempt).map(|report| (report.agent, report.at))
    }

    /// Why a report on an attempt is rejected.
    #[cold]
    fn why_not(&self, by: Incarnation, attempt: AttemptId) -> Rejected {
        if let Err(rejected) = self.current(by) {
            return rejected;
        }
        let Some(task) = self.state.tasks().by_id(attempt.task()) else {
            return Rejected::Unknown(Unknown::Task(attempt.task()));
        };
        match task.running().filter(|_| task.begun() == attempt.number().get()) {
            Some(running) if running.by != by => Rejected::Stale(Stale::NotHolder { attempt, by, holder: running.by }),
            Some(_) | None => Rejected::Stale(Stale::Attempt(attempt)),
        }
    }

    /// The task and its attempt, if one is under way.
    fn running(&self, id: TaskId) -> Option<(&Task, &Running)> {
        let task = self.state.tasks().by_id(id)?;
        Some((task, task.running()?))
    }
}

impl Attempts<'_, '_> {
    pub(super) fn complete(
        &mut self,
        by: Incarnation,
        attempt: AttemptId,
        output: Payload,
        usage: Usage,
    ) -> Result<Accepted, Rejected> {
        let Report { agent, at, task, running } = self.core.reader.attempt_of(by, attempt)?;
        fits(&self.core.reader.config.limits, &output)?;
        let beneficiary = running.beneficiary();
        let is_metered = task.spec.reserved.is_some() || !usage.is_nothing();
        let event = match running.cancel() {
            // The cancellation came first. The event records that the work was done; dependents do not get the output.
            Some(cancel) => {
                TaskEvent::Cancelled { reason: cancel.reason.clone(), side_effects: SideEffects::Done(output) }
            }
            None => TaskEvent::Succeeded { attempt: attempt.number(), by, output },
        };
        if is_metered {
            self.record_usage(by, attempt, usage);
        }
        self.core.emit_at(Place::Task(at), event.of(attempt.task()), self.tx);
        self.hand_over(beneficiary, by);
        self.after_end(agent);
        Ok(Accepted::Done)
    }

    pub(super) fn fail(
        &mut self,
        by: Incarnation,
        attempt: AttemptId,
        failure: Failure,
        usage: Usage,
    ) -> Result<Accepted, Rejected> {
        let agent = self.core.reader.attempt_of(by, attempt)?.agent;
        explained(&self.core.reader.config.limits, &failure)?;
        self.record_usage(by, attempt, usage);
        self.failed(attempt.task(), failure);
        self.after_end(agent);
        Ok(Accepted::Done)
    }

    /// Records that the agent has started an attempt that waited there.
    pub(super) fn start(&mut self, by: Incarnation, attempt: AttemptId) -> Result<Accepted, Rejected> {
        let Report { agent, running, .. } = self.core.reader.attempt_of(by, attempt)?;
        let unstarted = running.unstarted;
        self.core.note_message(agent, self.tx.now);
        if !unstarted {
            return Ok(Accepted::Repeated);
        }
        self.core.emit(TaskEvent::Started { attempt: attempt.number() }.of(attempt.task()), self.tx);
        Ok(Accepted::Done)
    }

    /// Accepts that an agent gives an attempt back. It must be draining, or have been asked to give the attempt back or
    /// to stop it.
    pub(super) fn give_back(&mut self, by: Incarnation, attempt: AttemptId) -> Result<Accepted, Rejected> {
        let Report { agent, task, running, .. } = self.core.reader.attempt_of(by, attempt)?;
        let member = self.core.reader.state.index().fleet().get(agent);
        let drains = member.is_some_and(|member| member.status == AgentStatus::Draining);
        if let Some(cancel) = running.cancel() {
            let (reason, side_effects) = (cancel.reason.clone(), task.side_effects());
            self.core.emit(TaskEvent::Cancelled { reason, side_effects }.of(attempt.task()), self.tx);
        } else if running.yielding().is_some() || drains {
            self.yielded(attempt.task(), false);
        } else {
            return Err(Rejected::State(WrongState::NotRequestedBack(attempt)));
        }
        self.after_end(agent);
        Ok(Accepted::Done)
    }

    /// Dispatches to the agent, which has room again, emits follow-ups, and forgets old finished tasks.
    fn after_end(&mut self, agent: AgentIx) {
        self.core.note_message(agent, self.tx.now);
        self.core.dispatch(self.tx).settle(Some(agent));
    }

    /// Records the usage of an attempt, if there is any, up to [`Usage::MAX`]: a report of work that was done is never
    /// rejected for its usage. If the task has a budget and the agent reports no cost, the cost is computed from the rates
    /// of the agent.
    fn record_usage(&mut self, by: Incarnation, attempt: AttemptId, mut usage: Usage) {
        let task = self.core.reader.state.tasks().by_id(attempt.task());
        if let Some(task) = task.filter(|task| task.spec.reserved.is_some() && usage.cost == 0) {
            let since = task.running().map_or(self.tx.now, |running| running.since);
            let member = self.core.reader.state.index().fleet().by_id(by.agent());
            usage.cost = member.map_or(0, |member| member.spec.cost_of(self.tx.now.since(since)));
        }
        if !usage.is_nothing() {
            let used = TaskEvent::Used { attempt: attempt.number(), by, usage: usage.capped() };
            self.core.emit(used.of(attempt.task()), self.tx);
        }
    }

    /// Handles the failure of a task's attempt: its agent reported it, it timed out, or its agent is gone.
    pub(super) fn failed(&mut self, id: TaskId, failure: Failure) {
        self.record_details(id);
        let Some((task, running)) = self.core.reader.running(id) else {
            return self.core.anomaly(format_args!("{id} has no attempt under way that could fail"));
        };
        // With `Insist` a task is retried until its outcome is known. A permanent failure then replaces the unknown
        // outcome of earlier attempts.
        let insists = task.spec.policy.retry().in_doubt == InDoubt::Insist;
        let settled = insists && failure.kind == FailureKind::Permanent;
        let unknown = failure.kind == FailureKind::Unknown;
        let outcome_unknown = !settled && (task.rare().outcome_unknown || unknown);
        if running.cancel().is_none() && running.yielding().is_some() && failure.kind != FailureKind::Permanent {
            return self.yielded(id, unknown);
        }
        let event = match running.cancel() {
            Some(cancel) => {
                let side_effects = if outcome_unknown { SideEffects::Possible } else { SideEffects::None };
                TaskEvent::Cancelled { reason: cancel.reason.clone(), side_effects }
            }
            None => {
                let (next, beyond_budget) = self.core.next_after(task, running, &failure, self.tx);
                TaskEvent::AttemptFailed {
                    attempt: task.attempt().number(),
                    by: running.by,
                    failure: Box::new(failure),
                    next,
                    outcome_unknown,
                    beyond_budget,
                }
            }
        };
        self.core.emit(event.of(id), self.tx);
    }

    /// Records that the attempt of a task was given back, and assigns its beneficiary to the agent.
    fn yielded(&mut self, id: TaskId, unknown: bool) {
        self.record_details(id);
        let Some((task, running)) = self.core.reader.running(id) else {
            return self.core.anomaly(format_args!("{id} has no attempt under way that could be given back"));
        };
        let (attempt, by, beneficiary) = (task.attempt(), running.by, running.beneficiary());
        let outcome_unknown = unknown || task.rare().outcome_unknown;
        let yielded = TaskEvent::Yielded { attempt: attempt.number(), by, outcome_unknown };
        self.core.emit(yielded.of(id), self.tx);
        self.hand_over(beneficiary, by);
    }

    /// Assigns the beneficiary of a yield to the agent, if the beneficiary still waits.
    fn hand_over(&mut self, beneficiary: Option<TaskId>, to: Incarnation) {
        if let Some(beneficiary) = beneficiary {
            self.core.dispatch(self.tx).hand_over(beneficiary, to);
        }
    }
}

impl Core {
    /// What follows a failed attempt, and whether the retry budget prevents another attempt.
    fn next_after(&self, task: &Task, running: &Running, failure: &Failure, tx: &Tx<'_>) -> (Next, bool) {
        let retry = task.spec.policy.retry();
        let in_doubt = task.rare().outcome_unknown || failure.kind == FailureKind::Unknown;
        // With `Insist` neither the number of attempts nor the budget bounds the retries.
        let insists = in_doubt && retry.in_doubt == InDoubt::Insist;
        if failure.kind == FailureKind::Permanent {
            return (Next::Fail, false);
        }
        let tries = task.counted();
        // The event that records this failure is not applied yet.
        let counted = retry.count(failure, tries, |rule| task.failed_by(rule));
        if !insists && counted.is_last {
            return (exhausted(&task.spec), false);
        }
        if !insists && !self.guards.can_retry(running.by.agent(), tx.now) {
            return (exhausted(&task.spec), true);
        }
        let wait = delay(&counted.settings, counted.failed, failure.retry_after, &mut self.random(tx));
        let tier = retry.tier_after(task.spec.tier, tries);
        (Next::Retry { at: tx.now + wait, tier: (tier != task.tier).then_some(tier) }, false)
    }
}

/// What follows the last attempt.
fn exhausted(spec: &TaskSpec) -> Next {
    // A run handles the failures of its steps itself: the replay of a dead letter could not reach it any more.
    match spec.policy.exhausted() {
        Exhausted::DeadLetter if spec.owner.is_none() => Next::DeadLetter,
        Exhausted::DeadLetter | Exhausted::Fail => Next::Fail,
    }
}
