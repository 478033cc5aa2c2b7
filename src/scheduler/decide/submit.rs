//! Submits: of one task, of several tasks, and replays of dead letters.

use super::admission::{Admission, Earlier};
use crate::base::id::TaskId;
use crate::message::command::{Accepted, DeadFilter};
use crate::message::event::TaskEvent;
use crate::message::rejected::{Conflict, Rejected};
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::task::{TaskSpec, Tier};
use std::sync::Arc;

impl Core {
    pub(super) fn submit(&mut self, spec: Arc<TaskSpec>, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let admission = self.admission(tx.now);
        if admission.is_repeated(&spec)? {
            return Ok(Accepted::Repeated);
        }
        admission.admits(&spec, &Earlier::default())?;
        let late = if self.reader.config.admission == Admission::Any { None } else { admission.late(&spec) };
        self.admit(spec, None, tx);
        Ok(late.map_or(Accepted::Done, Accepted::Late))
    }

    /// Accepts a task without a check of the limits. Tasks of accepted runs are always accepted.
    pub(crate) fn admit(&mut self, spec: Arc<TaskSpec>, replays: Option<TaskId>, tx: &mut Tx<'_>) {
        let id = spec.id;
        self.accept(spec, replays, tx);
        match self.reader.state.tasks().by_id(id).and_then(|task| task.class()) {
            Some(class) => self.dispatch(tx).class(class),
            None => self.dispatch(tx).settle(None),
        }
    }

    fn accept(&mut self, spec: Arc<TaskSpec>, replays: Option<TaskId>, tx: &mut Tx<'_>) {
        let (id, expected) = (spec.id, self.admission(tx.now).expected(&spec));
        self.emit(TaskEvent::Submitted { spec, replays, expected }.of(id), tx);
        self.answer(id, tx);
    }

    /// Ends a task that was just accepted, if a result for it is cached.
    fn answer(&mut self, id: TaskId, tx: &mut Tx<'_>) {
        let Some(task) = self.reader.state.tasks().by_id(id).filter(|task| task.class().is_some()) else { return };
        if let Some((from, output)) = self.guards.answer(&task.spec, tx.now) {
            self.emit(TaskEvent::Answered { from, output }.of(id), tx);
        }
    }

    /// Accepts all tasks or rejects all.
    pub(super) fn submit_all(&mut self, specs: Vec<Arc<TaskSpec>>, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let admission = self.admission(tx.now);
        let (mut earlier, mut fresh) = (Earlier::default(), Vec::new());
        for (index, spec) in (0..).zip(specs) {
            let checked = match admission.is_repeated(&spec) {
                Ok(true) => continue,
                Ok(false) if earlier.has(spec.id) => Err(Rejected::Conflict(Conflict::Task(spec.id))),
                Ok(false) => admission.admits(&spec, &earlier),
                Err(conflict) => Err(conflict),
            };
            checked.map_err(|reason| Rejected::InBulk { index, reason: Box::new(reason) })?;
            earlier.add(&spec, admission.new_class(&spec));
            fresh.push((spec, None));
        }
        if fresh.is_empty() {
            return Ok(Accepted::Repeated);
        }
        self.accept_all(fresh, tx);
        Ok(Accepted::Done)
    }

    /// Accepts several tasks and dispatches them after the last one is accepted.
    fn accept_all(&mut self, tasks: Vec<(Arc<TaskSpec>, Option<TaskId>)>, tx: &mut Tx<'_>) {
        let ids: Vec<TaskId> = tasks.iter().map(|(spec, _)| spec.id).collect();
        for (spec, replays) in tasks {
            self.accept(spec, replays, tx);
        }
        self.dispatch_tasks(&ids, tx);
    }

    pub(super) fn replay_dead(&mut self, dead: TaskId, fresh: TaskId, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let spec = self.replayed(dead, fresh, None, tx)?;
        self.admission(tx.now).admits(&spec, &Earlier::default())?;
        self.admit(Arc::new(spec), Some(dead), tx);
        Ok(Accepted::Done)
    }

    pub(super) fn replay_all(
        &mut self,
        filter: &DeadFilter,
        first: TaskId,
        tier: Option<Tier>,
        tx: &mut Tx<'_>,
    ) -> Result<Accepted, Rejected> {
        let admission = self.admission(tx.now);
        let (mut earlier, mut fresh) = (Earlier::default(), Vec::new());
        for (index, dead) in (0_u32..).zip(self.dead_where(filter)) {
            let id = TaskId::new(first.get().saturating_add(u64::from(index)));
            let spec = self.replayed(dead, id, tier, tx)?;
            let checked = admission.admits(&spec, &earlier);
            checked.map_err(|reason| Rejected::InBulk { index, reason: Box::new(reason) })?;
            earlier.add(&spec, None);
            fresh.push((Arc::new(spec), Some(dead)));
        }
        let count = u32::try_from(fresh.len()).unwrap_or(u32::MAX);
        self.accept_all(fresh, tx);
        Ok(Accepted::Count(count))
    }

    /// The task that replays a dead letter.
    fn replayed(&self, dead: TaskId, fresh: TaskId, tier: Option<Tier>, tx: &Tx<'_>) -> Result<TaskSpec, Rejected> {
        let mut spec = TaskSpec::clone(self.dead_letter(dead)?);
        spec.id = fresh;
        spec.tier = tier.unwrap_or(spec.tier);
        // A deadline that has passed concerned the original task, and the dependencies of that task had succeeded.
        spec.deadline = spec.deadline.filter(|deadline| *deadline > tx.now);
        spec.after = Box::default();
        if self.reader.state.tasks().by_id(fresh).is_some() {
            return Err(Rejected::Conflict(Conflict::Task(fresh)));
        }
        Ok(spec)
    }
}
