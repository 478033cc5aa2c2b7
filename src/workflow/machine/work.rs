//! The fold of inputs from the tasks and child runs of a run.

use super::illegal::Applied;
use super::node::{ChildRole, Instance, InstanceEnd, Worker, child_end};
use super::{Run, WorkInput};
use crate::base::time::Time;
use crate::message::run::found as query_result;
use crate::task::{Owner, Phase, SideEffects};

impl Run {
    pub(super) fn apply_work(&mut self, owner: Owner, input: WorkInput<'_>, now: Time) -> Applied {
        let (ix, index) = (owner.node, owner.item);
        let is_forward = owner.phase == Phase::Do;
        let graph = &mut self.graph;
        match input {
            WorkInput::Begun { worker, input } => match owner.phase {
                Phase::Do => graph.begin(ix, index, worker, input, now),
                Phase::Undo => self.begin_undo(owner, worker),
                Phase::Query => graph.change_instance("a query begins", owner, |one| one.begin_query(worker)),
            },
            WorkInput::Reserved(reserved) => graph.charge(owner, |one| {
                one.reserve(reserved);
                Ok(())
            }),
            WorkInput::Used { attempt, usage } => graph.charge(owner, |one| {
                one.record_usage(attempt, usage);
                Ok(())
            }),
            // Attempts at compensations and queries are not counted.
            WorkInput::Assigned(agent) if is_forward => graph.assign(owner, agent),
            WorkInput::Returned if is_forward => graph.charge(owner, Instance::return_attempt),
            WorkInput::Assigned(_) | WorkInput::Returned => Ok(()),
            WorkInput::Committed(commitment) => {
                graph.change_instance("a commitment changes", owner, |one| one.commit(commitment))
            }
            WorkInput::CancelRequested if is_forward => self.request_cancel(owner),
            WorkInput::CancelRequested => {
                graph.wake(ix);
                Ok(())
            }
            WorkInput::Ended(end) => self.end_instance(owner, end),
            WorkInput::ChildFailing(child) => match graph.child_role(owner) {
                ChildRole::Forward => self.request_cancel(owner),
                ChildRole::Compensation => self.begin_undo(owner, Worker::Child(child)),
            },
            WorkInput::ChildEnded(outcome) => match graph.child_role(owner) {
                ChildRole::Forward => self.end_instance(owner, child_end(outcome, ChildRole::Forward)),
                ChildRole::Compensation => self.end_undo(owner, &child_end(outcome, ChildRole::Compensation)),
            },
        }
    }

    fn request_cancel(&mut self, owner: Owner) -> Applied {
        self.graph.change_instance("an instance is asked to stop", owner, Instance::request_cancel)
    }

    /// The compensation of an instance begins: a task, or the compensation of the child run that performed it.
    fn begin_undo(&mut self, owner: Owner, worker: Worker) -> Applied {
        self.begin_compensation(owner.node)?;
        self.graph.change_instance("a compensation begins", owner, |one| one.begin_undo(worker))
    }

    fn end_undo(&mut self, owner: Owner, end: &InstanceEnd) -> Applied {
        self.graph.change_instance("a compensation ends", owner, |one| one.end_undo(end))
    }

    /// A task or child run has ended that performs an instance, compensates it or queries its outcome.
    fn end_instance(&mut self, owner: Owner, end: InstanceEnd) -> Applied {
        let (ix, index) = (owner.node, owner.item);
        let has_query = || self.graph.node(ix).is_some_and(|node| node.plan.work.query.is_some());
        match owner.phase {
            Phase::Undo => self.end_undo(owner, &end),
            Phase::Query => {
                let found = found(&end);
                self.graph.finish(ix, index, |state, node| state.end_query(index, found, node))
            }
            Phase::Do if end.is_unknown() && has_query() => {
                self.graph.change_instance("an instance ends", owner, |one| one.finish_unknown(end))
            }
            Phase::Do => self.graph.finish(ix, index, |state, node| state.finish(index, end, node)),
        }
    }
}

/// The side effects that a query found; none if it found nothing out.
fn found(answer: &InstanceEnd) -> Option<SideEffects> {
    let SideEffects::Done(answer) = answer.side_effects() else { return None };
    Some(match query_result(answer)? {
        Some(output) => SideEffects::Done(output),
        None => SideEffects::None,
    })
}
