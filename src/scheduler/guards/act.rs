//! What guards want becomes facts.

use crate::agent::Guard;
use crate::event::{Next, TaskEvent};
use crate::id::{Incarnation, TaskId};
use crate::routing::{Gate, Member};
use crate::scheduler::apply::state::{State, Task};
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::structure::Slot;
use crate::task::{Bound, Exhausted, InDoubt, TaskSpec};
use crate::time::Time;
use core::time::Duration;

impl Core {
    /// States what guards want and what is not on record.
    #[inline]
    pub(in crate::scheduler) fn heed(&mut self, tx: &mut Tx<'_>) {
        while let Some(event) = self.guards.want(&self.state, tx.now) {
            self.state_fact(event, tx);
        }
    }

    /// Guards look at what is due of them.
    pub(in crate::scheduler) fn tick_guards(&mut self, tx: &mut Tx<'_>) {
        if self.guards.next_wakeup().is_none_or(|at| at > tx.now) {
            return;
        }
        self.guards.tick(&self.state, tx.now);
        self.heed(tx);
        self.settle_and_pump(None, tx);
        self.retire(tx);
    }

    /// After a restore: nobody knows what the call that a crash cut off had still to state.
    pub(in crate::scheduler) fn heed_all(&mut self, tx: &mut Tx<'_>) {
        self.guards.follow(&self.state, tx.now);
        self.guards.stir_all(&self.state);
        self.heed(tx);
    }

    /// A guard looks at the agent again: what it said until now holds no longer.
    pub(in crate::scheduler) fn gate_due(&mut self, by: Incarnation, tx: &mut Tx<'_>) {
        let Some(place) = self.state.fleet.living(by) else { return };
        let due = |gate: &&Gate| gate.until.is_some_and(|until| until <= tx.now);
        let gates = self.state.fleet.at(place.index()).map(|member| &*member.gates).unwrap_or_default();
        let guards: Vec<Guard> = gates.iter().filter(due).map(|gate| gate.guard).collect();
        for guard in guards {
            let event = self.guards.again(&self.state, by, guard, tx.now);
            self.emit(event, tx);
        }
        self.state.set_gate_timer(place);
        self.settle_and_pump(Some(place), tx);
        self.retire(tx);
    }

    /// What becomes of a task that would be tried again: whether the budget allows it, and in which tier it then waits.
    /// Whether it was the budget that ended it.
    pub(in crate::scheduler) fn afford(
        &self,
        by: Incarnation,
        (task, in_doubt): (&Task, bool),
        next: Next,
        now: Time,
    ) -> (Next, bool) {
        let Next::Retry { at, .. } = next else { return (next, false) };
        let retry = task.spec.policy.retry();
        // Whether it has happened has to be found out, whatever that costs.
        let insists = in_doubt && retry.in_doubt == InDoubt::Insist;
        if !insists && !self.guards.can_retry(by.agent(), now) {
            return (exhausted(&task.spec), true);
        }
        let tier = retry.tier_after(task.spec.tier, task.tries());
        (Next::Retry { at, tier: (tier != task.tier).then_some(tier) }, false)
    }

    /// The bound that passes before the task could be done, if that is known.
    pub(in crate::scheduler) fn hopeless(&self, task: &Task, now: Time) -> Option<Bound> {
        if !self.guards.drops_hopeless() || !task.bounded {
            return None;
        }
        let takes = task.expected?;
        let deadline = task.spec.deadline.map(|at| (at, Bound::Deadline));
        let total = task.spec.policy.total_timeout().map(|span| (task.submitted + span, Bound::Total));
        let (at, bound) = [deadline, total].into_iter().flatten().min()?;
        (now + takes >= at).then_some(bound)
    }

    /// Ends a task that has just been taken on, if the result of its like is known.
    pub(in crate::scheduler) fn answer(&mut self, id: TaskId, tx: &mut Tx<'_>) {
        let Some(task) = self.state.get(id).filter(|task| task.line().is_some()) else { return };
        if let Some((from, output)) = self.guards.answer(&task.spec, tx.now) {
            self.emit(TaskEvent::Answered { task: id, from, output }, tx);
        }
    }

    /// Whether a new task is refused because tasks wait too long, and after how long it may be tried again.
    pub(in crate::scheduler) fn shed(&self, spec: &TaskSpec, now: Time) -> Option<Option<Duration>> {
        self.state.standing.refuses(spec.tier).then(|| self.guards.retry_after(now))
    }
}

/// What becomes of a task that is not tried again.
pub(in crate::scheduler) fn exhausted(spec: &TaskSpec) -> Next {
    // A run takes care of its steps: a replayed letter would come too late for it.
    match spec.policy.exhausted() {
        Exhausted::DeadLetter if spec.owner.is_none() => Next::DeadLetter,
        Exhausted::DeadLetter | Exhausted::Fail => Next::Fail,
    }
}

impl State {
    /// Changes what an agent may hold, by the word of a guard or an operator, and notes which lines are to be looked at:
    /// it has room now, or others stand in for it.
    pub(in crate::scheduler) fn bound(&mut self, place: Slot, change: impl FnOnce(&mut Member)) {
        let was_up = self.fleet.at(place.index()).is_some_and(Member::is_up);
        self.fleet.change(place, change);
        let Some(member) = self.fleet.at(place.index()) else { return };
        let (is_up, has_room) = (member.is_up(), member.has_room());
        let ready = self.lanes.ready();
        if is_up != was_up && self.fleet.has_backups() {
            self.classes.review(place, &mut self.fleet);
            self.opened
                .extend(ready.iter().flat_map(|ready| ready.iter()).filter_map(|class| u32::try_from(class).ok()));
        } else if has_room {
            let classes = ready.iter().flat_map(|ready| member.classes.common(ready));
            self.opened.extend(classes.filter_map(|class| u32::try_from(class).ok()));
        }
    }
}
