//! The inputs of a run.

use super::node::{Commitment, InstanceEnd, Worker};
use crate::base::id::{AgentId, AttemptId, RunId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::message::event::{NodeEvent, NodeRef, RunEvent};
use crate::message::run::RunOutcome;
use crate::task::{Owner, Spending, Usage};

/// An input of a run.
#[derive(Debug, Clone)]
pub(crate) enum RunInput<'a> {
    /// An event of the run as a whole.
    Event(&'a RunEvent),
    /// An event of one of its nodes.
    Node(&'a NodeRef, &'a NodeEvent),
    /// A change of a task or child run of the run.
    Work(Owner, WorkInput<'a>),
    /// The run takes a signal from its parent run.
    SignalTaken { signal: &'a Name, payload: Payload },
    /// A child run took a signal from this run.
    SignalGiven { signal: &'a Name, index: u32 },
}

/// A change of a task or child run.
#[derive(Debug, Clone)]
pub(crate) enum WorkInput<'a> {
    /// It was submitted or started.
    Begun { worker: Worker, input: &'a Payload },
    /// An amount was reserved for it.
    Reserved(Spending),
    /// An attempt at the task was assigned to an agent.
    Assigned(AgentId),
    /// An attempt at the task was given back and does not count.
    Returned,
    /// The usage of an attempt so far.
    Used { attempt: AttemptId, usage: Usage },
    /// Whether it can still be cancelled has changed.
    Committed(Commitment),
    /// Its cancellation was requested.
    CancelRequested,
    /// The task has ended.
    Ended(InstanceEnd),
    /// The child run is failing: it was cancelled, or is compensated.
    ChildFailing(RunId),
    /// The child run or its compensation has ended.
    ChildEnded(&'a RunOutcome),
}
