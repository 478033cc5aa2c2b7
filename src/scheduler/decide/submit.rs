//! Commands about tasks: submit, cancel, replay, discard.

use crate::command::{Accepted, TaskCommand};
use crate::event::TaskEvent;
use crate::id::TaskId;
use crate::limits::Limits;
use crate::name::Name;
use crate::payload::Payload;
use crate::rejected::{Conflict, Invalid, Misuse, Overload, Rejected, Unknown, WrongState};
use crate::scheduler::apply::state::Stage;
use crate::scheduler::decide::admission::Admission;
use crate::scheduler::decide::bulk::Company;
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::task::{TaskOutcome, TaskSpec, Tier};
use std::sync::Arc;

impl Core {
    pub(crate) fn task(&mut self, command: TaskCommand, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        match command {
            TaskCommand::Submit(spec) => self.submit(spec, tx),
            TaskCommand::Cancel { task, reason } => {
                bounded("name_bytes", reason.len(), self.config.limits.name_bytes)?;
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

    fn submit(&mut self, spec: Arc<TaskSpec>, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        if self.is_repeated(&spec)? {
            return Ok(Accepted::Repeated);
        }
        self.may_submit(&spec, &Company::default(), tx)?;
        let late = if self.config.admission == Admission::Any { None } else { self.late(&spec, tx.now) };
        self.admit(spec, None, tx);
        Ok(late.map_or(Accepted::Done, Accepted::Late))
    }

    /// Whether the very same task is known.
    pub(crate) fn is_repeated(&self, spec: &Arc<TaskSpec>) -> Result<bool, Rejected> {
        let Some(known) = self.state.get(spec.id) else { return Ok(false) };
        let same = Arc::ptr_eq(&known.spec, spec) || known.spec == *spec;
        if same { Ok(true) } else { Err(Rejected::Conflict(Conflict::Task(spec.id))) }
    }

    /// Whether the task may be taken on, after its company.
    pub(crate) fn may_submit(&self, spec: &TaskSpec, company: &Company, tx: &Tx<'_>) -> Result<(), Rejected> {
        if spec.id.is_engine_made() {
            return Err(Rejected::Invalid(Invalid::ReservedId(spec.id.get())));
        }
        if spec.owner.is_some() || spec.reserved.is_some() {
            return Err(Rejected::Misuse(Misuse::ForeignOwner(spec.id)));
        }
        let limits = &self.config.limits;
        sized(limits, spec)?;
        if let Some(deadline) = spec.deadline.filter(|deadline| *deadline <= tx.now) {
            return Err(Rejected::Invalid(Invalid::DeadlinePassed { task: spec.id, deadline, now: tx.now }));
        }
        for &before in &spec.after {
            match self.state.get(before).map(|task| task.end().map(|ended| &ended.end)) {
                None if company.has(before) => {}
                None => return Err(Rejected::Unknown(Unknown::Dependency { task: spec.id, missing: before })),
                Some(None | Some(TaskOutcome::Succeeded(_))) => {}
                Some(Some(_)) => {
                    return Err(Rejected::State(WrongState::DeadDependency { task: spec.id, dead: before }));
                }
            }
        }
        if let Some(retry_after) = self.shed(spec, tx.now) {
            return Err(Rejected::Capacity(Overload::Shed { tier: spec.tier, retry_after }));
        }
        if self.state.active.saturating_add(company.len()) >= limits.waiting_tasks {
            return Err(self.full("waiting_tasks", limits.waiting_tasks));
        }
        let [tenant, kind] = self.state.waiting_quotas(spec);
        let more = [company.of_tenant(spec.tenant.as_ref()), company.of_kind(&spec.kind)];
        for (((active, most), more), what) in
            [tenant, kind].into_iter().zip(more).zip(["tenant_waiting", "kind_waiting"])
        {
            if let Some(most) = most.filter(|most| active.saturating_add(more) >= *most) {
                return Err(self.full(what, most));
            }
        }
        let class = self.state.class_of(spec);
        let (more, known) = company.classes(&class);
        if !known
            && self.state.classes.len().saturating_add(more) >= limits.classes as usize
            && !self.state.classes.knows(&class)
        {
            return Err(self.full("classes", limits.classes));
        }
        if let Some((name, amount, total)) = self.state.pools.never_fits(spec) {
            return Err(Rejected::Invalid(Invalid::NeverFits { task: spec.id, name, amount, total }));
        }
        if self.config.admission == Admission::Refuse
            && let (Some(deadline), Some(expected)) = (spec.deadline, self.late(spec, tx.now))
        {
            return Err(Rejected::Invalid(Invalid::Infeasible { task: spec.id, deadline, expected }));
        }
        Ok(())
    }

    fn full(&self, what: &str, limit: u32) -> Rejected {
        Rejected::Capacity(Overload::AtCapacity {
            what: what.into(),
            limit: limit.into(),
            retry_after: self.state.pace.gap(),
        })
    }

    /// Takes a task on, whatever the bounds say: those of accepted runs always are.
    pub(crate) fn admit(&mut self, spec: Arc<TaskSpec>, replays: Option<TaskId>, tx: &mut Tx<'_>) {
        let id = spec.id;
        self.note_submitted(spec, replays, tx);
        if let Some(Stage::Queued { class }) = self.state.get(id).map(|task| &task.stage) {
            let class = *class;
            self.pump_class(class, tx);
        } else {
            self.settle_and_pump(None, tx);
        }
        self.retire(tx);
    }

    pub(crate) fn note_submitted(&mut self, spec: Arc<TaskSpec>, replays: Option<TaskId>, tx: &mut Tx<'_>) {
        let (id, expected) = (spec.id, self.expected(&spec));
        self.emit(TaskEvent::Submitted { spec, replays, expected }, tx);
        self.answer(id, tx);
    }

    pub(crate) fn cancel(&mut self, id: TaskId, reason: Name, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let task = self.state.get(id).ok_or(Rejected::Unknown(Unknown::Task(id)))?;
        match &task.stage {
            Stage::Ended(ended) if matches!(ended.end, TaskOutcome::Cancelled { .. }) => {
                return Ok(Accepted::Repeated);
            }
            Stage::Ended(_) => return Err(Rejected::State(WrongState::TaskEnded(id))),
            Stage::Running(running) if running.cancel.is_some() => return Ok(Accepted::Repeated),
            Stage::Running(_) => self.emit(TaskEvent::CancelRequested { task: id, reason }, tx),
            Stage::Blocked { .. } | Stage::Backoff { .. } | Stage::Queued { .. } => {
                let (line, happened) = (task.line(), task.trace());
                self.emit(TaskEvent::Cancelled { task: id, reason, happened }, tx);
                // The strategy may have held back the others in line only because of this one.
                line.into_iter().for_each(|class| self.pump_class(class, tx));
            }
        }
        self.settle_and_pump(None, tx);
        self.retire(tx);
        Ok(Accepted::Done)
    }

    fn dead_letter(&self, dead: TaskId) -> Result<&Arc<TaskSpec>, Rejected> {
        let task = self.state.get(dead).ok_or(Rejected::Unknown(Unknown::Task(dead)))?;
        match task.end() {
            Some(ended) if ended.end.is_dead_letter() => Ok(&task.spec),
            _ => Err(Rejected::State(WrongState::NotDead(dead))),
        }
    }

    fn replay_dead(&mut self, dead: TaskId, fresh: TaskId, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        let spec = self.replayed(dead, fresh, None, tx)?;
        self.may_submit(&spec, &Company::default(), tx)?;
        self.admit(Arc::new(spec), Some(dead), tx);
        Ok(Accepted::Done)
    }

    /// The task that tries a dead letter again.
    pub(crate) fn replayed(
        &self,
        dead: TaskId,
        fresh: TaskId,
        tier: Option<Tier>,
        tx: &Tx<'_>,
    ) -> Result<TaskSpec, Rejected> {
        let mut spec = TaskSpec::clone(self.dead_letter(dead)?);
        spec.id = fresh;
        spec.tier = tier.unwrap_or(spec.tier);
        // Its time has passed, but an operator asks for it now; and what it waited for was done.
        spec.deadline = spec.deadline.filter(|deadline| *deadline > tx.now);
        spec.after = Box::default();
        if self.state.get(fresh).is_some() {
            return Err(Rejected::Conflict(Conflict::Task(fresh)));
        }
        Ok(spec)
    }

    fn discard(&mut self, dead: TaskId, reason: Name, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        bounded("name_bytes", reason.len(), self.config.limits.name_bytes)?;
        self.dead_letter(dead)?;
        self.emit(TaskEvent::Discarded { task: dead, reason }, tx);
        self.retire(tx);
        Ok(Accepted::Done)
    }
}

/// Refuses what is larger than the limits allow.
fn sized(limits: &Limits, spec: &TaskSpec) -> Result<(), Rejected> {
    named("kind", &spec.kind, limits)?;
    spec.tenant.iter().try_for_each(|tenant| named("tenant", tenant, limits))?;
    fits(limits, &spec.payload)?;
    for (name, _) in spec.needs.skills() {
        named("skill", name, limits)?;
    }
    for (name, value) in spec.needs.labels() {
        named("label", name, limits)?;
        bounded("name_bytes", value.len(), limits.name_bytes)?;
    }
    if let Some(affinity) = &spec.affinity {
        affinity.session.iter().try_for_each(|key| named("session", key, limits))?;
        affinity.spread.iter().try_for_each(|label| named("spread", label, limits))?;
        for (name, value) in &affinity.not_labels {
            named("label", name, limits)?;
            bounded("name_bytes", value.len(), limits.name_bytes)?;
        }
        let named = affinity.not_agents.len() + affinity.not_labels.len() + affinity.apart_from.len();
        bounded("list_len", named, limits.list_len)?;
    }
    for (name, _) in spec.needs.amounts().chain(spec.needs.shared()) {
        named("resource", name, limits)?;
    }
    let amounts = spec.needs.amounts().chain(spec.needs.shared()).count();
    let needs = spec.needs.skills().count() + spec.needs.labels().count() + amounts;
    bounded("list_len", needs, limits.list_len)?;
    bounded("list_len", spec.after.len(), limits.list_len)
}

pub(crate) fn fits(limits: &Limits, payload: &Payload) -> Result<(), Rejected> {
    bounded("payload_bytes", payload.bytes() as usize, limits.payload_bytes)?;
    bounded("payload_depth", payload.depth() as usize, limits.payload_depth)
}

pub(crate) fn named(what: &str, name: &Name, limits: &Limits) -> Result<(), Rejected> {
    if name.is_empty() {
        return Err(Rejected::Invalid(Invalid::EmptyName { what: what.into() }));
    }
    bounded("name_bytes", name.len(), limits.name_bytes)
}

pub(crate) fn bounded(what: &str, size: usize, limit: u32) -> Result<(), Rejected> {
    if size > limit as usize {
        return Err(Rejected::Invalid(Invalid::TooLarge { what: what.into(), size: size as u64, limit: limit.into() }));
    }
    Ok(())
}
