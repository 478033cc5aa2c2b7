//! Timers that fire: time limits, back-offs, leases, gates, rates.

use crate::base::id::{Incarnation, TaskId};
use crate::scheduler::index::Gate;
use crate::scheduler::ix::AccountIx;
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::scheduler::tasks::Stage;
use crate::scheduler::timers::Alarm;
use crate::task::Failure;
use crate::task::agent::Guard;

impl Core {
    /// Fires due timers up to the limit per call. The rest stays due.
    pub(crate) fn fire(&mut self, tx: &mut Tx<'_>) {
        self.reader.now = tx.now;
        self.fire_timers(tx);
        self.fire_awaited(tx);
        self.evaluate_guards(tx);
        self.forget_aged(tx);
    }

    fn fire_timers(&mut self, tx: &mut Tx<'_>) {
        let most = self.reader.config.limits.timers_per_call.max(1) as usize;
        for (_, alarm) in self.reader.state.take_due(tx.now, most) {
            match alarm {
                Alarm::Task(task) => self.task_due(task, tx),
                Alarm::Lease(by) => self.lease_due(by, tx),
                Alarm::Preemption => self.preemption_due(tx),
                Alarm::Rebalance => self.rebalance_due(tx),
                Alarm::Gate(by) => self.gate_due(by, tx),
                Alarm::Rate(account) => self.rate_due(account, tx),
                Alarm::Linger(kind) => self.linger_due(kind, tx),
            }
        }
    }

    /// Handles the timer of a task, and sets it to the next due time.
    fn task_due(&mut self, id: TaskId, tx: &mut Tx<'_>) {
        // An event before this timer in the same call may have ended or forgotten the task.
        let Some(at) = self.reader.state.tasks().ix(id) else { return };
        let Some(task) = self.reader.state.tasks().get(at) else { return };
        if let Some((_, bound)) = task.bound().filter(|(at, _)| *at <= tx.now) {
            let agent = task.running().and_then(|running| running.agent());
            self.dispatch(tx).expire(id, bound);
            return self.dispatch(tx).settle(agent);
        }
        match &task.stage {
            Stage::Backoff { until } if *until <= tx.now => {
                if let Some(class) = self.dispatch(tx).make_ready(id) {
                    self.dispatch(tx).class(class);
                }
            }
            Stage::Running(running)
                if task.attempt_until(self.reader.config.limits.cancel_grace).is_some_and(|at| at <= tx.now) =>
            {
                let agent = running.agent();
                let failure = match running.cancel {
                    Some(_) => {
                        Failure::unknown("the task was cancelled, and the agent did not answer within the grace period")
                    }
                    None if running.yielding.is_some() => Failure::unknown(
                        "the attempt was requested back, and the agent did not answer within the grace period",
                    ),
                    None => Failure::unknown("the attempt timed out"),
                };
                self.attempts(tx).failed(id, failure);
                self.dispatch(tx).settle(agent);
            }
            Stage::Blocked { .. }
            | Stage::Backoff { .. }
            | Stage::Queued { .. }
            | Stage::Running(_)
            | Stage::Ended(_) => {
                let set = self.reader.state.reset_timer(at);
                self.must(set);
            }
        }
    }

    /// The rate limit of a tenant or a kind allows the next attempt.
    fn rate_due(&mut self, account: AccountIx, tx: &mut Tx<'_>) {
        let due = self.reader.state.rate_due(account, tx.now);
        self.must(due);
        self.dispatch(tx).settle(None);
    }

    /// Evaluates the guards of an agent whose bounds have ended.
    fn gate_due(&mut self, by: Incarnation, tx: &mut Tx<'_>) {
        // An event before this timer in the same call may have removed the agent.
        let Ok(agent) = self.current(by) else { return };
        let due = |gate: &&Gate| gate.until.is_some_and(|until| until <= tx.now);
        let gates = self.reader.state.index().fleet().get(agent).map(|member| &*member.gates).unwrap_or_default();
        let guards: Vec<Guard> = gates.iter().filter(due).map(|gate| gate.guard).collect();
        for guard in guards {
            let event = self.guards.evaluate(&self.reader.state, by, guard, tx.now);
            self.emit(event.of(by), tx);
        }
        let set = self.reader.state.set_gate_timer(agent);
        self.must(set);
        self.dispatch(tx).settle(Some(agent));
    }

    /// Evaluates the guards that are due.
    fn evaluate_guards(&mut self, tx: &mut Tx<'_>) {
        if self.guards.next_wakeup().is_none_or(|at| at > tx.now) {
            return;
        }
        self.guards.tick(&self.reader.state, tx.now);
        self.reconcile(tx);
        self.dispatch(tx).settle(None);
    }

    /// After a restore: emits what a crash may have cut off from the journal's last call.
    pub(crate) fn settle(&mut self, tx: &mut Tx<'_>) {
        self.dispatch(tx).follow_up();
        // A comparison of the guards' targets with the state finds their missing events.
        self.guards.resume(&self.reader.state, tx.now);
        self.reconcile(tx);
        self.dispatch(tx).everything();
    }
}
