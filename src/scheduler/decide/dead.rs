//! Dead letters: replay and discarding.

use super::admission::Earlier;
use super::submit::Reuse;
use super::validate::bounded;
use crate::base::id::TaskId;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::command::{Accepted, DeadFilter};
use crate::message::event::TaskEvent;
use crate::message::rejected::{Conflict, Rejected, Unknown, WrongState};
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::scheduler::reader::Reader;
use crate::scheduler::tasks::Task;
use crate::task::{Origin, Subject, TaskOutcome, TaskSpec, Tier};
use std::sync::Arc;

/// Decisions about dead letters.
pub(super) struct DeadLetters<'c, 'o> {
    core: &'c mut Core,
    tx: &'c mut Tx<'o>,
}

impl Core {
    pub(super) const fn dead_letters<'c, 'o>(&'c mut self, tx: &'c mut Tx<'o>) -> DeadLetters<'c, 'o> {
        DeadLetters { core: self, tx }
    }
}

impl DeadLetters<'_, '_> {
    pub(super) fn replay(&mut self, dead: TaskId, fresh: TaskId) -> Result<Accepted, Rejected> {
        self.core.admission(self.tx.now).is_of_host(fresh)?;
        let spec = self.core.reader.replayed(dead, fresh, None, self.tx.now)?;
        self.core.admission(self.tx.now).admits(&spec, Some(dead), None)?;
        self.core.admit(Arc::new(spec), Some(dead), Reuse::OfEqual, self.tx);
        Ok(Accepted::Done)
    }

    pub(super) fn replay_all(
        &mut self,
        filter: &DeadFilter,
        first: TaskId,
        tier: Option<Tier>,
    ) -> Result<Accepted, Rejected> {
        let admission = self.core.admission(self.tx.now);
        let (mut earlier, mut fresh) = (Earlier::default(), Vec::new());
        for (index, dead) in (0_u32..).zip(self.core.reader.dead_where(filter)) {
            let id = TaskId::new(first.get().saturating_add(u64::from(index)));
            admission.is_of_host(id)?;
            let spec = self.core.reader.replayed(dead, id, tier, self.tx.now)?;
            let checked = admission.admits(&spec, Some(dead), Some(&earlier));
            checked.map_err(|reason| Rejected::InBulk { index, reason: Box::new(reason) })?;
            earlier.add(&spec, None);
            fresh.push((Arc::new(spec), Some(dead)));
        }
        let count = u32::try_from(fresh.len()).unwrap_or(u32::MAX);
        self.core.accept_all(fresh, self.tx);
        Ok(Accepted::Count(count))
    }

    pub(super) fn discard(&mut self, dead: TaskId, reason: Name) -> Result<Accepted, Rejected> {
        bounded("name_bytes", reason.len(), self.core.reader.config.limits.sizes.name_bytes)?;
        self.core.reader.dead_letter(dead)?;
        self.core.emit(TaskEvent::Discarded { reason }.of(dead), self.tx);
        self.core.dispatch(self.tx).retain();
        Ok(Accepted::Done)
    }

    pub(super) fn discard_all(&mut self, filter: &DeadFilter, reason: &Name) -> Result<Accepted, Rejected> {
        bounded("name_bytes", reason.len(), self.core.reader.config.limits.sizes.name_bytes)?;
        let dead = self.core.reader.dead_where(filter);
        for &task in &dead {
            self.core.emit(TaskEvent::Discarded { reason: reason.clone() }.of(task), self.tx);
        }
        self.core.dispatch(self.tx).retain();
        Ok(Accepted::Count(u32::try_from(dead.len()).unwrap_or(u32::MAX)))
    }
}

/// Lookups of dead letters.
impl Reader {
    fn dead_letter(&self, dead: TaskId) -> Result<&Arc<TaskSpec>, Rejected> {
        let task = self.state.tasks().by_id(dead).ok_or(Rejected::Unknown(Unknown::Task(dead)))?;
        match task.end() {
            Some(ended) if ended.outcome.is_dead_letter() => Ok(&task.spec),
            _ => Err(Rejected::State(WrongState::NotDead(dead))),
        }
    }

    /// The dead letters that pass the filter, the oldest first.
    fn dead_where(&self, filter: &DeadFilter) -> Vec<TaskId> {
        let most = filter.most.unwrap_or(u32::MAX).min(self.config.limits.bulk.max(1)) as usize;
        let tasks = self.state.tasks();
        let passes = |id: &&TaskId| tasks.by_id(**id).is_some_and(|task| passes(filter, task));
        tasks.dead().iter().filter(passes).take(most).copied().collect()
    }

    /// The task that replays a dead letter.
    fn replayed(&self, dead: TaskId, fresh: TaskId, tier: Option<Tier>, now: Time) -> Result<TaskSpec, Rejected> {
        let mut spec = TaskSpec::clone(self.dead_letter(dead)?);
        spec.origin = Origin::Work(spec.origin.work(Subject::Task(dead)));
        spec.id = fresh;
        spec.tier = tier.unwrap_or(spec.tier);
        // A deadline that has passed concerned the original task, and the dependencies of that task had succeeded.
        spec.deadline = spec.deadline.filter(|deadline| *deadline >= now);
        spec.after = Box::default();
        if self.state.tasks().by_id(fresh).is_some() {
            return Err(Rejected::Conflict(Conflict::Task(fresh)));
        }
        Ok(spec)
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
