//! The decision loop of the engine: applies the scheduler's events to the runs and performs the moves of runs, as
//! events and tasks, until no move is left.

use super::accounts::Affordable;
use super::book::{Book, Folded, recall_owner};
use super::delegate::{Delegation, PartOf};
use super::family::Room;
use super::function::{passes_on, turn_refused};
#[cfg(feature = "observe")]
use super::recent::Recent;
use super::schedules::Scheduling;
use super::send::{Sending, sent};
use crate::base::id::{NodeIx, RunId, TaskId};
use crate::base::limits::{FORGOTTEN_AT_ONCE, Limits};
use crate::base::meter::EVENT;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::{Anomaly, OrAnomaly};
use crate::base::time::Time;
use crate::message::command::{Accepted, AgentCommand, Command};
use crate::message::effect::Outbox;
use crate::message::event::{ControlEvent, Entry, Event, NodeEvent, RunEvent, ScheduleEvent};
use crate::message::rejected::Rejected;
use crate::message::run::{Cause, LimitReached, RunSpec};
use crate::scheduler::{Config, Core, Reuse, Tx, check_report};
use crate::task::{Affinity, Owner, TaskSpec, Tier, Usage};
use crate::workflow::machine::{BoundNode, Move, NodeWork, Search};
use crate::workflow::plan::Template;
use std::collections::VecDeque;
use std::sync::Arc;

/// The number of tasks that are moved to another tier by one event.
const MOVED_AT_ONCE: usize = 256;

/// Finished runs are removed from memory in batches of this size.
const BATCH: usize = 64;

/// Scheduler and runs, without sequence numbers.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) core: Core,
    pub(super) book: Book,
    #[cfg(feature = "observe")]
    pub(super) recent: Recent,
    /// Tasks of runs that are to be moved to another tier.
    pub(super) moving: VecDeque<Moving>,
    /// The number of entries in the outbox that have been folded.
    folded: usize,
}

/// Waiting tasks of a run, which an operator has moved to another tier.
#[derive(Debug)]
pub(super) struct Moving {
    pub(super) tasks: Vec<TaskId>,
    pub(super) tier: Tier,
    pub(super) reason: Name,
}

impl Driver {
    pub(super) fn new(config: Config) -> Self {
        let book = Book::with(&config);
        Self::with(Core::new(config), book)
    }

    pub(super) fn with(core: Core, book: Book) -> Self {
        Self {
            #[cfg(feature = "observe")]
            recent: Recent::new(core.config().story()),
            core,
            book,
            moving: VecDeque::new(),
            folded: 0,
        }
    }

    /// Applies an entry of the journal.
    pub(super) fn replay(&mut self, entry: &Entry) -> Folded {
        if is_scheduling(&entry.event) {
            self.core.replay(entry)?;
        }
        self.fold(entry)
    }

    fn fold(&mut self, entry: &Entry) -> Folded {
        #[cfg(feature = "observe")]
        self.recent.note(entry);
        self.book.fold(entry)
    }

    pub(super) fn handle(&mut self, mut command: Command, tx: &mut Tx<'_>) -> Result<Accepted, Rejected> {
        self.folded = tx.out.entries().len();
        self.core.fire(tx);
        self.fire(tx);
        self.settle(tx);
        command.make_canonical();
        let verdict = match command {
            Command::Agent(command) => match instead_of(self, &command, tx) {
                None if passes_on(&self.book, &command, &tx.meter) => self.core.agent(command, tx),
                None => check_report(&self.core, &command).and_then(|()| self.core.agent(command, tx)),
                Some(instead) => self.core.agent(instead, tx),
            },
            Command::Task(command) => self.task(command, tx),
            Command::Control(command) => self.core.control(command, tx),
            Command::Run(command) => self.run(command, tx),
            Command::Schedule(command) => Scheduling { driver: self, tx }.command(command),
            Command::Tick => Ok(Accepted::Done),
        };
        self.settle(tx);
        verdict
    }

    pub(super) fn resume(&mut self, tx: &mut Tx<'_>) {
        self.folded = tx.out.entries().len();
        self.core.settle(tx);
        self.fire(tx);
        self.settle(tx);
    }

    pub(super) fn recover(&mut self, now: Time, out: &mut Outbox) {
        self.core.recover(now, out);
    }

    pub(super) fn renew_leases(&mut self, now: Time) {
        self.core.renew_leases(now);
    }

    pub(super) fn next_wakeup(&self, last: Time) -> Option<Time> {
        if self.has_moves() || self.book.surplus(self.core.config().limits()) > 0 {
            return Some(last);
        }
        let runs = [self.book.runs.next_timer(), self.book.next_aged(self.core.config().limits())];
        let others = [self.core.next_wakeup(), self.book.schedules.next_timer()];
        runs.into_iter().chain(others).flatten().min()
    }

    /// Whether runs or schedules may have moves, or tasks are to be moved to another tier.
    fn has_moves(&self) -> bool {
        self.book.runs.has_work() || !self.moving.is_empty() || self.book.schedules.has_work()
    }

    /// After a restore: schedules every unfinished run and every schedule, since each may have a next move.
    pub(super) fn wake_all(&mut self) {
        self.book.runs.wake_all();
        self.book.schedules.wake_all();
    }

    /// Discards data that only decisions consume: scheduled runs, due timers, reopened classes.
    pub(super) fn discard_opened(&mut self, now: Time) {
        self.book.runs.drop_decisions(now);
        self.book.schedules.drop_decisions();
        self.moving.clear();
        self.core.discard_opened();
    }

    /// Fires the due timers of runs and schedules.
    fn fire(&mut self, tx: &Tx<'_>) {
        let most = self.core.config().limits().timers_per_call.max(1) as usize;
        self.book.runs.fire(tx.now, most, &tx.meter);
        self.book.schedules.fire(tx.now, most, &tx.meter);
    }

    /// Wakes runs and performs their moves until none is left or the bound on the work of the call is reached.
    fn settle(&mut self, tx: &mut Tx<'_>) {
        self.catch_up(tx);
        self.book.schedules.begin_turns();
        while self.has_moves() {
            if !self.book.runs.wake_next(&tx.meter) && !self.move_next(tx) {
                match self.book.runs.first_scheduled() {
                    Some(id) => self.step(id, tx),
                    None => _ = Scheduling { driver: self, tx }.step(),
                }
            }
            if tx.meter.is_spent() {
                break;
            }
        }
        self.retire(tx);
    }

    /// Moves the next tasks that are to be moved to another tier. False if there are none.
    fn move_next(&mut self, tx: &mut Tx<'_>) -> bool {
        let Some(mut first) = self.moving.pop_front() else { return false };
        let mut batch = first.tasks.split_off(first.tasks.len().saturating_sub(MOVED_AT_ONCE));
        let (tier, reason) = (first.tier, first.reason.clone());
        if !first.tasks.is_empty() {
            self.moving.push_front(first);
        }
        tx.meter.visit(batch.len().saturating_mul(20));
        batch.retain(|task| self.core.reader().could_move(*task, tier));
        if !batch.is_empty() {
            self.core.move_tasks(batch, tier, reason, tx);
            self.catch_up(tx);
        }
        true
    }

    /// Performs the next move of a scheduled run, or removes the run from the agenda if it has none.
    fn step(&mut self, id: RunId, tx: &mut Tx<'_>) {
        tx.meter.visit(1);
        let limits = self.core.config().limits();
        let is_paused = self.book.runs.paused_by(id).is_some();
        let run =
            self.book.runs.get_mut(id).filter(|run| !is_paused && Search::may_find(run) && !run.lacks_functions());
        let Some(run) = run else { return self.book.runs.unschedule(id) };
        match run.next_move(tx.now, limits, &tx.meter) {
            Err(anomaly) => self.core.record_anomaly(anomaly),
            Ok(Search::Cut) => {}
            Ok(Search::Found(next)) => {
                if let Err(anomaly) = self.perform(id, next, tx) {
                    self.core.record_anomaly(anomaly);
                    self.book.runs.unschedule(id);
                }
            }
            Ok(Search::Nothing) => match self.book.runs.signal_for(id, tx.now, limits, &tx.meter) {
                Some(moved) => self.emit(moved, tx),
                None => self.book.runs.unschedule(id),
            },
        }
    }

    /// Folds the entries that were recorded since the last call.
    fn catch_up(&mut self, tx: &Tx<'_>) {
        while let Some(entry) = tx.out.entries().get(self.folded) {
            self.folded += 1;
            if let Err(reason) = self.fold(entry) {
                self.core.anomaly(format_args!("{reason}: the engine decided {entry:?}"));
            }
        }
    }

    pub(super) fn emit(&mut self, event: impl Into<Event>, tx: &mut Tx<'_>) {
        let event = event.into();
        tx.meter.spend(EVENT);
        tx.meter.visit(self.book.visits(&event));
        tx.push(event);
        self.catch_up(tx);
    }

    const fn delegation(&self) -> Delegation<'_> {
        Delegation::new(&self.core, &self.book)
    }

    /// Records an event of a node.
    fn emit_node(&mut self, id: RunId, node: NodeIx, event: NodeEvent, tx: &mut Tx<'_>) {
        let Some(run) = self.book.runs.get(id) else {
            return self.core.anomaly(format_args!("run {id}, a node of which has an event, is unknown"));
        };
        let node = run.plan().node_ref(node);
        self.emit(event.of(id, node), tx);
    }

    /// Performs the move of a run.
    fn perform(&mut self, id: RunId, next: Move, tx: &mut Tx<'_>) -> Result<(), Anomaly> {
        match next {
            Move::Run(event) => self.emit(event.of(id), tx),
            Move::Node(node, event) => self.emit_node(id, node, event, tx),
            Move::Split { node, part, parts } => {
                let event = self
                    .delegation()
                    .split(PartOf { run: id, node, part }, parts)
                    .or_anomaly("a node delegates parts of unknown work")?;
                self.emit_node(id, node, event, tx);
            }
            Move::Send { node, payload, key } => {
                let event = sent(self, id, &Sending { node, payload, key }, tx)?;
                self.emit_node(id, node, event, tx);
            }
            Move::Submit { owner, payload, overrides } => {
                let node = self.book.runs.node_of(owner).or_anomaly("a submitted task has no node")?;
                let template = node
                    .template(owner.item, owner.phase)
                    .or_anomaly("a node has no template for the task that it submits")?;
                let (mut spec, estimate) = (self.book.task_spec(node, owner, &template, payload), template.estimate);
                if let Some(overrides) = overrides {
                    overrides.apply(&mut spec);
                }
                self.begin(owner, spec, estimate, tx);
            }
            Move::Spawn { owner, input } => {
                let limits = self.core.config().limits();
                match self.book.runs.families().room_for_child(owner.run, tx.now, limits) {
                    Room::Free => {}
                    Room::Never(limit) => {
                        self.emit_node(owner.run, owner.node, NodeEvent::Exhausted { limit }, tx);
                        return Ok(());
                    }
                    Room::Later(at) => {
                        self.book.postpone(owner, at);
                        return Ok(());
                    }
                }
                let event = self.book.child(owner, input).or_anomaly("a started child run has no node")?;
                self.emit(event, tx);
            }
            Move::CancelTask(task) => {
                if let Err(refused) = self.core.cancel(task, Name::from("its run does not need it"), tx) {
                    return Err(Anomaly::new(format_args!("run {id} cannot cancel its task {task}: {refused}")));
                }
            }
            Move::CancelRun(run) => {
                let cause = Cause::Cancelled { reason: "its parent run does not need it".into() };
                self.emit(RunEvent::Failing { cause }.of(run), tx);
            }
        }
        self.catch_up(tx);
        Ok(())
    }

    /// Submits a task after reserving its estimated usage in all budgets that apply to it.
    fn begin(&mut self, owner: Owner, mut spec: TaskSpec, estimate: Usage, tx: &mut Tx<'_>) {
        match self.book.afford(owner, estimate, spec.policy.retry().most().into()) {
            Affordable::Free => {}
            Affordable::With(reserved) => {
                let retry = spec.policy.retry().clone();
                let attempts = u32::try_from(reserved.attempts).unwrap_or(u32::MAX);
                if attempts < retry.most() {
                    spec.policy = spec.policy.with_retry(retry.at_most(attempts));
                }
                spec.reserved = Some(Box::new(reserved));
            }
            Affordable::Later(holder) => return self.book.park(holder, owner),
            Affordable::Never(limit) => {
                let event = self.delegation().unaffordable(owner, limit);
                return self.emit_node(owner.run, owner.node, event, tx);
            }
        }
        // The answer of a turn depends on the results of the run's calls, which its payload does not contain.
        let is_turn = self.book.runs.node_of(owner).is_some_and(|node| node.is_turn(owner));
        let reuse = if is_turn { Reuse::Never } else { Reuse::OfEqual };
        self.core.admit(Arc::new(spec), None, reuse, tx);
    }

    /// Forgets the oldest finished runs beyond the limit, and those that have reached the maximum age.
    fn retire(&mut self, tx: &mut Tx<'_>) {
        let surplus = self.book.surplus(self.core.config().limits());
        if surplus > 0 {
            let runs = self.book.first_finished(surplus, |_| true);
            self.emit(ControlEvent::RunsForgotten { runs }, tx);
        }
        let limits = self.core.config().limits();
        if self.book.next_aged(limits).is_some_and(|at| at <= tx.now) {
            let runs = self.book.first_finished(FORGOTTEN_AT_ONCE, |id| {
                self.book.runs.ended_at(id).is_some_and(|at| limits.is_aged(at, tx.now))
            });
            self.emit(ControlEvent::RunsForgotten { runs }, tx);
        }
    }
}

/// The failure in place of an answer that the engine does not accept. It reads the answers of delegated work and of turns of
/// functions, and of no other work.
fn instead_of(driver: &mut Driver, command: &AgentCommand, tx: &Tx<'_>) -> Option<AgentCommand> {
    let AgentCommand::Complete { attempt, .. } = command else { return None };
    let owner = recall_owner(&mut driver.book, attempt.task())?;
    match driver.book.runs.node_of(owner)?.state.work() {
        NodeWork::Delegate(_) => driver.delegation().instead_of(command),
        NodeWork::Function(_) => turn_refused(&driver.book, driver.core.config(), command, &tx.meter),
        NodeWork::Immediate
        | NodeWork::Task
        | NodeWork::Map(_)
        | NodeWork::Repeat
        | NodeWork::Rounds(_)
        | NodeWork::States(_)
        | NodeWork::Wait(_)
        | NodeWork::Race(_)
        | NodeWork::Send(_)
        | NodeWork::Compensation => None,
    }
}

/// The cost of folding, and work that must wait.
impl Book {
    /// The number of elements that the fold of an event visits.
    fn visits(&self, event: &Event) -> usize {
        match event {
            Event::Run { run, .. } => self.runs.get(*run).map_or(0, |run| run.plan().nodes.len()),
            Event::Node { run, node, event: NodeEvent::Finished { output, .. } } => {
                let node = self.runs.get(*run).and_then(|run| run.graph().node(node.index));
                node.map_or(0, |node| {
                    let plan = node.plan;
                    let woken =
                        plan.cancels.len() + plan.wakes.len() + plan.rivals.len() + plan.cancels_on_success.len();
                    let collected = if output.is_none() { node.state.instances().len() as usize } else { 0 };
                    plan.next.len().saturating_mul(4).saturating_add(woken).saturating_add(collected.saturating_mul(4))
                })
            }
            Event::Control(ControlEvent::RunsForgotten { runs }) => {
                runs.iter().map(|run| 10 + 10 * self.runs.families().size(*run) as usize).sum()
            }
            Event::Node { event: NodeEvent::Called { calls }, .. } => calls.len(),
            Event::Node { run, event: NodeEvent::Continued { .. }, .. } => {
                20 * self.runs.families().size(*run) as usize
            }
            Event::Node { event: NodeEvent::Sent { to, .. }, .. } => {
                to.iter().map(|run| self.runs.get(*run).map_or(0, |run| run.plan().nodes.len())).sum()
            }
            Event::Schedule { event: ScheduleEvent::Requested { occasions, .. }, .. } => occasions.len(),
            Event::Agent { .. }
            | Event::Task { .. }
            | Event::Catalogue(_)
            | Event::Node { .. }
            | Event::Schedule { .. }
            | Event::Control(_) => 0,
        }
    }

    /// The number of finished runs beyond the limit, once there are enough for a batch.
    fn surplus(&self, limits: &Limits) -> usize {
        let keep = limits.retention.finished_runs as usize;
        let surplus = self.finished.len().saturating_sub(keep);
        if surplus >= BATCH.min(keep + 1) { surplus } else { 0 }
    }

    /// When the oldest finished run reaches the maximum age.
    fn next_aged(&self, limits: &Limits) -> Option<Time> {
        limits.retention.finished_for?;
        limits.forgotten_at(self.runs.ended_at(*self.finished.front()?)?)
    }

    /// The oldest finished runs while `may_go` holds: up to `most`, and, with their descendants, up to
    /// [`FORGOTTEN_AT_ONCE`], but at least the first.
    fn first_finished(&self, most: usize, may_go: impl Fn(RunId) -> bool) -> Vec<RunId> {
        let mut members = 0_usize;
        let fits = |id: &RunId| {
            let is_first = members == 0;
            members = members.saturating_add(1).saturating_add(self.runs.families().size(*id) as usize);
            is_first || members <= FORGOTTEN_AT_ONCE
        };
        self.finished.iter().copied().take_while(|id| may_go(*id)).take(most).take_while(fits).collect()
    }

    /// Lets a node wait until a time, because more child runs may start then.
    fn postpone(&mut self, owner: Owner, at: Time) {
        if let Some(run) = self.runs.get_mut(owner.run) {
            run.park(owner.node);
        }
        self.runs.wake_at(at, owner.run, owner.node);
    }
}

/// Derivation of tasks and child runs.
impl Book {
    /// The spec of the task of an instance.
    fn task_spec(&self, node: BoundNode<'_>, owner: Owner, template: &Template, payload: Payload) -> TaskSpec {
        let barred = node.barred(owner.item);
        let affinity = || Box::new(Affinity::default().with_not_agents(barred.iter().copied()));
        let run = self.runs.get(owner.run);
        let spec = run.map(|run| &run.spec);
        TaskSpec {
            payload,
            affinity: (!barred.is_empty()).then(affinity),
            tier: template.tier.or_else(|| Some(run?.tier())).unwrap_or_default(),
            policy: template.policy.clone(),
            owner: Some(owner),
            origin: run.map(|run| run.workforce().origin_of(owner)).unwrap_or_default(),
            trace: spec.map(|spec| spec.trace.clone()).unwrap_or_default(),
            tenant: spec.and_then(|spec| spec.tenant.clone()),
            ..TaskSpec::needing(
                TaskId::engine_made(self.ids.partition_for(owner.run), self.serial + 1),
                template.kind.clone(),
                template.needs.clone(),
            )
        }
    }

    /// The event that starts a child run, or that records why it cannot start. None if the work is no child run.
    fn child(&self, owner: Owner, input: Payload) -> Option<Event> {
        let run = self.runs.get(owner.run)?;
        let work = run.graph().node(owner.node)?.work_of(owner.item)?;
        let instead = |event: NodeEvent| Some(event.of(run.id(), run.plan().node_ref(owner.node)));
        let (plan, hash) = match (&work.call, &work.child) {
            (Some(call), _) => {
                if self.runs.depth_of(run.id(), &call.workflow) >= call.depth {
                    return instead(NodeEvent::Exhausted { limit: LimitReached::Depth { max: call.depth } });
                }
                let Some(plan) = self.plan(&call.workflow, call.version) else {
                    let (workflow, version) = (call.workflow.clone(), call.version);
                    return instead(NodeEvent::Unresolved { workflow, version });
                };
                (plan, Some(plan.id.hash))
            }
            (None, Some(child)) => (child, None),
            (None, None) => return None,
        };
        if let Err(faults) = plan.definition.check_input(&input) {
            let (workflow, version) = (plan.id.name.clone(), plan.id.version);
            return instead(NodeEvent::InputRefused { workflow, version, faults });
        }
        let plan = &plan.id;
        let spec =
            RunSpec::new(RunId::engine_made(self.ids.partition_for(owner.run), self.serial + 1), plan.name.clone());
        let spec = spec.with_version(plan.version).with_input(input).with_tier(run.tier());
        let (trace, tenant, origin) =
            (run.spec.trace.clone(), run.spec.tenant.clone(), run.workforce().origin_of(owner));
        let spec = RunSpec { trace, tenant, origin, ..spec };
        let (id, version) = (spec.id, plan.version);
        Some(RunEvent::Started { spec: Arc::new(spec), version, owner: Some(owner), hash }.of(id))
    }
}

/// Whether the scheduler applies an event: it applies all but those of workflows.
const fn is_scheduling(event: &Event) -> bool {
    match event {
        Event::Agent { .. } | Event::Task { .. } => true,
        Event::Control(event) => !matches!(event, ControlEvent::RunsForgotten { .. }),
        Event::Catalogue(_) | Event::Run { .. } | Event::Node { .. } | Event::Schedule { .. } => false,
    }
}
