//! Operators change how urgent tasks are that wait.

use crate::command::Accepted;
use crate::event::TaskEvent;
use crate::id::TaskId;
use crate::name::Name;
use crate::rejected::{Rejected, Unknown, WrongState};
use crate::scheduler::apply::state::{Misfit, Task};
use crate::scheduler::decide::submit::{bounded, named};
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::task::Tier;

impl Core {
    pub(crate) fn prioritise(
        &mut self,
        tasks: Vec<TaskId>,
        tier: Tier,
        reason: Name,
        tx: &mut Tx<'_>,
    ) -> Result<Accepted, Rejected> {
        let limits = &self.config.limits;
        named("reason", &reason, limits)?;
        bounded("list_len", tasks.len(), limits.list_len)?;
        for id in &tasks {
            let task = self.state.get(*id).ok_or(Rejected::Unknown(Unknown::Task(*id)))?;
            if task.has_ended() {
                return Err(Rejected::State(WrongState::TaskEnded(*id)));
            }
            if task.running().is_some() {
                return Err(Rejected::State(WrongState::TaskBegun(*id)));
            }
        }
        let mut tasks: Vec<TaskId> = tasks.into_iter().filter(|id| self.could_move(*id, tier)).collect();
        tasks.sort_unstable();
        tasks.dedup();
        if tasks.is_empty() {
            return Ok(Accepted::Repeated);
        }
        self.emit(TaskEvent::Prioritised { tasks: tasks.clone(), tier, reason }, tx);
        self.pump_tasks(&tasks, tx);
        Ok(Accepted::Done)
    }

    /// Whether a task waits, for whatever reason, and in another tier.
    pub(crate) fn could_move(&self, id: TaskId, tier: Tier) -> bool {
        let waits = |task: &Task| task.running().is_none() && !task.has_ended() && task.tier != tier;
        self.state.get(id).is_some_and(waits)
    }

    /// Tasks have become more urgent, or less, by a fact that is not about them alone.
    pub(crate) fn moved(&mut self, tasks: &[TaskId], tier: Tier) -> Result<(), Misfit> {
        tasks.iter().try_for_each(|task| self.state.set_tier(*task, tier))
    }

    /// Hands out what can be since tasks have moved: there may be room that is kept for their tier.
    pub(crate) fn pump_tasks(&mut self, tasks: &[TaskId], tx: &mut Tx<'_>) {
        let classes = tasks.iter().filter_map(|task| self.state.get(*task)?.line()).collect();
        self.settle_and_pump_with(classes, None, tx);
        self.retire(tx);
    }
}
