//! Timers that fire: time limits, back-offs, leases, gates, rates.

use crate::base::id::{Incarnation, TaskId};
use crate::message::event::AgentEvent;
use crate::scheduler::index::Gate;
use crate::scheduler::ix::{AccountIx, KindIx};
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::scheduler::tasks::Stage;
use crate::scheduler::timers::Alarm;
use crate::task::agent::Guard;
use crate::task::{Failure, codes};

/// The number of due timers that are removed from the wheel together, and fire in the order of their actual times.
const AT_ONCE: usize = 64;

/// Decisions that follow from the time alone.
pub(super) struct DueTimers<'c, 'o> {
    pub(super) core: &'c mut Core,
    pub(super) tx: &'c mut Tx<'o>,
}

impl Core {
    /// Continues what the last call has left, and fires due timers up to the limit per call. The rest stays due.
    pub(crate) fn fire(&mut self, tx: &mut Tx<'_>) {
        self.note_clock(tx);
        if self.has_rest() {
            self.dispatch(tx).rest();
        }
        let mut due = DueTimers { core: self, tx };
        if due.core.reader.state.timers().next().is_some_and(|at| at <= due.tx.now) {
            due.wheel();
        }
        if !due.is_quiet() {
            due.others();
        }
    }

    /// After a restore: emits what a crash may have cut off from the journal's last call.
    pub(crate) fn settle(&mut self, tx: &mut Tx<'_>) {
        self.note_clock(tx);
        self.dispatch(tx).follow_up();
        // A comparison of the guards' targets with the state finds their missing events.
        self.guards.resume(&self.reader.state, tx.now);
        self.reconcile(tx);
        self.dispatch(tx).everything();
        DueTimers { core: self, tx }.unroutable();
    }
}

impl DueTimers<'_, '_> {
    /// Whether nothing is due besides the timers of the wheel.
    #[inline]
    fn is_quiet(&self) -> bool {
        let Core { reader, guards, awaited, .. } = &*self.core;
        let keeps_by_age = reader.config.limits.retention.finished_for.is_some();
        awaited.is_empty() && !guards.is_due(self.tx.now) && reader.groups().is_empty() && !keeps_by_age
    }

    /// What is due besides the timers of the wheel.
    #[inline(never)]
    fn others(&mut self) {
        self.awaited();
        self.guards();
        self.unroutable();
        self.forget_aged();
    }

    #[inline(never)]
    fn wheel(&mut self) {
        let mut most = self.core.reader.config.limits.timers_per_call.max(1) as usize;
        while most > 0 && !self.tx.meter.is_spent() {
            let due = self.core.reader.state.take_due(self.tx.now, most.min(AT_ONCE));
            if due.is_empty() {
                return;
            }
            most = most.saturating_sub(due.len());
            due.into_iter().for_each(|(_, alarm)| self.alarm(alarm));
        }
    }

    fn alarm(&mut self, alarm: Alarm) {
        self.tx.meter.spend(10);
        match alarm {
            Alarm::Task(task) => self.task(task),
            Alarm::Lease(by) => self.lease(by),
            Alarm::Preemption => self.preemption(),
            Alarm::Rebalance => self.rebalance(),
            Alarm::Gate(by) => self.gate(by),
            Alarm::Rate(account) => self.rate(account),
            Alarm::Linger(kind) => self.linger(kind),
        }
    }

    /// Handles the timer of a task, and sets it to the next due time.
    fn task(&mut self, id: TaskId) {
        // An event before this timer in the same call may have ended or forgotten the task.
        let Some(at) = self.core.reader.state.tasks().ix(id) else { return };
        let Some(task) = self.core.reader.state.tasks().get(at) else {
            return self.core.anomaly(format_args!("{id} is at an empty slot"));
        };
        if let Some((_, bound)) = task.bound().filter(|(at, _)| *at <= self.tx.now) {
            let agent = task.running().and_then(|running| running.agent());
            self.core.dispatch(self.tx).expire(id, bound);
            return self.core.dispatch(self.tx).settle(agent);
        }
        match &task.stage {
            Stage::Backoff { until } if *until <= self.tx.now => {
                if let Some(class) = self.core.dispatch(self.tx).make_ready(id) {
                    self.core.dispatch(self.tx).class(class);
                }
            }
            Stage::Running(running)
                if task.attempt_until(self.core.reader.state.since).is_some_and(|at| at <= self.tx.now) =>
            {
                let agent = running.agent();
                let (code, message) = match running.cancel() {
                    Some(_) => (
                        codes::CANCEL_TIMEOUT,
                        "the task was cancelled, and the agent did not answer within the grace period",
                    ),
                    None if running.yielding().is_some() => (
                        codes::YIELD_TIMEOUT,
                        "the attempt was requested back, and the agent did not answer within the grace period",
                    ),
                    None if task.timeout().is_none_or(|at| at > self.tx.now) => {
                        (codes::HEARTBEAT_TIMEOUT, "the attempt reported no heartbeat for its heartbeat timeout")
                    }
                    None => (codes::ATTEMPT_TIMEOUT, "the attempt timed out"),
                };
                self.core.attempts(self.tx).failed(id, Failure::unknown(message).with_code(code));
                self.core.dispatch(self.tx).settle(agent);
            }
            Stage::Running(_) if task.details_due().is_some_and(|at| at <= self.tx.now) => {
                self.core.attempts(self.tx).record_details(id);
            }
            Stage::Blocked { .. }
            | Stage::Joined { .. }
            | Stage::Backoff { .. }
            | Stage::Queued { .. }
            | Stage::Running(_)
            | Stage::Ended(_) => {
                let set = self.core.reader.state.reset_timer(at);
                self.core.must(set);
            }
        }
    }

    /// The rate limit of a tenant or a kind allows the next attempt.
    fn rate(&mut self, account: AccountIx) {
        let due = self.core.reader.state.rate_due(account, self.tx.now);
        self.core.must(due);
        self.core.dispatch(self.tx).settle(None);
    }

    /// Evaluates the guards of an agent whose bounds have ended.
    fn gate(&mut self, by: Incarnation) {
        // An event before this timer in the same call may have removed the agent.
        let Ok(agent) = self.core.reader.current(by) else { return };
        let due = |gate: &&Gate| gate.until.is_some_and(|until| until <= self.tx.now);
        let gates = self.core.reader.state.index().fleet().get(agent).map(|member| &*member.gates).unwrap_or_default();
        let guards: Vec<Guard> = gates.iter().filter(due).map(|gate| gate.guard).collect();
        for guard in guards {
            let event = self.core.guards.evaluate(&self.core.reader.state, by, guard, self.tx.now);
            self.core.emit(event.of(by), self.tx);
        }
        let set = self.core.reader.state.set_gate_timer(agent);
        self.core.must(set);
        self.core.dispatch(self.tx).settle(Some(agent));
    }

    /// Evaluates the guards that are due.
    fn guards(&mut self) {
        if !self.core.guards.is_due(self.tx.now) {
            return;
        }
        self.core.guards.tick(&self.core.reader.state, self.tx.now);
        self.core.reconcile(self.tx);
        self.core.dispatch(self.tx).settle(None);
    }

    /// The lease timer of an agent has fired. The agent is lost unless a message has arrived since the timer was set.
    fn lease(&mut self, by: Incarnation) {
        // An event before this timer in the same call may have removed the agent.
        let Ok(agent) = self.core.reader.current(by) else { return };
        if self.core.reader.state.index().fleet().lease_until(by).is_none_or(|until| until > self.tx.now) {
            let set = self.core.reader.state.set_lease_timer(agent);
            return self.core.must(set);
        }
        self.core.emit(AgentEvent::Lost.of(by), self.tx);
        self.core.dispatch(self.tx).after_loss();
    }

    /// The linger timer of a kind has fired.
    fn linger(&mut self, kind: KindIx) {
        let due = self.core.reader.state.linger_due(kind, self.tx.now);
        self.core.must(due);
        self.core.dispatch(self.tx).settle(None);
    }
}
