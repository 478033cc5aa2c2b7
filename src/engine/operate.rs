//! Commands of operators for runs.

use super::commands::at_limit;
use super::drive::{Driver, Moving};
use crate::base::id::{NodeIx, RunId, TaskId};
use crate::base::name::Name;
use crate::message::command::Accepted;
use crate::message::event::{NodeEvent, RunEvent};
use crate::message::rejected::{Conflict, Misuse, Rejected, Unknown, WrongState};
use crate::message::run::{NodeRemedy, ResetObstacle, ResetPoint, RunOutcome, RunPhase};
use crate::saga::ResetMode;
use crate::scheduler::{Tx, fits, named};
use crate::task::{Owner, Tier};
use crate::workflow::machine::{NoRetry, Run, Worker, decides_late, holds_late};

type Verdict = Result<Accepted, Rejected>;

impl Driver {
    pub(super) fn pause(&mut self, id: RunId, reason: Name, tx: &mut Tx<'_>) -> Verdict {
        named("reason", &reason, self.core.config().limits())?;
        if self.going(id)?.1 {
            return Ok(Accepted::Repeated);
        }
        self.emit(RunEvent::Paused { reason }.of(id), tx);
        Ok(Accepted::Done)
    }

    pub(super) fn resume_run(&mut self, id: RunId, tx: &mut Tx<'_>) -> Verdict {
        if !self.going(id)?.1 {
            return Ok(Accepted::Repeated);
        }
        self.emit(RunEvent::Resumed.of(id), tx);
        Ok(Accepted::Done)
    }

    pub(super) fn operate(&mut self, id: RunId, node: Name, remedy: NodeRemedy, tx: &mut Tx<'_>) -> Verdict {
        let limits = self.core.config().limits();
        named("reason", remedy.reason(), limits)?;
        if let NodeRemedy::Complete { output, .. } = &remedy {
            fits(limits, output)?;
        }
        self.going(id)?;
        let (run, index) = self.node_of(id, &node)?;
        let state = run.graph().state(index);
        let is_alive = !run.rollback().concerns(index) && state.is_some_and(|state| !state.has_ended())
            || holds_late(run, index) && decides_late(&remedy);
        match state.and_then(|state| state.aside().remedy.as_ref()) {
            Some(known) if *known == remedy => Ok(Accepted::Repeated),
            None if is_alive => {
                let node = run.plan().node_ref(index);
                self.emit(NodeEvent::Operated { remedy }.of(id, node), tx);
                Ok(Accepted::Done)
            }
            Some(_) | None => Err(Rejected::State(WrongState::NodeOver { run: id, node })),
        }
    }

    pub(super) fn prioritise(&mut self, id: RunId, tier: Tier, reason: Name, tx: &mut Tx<'_>) -> Verdict {
        named("reason", &reason, self.core.config().limits())?;
        let run = self.book.runs.get(id).ok_or(Rejected::Unknown(Unknown::Run(id)))?;
        if run.is_finished() {
            return Err(Rejected::State(WrongState::RunPhase { run: id, phase: run.phase() }));
        }
        let family = self.book.runs.family(id);
        let free = |(owner, worker): (Owner, Worker)| match worker {
            Worker::Task(task) => {
                let own = self.book.runs.node_of(owner)?.template(owner.item, owner.phase)?.tier;
                (own.is_none() && self.core.reader().could_move(task, tier)).then_some(task)
            }
            Worker::Child(_) => None,
        };
        let tasks: Vec<TaskId> = family.iter().flat_map(|run| run.workforce().active()).filter_map(free).collect();
        tx.meter.visit(tasks.len());
        let settled = family.iter().all(|run| run.tier() == tier);
        if settled && tasks.is_empty() {
            return Ok(Accepted::Repeated);
        }
        if !settled {
            self.emit(RunEvent::Prioritised { tier, reason: reason.clone() }.of(id), tx);
        }
        // After a crash before they are moved, repeating the command moves the tasks.
        if !tasks.is_empty() {
            self.moving.push_back(Moving { tasks, tier, reason });
        }
        Ok(Accepted::Done)
    }

    pub(super) fn retry(&mut self, id: RunId, node: Option<Name>, reason: Name, tx: &mut Tx<'_>) -> Verdict {
        named("reason", &reason, self.core.config().limits())?;
        let run = self.book.runs.get(id).ok_or(Rejected::Unknown(Unknown::Run(id)))?;
        match (run.phase(), run.owner) {
            (RunPhase::Running, _) | (RunPhase::Finished, None) => {}
            (RunPhase::Finished, Some(owner)) => {
                return Err(Rejected::Misuse(Misuse::ChildRun { run: id, parent: Some(owner.run) }));
            }
            (phase, _) => return Err(Rejected::State(WrongState::RunPhase { run: id, phase })),
        }
        let index = |node: Name| run.plan().index_of(&node).ok_or(Rejected::Unknown(Unknown::Node { run: id, node }));
        let only = node.map(index).transpose()?;
        let nodes = run.changes().to_retry(only).map_err(|no| {
            let node = if let NoRetry::Node(node) = no { Some(node) } else { None };
            Rejected::State(WrongState::NotRetriable { run: id, node })
        })?;
        self.may_reopen(run)?;
        let nodes = run.plan().node_refs(&nodes);
        self.emit(RunEvent::Retried { nodes, reason }.of(id), tx);
        Ok(Accepted::Done)
    }

    pub(super) fn reset(&mut self, id: RunId, to: &ResetPoint, undo: bool, reason: Name, tx: &mut Tx<'_>) -> Verdict {
        named("reason", &reason, self.core.config().limits())?;
        let run = self.book.runs.get(id).ok_or(Rejected::Unknown(Unknown::Run(id)))?;
        match (run.phase(), run.course().outcome(), run.owner) {
            (RunPhase::Running, ..) => {}
            (RunPhase::Finished, Some(RunOutcome::Failed { .. } | RunOutcome::Compensated { .. }), owner) => {
                if let Some(owner) = owner {
                    return Err(Rejected::Misuse(Misuse::ChildRun { run: id, parent: Some(owner.run) }));
                }
            }
            (phase, ..) => return Err(Rejected::State(WrongState::RunPhase { run: id, phase })),
        }
        let nodes = run.changes().nodes_from(to).map_err(|node| Rejected::Unknown(Unknown::Node { run: id, node }))?;
        let call = if let ResetPoint::Call(call) = to { Some(call) } else { None };
        if run.rollback().is_reset(&nodes, ResetMode::new(undo), &reason) && run.changes().is_reset_to(call) {
            return Ok(Accepted::Repeated);
        }
        let barred = |obstacle| Rejected::State(WrongState::NotResettable { run: id, obstacle });
        run.changes().can_be_reset(&nodes, to).map_err(barred)?;
        if let Some(node) = nodes.iter().find(|node| self.is_committed_within(run, **node)) {
            return Err(barred(ResetObstacle::Pivot { node: run.plan().name(*node) }));
        }
        self.may_reopen(run)?;
        let nodes = run.plan().node_refs(&nodes);
        self.emit(RunEvent::Reset { nodes, undo, reason, call: call.cloned() }.of(id), tx);
        Ok(Accepted::Done)
    }

    /// Whether an active child run of a node has passed the point at which it could be withdrawn.
    fn is_committed_within(&self, run: &Run, node: NodeIx) -> bool {
        let children = run.graph().state(node).into_iter().flat_map(|state| state.instances().active_children());
        let mut under_way = children.flat_map(|child| self.book.runs.family(child));
        under_way.any(|run| !run.is_finished() && run.is_committed())
    }

    /// Checks whether an ended run may continue: the limits allow another run, and no other run holds its key.
    fn may_reopen(&self, run: &Run) -> Result<(), Rejected> {
        let limits = self.core.config().limits();
        if !run.is_finished() {
            return Ok(());
        }
        if let Some(key) = run.spec.business_key.as_ref().filter(|_| run.spec.exclusive)
            && let Some(holder) = self.book.runs.holder(&run.spec, key)
        {
            return Err(Rejected::Conflict(Conflict::ExclusiveKey {
                workflow: run.spec.workflow.clone(),
                key: key.clone(),
                run: holder,
            }));
        }
        if let Some((what, limit)) = self.book.active.exceeded(&run.spec, limits) {
            return Err(at_limit(what, limit));
        }
        Ok(())
    }

    /// The id of a run in its forward phase, and whether it is paused.
    fn going(&self, id: RunId) -> Result<(RunId, bool), Rejected> {
        let run = self.book.runs.get(id).ok_or(Rejected::Unknown(Unknown::Run(id)))?;
        if run.phase() != RunPhase::Running {
            return Err(Rejected::State(WrongState::RunPhase { run: id, phase: run.phase() }));
        }
        Ok((id, run.paused().is_some()))
    }
}
