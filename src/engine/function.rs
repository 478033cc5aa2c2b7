//! Durable functions: validation of the answers of turns, and views of calls.

use super::book::Book;
use super::view::NodeView;
use crate::base::id::{RunId, TaskId};
use crate::base::meter::Meter;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{Definition, Occurrence};
use crate::message::command::AgentCommand;
use crate::scheduler::Config;
use crate::task::{Failure, Phase, codes};
use crate::workflow::machine::{Call, InstanceEnd};
#[cfg(feature = "functions")]
use crate::workflow::{EndedCall, Facts, OpenCall};
#[cfg(feature = "functions")]
use std::collections::BTreeSet;

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
            result: instance.and_then(|instance| instance.end()).map(result).map(|result| match call.rollbacks() {
                Some(times) => result.map(|_| Payload::new(times.into())),
                None => result,
            }),
        }
    }
}

#[cfg(feature = "functions")]
impl super::Engine {
    /// What a turn is given: the results from one number to another, and, if it begins the function, its input and all other calls.
    /// None if the task is no turn under way.
    pub(crate) fn facts(&self, turn: &crate::task::TaskSpec, begun: &crate::workflow::Begun) -> Option<Facts> {
        let owner = turn.owner?;
        let view = self.run(owner.run)?.nodes().nth(owner.node.index())?;
        let (_, _, node) = view.parts();
        let (work, function) = (node.function_work()?, node.function()?);
        let of = |call: &Call| (call.key.clone(), call.occurrence.clone());
        #[cfg(feature = "codecs")]
        let input = |call: &Call| {
            let instance = call.instance().and_then(|instance| node.state.instances().get(instance));
            instance.map_or_else(|| call.input().clone(), |instance| instance.input().clone())
        };
        let ended = |call: &'_ Call| {
            let result = view.call(call).result.unwrap_or_else(|| Err(Failure::permanent("the call has no result")));
            EndedCall {
                id: of(call),
                print: call.print(),
                #[cfg(feature = "codecs")]
                input: input(call),
                result,
            }
        };
        let new = begun.results.checked_sub(begun.from)? as usize;
        let ended: Vec<EndedCall> = work.results(begun.from).take(new).map(ended).collect();
        let most = function.max_calls_per_turn.min(self.driver.core.config().limits().runs.map_items);
        if !begun.begins() {
            return Some(Facts { input: Payload::NULL, ended, open: Vec::new(), most });
        }
        let known: BTreeSet<_> = ended.iter().map(|call| &call.id).collect();
        let open = work.calls().map(|call| OpenCall {
            id: of(call),
            print: call.print(),
            #[cfg(feature = "codecs")]
            input: input(call),
        });
        let open = open.filter(|call| !known.contains(&call.id)).collect();
        let turns = node.state.instances().iter().filter(|turn| turn.state() == 0);
        let mut inputs =
            turns.filter_map(|turn| Some(Payload::new(turn.input().value().pointer("/begin/input")?.clone())));
        let first = inputs.next_back()?;
        Some(Facts { input: first, ended, open, most })
    }
}

/// Whether a turn fails with the code of a failure of one of its calls, which may be any: its code passes the failure on.
pub(super) fn passes_on(book: &Book, command: &AgentCommand, meter: &Meter) -> bool {
    let AgentCommand::Fail { attempt, failure, .. } = command else { return false };
    let Some(code) = failure.code.as_ref().filter(|code| codes::is_barred_from_reports(code.as_str())) else {
        return false;
    };
    let owner = book.owner(attempt.task()).filter(|owner| owner.phase == Phase::Do);
    let Some(node) = owner.and_then(|owner| book.runs.node_of(owner)) else { return false };
    let instances = node.state.instances();
    let has_code = |call: &Call| {
        let end = call.instance().and_then(|instance| instances.get(instance)).and_then(|instance| instance.end());
        end.and_then(|end| end.failure()).is_some_and(|failed| failed.code.as_ref() == Some(code))
    };
    node.function_work().is_some_and(|work| {
        meter.visit(work.calls().count());
        work.calls().any(has_code)
    })
}

/// The command instead of an answer to a turn that cannot be accepted: a failure of the attempt. None if the command of the
/// agent is something else.
pub(super) fn turn_refused(
    book: &Book,
    config: &Config,
    command: &AgentCommand,
    meter: &Meter,
) -> Option<AgentCommand> {
    let limits = config.limits();
    let AgentCommand::Complete { by, attempt, output, usage } = command else { return None };
    let owner = book.owner(attempt.task()).filter(|owner| owner.phase == Phase::Do)?;
    let node = book.runs.node_of(owner)?;
    let (work, function) = (node.function_work()?, node.function()?);
    let turn = node.state.instances().get(owner.item)?;
    if turn.is_cancelling() || work.performed_by(turn).is_some() {
        return None;
    }
    let mut failure = if output.bytes() > limits.sizes.payload_bytes || output.depth() > limits.sizes.depth() {
        // The scheduler would refuse it as work whose outcome is unknown, and a turn is repeated until that is known.
        Failure::permanent("its answer is larger than a payload may be").with_code(codes::TOO_LARGE)
    } else {
        // Its calls are read, and their workflows validated.
        meter.spend_copy(output.bytes());
        let lacks = |definition: &Definition| config.functions().missing_in(definition);
        work.refusal(output, function, limits, meter, &lacks)?
    };
    failure.message = failure.message.chars().take(SHOWN).collect::<String>().into();
    Some(AgentCommand::Fail { by: *by, attempt: *attempt, failure, usage: *usage })
}
