//! Many at once: tasks that are submitted together, dead letters that are dealt with together.

use crate::command::{Accepted, DeadFilter};
use crate::event::TaskEvent;
use crate::id::TaskId;
use crate::name::Name;
use crate::rejected::{Conflict, Rejected};
use crate::routing::ClassKey;
use crate::scheduler::apply::state::{Stage, Task};
use crate::scheduler::decide::submit::bounded;
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::structure::{IdMap, Slot};
use crate::task::{TaskOutcome, TaskSpec, Tier};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What comes with a task in the same command and before it: it counts, too.
#[derive(Debug, Default)]
pub(crate) struct Company {
    ids: BTreeSet<TaskId>,
    tenants: BTreeMap<Option<Name>, u32>,
    kinds: BTreeMap<Name, u32>,
    classes: IdMap<ClassKey, ()>,
}

impl Company {
    pub(crate) fn has(&self, task: TaskId) -> bool {
        self.ids.contains(&task)
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.ids.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn of_tenant(&self, tenant: Option<&Name>) -> u32 {
        self.tenants.get(&tenant.cloned()).copied().unwrap_or(0)
    }

    pub(crate) fn of_kind(&self, kind: &Name) -> u32 {
        self.kinds.get(kind).copied().unwrap_or(0)
    }

    /// How many requirement classes it brings, and whether this is one of them.
    pub(crate) fn classes(&self, class: &ClassKey) -> (usize, bool) {
        (self.classes.len(), self.classes.get(class).is_some())
    }

    fn join(&mut self, spec: &TaskSpec, new_class: Option<ClassKey>) {
        self.ids.insert(spec.id);
        *self.tenants.entry(spec.tenant.clone()).or_default() += 1;
        *self.kinds.entry(spec.kind.clone()).or_default() += 1;
        if let Some(class) = new_class {
            self.classes.insert(class, ());
        }
    }
}

impl Core {
    /// All are taken on, or none.
    pub(crate) fn submit_all(&mut self, specs: Vec<Arc<TaskSpec>>, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let mut company = Company::default();
        let mut fresh = Vec::new();
        for (index, spec) in (0..).zip(specs) {
            let checked = match self.is_repeated(&spec) {
                Ok(true) => continue,
                Ok(false) if company.has(spec.id) => Err(Rejected::Conflict(Conflict::Task(spec.id))),
                Ok(false) => self.may_submit(&spec, &company, tx),
                Err(conflict) => Err(conflict),
            };
            checked.map_err(|reason| Rejected::InBulk { index, reason: Box::new(reason) })?;
            let class = self.state.class_of(&spec);
            let new_class = (!self.state.classes.knows(&class)).then_some(class);
            company.join(&spec, new_class);
            fresh.push(spec);
        }
        if fresh.is_empty() {
            return Ok(Accepted::Repeated);
        }
        let ids: Vec<TaskId> = fresh.iter().map(|spec| spec.id).collect();
        for spec in fresh {
            self.note_submitted(spec, None, tx);
        }
        self.pump_all_of(&ids, tx);
        Ok(Accepted::Done)
    }

    /// Hands out what can be of tasks that were taken on together.
    fn pump_all_of(&mut self, ids: &[TaskId], tx: &mut Tx<'_>) {
        let classes = ids.iter().filter_map(|id| match self.state.get(*id)?.stage {
            Stage::Queued { class } => Some(class),
            Stage::Blocked { .. } | Stage::Backoff { .. } | Stage::Running(_) | Stage::Ended(_) => None,
        });
        let classes: BTreeSet<Slot> = classes.collect();
        self.settle_and_pump_with(classes.into_iter().collect(), None, tx);
        self.retire(tx);
    }

    pub(crate) fn replay_all(
        &mut self,
        filter: &DeadFilter,
        first: TaskId,
        tier: Option<Tier>,
        tx: &mut Tx<'_>,
    ) -> Result<Accepted, Rejected> {
        let dead = self.dead_where(filter);
        let mut company = Company::default();
        let mut fresh = Vec::new();
        for (index, dead) in (0_u32..).zip(dead) {
            let id = TaskId::new(first.get().saturating_add(u64::from(index)));
            let spec = self.replayed(dead, id, tier, tx)?;
            let checked = self.may_submit(&spec, &company, tx);
            checked.map_err(|reason| Rejected::InBulk { index, reason: Box::new(reason) })?;
            company.join(&spec, None);
            fresh.push((dead, spec));
        }
        let ids: Vec<TaskId> = fresh.iter().map(|(_, spec)| spec.id).collect();
        for (dead, spec) in fresh {
            self.note_submitted(Arc::new(spec), Some(dead), tx);
        }
        self.pump_all_of(&ids, tx);
        Ok(Accepted::Count(u32::try_from(ids.len()).unwrap_or(u32::MAX)))
    }

    pub(crate) fn discard_all(
        &mut self,
        filter: &DeadFilter,
        reason: &Name,
        tx: &mut Tx<'_>,
    ) -> Result<Accepted, Rejected> {
        bounded("name_bytes", reason.len(), self.config.limits.name_bytes)?;
        let dead = self.dead_where(filter);
        for &task in &dead {
            self.emit(TaskEvent::Discarded { task, reason: reason.clone() }, tx);
        }
        self.retire(tx);
        Ok(Accepted::Count(u32::try_from(dead.len()).unwrap_or(u32::MAX)))
    }

    /// The dead letters that pass, the oldest first.
    fn dead_where(&self, filter: &DeadFilter) -> Vec<TaskId> {
        let most = filter.most.map_or(usize::MAX, |most| most as usize);
        let passes = |id: &&TaskId| self.state.get(**id).is_some_and(|task| passes(filter, task));
        self.state.dead.iter().filter(passes).take(most).copied().collect()
    }
}

fn passes(filter: &DeadFilter, task: &Task) -> bool {
    let Some(ended) = task.end() else { return false };
    let TaskOutcome::DeadLettered(failure) = &ended.end else { return false };
    filter.kind.as_ref().is_none_or(|kind| *kind == task.spec.kind)
        && filter.tenant.as_ref().is_none_or(|tenant| Some(tenant) == task.spec.tenant.as_ref())
        && filter.failure.is_none_or(|kind| kind == failure.kind)
        && filter.since.is_none_or(|since| ended.at >= since)
        && filter.before.is_none_or(|before| ended.at < before)
}
