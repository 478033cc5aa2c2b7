//! Encoded payloads at the edge of a host: what enters the engine is encoded, and what leaves it is decoded.

#[cfg(feature = "threads")]
use super::Agent;
use super::HostError;
use crate::base::codec::{CodecError, Encoding};
use crate::base::id::{RunId, TaskId};
use crate::base::payload::Payload;
use crate::engine::Engine;
use crate::message::command::{Command, RunCommand, TaskCommand};
use crate::message::run::RunOutcome;
use crate::task::{Failure, TaskOutcome, TaskSpec, codes};
#[cfg(feature = "threads")]
use crate::workflow::Attempt;
use std::sync::Arc;

/// What is submitted or started, and may be known.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known {
    Task(TaskId),
    Run(RunId),
}

impl Known {
    /// What a command submits or starts.
    pub(super) fn of(command: &Command) -> Option<Self> {
        if let Command::Task(TaskCommand::Submit(spec)) = command {
            Some(Self::Task(spec.id))
        } else if let Command::Run(RunCommand::Start(spec)) = command {
            Some(Self::Run(spec.id))
        } else {
            None
        }
    }

    /// The payload with which it was submitted or started before.
    pub(super) fn payload(self, engine: &Engine) -> Option<Payload> {
        match self {
            Self::Task(task) => engine.task(task).map(|task| task.spec().payload.clone()),
            Self::Run(run) => engine.run(run).map(|run| run.spec().input.clone()),
        }
    }
}

/// A command with encoded payloads. `known`: the payload of the task or run, if it is known.
pub(super) fn encoded(encoding: &Encoding, command: Command, known: Option<&Payload>) -> Result<Command, CodecError> {
    let again = |plain: &Payload| encoding.again(known, plain, |plain| encoding.encode(plain));
    Ok(match command {
        Command::Task(TaskCommand::Submit(spec)) => {
            let payload = again(&spec.payload)?;
            TaskCommand::Submit(Arc::new(TaskSpec { payload, ..(*spec).clone() })).into()
        }
        Command::Run(RunCommand::Start(spec)) => {
            let input = again(&spec.input)?;
            Command::start(spec.with_input(input))
        }
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
        other @ (Command::Agent(_)
        | Command::Task(_)
        | Command::Run(_)
        | Command::Schedule(_)
        | Command::Control(_)
        | Command::Tick) => other,
    })
}

/// The outcome of a task with a decoded output.
pub(super) fn outcome_of(encoding: Option<&Encoding>, outcome: TaskOutcome) -> Result<TaskOutcome, HostError> {
    match (encoding, outcome) {
        (Some(encoding), TaskOutcome::Succeeded(output)) => Ok(TaskOutcome::Succeeded(encoding.decode(&output)?)),
        (_, outcome) => Ok(outcome),
    }
}

/// The outcome of a run with a decoded output.
pub(super) fn run_outcome_of(encoding: Option<&Encoding>, outcome: RunOutcome) -> Result<RunOutcome, CodecError> {
    match (encoding, outcome) {
        (Some(encoding), RunOutcome::Succeeded { output }) => {
            Ok(RunOutcome::Succeeded { output: encoding.decode(&output)? })
        }
        (_, outcome) => Ok(outcome),
    }
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
