//! What the engine knows of workflows: the fold of the events of definitions, runs and nodes, and of the tasks that runs own.

use super::accounts::Accounts;
use super::catalog::Catalog;
use super::list::Register;
use crate::event::{
    CatalogueEvent, ControlEvent, Entry, Event, Next, NodeEvent, NodeRef, PartEvent, RunEvent, TaskEvent,
};
use crate::id::{RunId, Seq, TaskId};
use crate::name::Name;
use crate::run::{RunOutcome, RunSpec};
use crate::scheduler::InconsistentEvent;
use crate::structure::{Arena, IdMap, Slot, Wheel};
use crate::task::{Failure, Owner, Phase, SideEffects, TaskSpec};
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
        let folded = match &entry.event {
            Event::Agent { .. } => Ok(()),
            Event::Task { task, event } => self.fold_task(*task, event, entry.at),
            Event::Catalogue(event) => self.fold_catalogue(event),
            Event::Run { run, event } => self.fold_run(*run, event, (entry.seq, entry.at)),
            Event::Node { run, node, event } => self.fold_node(*run, node, event, entry.at),
            Event::Control(ControlEvent::RunsForgotten { runs }) => runs.iter().try_for_each(|run| self.forget(*run)),
            Event::Control(_) => Ok(()),
        };
        folded.map_err(InconsistentEvent)
    }

    fn fold_task(&mut self, task: TaskId, event: &TaskEvent, now: Time) -> Result<(), &'static str> {
        if let TaskEvent::Submitted { spec, .. } = event {
            return self.begun(spec, now);
        }
        let Some(&owner) = self.owners.get(&task) else { return Ok(()) };
        if let TaskEvent::CancelRequested { .. } = event {
            return self.with_run(owner.run, |run| run.note_cancelling(owner));
        }
        let Some(end) = end_of(event) else {
            self.used(owner, task, event);
            return self.committed(owner, event);
        };
        self.owners.remove(&task);
        let before = self.get(owner.run).map(|run| run.standing(owner)).unwrap_or_default();
        self.with_run(owner.run, |run| run.note_end(owner, end))?;
        self.settle_accounts(owner, before);
        Ok(())
    }

    /// What work uses up.
    fn used(&mut self, owner: Owner, task: TaskId, event: &TaskEvent) {
        if let TaskEvent::Assigned { to, .. } = event {
            self.charge(owner, |run| {
                run.note_attempt(owner, true);
                if owner.phase == Phase::Do {
                    run.note_agent(owner, to.agent());
                }
            });
        } else if let TaskEvent::Yielded { .. } = event {
            self.charge(owner, |run| run.note_attempt(owner, false));
        } else if let TaskEvent::Used { attempt, usage, .. } = event {
            self.charge(owner, |run| run.note_used(owner, attempt.of(task), *usage));
        }
    }

    /// Of a pivot the run must know whether it can still be withdrawn.
    fn committed(&mut self, owner: Owner, event: &TaskEvent) -> Result<(), &'static str> {
        let committed = if let TaskEvent::Assigned { .. } = event {
            true
        } else if let TaskEvent::AttemptFailed { outcome_unknown, .. } | TaskEvent::Yielded { outcome_unknown, .. } =
            event
        {
            *outcome_unknown
        } else {
            return Ok(());
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

    fn fold_catalogue(&mut self, event: &CatalogueEvent) -> Result<(), &'static str> {
        match event {
            CatalogueEvent::Defined { definition } => {
                let plan = Plan::new(Arc::clone(definition), &self.functions).ok_or("a definition has a cycle")?;
                self.catalog.define(plan);
                Ok(())
            }
            CatalogueEvent::DefaultSet { workflow, version, .. } => {
                self.catalog.set_default(workflow, *version);
                Ok(())
            }
            CatalogueEvent::Retired { workflow, version, .. } => {
                self.catalog.retire(workflow, *version).ok_or("a version is retired that is not defined")
            }
        }
    }

    fn fold_run(&mut self, id: RunId, event: &RunEvent, (seq, now): (Seq, Time)) -> Result<(), &'static str> {
        match event {
            RunEvent::Started { spec, version, owner, hash } => {
                if spec.id != id {
                    return Err("a run starts under the id of another");
                }
                self.begin(spec, (*version, *hash), *owner, (seq, now))
            }
            RunEvent::Migrated { .. } => self.migrated(id, event),
            RunEvent::Prioritised { .. } => {
                self.get(id).ok_or("an event of an unknown run")?;
                let family: Vec<RunId> = self.family(id).iter().map(|run| run.id()).collect();
                family.into_iter().try_for_each(|run| self.apply(run, event, now))
            }
            RunEvent::Retried { .. } | RunEvent::Reset { .. } => self.reopen(id, event, now),
            RunEvent::SignalMoved { from, signal, index } => {
                let mut kept = None;
                self.with_run(*from, |run| run.give_up(signal, *index).map(|payload| kept = Some(payload)))?;
                self.with_run(id, |run| {
                    run.receive(signal, kept.unwrap_or_default(), None, now);
                    Ok(())
                })
            }
            RunEvent::Signalled { .. } => {
                self.apply(id, event, now)?;
                self.wake_within(id, Run::wake_waits);
                Ok(())
            }
            RunEvent::Resumed => {
                self.apply(id, event, now)?;
                self.wake_within(id, Run::wake_all);
                Ok(())
            }
            RunEvent::Failing { .. } => {
                self.apply(id, event, now)?;
                self.failing(id)
            }
            RunEvent::Restarted { .. } => {
                self.apply(id, event, now)?;
                self.audit_shares(id);
                Ok(())
            }
            RunEvent::Finished { outcome } => {
                self.apply(id, event, now)?;
                self.ended(id, outcome)
            }
            RunEvent::Paused { .. }
            | RunEvent::Updated { .. }
            | RunEvent::Reduced { .. }
            | RunEvent::RolledBack { .. }
            | RunEvent::Compensating { .. } => self.apply(id, event, now),
        }
    }

    fn apply(&mut self, id: RunId, event: &RunEvent, now: Time) -> Result<(), &'static str> {
        self.with_run(id, |run| run.apply(event, now))
    }

    fn fold_node(&mut self, id: RunId, node: &NodeRef, event: &NodeEvent, now: Time) -> Result<(), &'static str> {
        let past = |book: &Self| book.get(id).is_some_and(Run::is_past_pivot);
        let before = past(self);
        self.with_run(id, |run| run.apply_node(node, event, now))?;
        let node = node.index.get();
        if let NodeEvent::Opened { .. } = event {
            self.set_timers(id, node);
        } else if let NodeEvent::Part { event: PartEvent::Split { .. }, .. } = event {
            self.open_shares(id, node);
        } else if let NodeEvent::Part { part, event: PartEvent::Ended { .. } } = event {
            self.close_share(id, node, *part);
        } else if let NodeEvent::Finished { .. } = event {
            self.close_shares(id, node);
            // A child run that passes its pivot goes forward from there, whatever becomes of the run around it.
            if !before && past(self) {
                return self.tell_parent(id, |parent, owner| parent.note_committed(owner, true));
            }
        }
        Ok(())
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

    fn ended(&mut self, id: RunId, outcome: &RunOutcome) -> Result<(), &'static str> {
        if self.get(id).is_some_and(|run| run.owner.is_none()) {
            self.active = self.active.saturating_sub(1);
            self.finished.push_back(id);
        }
        self.tell_parent(id, |parent, owner| parent.note_end(owner, child_end(outcome, parent.is_undoing(owner))))
    }

    /// A child run fails: its parent cancelled it, or compensates it.
    fn failing(&mut self, id: RunId) -> Result<(), &'static str> {
        self.tell_parent(id, |parent, owner| {
            if parent.is_undoing(owner) {
                parent.note_undoing(owner, Worker::Child(id))
            } else {
                parent.note_cancelling(owner)
            }
        })
    }

    /// A run continues from where it was, perhaps after its end.
    fn reopen(&mut self, id: RunId, event: &RunEvent, now: Time) -> Result<(), &'static str> {
        let over = self.get(id).is_some_and(Run::is_finished);
        self.apply(id, event, now)?;
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
        let run = self.slot(id).and_then(|slot| self.runs.get_mut(slot)).ok_or("an event of an unknown run")?;
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
#[expect(clippy::wildcard_enum_match_arm, reason = "most events end nothing")]
fn end_of(event: &TaskEvent) -> Option<PieceEnd> {
    let possible = |unknown: bool| if unknown { SideEffects::Possible } else { SideEffects::None };
    let end = match event {
        TaskEvent::Succeeded { output, .. } | TaskEvent::Answered { output, .. } => {
            PieceEnd::new(SideEffects::Done(output.clone()), None)
        }
        TaskEvent::AttemptFailed { failure, next: Next::Fail | Next::DeadLetter, outcome_unknown, .. } => {
            PieceEnd::new(possible(*outcome_unknown), Some(failure.clone()))
        }
        TaskEvent::Cancelled { side_effects, .. } => PieceEnd::cancelled(side_effects.clone()),
        TaskEvent::Expired { bound, outcome_unknown } => {
            let failure = Failure::transient(format!("its time ran out ({bound})"));
            PieceEnd::new(possible(*outcome_unknown), Some(failure))
        }
        _ => return None,
    };
    Some(end)
}
