//! Encoded payloads at the edge of a host: what enters the engine is encoded, and what leaves it is decoded.

#[cfg(feature = "threads")]
use super::Agent;
use crate::base::codec::{CodecError, Encoding};
use crate::base::payload::Payload;
use crate::message::command::{Command, RunCommand, TaskCommand};
use crate::message::run::{NodeRemedy, RunSpec};
use crate::task::{Failure, TaskSpec, codes};
#[cfg(feature = "threads")]
use crate::workflow::Attempt;
use std::sync::Arc;

/// A task with an encoded payload: the known one, if it means the same.
pub(super) fn task(encoding: &Encoding, spec: &TaskSpec, known: Option<&Payload>) -> Result<Arc<TaskSpec>, CodecError> {
    let payload = encoding.again(known, &spec.payload, |plain| encoding.encode(plain))?;
    Ok(Arc::new(TaskSpec { payload, ..spec.clone() }))
}

/// A run with an encoded input: the known one, if it means the same.
pub(super) fn run(encoding: &Encoding, spec: RunSpec, known: Option<&Payload>) -> Result<RunSpec, CodecError> {
    let input = encoding.again(known, &spec.input, |plain| encoding.encode(plain))?;
    Ok(spec.with_input(input))
}

/// A command with encoded payloads. `known`: the payloads of the tasks or of the run that it submits or starts, if they are known.
pub(super) fn command(encoding: &Encoding, command: Command, known: &[Option<Payload>]) -> Result<Command, CodecError> {
    let first = || known.first().and_then(Option::as_ref);
    Ok(match command {
        Command::Task(TaskCommand::Submit(spec)) => TaskCommand::Submit(task(encoding, &spec, first())?).into(),
        Command::Task(TaskCommand::SubmitAll(specs)) => {
            let known = known.iter().map(Option::as_ref).chain(core::iter::repeat(None));
            let specs = specs.iter().zip(known).map(|(spec, known)| task(encoding, spec, known));
            TaskCommand::SubmitAll(specs.collect::<Result<_, _>>()?).into()
        }
        Command::Run(RunCommand::Start(spec)) => Command::start(run(encoding, spec, first())?),
        Command::Run(RunCommand::Signal { run, signal, payload }) => {
            RunCommand::Signal { run, signal, payload: encoding.encode(&payload)? }.into()
        }
        Command::Run(RunCommand::Update { run, variable, value }) => {
            RunCommand::Update { run, variable, value: encoding.encode(&value)? }.into()
        }
        Command::Run(RunCommand::Add { run, node, items }) => {
            let items = items.iter().map(|item| encoding.encode(item)).collect::<Result<_, _>>()?;
            RunCommand::Add { run, node, items }.into()
        }
        Command::Run(RunCommand::Decide { run, node, by, roles, option, note }) => {
            RunCommand::Decide { run, node, by, roles, option, note: encoding.encode(&note)? }.into()
        }
        Command::Run(RunCommand::Operate { run, node, remedy: NodeRemedy::Complete { output, reason } }) => {
            let remedy = NodeRemedy::Complete { output: encoding.encode(&output)?, reason };
            RunCommand::Operate { run, node, remedy }.into()
        }
        other @ (Command::Agent(_)
        | Command::Task(_)
        | Command::Run(_)
        | Command::Schedule(_)
        | Command::Control(_)
        | Command::Tick) => other,
    })
}

/// The task as its agent gets it: with a decoded payload.
pub(super) fn plain(encoding: &Encoding, task: &TaskSpec) -> Result<TaskSpec, Failure> {
    let payload = encoding.decode(&task.payload).map_err(|error| failed(&error))?;
    Ok(TaskSpec { payload, ..task.clone() })
}

/// The failure of an attempt whose input or output cannot be decoded or encoded. Another attempt may have the right key.
pub(super) fn failed(error: &CodecError) -> Failure {
    Failure::transient(error.to_string()).with_code(codes::CODEC)
}

/// The failure of an attempt whose output cannot be encoded: the work was done.
pub(super) fn unfit(error: &CodecError) -> Failure {
    Failure::unknown(error.to_string()).with_code(codes::CODEC)
}

/// An agent that sees no encoded payloads.
#[cfg(feature = "threads")]
pub(super) struct Decoding {
    pub(super) agent: Arc<dyn Agent>,
    pub(super) encoding: Encoding,
}

#[cfg(feature = "threads")]
impl Agent for Decoding {
    fn perform(&self, task: &TaskSpec, attempt: &Attempt) -> Result<Payload, Failure> {
        let output = self.agent.perform(&plain(&self.encoding, task)?, attempt)?;
        self.encoding.encode(&output).map_err(|error| unfit(&error))
    }
}
