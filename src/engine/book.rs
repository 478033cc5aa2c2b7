//! The workflow state of the engine: the fold of the events of definitions, runs and nodes, and of the tasks of runs.

use super::accounts::Accounts;
use super::active::Active;
use super::again::{continued, forget_family};
use super::catalog::Catalog;
use super::runs::{Runs, Wake};
use super::schedules::Schedules;
use super::send::receive;
use crate::base::error::RestoreError;
use crate::base::id::{IdForm, RunId, Seq, TaskId, serial_of};
use crate::base::name::Name;
use crate::base::structure::IdMap;
use crate::base::time::Time;
use crate::definition::{Definition, DefinitionId};
use crate::message::event::{
    CatalogueEvent, ControlEvent, Entry, Event, Next, NodeEvent, NodeRef, PartEvent, RunEvent, TaskEvent,
};
use crate::message::run::{Cause, RunOutcome, RunSpec};
use crate::scheduler::{Config, InconsistentEvent};
use crate::task::{Failure, Owner, Phase, SideEffects, TaskSpec};
use crate::workflow::functions::Functions;
use crate::workflow::machine::{Begun, Commitment, Illegal, InstanceEnd, Run, RunInput, WorkInput, Worker};
use crate::workflow::plan::Plan;
use core::fmt;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

/// The reason for which the state does not allow an event.
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

impl From<String> for Inconsistency {
    fn from(reason: String) -> Self {
        Self(Cow::Owned(reason))
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

pub(super) const UNKNOWN_RUN: &str = "an event of an unknown run";

/// A bound on the ids that an engine creates: at a million per second it lasts for 17 years. An id has room for as many
/// again.
pub(super) const MOST_IDS: u64 = u64::MAX >> 15;

/// Definitions and runs.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// The accounts of budgets.
    pub(super) accounts: Accounts,
    /// The predicates and reducers of the host.
    pub(super) functions: Arc<Functions>,
    pub(super) catalog: Catalog,
    /// A definition whose id, a hash of all of it, was computed when its event was decided.
    pub(super) identified: Option<(Arc<Definition>, DefinitionId)>,
    pub(super) runs: Runs,
    pub(super) schedules: Schedules,
    /// The owners of unfinished tasks.
    owners: IdMap<TaskId, Owner>,
    /// The owner of the task that was submitted last, which is mostly assigned next, or of one that an agent has ended.
    last: Option<(TaskId, Owner)>,
    /// The serial number of the last id that the engine created.
    pub(super) serial: u64,
    /// How the ids that the engine creates begin.
    pub(super) ids: IdForm,
    /// The unfinished runs without a parent run.
    pub(super) active: Active,
    /// Finished runs without a parent run, the oldest first.
    pub(super) finished: VecDeque<RunId>,
}

impl Book {
    pub(super) fn with(config: &Config) -> Self {
        Self { functions: Arc::clone(config.functions()), ids: config.ids(), ..Self::default() }
    }

    pub(super) fn fold(&mut self, entry: &Entry) -> Folded {
        match &entry.event {
            Event::Agent { .. } => Ok(()),
            Event::Task { task, event } => self.fold_task(*task, event, entry.at),
            Event::Catalogue(event) => self.fold_catalogue(event),
            Event::Run { run, event } => self.fold_run(*run, event, (entry.seq, entry.at)),
            Event::Node { run, node, event } => self.fold_node(*run, node, event, entry.at),
            Event::Schedule { schedule, event } => self.schedules.fold(schedule, event, entry.at),
            Event::Control(ControlEvent::RunsForgotten { runs }) => runs.iter().try_for_each(|run| self.forget(*run)),
            Event::Control(_) => Ok(()),
        }
    }

    fn fold_task(&mut self, task: TaskId, event: &TaskEvent, now: Time) -> Folded {
        if let TaskEvent::Submitted { spec, .. } = event {
            return self.submitted(spec, now);
        }
        let Some(owner) = self.owner(task) else { return Ok(()) };
        if let TaskEvent::CancelRequested { .. } = event {
            return self.work(owner, WorkInput::CancelRequested, now);
        }
        let Some(end) = end_of(event) else {
            self.used(owner, task, event, now)?;
            return self.committed(owner, event, now);
        };
        self.owners.remove(&task);
        self.last = None;
        self.charge(owner, |book| book.work(owner, WorkInput::Ended(end), now))
    }

    /// Applies an event that changes the usage of a run's task.
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

    /// Updates whether the task of a pivot can still be withdrawn.
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
        let node = self.runs.node_of(owner);
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
        self.last = Some((spec.id, owner));
        let begun = WorkInput::Begun { worker: Worker::Task(spec.id), input: &spec.payload };
        self.work(owner, begun, now)?;
        if let Some(reserved) = &spec.reserved {
            self.charge(owner, |book| book.work_quietly(owner, WorkInput::Reserved(**reserved), now))?;
        }
        self.runs.set_timers(owner.run, owner.node);
        Ok(())
    }

    fn fold_catalogue(&mut self, event: &CatalogueEvent) -> Folded {
        match event {
            CatalogueEvent::Defined { definition } => self.offer(definition)?,
            CatalogueEvent::Redefined { definition, .. } => {
                let known = self.catalog.get(&definition.name, definition.version);
                let known = known.ok_or("a definition takes the place of an unknown one")?;
                if !known.definition.is_compatible_with(definition) {
                    return Err("a definition takes the place of one with another meaning".into());
                }
                self.offer(definition)?;
            }
            CatalogueEvent::DefaultSet { workflow, version, .. } => self.catalog.set_default(workflow, *version),
            CatalogueEvent::Retired { workflow, version, .. } => {
                self.catalog.retire(workflow, *version).ok_or("a retired version is not defined")?;
            }
        }
        Ok(())
    }

    /// New runs can follow the definition.
    fn offer(&mut self, definition: &Arc<Definition>) -> Folded {
        let known = self.identified.take().filter(|(known, _)| Arc::ptr_eq(known, definition));
        let id = known.map_or_else(|| definition.id(), |(_, id)| id);
        let plan = Plan::with_id(Arc::clone(definition), id, &self.functions);
        self.catalog.define(plan.ok_or("a definition has a cycle")?);
        Ok(())
    }

    fn fold_run(&mut self, id: RunId, event: &RunEvent, (seq, now): (Seq, Time)) -> Folded {
        match event {
            RunEvent::Started { spec, version, owner, hash } => {
                if spec.id != id {
                    return Err("the event of a run's start has another id than its spec".into());
                }
                return self.begin(spec, (*version, *hash), *owner, Begun { seq, at: now });
            }
            RunEvent::Migrated { .. } => {
                self.migrated(id, event)?;
                self.schedules.run_changed(self.runs.get(id));
                return Ok(());
            }
            RunEvent::Prioritised { .. } => {
                self.runs.get(id).ok_or("the run of an event is unknown")?;
                let family: Vec<RunId> = self.runs.family(id).iter().map(|run| run.id()).collect();
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
            self.runs.wake_descendants(id, Wake::Listening);
        } else if let RunEvent::Paused { .. } = event {
            self.runs.note_paused(id);
        } else if let RunEvent::Resumed = event {
            self.runs.note_paused(id);
            self.runs.wake_descendants(id, Wake::All);
        } else if let RunEvent::Failing { .. } = event {
            self.apply_to_parent(id, WorkInput::ChildFailing(id), now)?;
        } else if let RunEvent::Restarted { .. } = event {
            self.audit_shares(id)?;
            self.schedules.run_changed(self.runs.get(id));
        } else if let RunEvent::Finished { outcome } = event {
            self.ended(id, outcome, now)?;
        }
        Ok(())
    }

    /// Moves a kept signal from a run to a descendant run.
    fn move_signal(&mut self, id: RunId, from: RunId, (signal, index): (&Name, u32), now: Time) -> Folded {
        let kept = self.runs.get(from).and_then(|run| run.signals().get(signal, index)).cloned();
        let payload = kept.ok_or("a moved signal is not kept by its run")?;
        self.apply(from, RunInput::SignalGiven { signal, index }, now)?;
        self.apply(id, RunInput::SignalTaken { signal, payload }, now)
    }

    fn fold_node(&mut self, id: RunId, node: &NodeRef, event: &NodeEvent, now: Time) -> Folded {
        let ix = node.index;
        if let NodeEvent::Finished { .. } = event {
            self.apply_passing(id, node, event, now)?;
            return self.close_shares(id, ix);
        }
        if let NodeEvent::Called { .. } = event {
            return self.apply_passing(id, node, event, now);
        }
        if let NodeEvent::Continued { .. } = event {
            return continued(self, id, (node, event), now);
        }
        self.apply(id, RunInput::Node(node, event), now)?;
        if let NodeEvent::Opened { .. } | NodeEvent::Retrying { .. } = event {
            self.runs.set_timers(id, ix);
        } else if let NodeEvent::Part { event: PartEvent::Split { .. }, .. } = event {
            self.open_shares(id, ix)?;
        } else if let NodeEvent::Part { part, event: PartEvent::Ended { .. } } = event {
            self.close_share(id, ix, *part)?;
        } else if let NodeEvent::Sent { signal, payload, to, .. } = event {
            to.iter().try_for_each(|run| receive(self, *run, (signal, payload), now))?;
        }
        Ok(())
    }

    /// Applies an event with which a run may pass its pivot.
    fn apply_passing(&mut self, id: RunId, node: &NodeRef, event: &NodeEvent, now: Time) -> Folded {
        let has_passed_pivot = |run: &Run| run.rollback().has_passed_pivot();
        let run = self.runs.get_mut(id).ok_or(UNKNOWN_RUN)?;
        let before = has_passed_pivot(run);
        run.apply(RunInput::Node(node, event), now)?;
        let passes = !before && has_passed_pivot(run);
        self.runs.schedule(id);
        // A child run that has passed its pivot goes forward, even if its parent run fails.
        if passes { self.apply_to_parent(id, WorkInput::Committed(Commitment::Committed), now) } else { Ok(()) }
    }

    fn begin(
        &mut self,
        spec: &Arc<RunSpec>,
        (version, hash): (u32, Option<u64>),
        owner: Option<Owner>,
        begun: Begun,
    ) -> Folded {
        let plan = self.plan_for(spec, version, owner).ok_or("the definition of a started run is not defined")?;
        if hash.is_some_and(|hash| hash != plan.id.hash) {
            return Err("the hash of a started run differs from that of its definition".into());
        }
        self.started(Run::new(plan, Arc::clone(spec), owner, begun), begun.at)
    }

    fn ended(&mut self, id: RunId, outcome: &RunOutcome, now: Time) -> Folded {
        if let Some(run) = self.runs.get(id).filter(|run| run.owner.is_none()) {
            self.active.remove(&run.spec)?;
            self.finished.push_back(id);
            if let Some(firing) = run.spec.firing() {
                let has_failed = !matches!(outcome.cause(), None | Some(Cause::Cancelled { .. }));
                self.schedules.run_ended(firing, id, has_failed);
            }
        }
        self.apply_to_parent(id, WorkInput::ChildEnded(outcome), now)
    }

    /// Continues a run after a retry or a reset, also if it has ended.
    fn reopen(&mut self, id: RunId, event: &RunEvent, now: Time) -> Folded {
        let over = self.runs.get(id).is_some_and(Run::is_finished);
        self.apply(id, RunInput::Event(event), now)?;
        if over && let Some(run) = self.runs.get(id) {
            self.active.add(&run.spec)?;
            self.finished.retain(|other| *other != id);
        }
        self.schedules.run_changed(self.runs.get(id));
        self.audit_accounts()
    }

    fn started(&mut self, run: Run, now: Time) -> Folded {
        if self.runs.get(run.id()).is_some() {
            return Err("a started run is known already".into());
        }
        let (spec, owner) = (Arc::clone(&run.spec), run.owner);
        self.runs.insert(run);
        self.open_accounts(spec.id)?;
        if let Some(firing) = spec.firing() {
            self.schedules.run_started(firing, spec.id)?;
        }
        match owner {
            None => self.active.add(&spec)?,
            Some(owner) => {
                self.count_serial(spec.id.get())?;
                self.work(owner, WorkInput::Begun { worker: Worker::Child(spec.id), input: &spec.input }, now)?;
                self.runs.set_timers(owner.run, owner.node);
            }
        }
        self.runs.schedule(spec.id);
        self.runs.set_timer(spec.id);
        Ok(())
    }

    /// The plan that a run is pinned to: that of a defined version, or the inline one of its parent's node.
    pub(super) fn plan_for(&self, spec: &RunSpec, version: u32, owner: Option<Owner>) -> Option<Arc<Plan>> {
        let Some(owner) = owner else { return self.catalog.get(&spec.workflow, version).cloned() };
        match self.runs.node_of(owner)?.work_of(owner.item)?.call {
            Some(_) => self.catalog.get(&spec.workflow, version).cloned(),
            None => self.child_plan(owner),
        }
    }

    /// The inline plan of the node that a child run works for.
    pub(super) fn child_plan(&self, owner: Owner) -> Option<Arc<Plan>> {
        self.runs.node_of(owner)?.work_of(owner.item)?.child.clone()
    }

    /// Forgets a run without a parent run and its descendants.
    fn forget(&mut self, id: RunId) -> Folded {
        forget_family(self, id)?;
        match self.finished.front() {
            Some(first) if *first == id => {
                self.finished.pop_front();
            }
            _ => self.finished.retain(|other| *other != id),
        }
        Ok(())
    }

    /// Applies an input to a run, and schedules its next move.
    pub(super) fn apply(&mut self, id: RunId, input: RunInput<'_>, now: Time) -> Folded {
        self.runs.get_mut(id).ok_or(UNKNOWN_RUN)?.apply(input, now)?;
        self.runs.schedule(id);
        Ok(())
    }

    /// Applies a change of a task or child run to the run that owns it.
    fn work(&mut self, owner: Owner, input: WorkInput<'_>, now: Time) -> Folded {
        self.apply(owner.run, RunInput::Work(owner, input), now)
    }

    /// Applies a change of a task that cannot cause a move of its run.
    fn work_quietly(&mut self, owner: Owner, input: WorkInput<'_>, now: Time) -> Folded {
        let run = self.runs.get_mut(owner.run).ok_or(UNKNOWN_RUN)?;
        Ok(run.apply(RunInput::Work(owner, input), now)?)
    }

    /// Applies a change of a child run to its parent run, if it has one.
    fn apply_to_parent(&mut self, child: RunId, input: WorkInput<'_>, now: Time) -> Folded {
        match self.runs.get(child).and_then(|run| run.owner) {
            Some(owner) => self.work(owner, input, now),
            None => Ok(()),
        }
    }

    /// Updates the serial number for an id that the engine created. Tasks and runs share the numbers.
    fn count_serial(&mut self, id: u64) -> Folded {
        let serial = serial_of(id).filter(|serial| *serial <= MOST_IDS);
        let serial = serial.ok_or("an id of the engine exceeds the largest serial number")?;
        self.serial = self.serial.max(serial);
        Ok(())
    }

    /// Changes the owner of a task whose node has moved.
    pub(super) fn set_owner(&mut self, task: TaskId, owner: Owner) {
        if let Some(phase) = self.owners.get(&task).map(|known| known.phase) {
            self.owners.insert(task, Owner { phase, ..owner });
            self.last = None;
        }
    }

    /// The owner of an unfinished task.
    pub(super) fn owner(&self, task: TaskId) -> Option<Owner> {
        match self.last {
            Some((last, owner)) if last == task => Some(owner),
            Some(_) | None => self.owners.get(&task).copied(),
        }
    }

    /// The unfinished runs without a parent run, counted.
    pub(super) fn counted(&self) -> Result<Active, Inconsistency> {
        let mut active = Active::default();
        let mut unfinished = self.runs.iter().filter(|run| run.owner.is_none() && !run.is_finished());
        unfinished.try_for_each(|run| active.add(&run.spec))?;
        Ok(active)
    }

    /// Computes counts, owners, timers and accounts from the runs of a snapshot.
    pub(super) fn recount(&mut self) -> Folded {
        self.active = self.counted()?;
        for (owner, worker) in self.runs.iter().flat_map(|run| run.workforce().active()) {
            if let Worker::Task(task) = worker {
                self.owners.insert(task, owner);
            }
        }
        self.runs.set_all_timers();
        self.reopen_accounts()
    }

    /// The plan of the definition with this name, in this version or the default one.
    pub(super) fn plan(&self, name: &Name, version: Option<u32>) -> Option<&Arc<Plan>> {
        match version {
            Some(version) => self.catalog.get(name, version),
            None => self.catalog.default_of(name),
        }
    }
}

/// The owner of an unfinished task, which is asked for again in the same call.
pub(super) fn recall_owner(book: &mut Book, task: TaskId) -> Option<Owner> {
    let owner = book.owner(task)?;
    book.last = Some((task, owner));
    Some(owner)
}

/// The end of a task for the run that owns it, if the event ends the task.
#[expect(clippy::wildcard_enum_match_arm, reason = "most events end nothing")]
fn end_of(event: &TaskEvent) -> Option<InstanceEnd> {
    let possible = |unknown: bool| if unknown { SideEffects::Possible } else { SideEffects::None };
    let end = match event {
        TaskEvent::Succeeded { output, .. } | TaskEvent::Answered { output, .. } => {
            InstanceEnd::succeeded(SideEffects::Done(output.clone()))
        }
        TaskEvent::AttemptFailed { failure, next: Next::Fail | Next::DeadLetter, outcome_unknown, .. } => {
            InstanceEnd::failed(possible(*outcome_unknown), (**failure).clone())
        }
        TaskEvent::Cancelled { side_effects, .. } => InstanceEnd::cancelled(side_effects.clone()),
        TaskEvent::Expired { bound, outcome_unknown } => {
            let failure = Failure::transient(format!("the task expired ({bound})")).with_code(bound.code());
            InstanceEnd::failed(possible(*outcome_unknown), failure)
        }
        _ => return None,
    };
    Some(end)
}
