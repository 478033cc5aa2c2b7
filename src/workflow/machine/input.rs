//! Everything that can happen to a run.

use super::node::{Commitment, InstanceEnd, Worker};
use crate::base::id::{AgentId, AttemptId, RunId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::message::event::{NodeEvent, NodeRef, RunEvent};
use crate::message::run::RunOutcome;
use crate::task::{Owner, Spending, Usage};

/// What changes a run.
#[derive(Debug, Clone)]
pub(crate) enum RunInput<'a> {
    /// An event of the run as a whole.
    Event(&'a RunEvent),
    /// An event of one of its nodes.
    Node(&'a NodeRef, &'a NodeEvent),
    /// Something happened to a task or child run that works for it.
    Work(Owner, WorkInput<'a>),
    /// It takes over a signal that its parent run kept.
    SignalTaken { signal: &'a Name, payload: Payload },
    /// A child run took over a signal that it kept.
    SignalGiven { signal: &'a Name, index: u32 },
}

/// What happened to a task or child run.
#[derive(Debug, Clone)]
pub(crate) enum WorkInput<'a> {
    /// It was submitted or started.
    Begun { worker: Worker, input: &'a Payload },
    /// This was reserved for it.
    Reserved(Spending),
    /// An attempt at the task was assigned to an agent.
    Assigned(AgentId),
    /// An attempt at the task was given back and does not count.
    Returned,
    /// An attempt has used so much so far.
    Used { attempt: AttemptId, usage: Usage },
    /// Whether it can still be withdrawn has changed.
    Committed(Commitment),
    /// It was asked to stop.
    CancelRequested,
    /// The task has ended.
    Ended(InstanceEnd),
    /// The child run fails: it was cancelled, or is compensated.
    ChildFailing(RunId),
    /// The child run has ended, or its compensation has.
    ChildEnded(&'a RunOutcome),
}
