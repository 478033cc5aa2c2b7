//! Commands about workflows and runs.

use super::book::Book;
use super::decide::Decider;
use super::drive::Driver;
use crate::base::id::RunId;
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::message::command::{Accepted, RunCommand, TaskCommand};
use crate::message::event::{MapEvent, NodeEvent, RunEvent};
use crate::message::rejected::{Conflict, Invalid, Misuse, Overload, Rejected, Unknown, WrongState};
use crate::message::run::{Cause, CompensationOutcome, CompensationRemedy, RunPhase, RunSpec};
use crate::scheduler::{Tx, bounded, fits, named};
use crate::workflow::machine::{NoUpdate, NodeState, Run};
use std::sync::Arc;

/// What a run does with a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reception {
    /// It keeps the signal until a node consumes it, at the latest until a time.
    Kept { until: Option<Time> },
    /// No node waits for it, and the run does not keep it.
    Dropped,
}

type Verdict = Result<Accepted, Rejected>;

/// What a run does with a signal.
///
/// # Errors
///
/// The run cannot receive it.
pub(super) fn reception(
    driver: &Driver,
    id: RunId,
    (signal, payload): (&Name, &Payload),
    tx: &Tx<'_>,
) -> Result<Reception, Rejected> {
    let limits = driver.core.config().limits();
    let run = driver.running(id)?;
    let (mut all, mut same) = (0, 0);
    for (name, kept) in run.signals().counts(tx.now) {
        all += kept;
        same += if name == signal { kept } else { 0 };
    }
    if all >= limits.runs.signals as usize {
        return Err(at_limit("signals", limits.runs.signals));
    }
    let rule = run.plan().definition.signal_rule(signal);
    if let Some(most) = rule.and_then(|rule| rule.max_kept)
        && same >= most as usize
    {
        return Err(at_limit(signal, most));
    }
    let transient = rule.is_some_and(|rule| rule.transient);
    tx.meter.begin_evaluation(limits.evaluation());
    if transient && !driver.book.runs.has_waiting_node(id, (signal, payload), limits, &tx.meter) {
        return panicked(run).map_or(Ok(Reception::Dropped), Err);
    }
    Ok(Reception::Kept { until: run.plan().definition.kept_until(signal, tx.now) })
}

impl Driver {
    pub(super) fn run(&mut self, command: RunCommand, tx: &mut Tx<'_>) -> Verdict {
        match command {
            RunCommand::Define(definition) => self.define(definition, tx),
            RunCommand::SetDefault { workflow, version, reason } => self.set_default(workflow, version, reason, tx),
            RunCommand::Retire { workflow, version, reason } => self.retire_version(workflow, version, reason, tx),
            RunCommand::Start(spec) => self.start(spec, tx),
            RunCommand::Signal { run, signal, payload } => self.signal(run, signal, payload, tx),
            RunCommand::Update { run, variable, value } => self.update(run, variable, value, tx),
            RunCommand::Pause { run, reason } => self.pause(run, reason, tx),
            RunCommand::Resume { run } => self.resume_run(run, tx),
            RunCommand::Prioritise { run, tier, reason } => self.prioritise(run, tier, reason, tx),
            RunCommand::Retry { run, node, reason } => self.retry(run, node, reason, tx),
            RunCommand::Reset { run, to, undo, reason } => self.reset(run, &to, undo, reason, tx),
            RunCommand::Migrate { run, migration, reason } => self.migrate(run, &migration, reason, tx),
            RunCommand::Operate { run, node, remedy } => self.operate(run, node, remedy, tx),
            RunCommand::Add { run, node, items } => self.add(run, node, items, tx),
            RunCommand::Close { run, node } => self.close(run, node, tx),
            RunCommand::Decide { run, node, by, roles, option, note } => {
                self.decide((run, node), &Decider { by, roles }, option, note, tx)
            }
            RunCommand::Delegate { run, node, by, roles, to } => {
                self.delegate((run, node), &Decider { by, roles }, to, tx)
            }
            RunCommand::Cancel { run, reason } => self.cancel_run(run, reason, false, tx),
            RunCommand::Abort { run, reason } => self.cancel_run(run, reason, true, tx),
            RunCommand::Remedy { run, node, remedy } => self.remedy(run, node, remedy, tx),
        }
    }

    /// A task of a run can be cancelled only by its run, which has to handle the consequences.
    pub(super) fn task(&mut self, command: TaskCommand, tx: &mut Tx<'_>) -> Verdict {
        if let TaskCommand::Cancel { task, .. } = &command
            && let Some(owner) = self.book.owner(*task)
        {
            return Err(Rejected::Misuse(Misuse::TaskOfRun { task: *task, run: owner.run }));
        }
        self.core.task(command, tx)
    }

    fn start(&mut self, spec: RunSpec, tx: &mut Tx<'_>) -> Verdict {
        if spec.id.is_engine_made() {
            return Err(Rejected::Invalid(Invalid::ReservedId(spec.id.get())));
        }
        if let Some(known) = self.book.runs.get(spec.id) {
            return started_before(known, spec);
        }
        if spec.origin.is_of_engine() || spec.firing.is_some() {
            return Err(Rejected::Misuse(Misuse::ForeignOrigin(spec.id)));
        }
        let limits = self.core.config().limits();
        spec.key().map_or(Ok(()), |key| named("key", key, limits))?;
        let (version, hash) = self.book.admissible(&spec, limits)?;
        let id = spec.id;
        let started = RunEvent::Started { spec: Arc::new(spec), version, owner: None, hash: Some(hash) };
        self.emit(started.of(id), tx);
        Ok(Accepted::Done)
    }

    fn signal(&mut self, id: RunId, signal: Name, payload: Payload, tx: &mut Tx<'_>) -> Verdict {
        let limits = self.core.config().limits();
        named("signal", &signal, limits)?;
        fits(limits, &payload)?;
        match reception(self, id, (&signal, &payload), tx)? {
            Reception::Dropped => Ok(Accepted::Ignored),
            Reception::Kept { until } => {
                self.emit(RunEvent::Signalled { signal, payload, until }.of(id), tx);
                Ok(Accepted::Done)
            }
        }
    }

    fn update(&mut self, id: RunId, variable: Name, value: Payload, tx: &mut Tx<'_>) -> Verdict {
        let limits = self.core.config().limits();
        named("variable", &variable, limits)?;
        fits(limits, &value)?;
        let run = self.running(id)?;
        if run.variables().updates_beside(run.plan(), &variable) >= limits.runs.updates as usize {
            return Err(at_limit("updates", limits.runs.updates));
        }
        tx.meter.begin_evaluation(limits.evaluation());
        let updates = run.values(limits, &tx.meter).may_update(&variable, &value);
        if tx.meter.is_exhausted() {
            let (what, limit) = (Name::from("evaluation_units"), u64::from(limits.evaluation()));
            return Err(Rejected::Invalid(Invalid::TooLarge { what, size: limit.saturating_add(1), limit }));
        }
        if let (Err(NoUpdate::Refused(None)), Some(rejected)) = (&updates, panicked(run)) {
            return Err(rejected);
        }
        updates.map_err(|no| match no {
            NoUpdate::NotTaken => Rejected::Unknown(Unknown::Variable { run: id, variable: variable.clone() }),
            NoUpdate::Refused(wanted) => {
                let wanted = wanted.map(Box::from);
                Rejected::Invalid(Invalid::Update { run: id, variable: variable.clone(), wanted })
            }
            NoUpdate::TooWide { bytes } => {
                let limit = u64::from(limits.sizes.payload_bytes);
                Rejected::Invalid(Invalid::TooLarge { what: "payload_bytes".into(), size: u64::from(bytes), limit })
            }
        })?;
        self.emit(RunEvent::Updated { variable, value }.of(id), tx);
        Ok(Accepted::Done)
    }

    /// Adds items to an open map. An open map does not end when all its items are done, so adding does not race with
    /// the last item.
    fn add(&mut self, id: RunId, node: Name, items: Vec<Payload>, tx: &mut Tx<'_>) -> Verdict {
        let limits = self.core.config().limits();
        items.iter().try_for_each(|item| fits(limits, item))?;
        self.running(id)?;
        let (run, index) = self.node_of(id, &node)?;
        let Some(known) = run.graph().node(index).and_then(|node| node.items_if_open()) else {
            return Err(Rejected::State(WrongState::NotOpen { run: id, node }));
        };
        let more = u32::try_from(items.len()).unwrap_or(u32::MAX);
        if known.saturating_add(more) > limits.runs.map_items {
            return Err(at_limit("map_items", limits.runs.map_items));
        }
        let node = run.plan().node_ref(index);
        self.emit(NodeEvent::Map(MapEvent::ItemsAdded { items }).of(id, node), tx);
        Ok(Accepted::Done)
    }

    fn close(&mut self, id: RunId, node: Name, tx: &mut Tx<'_>) -> Verdict {
        self.running(id)?;
        let (run, index) = self.node_of(id, &node)?;
        if run.graph().node(index).and_then(|node| node.items_if_open()).is_none() {
            return Err(Rejected::State(WrongState::NotOpen { run: id, node }));
        }
        let node = run.plan().node_ref(index);
        self.emit(NodeEvent::Map(MapEvent::Closed).of(id, node), tx);
        Ok(Accepted::Done)
    }

    fn running(&self, id: RunId) -> Result<&Run, Rejected> {
        let run = self.book.runs.get(id).ok_or(Rejected::Unknown(Unknown::Run(id)))?;
        if run.phase() != RunPhase::Running {
            return Err(Rejected::State(WrongState::RunPhase { run: id, phase: run.phase() }));
        }
        Ok(run)
    }

    fn cancel_run(&mut self, id: RunId, reason: Name, anyway: bool, tx: &mut Tx<'_>) -> Verdict {
        bounded("name_bytes", reason.len(), self.core.config().limits().sizes.name_bytes)?;
        let run = self.book.runs.get(id).ok_or(Rejected::Unknown(Unknown::Run(id)))?;
        let asked = matches!(run.course().cause(), Some(Cause::Cancelled { .. }));
        match run.phase() {
            RunPhase::Running if run.rollback().has_passed_pivot() && !anyway => {
                Err(Rejected::State(WrongState::PastPivot(id)))
            }
            RunPhase::Running => {
                self.emit(RunEvent::Failing { cause: Cause::Cancelled { reason } }.of(id), tx);
                Ok(Accepted::Done)
            }
            RunPhase::Failing | RunPhase::Compensating | RunPhase::CompensationFailed if asked => {
                Ok(Accepted::Repeated)
            }
            RunPhase::Failing | RunPhase::Compensating | RunPhase::CompensationFailed | RunPhase::Finished => {
                Err(Rejected::State(WrongState::RunPhase { run: id, phase: run.phase() }))
            }
        }
    }

    fn remedy(&mut self, id: RunId, node: Name, remedy: CompensationRemedy, tx: &mut Tx<'_>) -> Verdict {
        if let CompensationRemedy::Declare { reason } | CompensationRemedy::Abandon { reason } = &remedy {
            bounded("name_bytes", reason.len(), self.core.config().limits().sizes.name_bytes)?;
        }
        let run = self.book.runs.get(id).ok_or(Rejected::Unknown(Unknown::Run(id)))?;
        let Some(index) = run.plan().index_of(&node) else {
            return Err(Rejected::Unknown(Unknown::Node { run: id, node }));
        };
        let is_open = run.phase() == RunPhase::CompensationFailed || run.rollback().is_partial();
        let failed = |state: &&NodeState| matches!(state.compensated(), Some(CompensationOutcome::Failed { .. }));
        if !is_open || run.graph().state(index).filter(failed).is_none() {
            return Err(Rejected::State(WrongState::NothingToRemedy { run: id, node }));
        }
        // A child run whose compensation has ended has nothing left to retry, a task that compensates it has.
        if remedy == CompensationRemedy::Retry
            && let Some(child) = run.graph().node(index).and_then(|node| node.child_not_undone())
        {
            return Err(Rejected::State(WrongState::RunPhase { run: child, phase: RunPhase::Finished }));
        }
        let compensated = |outcome| NodeEvent::Compensated { outcome };
        let event = match remedy {
            CompensationRemedy::Retry => NodeEvent::CompensationRetried,
            CompensationRemedy::Declare { reason } => compensated(CompensationOutcome::Declared { reason }),
            CompensationRemedy::Abandon { reason } => compensated(CompensationOutcome::Abandoned { reason }),
        };
        let node = run.plan().node_ref(index);
        self.emit(event.of(id, node), tx);
        Ok(Accepted::Done)
    }
}

impl Book {
    /// The version that a run without a parent run follows and the hash of its definition, if it may start now.
    pub(super) fn admissible(&self, spec: &RunSpec, limits: &Limits) -> Result<(u32, u64), Rejected> {
        fits(limits, &spec.input)?;
        let plan = self.plan(&spec.workflow, spec.version);
        let Some(plan) = plan else {
            return Err(Rejected::Unknown(Unknown::Workflow { name: spec.workflow.clone(), version: spec.version }));
        };
        plan.definition
            .check_input(&spec.input)
            .map_err(|faults| Rejected::Invalid(Invalid::Input { workflow: spec.workflow.clone(), faults }))?;
        if let Some(tenant) = &spec.tenant {
            named("tenant", tenant, limits)?;
        }
        if let Some(key) = &spec.business_key {
            named("business_key", key, limits)?;
            let taken = if spec.exclusive { self.runs.holder(spec, key) } else { None };
            if let Some(run) = taken {
                return Err(Rejected::Conflict(Conflict::ExclusiveKey {
                    workflow: spec.workflow.clone(),
                    key: key.clone(),
                    run,
                }));
            }
        }
        if let Some((what, limit)) = self.active.exceeded(spec, limits) {
            return Err(at_limit(what, limit));
        }
        Ok((plan.id.version, plan.id.hash))
    }
}

/// The answer to the start of a run whose id is known. The version is no part of the identity of a run: a program that was
/// deployed with a new version finds the runs that the earlier program has started.
fn started_before(known: &Run, mut spec: RunSpec) -> Verdict {
    let (asked, follows) = (spec.version, known.plan().id.version);
    let is_same = asked == known.spec.version || asked == Some(follows);
    spec.version = known.spec.version;
    if *known.spec != spec {
        return Err(Rejected::Conflict(match known.spec.origin.collision(&spec.origin) {
            None => Conflict::Run(spec.id),
            Some((known, given)) => Conflict::RunKey { run: spec.id, known: known.clone(), given: given.clone() },
        }));
    }
    Ok(if is_same { Accepted::Repeated } else { Accepted::Attached { version: follows } })
}

/// The rejection of a command that depends on a function of the host, if one of the run's has panicked.
fn panicked(run: &Run) -> Option<Rejected> {
    let function = run.plan().panicked().next()?.clone();
    Some(Rejected::State(WrongState::FunctionPanicked { run: run.id(), function }))
}

pub(super) fn at_limit(what: &str, limit: impl Into<u64>) -> Rejected {
    Rejected::Capacity(Overload::AtCapacity { what: what.into(), limit: limit.into(), retry_after: None })
}
