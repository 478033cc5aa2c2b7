//! Commands that concern tasks: cancellation and change of tier; submits are in `submit`, dead letters in `dead`.

use super::validate::{bounded, named};
use crate::base::id::TaskId;
use crate::base::name::Name;
use crate::message::command::{Accepted, TaskCommand};
use crate::message::event::{ControlEvent, TaskEvent};
use crate::message::rejected::{Rejected, Unknown, WrongState};
use crate::scheduler::ix::ClassIx;
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::scheduler::reader::Reader;
use crate::scheduler::tasks::Stage;
use crate::task::{Rating, TaskOutcome, Tier};
use std::collections::BTreeSet;

impl Core {
    pub(crate) fn task(&mut self, command: TaskCommand, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        match command {
            TaskCommand::Submit(spec) => self.submit(spec, tx),
            TaskCommand::Cancel { task, reason } => {
                bounded("name_bytes", reason.len(), self.reader.config.limits.sizes.name_bytes)?;
                self.cancel(task, reason, tx)
            }
            TaskCommand::SubmitAll(specs) => self.submit_all(specs, tx),
            TaskCommand::ReplayAll { filter, first, tier } => self.dead_letters(tx).replay_all(&filter, first, tier),
            TaskCommand::DiscardAll { filter, reason } => self.dead_letters(tx).discard_all(&filter, &reason),
            TaskCommand::Replay { dead, fresh } => self.dead_letters(tx).replay(dead, fresh),
            TaskCommand::Discard { dead, reason } => self.dead_letters(tx).discard(dead, reason),
            TaskCommand::Prioritise { tasks, tier, reason } => self.prioritise(tasks, tier, reason, tx),
            TaskCommand::Rate { task, rating } => rate(self, task, rating, tx),
        }
    }

    pub(crate) fn cancel(&mut self, id: TaskId, reason: Name, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let task = self.reader.state.tasks().by_id(id).ok_or(Rejected::Unknown(Unknown::Task(id)))?;
        match &task.stage {
            Stage::Ended(ended) if matches!(ended.outcome, TaskOutcome::Cancelled { .. }) => {
                return Ok(Accepted::Repeated);
            }
            Stage::Ended(_) => return Err(Rejected::State(WrongState::TaskEnded(id))),
            Stage::Running(running) if running.cancel().is_some() => return Ok(Accepted::Repeated),
            Stage::Running(_) => self.emit(TaskEvent::CancelRequested { reason }.of(id), tx),
            Stage::Blocked { .. } | Stage::Joined { .. } | Stage::Backoff { .. } | Stage::Queued { .. } => {
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
        let mut tasks: Vec<TaskId> = tasks.into_iter().filter(|id| self.reader.could_move(*id, tier)).collect();
        tasks.sort_unstable();
        tasks.dedup();
        if tasks.is_empty() {
            return Ok(Accepted::Repeated);
        }
        self.move_tasks(tasks, tier, reason, tx);
        Ok(Accepted::Done)
    }

    /// Moves waiting tasks to another tier, and with them the tasks for whose results they wait, if those are less urgent.
    pub(crate) fn move_tasks(&mut self, mut tasks: Vec<TaskId>, tier: Tier, reason: Name, tx: &mut Tx<'_>) {
        let mut leads: BTreeSet<TaskId> = tasks.iter().filter_map(|task| self.reader.lead_below(*task, tier)).collect();
        tasks.iter().for_each(|task| _ = leads.remove(task));
        tasks.extend(leads);
        self.emit(ControlEvent::TasksPrioritised { tasks: tasks.clone(), tier, reason }, tx);
        self.dispatch_tasks(&tasks, tx);
    }

    /// Dispatches the classes of tasks that were accepted or moved: an agent may have room that is reserved for their
    /// new tier.
    pub(super) fn dispatch_tasks(&mut self, tasks: &[TaskId], tx: &mut Tx<'_>) {
        let classes: Vec<ClassIx> = tasks.iter().filter_map(|task| self.reader.class_for(*task)).collect();
        self.dispatch(tx).settle_with(classes, None);
    }
}

/// Records how the result of a task was rated.
fn rate(core: &mut Core, id: TaskId, rating: Rating, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
    let task = core.reader.state.tasks().by_id(id).ok_or(Rejected::Unknown(Unknown::Task(id)))?;
    let ended = task.end().ok_or(Rejected::State(WrongState::TaskNotEnded(id)))?;
    match (ended.last, ended.rating) {
        (_, Some(known)) if known == rating => Ok(Accepted::Repeated),
        (_, Some(_)) => Err(Rejected::State(WrongState::TaskRated(id))),
        (None, None) => Err(Rejected::State(WrongState::NothingToRate(id))),
        (Some(agent), None) => {
            let kind = task.spec.kind.clone();
            core.emit(TaskEvent::Rated { agent, kind, rating }.of(id), tx);
            Ok(Accepted::Done)
        }
    }
}

impl Reader {
    /// The class in which a task waits, or in which the task waits for whose result it does.
    pub(super) fn class_for(&self, id: TaskId) -> Option<ClassIx> {
        let tasks = self.state.tasks();
        let task = tasks.get(tasks.submitted(id)?)?;
        task.class().or_else(|| tasks.by_id(tasks.joined_to(task)?)?.class())
    }

    /// The task for whose result a task waits, if that one waits, too, and is less urgent than this tier.
    pub(super) fn lead_below(&self, id: TaskId, tier: Tier) -> Option<TaskId> {
        let tasks = self.state.tasks();
        let lead = tasks.by_id(tasks.joined_to(tasks.by_id(id)?)?)?;
        (lead.is_waiting() && lead.tier > tier).then(|| lead.id())
    }

    /// Whether a task waits, for any reason, in another tier.
    pub(crate) fn could_move(&self, id: TaskId, tier: Tier) -> bool {
        self.state.tasks().by_id(id).is_some_and(|task| task.is_waiting() && task.tier != tier)
    }
}
