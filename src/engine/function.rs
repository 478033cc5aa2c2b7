//! Durable functions: validation of the answers of turns, and views of calls.

use super::book::Book;
use super::view::NodeView;
use crate::base::id::{RunId, TaskId};
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::Occurrence;
use crate::message::command::AgentCommand;
use crate::task::{Failure, Phase};
use crate::workflow::machine::{Call, InstanceEnd};

/// The largest number of characters in the message of a refused answer.
const SHOWN: usize = 300;

/// A call of a durable function.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CallView<'a> {
    /// Its key.
    pub key: &'a Name,
    /// Which of the calls with this key it is.
    pub occurrence: &'a Occurrence,
    /// The task that performs it, if it is performed by one and has begun.
    pub task: Option<TaskId>,
    /// The child run that performs it, if it is performed by one and has begun.
    pub run: Option<RunId>,
    /// Its result, if it has ended.
    pub result: Option<Result<Payload, Failure>>,
}

impl<'a> NodeView<'a> {
    /// The calls of its durable function, in the order in which they were requested, without those that a retry has dropped.
    pub fn calls(&self) -> impl Iterator<Item = CallView<'a>> + use<'a> {
        let (_, _, node) = self.parts();
        let view = *self;
        node.function_work().into_iter().flat_map(|work| work.calls()).map(move |call| view.call(call))
    }

    /// The calls that have ended, in the order of their ends, from a number on. A [turn](crate::definition::FunctionTurn) names
    /// the number of the first that is new, and their number.
    pub fn results(&self, from: u32) -> impl Iterator<Item = CallView<'a>> + use<'a> {
        let (_, _, node) = self.parts();
        let view = *self;
        node.function_work().into_iter().flat_map(move |work| work.results(from)).map(move |call| view.call(call))
    }

    fn call(&self, call: &'a Call) -> CallView<'a> {
        let (_, _, node) = self.parts();
        let instance = call.instance().and_then(|instance| node.state.instances().get(instance));
        let worker = instance.map(|instance| instance.worker());
        let result = |end: &InstanceEnd| {
            if end.is_success() { Ok(end.output()) } else { Err(end.failure_or("the call was cancelled")) }
        };
        CallView {
            key: &call.key,
            occurrence: &call.occurrence,
            task: worker.and_then(|worker| worker.task()),
            run: worker.and_then(|worker| worker.child()),
            result: instance.and_then(|instance| instance.end()).map(result),
        }
    }
}

/// The command instead of an answer to a turn that cannot be accepted: a failure of the attempt. None if the command of the agent is
/// something else.
pub(super) fn turn_refused(book: &Book, limits: &Limits, command: &AgentCommand) -> Option<AgentCommand> {
    let AgentCommand::Complete { by, attempt, output, usage } = command else { return None };
    let owner = book.owner(attempt.task()).filter(|owner| owner.phase == Phase::Do)?;
    let node = book.runs.node_of(owner)?;
    let (work, function) = (node.function_work()?, node.function()?);
    let is_refused = output.bytes() > limits.sizes.payload_bytes || output.depth() > limits.sizes.depth();
    let turn = node.state.instances().get(owner.item)?;
    if is_refused || turn.is_cancelling() || work.performed_by(turn).is_some() {
        return None;
    }
    let mut failure = work.refusal(output, function, limits)?;
    failure.message = failure.message.chars().take(SHOWN).collect::<String>().into();
    Some(AgentCommand::Fail { by: *by, attempt: *attempt, failure, usage: *usage })
}
