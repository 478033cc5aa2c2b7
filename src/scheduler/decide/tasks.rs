//! Commands that concern tasks: cancellation, change of tier, discarding of dead letters; submits are in `submit`.

use super::validate::{bounded, named};
use crate::base::id::TaskId;
use crate::base::name::Name;
use crate::message::command::{Accepted, DeadFilter, TaskCommand};
use crate::message::event::{ControlEvent, TaskEvent};
use crate::message::rejected::{Rejected, Unknown, WrongState};
use crate::scheduler::ix::ClassIx;
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::scheduler::tasks::{Stage, Task};
use crate::task::{TaskOutcome, TaskSpec, Tier};
use std::sync::Arc;

impl Core {
    pub(crate) fn task(&mut self, command: TaskCommand, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        match command {
            TaskCommand::Submit(spec) => self.submit(spec, tx),
            TaskCommand::Cancel { task, reason } => {
                bounded("name_bytes", reason.len(), self.reader.config.limits.sizes.name_bytes)?;
                self.cancel(task, reason, tx)
            }
            TaskCommand::SubmitAll(specs) => self.submit_all(specs, tx),
            TaskCommand::ReplayAll { filter, first, tier } => self.replay_all(&filter, first, tier, tx),
            TaskCommand::DiscardAll { filter, reason } => self.discard_all(&filter, &reason, tx),
            TaskCommand::Replay { dead, fresh } => self.replay_dead(dead, fresh, tx),
            TaskCommand::Discard { dead, reason } => self.discard(dead, reason, tx),
            TaskCommand::Prioritise { tasks, tier, reason } => self.prioritise(tasks, tier, reason, tx),
        }
    }

    pub(crate) fn cancel(&mut self, id: TaskId, reason: Name, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let task = self.reader.state.tasks().by_id(id).ok_or(Rejected::Unknown(Unknown::Task(id)))?;
        match &task.stage {
            Stage::Ended(ended) if matches!(ended.outcome, TaskOutcome::Cancelled { .. }) => {
                return Ok(Accepted::Repeated);
            }
            Stage::Ended(_) => return Err(Rejected::State(WrongState::TaskEnded(id))),
            Stage::Running(running) if running.cancel.is_some() => return Ok(Accepted::Repeated),
            Stage::Running(_) => self.emit(TaskEvent::CancelRequested { reason }.of(id), tx),
            Stage::Blocked { .. } | Stage::Backoff { .. } | Stage::Queued { .. } => {
                let (class, side_effects) = (task.class(), task.side_effects());
                self.emit(TaskEvent::Cancelled { reason, side_effects }.of(id), tx);
                // The strategy may have held back the other tasks of the class only because of this one.
                class.into_iter().for_each(|class| self.dispatch(tx).drain_class(class));
            }
        }
        self.dispatch(tx).settle(None);
        Ok(Accepted::Done)
    }

    fn prioritise(
        &mut self,
        tasks: Vec<TaskId>,
        tier: Tier,
        reason: Name,
        tx: &mut Tx<'_>,
    ) -> Result<Accepted, Rejected> {
        let limits = &self.reader.config.limits;
        named("reason", &reason, limits)?;
        bounded("list_len", tasks.len(), limits.sizes.list_len)?;
        for id in &tasks {
            let task = self.reader.state.tasks().by_id(*id).ok_or(Rejected::Unknown(Unknown::Task(*id)))?;
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
        self.move_tasks(tasks, tier, reason, tx);
        Ok(Accepted::Done)
    }

    /// Whether a task waits, for any reason, in another tier.
    pub(crate) fn could_move(&self, id: TaskId, tier: Tier) -> bool {
        self.reader.state.tasks().by_id(id).is_some_and(|task| task.is_waiting() && task.tier != tier)
    }

    /// Moves waiting tasks to another tier.
    pub(crate) fn move_tasks(&mut self, tasks: Vec<TaskId>, tier: Tier, reason: Name, tx: &mut Tx<'_>) {
        self.emit(ControlEvent::TasksPrioritised { tasks: tasks.clone(), tier, reason }, tx);
        self.dispatch_tasks(&tasks, tx);
    }

    /// Dispatches the classes of tasks that were accepted or moved: an agent may have room that is reserved for their
    /// new tier.
    pub(super) fn dispatch_tasks(&mut self, tasks: &[TaskId], tx: &mut Tx<'_>) {
        let classes: Vec<ClassIx> =
            tasks.iter().filter_map(|task| self.reader.state.tasks().by_id(*task)?.class()).collect();
        self.dispatch(tx).settle_with(classes, None);
    }

    pub(super) fn dead_letter(&self, dead: TaskId) -> Result<&Arc<TaskSpec>, Rejected> {
        let task = self.reader.state.tasks().by_id(dead).ok_or(Rejected::Unknown(Unknown::Task(dead)))?;
        match task.end() {
            Some(ended) if ended.outcome.is_dead_letter() => Ok(&task.spec),
            _ => Err(Rejected::State(WrongState::NotDead(dead))),
        }
    }

    fn discard(&mut self, dead: TaskId, reason: Name, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        bounded("name_bytes", reason.len(), self.reader.config.limits.sizes.name_bytes)?;
        self.dead_letter(dead)?;
        self.emit(TaskEvent::Discarded { reason }.of(dead), tx);
        self.dispatch(tx).retain();
        Ok(Accepted::Done)
    }

    fn discard_all(&mut self, filter: &DeadFilter, reason: &Name, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        bounded("name_bytes", reason.len(), self.reader.config.limits.sizes.name_bytes)?;
        let dead = self.dead_where(filter);
        for &task in &dead {
            self.emit(TaskEvent::Discarded { reason: reason.clone() }.of(task), tx);
        }
        self.dispatch(tx).retain();
        Ok(Accepted::Count(u32::try_from(dead.len()).unwrap_or(u32::MAX)))
    }

    /// The dead letters that pass the filter, the oldest first.
    pub(super) fn dead_where(&self, filter: &DeadFilter) -> Vec<TaskId> {
        let most = filter.most.map_or(usize::MAX, |most| most as usize);
        let tasks = self.reader.state.tasks();
        let passes = |id: &&TaskId| tasks.by_id(**id).is_some_and(|task| passes(filter, task));
        tasks.dead().iter().filter(passes).take(most).copied().collect()
    }
}

fn passes(filter: &DeadFilter, task: &Task) -> bool {
    let Some(ended) = task.end() else { return false };
    let TaskOutcome::DeadLettered(failure) = &ended.outcome else { return false };
    filter.kind.as_ref().is_none_or(|kind| *kind == task.spec.kind)
        && filter.tenant.as_ref().is_none_or(|tenant| Some(tenant) == task.spec.tenant.as_ref())
        && filter.failure.is_none_or(|kind| kind == failure.kind)
        && filter.since.is_none_or(|since| ended.at >= since)
        && filter.before.is_none_or(|before| ended.at < before)
}
