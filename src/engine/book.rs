//! What the engine knows of workflows: the fold of the events of definitions, runs and nodes, and of the tasks that runs own.

use super::accounts::Accounts;
use super::catalog::Catalog;
use super::list::Register;
use crate::base::error::RestoreError;
use crate::base::id::{NodeIx, RunId, Seq, TaskId};
use crate::base::name::Name;
use crate::base::structure::{Arena, IdMap, Slot, Wheel};
use crate::base::time::Time;
use crate::message::event::{
    CatalogueEvent, ControlEvent, Entry, Event, Next, NodeEvent, NodeRef, PartEvent, RunEvent, TaskEvent,
};
use crate::message::run::{RunOutcome, RunSpec};
use crate::scheduler::InconsistentEvent;
use crate::task::{Failure, Owner, Phase, SideEffects, TaskSpec};
use crate::workflow::functions::Functions;
use crate::workflow::machine::{Begun, BoundNode, Commitment, Illegal, InstanceEnd, Run, RunInput, WorkInput, Worker};
use crate::workflow::plan::Plan;
use core::fmt;
use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Why an event does not follow from the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inconsistency(Cow<'static, str>);

impl Inconsistency {
    pub(super) fn at(self, seq: Seq) -> RestoreError {
        RestoreError::InconsistentEvent { seq, reason: self.0.into_owned().into() }
    }
}

impl fmt::Display for Inconsistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&'static str> for Inconsistency {
    fn from(reason: &'static str) -> Self {
        Self(Cow::Borrowed(reason))
    }
}

impl From<Illegal> for Inconsistency {
    fn from(illegal: Illegal) -> Self {
        Self(Cow::Owned(illegal.to_string()))
    }
}

impl From<InconsistentEvent> for Inconsistency {
    fn from(InconsistentEvent(reason): InconsistentEvent) -> Self {
        reason.into()
    }
}

pub(super) type Folded = Result<(), Inconsistency>;

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
    pub(super) wheel: Wheel<(RunId, Option<NodeIx>)>,
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
            Event::Agent { .. } => Ok(()),
            Event::Task { task, event } => self.fold_task(*task, event, entry.at),
            Event::Catalogue(event) => self.fold_catalogue(event),
            Event::Run { run, event } => self.fold_run(*run, event, (entry.seq, entry.at)),
            Event::Node { run, node, event } => self.fold_node(*run, node, event, entry.at),
            Event::Control(ControlEvent::RunsForgotten { runs }) => runs.iter().try_for_each(|run| self.forget(*run)),
            Event::Control(_) => Ok(()),
        }
    }

    fn fold_task(&mut self, task: TaskId, event: &TaskEvent, now: Time) -> Folded {
        if let TaskEvent::Submitted { spec, .. } = event {
            return self.submitted(spec, now);
        }
        let Some(&owner) = self.owners.get(&task) else { return Ok(()) };
        if let TaskEvent::CancelRequested { .. } = event {
            return self.work(owner, WorkInput::CancelRequested, now);
        }
        let Some(end) = end_of(event) else {
            self.used(owner, task, event, now)?;
            return self.committed(owner, event, now);
        };
        self.owners.remove(&task);
        self.charge(owner, |book| book.work(owner, WorkInput::Ended(end), now))
    }

    /// What work uses up.
    fn used(&mut self, owner: Owner, task: TaskId, event: &TaskEvent, now: Time) -> Folded {
        let input = if let TaskEvent::Assigned { to, .. } = event {
            WorkInput::Assigned(to.agent())
        } else if let TaskEvent::Yielded { .. } = event {
            WorkInput::Returned
        } else if let TaskEvent::Used { attempt, usage, .. } = event {
            WorkInput::Used { attempt: attempt.of(task), usage: *usage }
        } else {
            return Ok(());
        };
        self.charge(owner, |book| book.work_quietly(owner, input, now))
    }

    /// Whether the task of a pivot can still be withdrawn.
    fn committed(&mut self, owner: Owner, event: &TaskEvent, now: Time) -> Folded {
        let is_committed = if let TaskEvent::Assigned { .. } = event {
            true
        } else if let TaskEvent::AttemptFailed { outcome_unknown, .. } | TaskEvent::Yielded { outcome_unknown, .. } =
            event
        {
            *outcome_unknown
        } else {
            return Ok(());
        };
        let node = self.node_of(owner);
        if owner.phase != Phase::Do || !node.is_some_and(|node| node.definition.pivot) {
            return Ok(());
        }
        let commitment = if is_committed { Commitment::Committed } else { Commitment::Withdrawable };
        self.work(owner, WorkInput::Committed(commitment), now)
    }

    fn submitted(&mut self, spec: &TaskSpec, now: Time) -> Folded {
        let Some(owner) = spec.owner else { return Ok(()) };
        self.count_serial(spec.id.get())?;
        self.owners.insert(spec.id, owner);
        let begun = WorkInput::Begun { worker: Worker::Task(spec.id), input: &spec.payload };
        self.work(owner, begun, now)?;
        if let Some(reserved) = &spec.reserved {
            self.charge(owner, |book| book.work_quietly(owner, WorkInput::Reserved(**reserved), now))?;
        }
        self.set_timers(owner.run, owner.node);
        Ok(())
    }

    fn fold_catalogue(&mut self, event: &CatalogueEvent) -> Folded {
        match event {
            CatalogueEvent::Defined { definition } => {
                let plan = Plan::new(Arc::clone(definition), &self.functions).ok_or("a definition has a cycle")?;
                self.catalog.define(plan);
            }
            CatalogueEvent::DefaultSet { workflow, version, .. } => self.catalog.set_default(workflow, *version),
            CatalogueEvent::Retired { workflow, version, .. } => {
                self.catalog.retire(workflow, *version).ok_or("a version is retired that is not defined")?;
            }
        }
        Ok(())
    }

    fn fold_run(&mut self, id: RunId, event: &RunEvent, (seq, now): (Seq, Time)) -> Folded {
        match event {
            RunEvent::Started { spec, version, owner, hash } => {
                if spec.id != id {
                    return Err("a run starts under the id of another".into());
                }
                return self.begin(spec, (*version, *hash), *owner, Begun { seq, at: now });
            }
            RunEvent::Migrated { .. } => return self.migrated(id, event),
            RunEvent::Prioritised { .. } => {
                self.get(id).ok_or("an event of an unknown run")?;
                let family: Vec<RunId> = self.family(id).iter().map(|run| run.id()).collect();
                return family.into_iter().try_for_each(|run| self.apply(run, RunInput::Event(event), now));
            }
            RunEvent::Retried { .. } | RunEvent::Reset { .. } => return self.reopen(id, event, now),
            RunEvent::SignalMoved { from, signal, index } => return self.move_signal(id, *from, (signal, *index), now),
            RunEvent::Signalled { .. }
            | RunEvent::Paused { .. }
            | RunEvent::Resumed
            | RunEvent::Updated { .. }
            | RunEvent::Reduced { .. }
            | RunEvent::Failing { .. }
            | RunEvent::RolledBack { .. }
            | RunEvent::Compensating { .. }
            | RunEvent::Restarted { .. }
            | RunEvent::Finished { .. } => self.apply(id, RunInput::Event(event), now)?,
        }
        if let RunEvent::Signalled { .. } = event {
            self.wake_within(id, Run::wake_listening);
        } else if let RunEvent::Resumed = event {
            self.wake_within(id, Run::wake_all);
        } else if let RunEvent::Failing { .. } = event {
            self.tell_parent(id, WorkInput::ChildFailing(id), now)?;
        } else if let RunEvent::Restarted { .. } = event {
            self.audit_shares(id);
        } else if let RunEvent::Finished { outcome } = event {
            self.ended(id, outcome, now)?;
        }
        Ok(())
    }

    /// A signal that a run kept is taken over by a child run.
    fn move_signal(&mut self, id: RunId, from: RunId, (signal, index): (&Name, u32), now: Time) -> Folded {
        let kept = self.get(from).and_then(|run| run.signals().get(signal, index)).cloned();
        let payload = kept.ok_or("a signal is moved that is not kept")?;
        self.apply(from, RunInput::SignalGiven { signal, index }, now)?;
        self.apply(id, RunInput::SignalTaken { signal, payload }, now)
    }

    fn fold_node(&mut self, id: RunId, node: &NodeRef, event: &NodeEvent, now: Time) -> Folded {
        let has_passed_pivot = |book: &Self| book.get(id).is_some_and(|run| run.rollback().has_passed_pivot());
        let before = has_passed_pivot(self);
        self.apply(id, RunInput::Node(node, event), now)?;
        let ix = node.index;
        if let NodeEvent::Opened { .. } = event {
            self.set_timers(id, ix);
        } else if let NodeEvent::Part { event: PartEvent::Split { .. }, .. } = event {
            self.open_shares(id, ix);
        } else if let NodeEvent::Part { part, event: PartEvent::Ended { .. } } = event {
            self.close_share(id, ix, *part);
        } else if let NodeEvent::Finished { .. } = event {
            self.close_shares(id, ix);
            // A child run that passes its pivot goes forward from there, whatever becomes of its parent run.
            if !before && has_passed_pivot(self) {
                return self.tell_parent(id, WorkInput::Committed(Commitment::Committed), now);
            }
        }
        Ok(())
    }

    fn begin(
        &mut self,
        spec: &Arc<RunSpec>,
        (version, hash): (u32, Option<u64>),
        owner: Option<Owner>,
        begun: Begun,
    ) -> Folded {
        let plan = self.plan_for(spec, version, owner).ok_or("a run starts of a workflow that is not defined")?;
        if hash.is_some_and(|hash| hash != plan.id.hash) {
            return Err("a run starts of another definition than the one that it is pinned to".into());
        }
        self.started(Run::new(plan, Arc::clone(spec), owner, begun), begun.at)
    }

    fn ended(&mut self, id: RunId, outcome: &RunOutcome, now: Time) -> Folded {
        if self.get(id).is_some_and(|run| run.owner.is_none()) {
            self.active = self.active.saturating_sub(1);
            self.finished.push_back(id);
        }
        self.tell_parent(id, WorkInput::ChildEnded(outcome), now)
    }

    /// A run continues from where it was, perhaps after its end.
    fn reopen(&mut self, id: RunId, event: &RunEvent, now: Time) -> Folded {
        let over = self.get(id).is_some_and(Run::is_finished);
        self.apply(id, RunInput::Event(event), now)?;
        if over {
            self.active = self.active.saturating_add(1);
            self.finished.retain(|other| *other != id);
        }
        self.audit_accounts();
        Ok(())
    }

    fn started(&mut self, run: Run, now: Time) -> Folded {
        if self.slot(run.id()).is_some() {
            return Err("a run starts twice".into());
        }
        let (spec, owner) = (Arc::clone(&run.spec), run.owner);
        self.put(run);
        self.open_accounts(spec.id);
        match owner {
            None => self.active = self.active.saturating_add(1),
            Some(owner) => {
                self.count_serial(spec.id.get())?;
                self.work(owner, WorkInput::Begun { worker: Worker::Child(spec.id), input: &spec.input }, now)?;
                self.set_timers(owner.run, owner.node);
            }
        }
        self.agenda.insert(spec.id);
        self.set_timer(spec.id);
        Ok(())
    }

    /// The times that a node waits for from now on.
    pub(super) fn set_timers(&mut self, id: RunId, node: NodeIx) {
        let times = self.get(id).map(|run| run.times(node)).unwrap_or_default();
        for at in times {
            self.wheel.insert(at, (id, Some(node)));
        }
    }

    /// The time at which a run's bounded time is over.
    pub(super) fn set_timer(&mut self, id: RunId) {
        if let Some(at) = self.get(id).and_then(Run::time_limit) {
            self.wheel.insert(at, (id, None));
        }
    }

    /// The definition that a run is pinned to: one that was defined, or the one inside the step that it performs.
    pub(super) fn plan_for(&self, spec: &RunSpec, version: u32, owner: Option<Owner>) -> Option<Arc<Plan>> {
        let Some(owner) = owner else { return self.catalog.get(&spec.workflow, version).cloned() };
        match self.node_of(owner)?.work_of(owner.item)?.call {
            Some(_) => self.catalog.get(&spec.workflow, version).cloned(),
            None => self.child_plan(owner),
        }
    }

    /// The workflow inside a step.
    pub(super) fn child_plan(&self, owner: Owner) -> Option<Arc<Plan>> {
        self.node_of(owner)?.work_of(owner.item)?.child.clone()
    }

    pub(super) fn put(&mut self, run: Run) {
        let id = run.id();
        self.register.enter(&run);
        let slot = self.runs.insert(run);
        self.by_id.insert(id, slot);
    }

    /// Forgets a run and the runs within it.
    fn forget(&mut self, id: RunId) -> Folded {
        let mut family = vec![id];
        while let Some(id) = family.pop() {
            let slot = self.by_id.remove(&id).ok_or("an unknown run is forgotten")?;
            let run = self.runs.remove(slot).ok_or("an unknown run is forgotten")?;
            if !run.is_finished() {
                return Err("a run is forgotten that has not ended".into());
            }
            self.close_accounts(id);
            self.register.leave(&run);
            family.extend(run.workforce().children());
        }
        match self.finished.front() {
            Some(first) if *first == id => {
                self.finished.pop_front();
            }
            _ => self.finished.retain(|other| *other != id),
        }
        Ok(())
    }

    /// Applies an input to a run, which is looked at then.
    fn apply(&mut self, id: RunId, input: RunInput<'_>, now: Time) -> Folded {
        self.get_mut(id).ok_or("an event of an unknown run")?.apply(input, now)?;
        self.agenda.insert(id);
        Ok(())
    }

    /// Something happened to a task or child run.
    fn work(&mut self, owner: Owner, input: WorkInput<'_>, now: Time) -> Folded {
        self.apply(owner.run, RunInput::Work(owner, input), now)
    }

    /// Something happened to a task that gives its run nothing to do.
    fn work_quietly(&mut self, owner: Owner, input: WorkInput<'_>, now: Time) -> Folded {
        let run = self.get_mut(owner.run).ok_or("an event of an unknown run")?;
        Ok(run.apply(RunInput::Work(owner, input), now)?)
    }

    /// Something happened to a child run.
    fn tell_parent(&mut self, child: RunId, input: WorkInput<'_>, now: Time) -> Folded {
        match self.get(child).and_then(|run| run.owner) {
            Some(owner) => self.work(owner, input, now),
            None => Ok(()),
        }
    }

    /// Ids that the engine makes are numbered across tasks and runs.
    fn count_serial(&mut self, id: u64) -> Folded {
        let serial = id & !TaskId::engine_made(0).get();
        if serial > MOST_IDS {
            return Err("an id is greater than any that an engine can have made".into());
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

    pub(super) fn get_mut(&mut self, id: RunId) -> Option<&mut Run> {
        let slot = self.slot(id)?;
        self.runs.get_mut(slot)
    }

    pub(super) fn get(&self, id: RunId) -> Option<&Run> {
        self.runs.get(self.slot(id)?)
    }

    /// The node that a task or child run works for.
    pub(super) fn node_of(&self, owner: Owner) -> Option<BoundNode<'_>> {
        self.get(owner.run)?.graph().node(owner.node)
    }

    /// When a finished run was over; when it began, for those of snapshots that do not say.
    pub(super) fn was_over(&self, id: RunId) -> Option<Time> {
        self.get(id).map(|run| run.course().ended().unwrap_or(run.begun.at))
    }

    pub(super) const fn active(&self) -> u32 {
        self.active
    }

    /// Counts and owners from what the runs say, after a snapshot was read.
    pub(super) fn recount(&mut self) {
        let active = self.runs.iter().filter(|(_, run)| run.owner.is_none() && !run.is_finished()).count();
        self.active = u32::try_from(active).unwrap_or(u32::MAX);
        for (owner, worker) in self.runs.iter().flat_map(|(_, run)| run.workforce().active()) {
            if let Worker::Task(task) = worker {
                self.owners.insert(task, owner);
            }
        }
        for (_, run) in self.runs.iter() {
            for (at, node) in run.timers() {
                self.wheel.insert(at, (run.id(), Some(node)));
            }
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
fn end_of(event: &TaskEvent) -> Option<InstanceEnd> {
    let possible = |unknown: bool| if unknown { SideEffects::Possible } else { SideEffects::None };
    let end = match event {
        TaskEvent::Succeeded { output, .. } | TaskEvent::Answered { output, .. } => {
            InstanceEnd::succeeded(SideEffects::Done(output.clone()))
        }
        TaskEvent::AttemptFailed { failure, next: Next::Fail | Next::DeadLetter, outcome_unknown, .. } => {
            InstanceEnd::failed(possible(*outcome_unknown), failure.clone())
        }
        TaskEvent::Cancelled { side_effects, .. } => InstanceEnd::cancelled(side_effects.clone()),
        TaskEvent::Expired { bound, outcome_unknown } => {
            let failure = Failure::transient(format!("its time ran out ({bound})"));
            InstanceEnd::failed(possible(*outcome_unknown), failure)
        }
        _ => return None,
    };
    Some(end)
}
