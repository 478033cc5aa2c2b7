//! What the engine knows of workflows: the fold of all facts about definitions and runs, and of those about the tasks that
//! runs own.

use super::accounts::Accounts;
use super::catalog::Catalog;
use super::list::Register;
use crate::event::{Entry, Event, Next, RunEvent, TaskEvent};
use crate::id::{RunId, Seq, TaskId};
use crate::name::Name;
use crate::run::{RunOutcome, RunSpec};
use crate::scheduler::InconsistentEvent;
use crate::structure::{Arena, IdMap, Slot, Wheel};
use crate::task::{Failure, Happened, Owner, Phase, TaskSpec};
use crate::time::Time;
use crate::workflow::functions::Functions;
use crate::workflow::machine::{PieceEnd, Run, Worker, child_end};
use crate::workflow::plan::Plan;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

type Folded = Result<(), InconsistentEvent>;

/// More ids than an engine can make in its life: at a million a second, 146,000 years. So there is always a next one.
pub(super) const MOST_IDS: u64 = u64::MAX >> 2;

/// Definitions and runs.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// What budgets say.
    pub(super) accounts: Accounts,
    /// What the host's code says, for plans.
    pub(super) functions: Arc<Functions>,
    pub(super) catalog: Catalog,
    pub(super) runs: Arena<Run>,
    pub(super) register: Register,
    pub(super) by_id: IdMap<RunId, Slot>,
    /// The steps that unfinished tasks perform.
    owners: IdMap<TaskId, Owner>,
    /// The runs to look at.
    pub(super) agenda: BTreeSet<RunId>,
    pub(super) wheel: Wheel<(RunId, u32)>,
    /// Of the ids that the engine makes: the last.
    pub(super) serial: u64,
    /// Unfinished runs that no other run owns.
    active: u32,
    /// Finished runs that no other run owns, the oldest first.
    pub(super) finished: VecDeque<RunId>,
}

impl Book {
    pub(super) fn with(functions: Arc<Functions>) -> Self {
        Self { functions, ..Self::default() }
    }

    pub(super) fn fold(&mut self, entry: &Entry) -> Folded {
        match &entry.event {
            Event::Agent(_) | Event::Control(_) => Ok(()),
            Event::Task(event) => self.fold_task(event, entry.at).map_err(InconsistentEvent),
            Event::Run(event) => self.fold_run(event, (entry.seq, entry.at)).map_err(InconsistentEvent),
        }
    }

    fn fold_task(&mut self, event: &TaskEvent, now: Time) -> Result<(), &'static str> {
        let Some(task) = event.task() else { return Ok(()) };
        if let TaskEvent::Submitted { spec, .. } = event {
            return self.begun(spec, now);
        }
        let Some(&owner) = self.owners.get(&task) else { return Ok(()) };
        if let TaskEvent::CancelRequested { .. } = event {
            return self.with_run(owner.run, |run| run.note_cancelling(owner));
        }
        let Some(end) = end_of(event) else {
            self.used(owner, event);
            return self.committed(owner, event);
        };
        self.owners.remove(&task);
        let before = self.get(owner.run).map(|run| run.standing(owner)).unwrap_or_default();
        self.with_run(owner.run, |run| run.note_end(owner, end))?;
        self.settle_accounts(owner, before);
        Ok(())
    }

    /// What work uses up.
    fn used(&mut self, owner: Owner, event: &TaskEvent) {
        match event {
            TaskEvent::Assigned { to, .. } => self.charge(owner, |run| {
                run.note_attempt(owner, true);
                if owner.phase == Phase::Do {
                    run.note_agent(owner, to.agent());
                }
            }),
            TaskEvent::Yielded { .. } => self.charge(owner, |run| run.note_attempt(owner, false)),
            TaskEvent::Used { attempt, usage, .. } => {
                self.charge(owner, |run| run.note_used(owner, *attempt, *usage));
            }
            TaskEvent::Submitted { .. }
            | TaskEvent::Ready { .. }
            | TaskEvent::Started { .. }
            | TaskEvent::YieldRequested { .. }
            | TaskEvent::AttemptFailed { .. }
            | TaskEvent::Succeeded { .. }
            | TaskEvent::Answered { .. }
            | TaskEvent::CancelRequested { .. }
            | TaskEvent::Cancelled { .. }
            | TaskEvent::Expired { .. }
            | TaskEvent::Discarded { .. }
            | TaskEvent::Prioritised { .. }
            | TaskEvent::Forgotten { .. } => {}
        }
    }

    /// Of a pivot the run must know whether it can still be withdrawn.
    fn committed(&mut self, owner: Owner, event: &TaskEvent) -> Result<(), &'static str> {
        let committed = match event {
            TaskEvent::Assigned { .. } => true,
            TaskEvent::AttemptFailed { maybe, .. } | TaskEvent::Yielded { maybe, .. } => *maybe,
            TaskEvent::Submitted { .. }
            | TaskEvent::Ready { .. }
            | TaskEvent::Started { .. }
            | TaskEvent::YieldRequested { .. }
            | TaskEvent::Used { .. }
            | TaskEvent::Succeeded { .. }
            | TaskEvent::Answered { .. }
            | TaskEvent::CancelRequested { .. }
            | TaskEvent::Cancelled { .. }
            | TaskEvent::Expired { .. }
            | TaskEvent::Discarded { .. }
            | TaskEvent::Prioritised { .. }
            | TaskEvent::Forgotten { .. } => return Ok(()),
        };
        if owner.phase != Phase::Do || !self.get(owner.run).is_some_and(|run| run.is_pivot(owner.node)) {
            return Ok(());
        }
        self.with_run(owner.run, |run| run.note_committed(owner, committed))
    }

    fn begun(&mut self, spec: &TaskSpec, now: Time) -> Result<(), &'static str> {
        let Some(owner) = spec.owner else { return Ok(()) };
        self.note_serial(spec.id.get())?;
        self.owners.insert(spec.id, owner);
        self.with_run(owner.run, |run| run.note_begun(owner, Worker::Task(spec.id), &spec.payload, now))?;
        if let Some(reserved) = &spec.reserved {
            self.charge(owner, |run| run.note_reserved(owner, **reserved));
        }
        self.set_timers(owner.run, owner.node);
        Ok(())
    }

    fn fold_run(&mut self, event: &RunEvent, (seq, now): (Seq, Time)) -> Result<(), &'static str> {
        match event {
            RunEvent::Defined { .. }
            | RunEvent::DefaultSet { .. }
            | RunEvent::Retired { .. }
            | RunEvent::Migrated { .. }
            | RunEvent::Prioritised { .. }
            | RunEvent::Retried { .. }
            | RunEvent::Reset { .. } => self.fold_operation(event),
            RunEvent::Started { spec, version, owner, hash } => self.begin(spec, (*version, *hash), *owner, (seq, now)),
            RunEvent::Forgotten { runs } => runs.iter().try_for_each(|run| self.forget(*run)),
            RunEvent::Opened { run, node, .. } => {
                self.with_run(*run, |run| run.apply(event, now))?;
                self.set_timers(*run, *node);
                Ok(())
            }
            RunEvent::Halted { run, .. } => {
                self.with_run(*run, |run| run.apply(event, now))?;
                self.halted(*run)
            }
            RunEvent::Finished { run, outcome } => {
                self.with_run(*run, |run| run.apply(event, now))?;
                self.ended(*run, outcome)
            }
            RunEvent::SignalMoved { run, from, signal, place } => {
                let mut kept = None;
                self.with_run(*from, |run| run.give_up(signal, *place).map(|payload| kept = Some(payload)))?;
                self.with_run(*run, |run| run.receive(signal, kept.unwrap_or_default(), None, now))
            }
            RunEvent::Resumed { run } => {
                self.with_run(*run, |run| run.apply(event, now))?;
                self.wake_within(*run, Run::wake_all);
                Ok(())
            }
            RunEvent::Signalled { run, signal, payload, until } => {
                self.with_run(*run, |run| run.receive(signal, payload.clone(), *until, now))?;
                self.wake_within(*run, Run::wake_waits);
                Ok(())
            }
            RunEvent::NodeFinished { run, .. } => self.node_finished(*run, event, now),
            RunEvent::Split { run, .. } | RunEvent::PartEnded { run, .. } | RunEvent::WentForward { run, .. } => {
                self.fold_shares(*run, event, now)
            }
            RunEvent::HandlerFired { run, .. }
            | RunEvent::Paused { run, .. }
            | RunEvent::Operated { run, .. }
            | RunEvent::ItemsAdded { run, .. }
            | RunEvent::ItemsClosed { run, .. }
            | RunEvent::ItemsEnough { run, .. }
            | RunEvent::Gathered { run, .. }
            | RunEvent::Refused { run, .. }
            | RunEvent::Exhausted { run, .. }
            | RunEvent::Unresolved { run, .. }
            | RunEvent::Held { run, .. }
            | RunEvent::Updated { run, .. }
            | RunEvent::Reduced { run, .. }
            | RunEvent::Entered { run, .. }
            | RunEvent::Decided { run, .. }
            | RunEvent::Delegated { run, .. }
            | RunEvent::Escalated { run, .. }
            | RunEvent::TurnedBack { run, .. }
            | RunEvent::Unwinding { run, .. }
            | RunEvent::NodeUndone { run, .. }
            | RunEvent::UndoRetried { run, .. } => self.with_run(*run, |run| run.apply(event, now)),
        }
    }

    fn begin(
        &mut self,
        spec: &Arc<RunSpec>,
        (version, hash): (u32, Option<u64>),
        owner: Option<Owner>,
        begun: (Seq, Time),
    ) -> Result<(), &'static str> {
        let plan = self.plan_for(spec, version, owner).ok_or("a run starts of a workflow that is not defined")?;
        if hash.is_some_and(|hash| hash != plan.id.hash) {
            return Err("a run starts of another definition than the one that it is pinned to");
        }
        self.started(Run::new(plan, Arc::clone(spec), owner, begun), begun.1)
    }

    /// Parts of a work are promised shares of budgets, or give them back.
    fn fold_shares(&mut self, id: RunId, event: &RunEvent, now: Time) -> Result<(), &'static str> {
        self.with_run(id, |run| run.apply(event, now))?;
        if let RunEvent::Split { node, .. } = event {
            self.open_shares(id, *node);
        } else if let RunEvent::PartEnded { node, part, .. } = event {
            self.close_share(id, *node, *part);
        } else {
            self.audit_shares(id);
        }
        Ok(())
    }

    fn ended(&mut self, id: RunId, outcome: &RunOutcome) -> Result<(), &'static str> {
        if self.get(id).is_some_and(|run| run.owner.is_none()) {
            self.active = self.active.saturating_sub(1);
            self.finished.push_back(id);
        }
        self.tell_parent(id, |parent, owner| parent.note_end(owner, child_end(outcome, parent.is_undoing(owner))))
    }

    /// A run within that passes its pivot goes forward from there, whatever becomes of the run around it.
    fn node_finished(&mut self, id: RunId, event: &RunEvent, now: Time) -> Result<(), &'static str> {
        let past = |book: &Self| book.get(id).is_some_and(Run::is_past_pivot);
        let before = past(self);
        self.with_run(id, |run| run.apply(event, now))?;
        if let RunEvent::NodeFinished { node, .. } = event {
            self.close_shares(id, *node);
        }
        if !before && past(self) {
            self.tell_parent(id, |parent, owner| parent.note_committed(owner, true))?;
        }
        Ok(())
    }

    /// A run within does not go on: the run around it asked for that, or undoes it.
    fn halted(&mut self, id: RunId) -> Result<(), &'static str> {
        self.tell_parent(id, |parent, owner| {
            if parent.is_undoing(owner) {
                parent.note_undoing(owner, Worker::Child(id))
            } else {
                parent.note_cancelling(owner)
            }
        })
    }

    /// What operators do with definitions and with whole runs.
    fn fold_operation(&mut self, event: &RunEvent) -> Result<(), &'static str> {
        if let RunEvent::Defined { definition } = event {
            let plan = Plan::new(Arc::clone(definition), &self.functions).ok_or("a definition has a cycle")?;
            self.catalog.define(plan);
            return Ok(());
        }
        if let RunEvent::DefaultSet { workflow, version, .. } = event {
            self.catalog.set_default(workflow, *version);
            return Ok(());
        }
        if let RunEvent::Retired { workflow, version, .. } = event {
            return self.catalog.retire(workflow, *version).ok_or("a version is retired that is not defined");
        }
        if let RunEvent::Prioritised { run, tier, .. } = event {
            let family: Vec<RunId> = self.family(*run).iter().map(|run| run.id()).collect();
            return family.into_iter().try_for_each(|run| {
                self.with_run(run, |run| {
                    run.raised = Some(*tier);
                    Ok(())
                })
            });
        }
        if let RunEvent::Retried { run, nodes, .. } = event {
            return self.reopen(*run, |run| run.redo(nodes).ok_or("a run goes on that has not failed"));
        }
        if let RunEvent::Reset { run, nodes, undo, reason } = event {
            return self.reopen(*run, |run| run.reset(nodes, *undo, reason).ok_or("a run is set back that cannot be"));
        }
        self.migrated(event)
    }

    /// A run goes on from where it was, perhaps after its end.
    fn reopen(
        &mut self,
        id: RunId,
        change: impl FnOnce(&mut Run) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        let mut over = false;
        self.with_run(id, |run| {
            over = run.is_finished();
            change(run)
        })?;
        if over {
            self.active = self.active.saturating_add(1);
            self.finished.retain(|other| *other != id);
        }
        self.audit_accounts();
        Ok(())
    }

    fn started(&mut self, run: Run, now: Time) -> Result<(), &'static str> {
        if self.slot(run.id()).is_some() {
            return Err("a run starts twice");
        }
        let (spec, owner) = (Arc::clone(&run.spec), run.owner);
        self.put(run);
        self.open_accounts(spec.id);
        match owner {
            None => self.active = self.active.saturating_add(1),
            Some(owner) => {
                self.note_serial(spec.id.get())?;
                self.with_run(owner.run, |run| run.note_begun(owner, Worker::Child(spec.id), &spec.input, now))?;
                self.set_timers(owner.run, owner.node);
            }
        }
        self.agenda.insert(spec.id);
        self.set_timer(spec.id);
        Ok(())
    }

    /// The moments that a node waits for from now on.
    pub(super) fn set_timers(&mut self, id: RunId, node: u32) {
        let moments = self.get(id).map(|run| run.moments(node)).unwrap_or_default();
        for at in moments {
            self.wheel.insert(at, (id, node));
        }
    }

    /// The moment at which a run's time is over. No node has this place, but the run is looked at.
    pub(super) fn set_timer(&mut self, id: RunId) {
        if let Some(at) = self.get(id).and_then(Run::time_of_run) {
            self.wheel.insert(at, (id, u32::MAX));
        }
    }

    /// The definition that a run is pinned to: one that was defined, or the one inside the step that it performs.
    pub(super) fn plan_for(&self, spec: &RunSpec, version: u32, owner: Option<Owner>) -> Option<Arc<Plan>> {
        match owner {
            Some(owner) if self.get(owner.run)?.call_of(owner).is_none() => {
                self.get(owner.run)?.flow_of(owner).cloned()
            }
            Some(_) | None => self.catalog.get(&spec.workflow, version).cloned(),
        }
    }

    pub(super) fn put(&mut self, run: Run) {
        let id = run.id();
        self.register.enter(&run);
        let slot = self.runs.insert(run);
        self.by_id.insert(id, slot);
    }

    /// Forgets a run and the runs within it.
    fn forget(&mut self, id: RunId) -> Result<(), &'static str> {
        let mut family = vec![id];
        while let Some(id) = family.pop() {
            let slot = self.by_id.remove(&id).ok_or("an unknown run is forgotten")?;
            let run = self.runs.remove(slot).ok_or("an unknown run is forgotten")?;
            if !run.is_finished() {
                return Err("a run is forgotten that has not ended");
            }
            self.close_accounts(id);
            self.register.leave(&run);
            family.extend(run.children());
        }
        match self.finished.front() {
            Some(first) if *first == id => {
                self.finished.pop_front();
            }
            _ => self.finished.retain(|other| *other != id),
        }
        Ok(())
    }

    fn with_run(
        &mut self,
        id: RunId,
        change: impl FnOnce(&mut Run) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        let run = self.slot(id).and_then(|slot| self.runs.get_mut(slot)).ok_or("a fact about an unknown run")?;
        change(run)?;
        self.agenda.insert(id);
        Ok(())
    }

    fn tell_parent(
        &mut self,
        child: RunId,
        tell: impl FnOnce(&mut Run, Owner) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        match self.get(child).and_then(|run| run.owner) {
            Some(owner) => self.with_run(owner.run, |parent| tell(parent, owner)),
            None => Ok(()),
        }
    }

    /// Ids that the engine makes are numbered across tasks and runs.
    fn note_serial(&mut self, id: u64) -> Result<(), &'static str> {
        let serial = id & !TaskId::engine_made(0).get();
        if serial > MOST_IDS {
            return Err("an id is greater than any that an engine can have made");
        }
        self.serial = self.serial.max(serial);
        Ok(())
    }

    /// A task works for another node than it seemed to.
    pub(super) fn set_owner(&mut self, task: TaskId, owner: Owner) {
        if let Some(phase) = self.owners.get(&task).map(|known| known.phase) {
            self.owners.insert(task, Owner { phase, ..owner });
        }
    }

    /// The run that a task works for, while it does.
    pub(super) fn owner(&self, task: TaskId) -> Option<Owner> {
        self.owners.get(&task).copied()
    }

    pub(super) fn slot(&self, id: RunId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get(&self, id: RunId) -> Option<&Run> {
        self.runs.get(self.slot(id)?)
    }

    /// When a finished run was over; when it began, for those of snapshots that do not say.
    pub(super) fn was_over(&self, id: RunId) -> Option<Time> {
        self.get(id).map(|run| run.ended.unwrap_or(run.begun.1))
    }

    pub(super) const fn active(&self) -> u32 {
        self.active
    }

    /// Counts and owners from what the runs say, after a snapshot was read.
    pub(super) fn recount(&mut self) {
        let active = self.runs.iter().filter(|(_, run)| run.owner.is_none() && !run.is_finished()).count();
        self.active = u32::try_from(active).unwrap_or(u32::MAX);
        for (owner, worker) in self.runs.iter().flat_map(|(_, run)| run.workers()) {
            if let Worker::Task(task) = worker {
                self.owners.insert(task, owner);
            }
        }
        let timers: Vec<_> = self.runs.iter().flat_map(|(_, run)| run.timers()).collect();
        for (at, run, node) in timers {
            self.wheel.insert(at, (run, node));
        }
        let ids: Vec<RunId> = self.runs.iter().map(|(_, run)| run.id()).collect();
        ids.into_iter().for_each(|id| self.set_timer(id));
        self.reopen_accounts();
    }

    /// The definition of this name, in this version or the default.
    pub(super) fn plan(&self, name: &Name, version: Option<u32>) -> Option<&Arc<Plan>> {
        match version {
            Some(version) => self.catalog.get(name, version),
            None => self.catalog.default_of(name),
        }
    }
}

/// How the task of a step ended, as the run sees it; none while it has not.
fn end_of(event: &TaskEvent) -> Option<PieceEnd> {
    let trace = |maybe: bool| if maybe { Happened::Maybe } else { Happened::No };
    Some(match event {
        TaskEvent::Succeeded { output, .. } | TaskEvent::Answered { output, .. } => {
            PieceEnd::new(Happened::Yes(output.clone()), None)
        }
        TaskEvent::AttemptFailed { failure, next, maybe, .. } => match next {
            Next::Retry { .. } => return None,
            Next::Fail | Next::DeadLetter => PieceEnd::new(trace(*maybe), Some(failure.clone())),
        },
        TaskEvent::Cancelled { happened, .. } => PieceEnd::cancelled(happened.clone()),
        TaskEvent::Expired { bound, maybe, .. } => {
            let failure = Failure::transient(format!("its time ran out ({bound})"));
            PieceEnd::new(trace(*maybe), Some(failure))
        }
        TaskEvent::Submitted { .. }
        | TaskEvent::Ready { .. }
        | TaskEvent::Assigned { .. }
        | TaskEvent::Started { .. }
        | TaskEvent::YieldRequested { .. }
        | TaskEvent::Yielded { .. }
        | TaskEvent::Used { .. }
        | TaskEvent::CancelRequested { .. }
        | TaskEvent::Discarded { .. }
        | TaskEvent::Prioritised { .. }
        | TaskEvent::Forgotten { .. } => return None,
    })
}
