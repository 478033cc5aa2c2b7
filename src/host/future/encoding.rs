//! Payloads of a host in an encoded form.

use super::FutureHost;
#[cfg(feature = "codecs")]
use super::agent::Decoding;
use super::agent::Performer;
use crate::engine::Engine;
use crate::host::HostError;
use crate::host::coder::{Known, payloads};
#[cfg(feature = "codecs")]
use crate::host::{Encoding, coder::Coder};
use crate::message::command::Command;
use crate::message::run::RunSpec;
use crate::task::TaskSpec;
use std::sync::Arc;

#[cfg(feature = "codecs")]
impl FutureHost {
    /// Encodes the payloads that enter the engine through this handle and its clones from now on, and decodes those that leave it:
    /// inputs, outputs, signals, updates of variables, items, notes of decisions, and outputs with which operators complete
    /// nodes, so that the journal has them in no other form. Agents and callers see plain payloads. To be called before
    /// agents are added.
    ///
    /// What the engine itself reads stays as it is: names, keys, kinds, failures, details of heartbeats, the input of schedules,
    /// the answers of queries, the data of the definitions. So do the messages of agents that the host does not perform
    /// ([`AgentCommand`](crate::AgentCommand)): they get encoded payloads, and encode their outputs. Expressions and conditions see
    /// encoded values; see [`Encoding`]. Nodes that delegate cannot be used, because the engine reads the answers of their agents.
    /// [`inspect`](Self::inspect) and subscriptions show encoded payloads.
    #[must_use]
    pub fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.coder = Coder::new(encoding);
        self
    }
}

impl FutureHost {
    /// An agent that sees no encoded payloads.
    pub(super) fn decoding(&self, agent: Arc<dyn Performer>) -> Arc<dyn Performer> {
        #[cfg(feature = "codecs")]
        if let Some(encoding) = self.coder.encoding().cloned() {
            return Arc::new(Decoding { agent, encoding });
        }
        agent
    }

    /// A command with encoded payloads.
    pub(super) async fn encoded(&self, command: Command) -> Result<Command, HostError> {
        if self.coder.is_plain() {
            return Ok(command);
        }
        let subjects = Known::of(&command);
        let known = self.inspect(move |engine| payloads(engine, &subjects)).await?;
        self.coder.command(command, &known)
    }

    /// Commands with encoded payloads.
    pub(super) async fn encoded_all(&self, commands: Vec<Command>) -> Result<Vec<Command>, HostError> {
        if self.coder.is_plain() {
            return Ok(commands);
        }
        let subjects: Vec<_> = commands.iter().map(Known::of).collect();
        let look = move |engine: &Engine| subjects.iter().map(|of| payloads(engine, of)).collect::<Vec<_>>();
        let known = self.inspect(look).await?;
        commands.into_iter().zip(known).map(|(command, known)| self.coder.command(command, &known)).collect()
    }

    /// A task with an encoded payload.
    pub(super) async fn encoded_task(&self, spec: Arc<TaskSpec>) -> Result<Arc<TaskSpec>, HostError> {
        if self.coder.is_plain() {
            return Ok(spec);
        }
        let known = Known::Task(spec.id);
        let known = self.inspect(move |engine| known.payload(engine)).await?;
        self.coder.task(spec, known.as_ref())
    }

    /// A run with an encoded input.
    pub(super) async fn encoded_run(&self, spec: RunSpec) -> Result<RunSpec, HostError> {
        if self.coder.is_plain() {
            return Ok(spec);
        }
        let known = Known::Run(spec.id);
        let known = self.inspect(move |engine| known.payload(engine)).await?;
        self.coder.run(spec, known.as_ref())
    }
}
