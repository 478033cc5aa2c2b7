//! Submits: of one task and of several tasks.

use super::admission::{Admission, Earlier};
use super::deferral::defer;
use super::dispatch::may_hand_over;
use super::validate::bounded;
use crate::base::id::TaskId;
use crate::message::command::Accepted;
use crate::message::event::{ControlEvent, TaskEvent};
use crate::message::rejected::{Conflict, Rejected};
use crate::scheduler::ix::Place;
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::task::TaskSpec;
use std::sync::Arc;

/// Whether the result of an equal task may answer a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// If tasks of its kind are cached.
    OfEqual,
    /// Never: what the task does depends on more than its payload.
    Never,
}

impl Core {
    pub(super) fn submit(&mut self, spec: Arc<TaskSpec>, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let admission = self.admission(tx.now);
        admission.is_of_host(spec.id)?;
        if admission.is_repeated(&spec)? {
            return Ok(Accepted::Repeated);
        }
        admission.admits(&spec, None, None)?;
        let late = if self.reader.config.admission == Admission::Any { None } else { admission.late(&spec) };
        self.admit(spec, None, Reuse::OfEqual, tx);
        Ok(late.map_or(Accepted::Done, Accepted::Late))
    }

    /// Accepts a task without a check of the limits. Tasks of accepted runs are always accepted.
    pub(crate) fn admit(&mut self, spec: Arc<TaskSpec>, replays: Option<TaskId>, reuse: Reuse, tx: &mut Tx<'_>) {
        let id = spec.id;
        let place = if may_hand_over(self) { Place::Newcomer } else { Place::ById };
        self.accept(spec, replays, (reuse, place), tx);
        if !self.dispatch(tx).newcomer() {
            match self.reader.class_for(id) {
                Some(class) => self.dispatch(tx).class(class),
                None => self.dispatch(tx).settle(None),
            }
        }
        defer(self, tx);
    }

    /// Accepts a task. Ends it if a result for it is cached, or lets it wait for the result of an equal one.
    fn accept(
        &mut self,
        spec: Arc<TaskSpec>,
        replays: Option<TaskId>,
        (reuse, place): (Reuse, Place),
        tx: &mut Tx<'_>,
    ) {
        let (id, expected) = (spec.id, self.admission(tx.now).expected(&spec));
        self.emit_at(place, TaskEvent::Submitted { spec, replays, expected }.of(id), tx);
        let at = self.reader.state.tasks().submitted(id);
        let Some(task) = at.and_then(|at| self.reader.state.tasks().get(at)) else {
            self.anomaly(format_args!("{id} was accepted and is unknown"));
            return;
        };
        if reuse != Reuse::OfEqual || !self.guards.is_pure(&task.spec) || task.class().is_none() {
            return;
        }
        if let Some((from, output)) = self.guards.answer(&task.spec, tx.now) {
            self.emit(TaskEvent::Answered { from, output }.of(id), tx);
        } else if let Some(to) = self.guards.lead(&self.reader.state, &task.spec) {
            let tier = task.tier;
            self.emit(TaskEvent::Joined { to }.of(id), tx);
            if let Some(lead) = self.reader.lead_below(id, tier) {
                let reason = "an equal task is more urgent".into();
                self.emit(ControlEvent::TasksPrioritised { tasks: vec![lead], tier, reason }, tx);
            }
        }
    }

    /// Accepts all tasks or rejects all.
    pub(super) fn submit_all(&mut self, specs: Vec<Arc<TaskSpec>>, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        bounded("bulk", specs.len(), self.reader.config.limits.bulk)?;
        let admission = self.admission(tx.now);
        let (mut earlier, mut fresh) = (Earlier::default(), Vec::new());
        for (index, spec) in (0..).zip(specs) {
            let checked = match admission.is_of_host(spec.id).and_then(|()| admission.is_repeated(&spec)) {
                Ok(true) => continue,
                Ok(false) if earlier.has(spec.id) => Err(Rejected::Conflict(Conflict::Task(spec.id))),
                Ok(false) => admission.admits(&spec, None, Some(&earlier)),
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
    pub(super) fn accept_all(&mut self, tasks: Vec<(Arc<TaskSpec>, Option<TaskId>)>, tx: &mut Tx<'_>) {
        let ids: Vec<TaskId> = tasks.iter().map(|(spec, _)| spec.id).collect();
        for (spec, replays) in tasks {
            self.accept(spec, replays, (Reuse::OfEqual, Place::ById), tx);
        }
        self.dispatch_tasks(&ids, tx);
        defer(self, tx);
    }
}
