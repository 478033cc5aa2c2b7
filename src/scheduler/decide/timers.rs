//! Time passes: bounds are reached, back-offs end, leases run out.

use crate::event::TaskEvent;
use crate::id::{AttemptId, TaskId};
use crate::scheduler::apply::state::{Alarm, Stage};
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::task::{Bound, Failure};

impl Core {
    /// Fires what is due, up to the limit; what is left stays due.
    pub(crate) fn fire(&mut self, tx: &mut Tx<'_>) {
        self.fire_wheel(tx);
        self.fire_awaited(tx);
        self.tick_guards(tx);
        self.retire_aged(tx);
    }

    fn fire_wheel(&mut self, tx: &mut Tx<'_>) {
        if self.state.wheel.next().is_none_or(|at| at > tx.now) {
            return;
        }
        let mut due = Vec::new();
        self.state.wheel.advance(tx.now, self.config.limits.timers_per_call.max(1) as usize, &mut due);
        // A lease that was renewed is due later than its timer says: in order of what is truly due, whenever the timers
        // were set.
        for (at, alarm) in &mut due {
            if let Alarm::Agent(life) = alarm {
                *at = self.lease_until(*life).unwrap_or(*at);
            }
        }
        due.sort_unstable();
        for (_, alarm) in due {
            match alarm {
                Alarm::Task(task) => self.task_due(task, tx),
                Alarm::Agent(life) => self.lease_due(life, tx),
                Alarm::Batch(kind) => self.batch_due(kind, tx),
                Alarm::Rebalance => self.rebalance_due(tx),
                Alarm::Room => self.room_due(tx),
                Alarm::Gate(life) => self.gate_due(life, tx),
                Alarm::Tenant(at) => self.party_due(Some(at), None, tx),
                Alarm::Kind(at) => self.party_due(None, Some(at), tx),
            }
        }
    }

    /// The task's time is over. An attempt that is cut off by it may have done its work.
    pub(crate) fn expire(&mut self, id: TaskId, bound: Bound, tx: &mut Tx<'_>) {
        let maybe = self.state.get(id).is_some_and(|task| task.doubtful || task.running().is_some());
        self.emit(TaskEvent::Expired { task: id, bound, maybe }, tx);
    }

    /// The task's timer has fired: whatever is due of it now happens, and the timer is set for what comes next.
    fn task_due(&mut self, id: TaskId, tx: &mut Tx<'_>) {
        let Some(slot) = self.state.slot(id) else { return };
        let Some(task) = self.state.tasks.get(slot) else { return };
        if let Some((at, bound)) = task.bound()
            && at <= tx.now
        {
            let place = task.running().map(|running| running.agent);
            self.expire(id, bound, tx);
            self.settle_and_pump(place, tx);
            self.retire(tx);
            return;
        }
        match &task.stage {
            Stage::Backoff { until } if *until <= tx.now => {
                if let Some(class) = self.make_ready(id, tx) {
                    self.pump_class(class, tx);
                    self.retire(tx);
                }
            }
            Stage::Running(running)
                if task.attempt_until(self.config.limits.cancel_grace).is_some_and(|at| at <= tx.now) =>
            {
                let (by, place) = (running.by, running.agent);
                let attempt = AttemptId::new(id, task.attempts);
                let failure = match running.cancel {
                    Some(_) => Failure::unknown("cancelled, and its agent did not answer"),
                    None if running.yielding.is_some() => Failure::unknown("called back, and its agent did not answer"),
                    None => Failure::unknown("the attempt took too long"),
                };
                self.attempt_failed(by, attempt, failure, tx);
                self.after_end(place, tx);
            }
            Stage::Blocked { .. }
            | Stage::Backoff { .. }
            | Stage::Queued { .. }
            | Stage::Running(_)
            | Stage::Ended(_) => self.state.set_timer(slot),
        }
    }
}
