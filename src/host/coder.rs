//! The edge of a host, at which payloads are encoded and decoded if the host has an encoding. Without the feature `codecs` it has
//! none, and everything passes as it is.

#[cfg(feature = "codecs")]
use super::codec;
use super::{HostError, RunError};
#[cfg(feature = "codecs")]
use crate::base::codec::Encoding;
use crate::base::id::{RunId, TaskId};
use crate::base::payload::Payload;
use crate::engine::Engine;
use crate::message::command::{Command, RunCommand, TaskCommand};
use crate::message::run::{RunOutcome, RunSpec};
use crate::task::{TaskOutcome, TaskSpec};
use std::sync::Arc;

/// What is submitted or started, and may be known: a repetition gets the payload that the engine has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known {
    Task(TaskId),
    Run(RunId),
}

impl Known {
    /// What a command submits or starts.
    pub(super) fn of(command: &Command) -> Vec<Self> {
        match command {
            Command::Task(TaskCommand::Submit(spec)) => vec![Self::Task(spec.id)],
            Command::Task(TaskCommand::SubmitAll(specs)) => specs.iter().map(|spec| Self::Task(spec.id)).collect(),
            Command::Run(RunCommand::Start(spec)) => vec![Self::Run(spec.id)],
            Command::Agent(_)
            | Command::Task(_)
            | Command::Run(_)
            | Command::Schedule(_)
            | Command::Control(_)
            | Command::Tick => Vec::new(),
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

/// The payloads of those that are known.
pub(super) fn payloads(engine: &Engine, known: &[Known]) -> Vec<Option<Payload>> {
    known.iter().map(|known| known.payload(engine)).collect()
}

/// The encoding of a host, if it has one.
#[derive(Debug, Clone, Default)]
pub(super) struct Coder {
    #[cfg(feature = "codecs")]
    encoding: Option<Encoding>,
}

#[cfg(feature = "codecs")]
impl Coder {
    pub(super) const fn new(encoding: Encoding) -> Self {
        Self { encoding: Some(encoding) }
    }

    pub(super) const fn encoding(&self) -> Option<&Encoding> {
        self.encoding.as_ref()
    }
}

#[cfg_attr(
    not(feature = "codecs"),
    expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "with codecs, payloads change and codecs fail")
)]
impl Coder {
    /// Whether payloads pass as they are.
    pub(super) const fn is_plain(&self) -> bool {
        #[cfg(feature = "codecs")]
        return self.encoding.is_none();
        #[cfg(not(feature = "codecs"))]
        true
    }

    /// A command with encoded payloads. `known`: the payloads of its subjects that are known.
    pub(super) fn command(&self, command: Command, known: &[Option<Payload>]) -> Result<Command, HostError> {
        #[cfg(feature = "codecs")]
        if let Some(encoding) = &self.encoding {
            return Ok(codec::command(encoding, command, known)?);
        }
        let _ = known;
        Ok(command)
    }

    /// A task with an encoded payload.
    pub(super) fn task(&self, spec: Arc<TaskSpec>, known: Option<&Payload>) -> Result<Arc<TaskSpec>, HostError> {
        #[cfg(feature = "codecs")]
        if let Some(encoding) = &self.encoding {
            return Ok(codec::task(encoding, &spec, known)?);
        }
        let _ = known;
        Ok(spec)
    }

    /// A run with an encoded input.
    pub(super) fn run(&self, spec: RunSpec, known: Option<&Payload>) -> Result<RunSpec, HostError> {
        #[cfg(feature = "codecs")]
        if let Some(encoding) = &self.encoding {
            return Ok(codec::run(encoding, spec, known)?);
        }
        let _ = known;
        Ok(spec)
    }

    /// The outcome of a task with a decoded output.
    pub(super) fn outcome(&self, outcome: TaskOutcome) -> Result<TaskOutcome, HostError> {
        #[cfg(feature = "codecs")]
        if let (Some(encoding), TaskOutcome::Succeeded(output)) = (&self.encoding, &outcome) {
            return Ok(TaskOutcome::Succeeded(encoding.decode(output)?));
        }
        Ok(outcome)
    }

    /// The outcome of a run with a decoded output.
    pub(super) fn run_outcome(&self, outcome: RunOutcome) -> Result<RunOutcome, RunError> {
        #[cfg(feature = "codecs")]
        if let (Some(encoding), RunOutcome::Succeeded { output }) = (&self.encoding, &outcome) {
            return Ok(RunOutcome::Succeeded { output: encoding.decode(output)? });
        }
        Ok(outcome)
    }
}
