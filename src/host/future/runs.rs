//! Workflows and their runs.

use super::driver::Message;
#[cfg(feature = "observe")]
use super::progress::ProgressStream;
use super::{FutureHost, RunHandle};
use crate::base::id::RunId;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::Definition;
use crate::host::deploy::Deployment;
use crate::host::state::Ask;
use crate::host::{Deployed, HostError, InFlight};
use crate::message::command::{Accepted, Command, RunCommand};
use crate::message::run::{RunKey, RunSpec};
use crate::workflow::Flow;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

impl FutureHost {
    /// Adds a workflow definition. The answer is [`Accepted::Done`], [`Accepted::Repeated`], or [`Accepted::Compatible`] with
    /// what differs from the earlier definition of the same version.
    ///
    /// # Errors
    ///
    /// When the engine rejects the definition, or the host has ended.
    pub async fn define(&self, definition: impl Into<Arc<Definition>>) -> Result<Accepted, HostError> {
        self.command(Command::define(definition)).await
    }

    /// Adds a workflow definition, as [`define`](Self::define), and applies a policy to the unfinished runs of the workflow
    /// that follow another definition. The same deployment again, also after a crash or a dropped future, migrates the runs
    /// that are left.
    ///
    /// # Errors
    ///
    /// When the engine rejects the definition, runs are in flight with [`InFlight::Refuse`], or the host has ended.
    pub async fn deploy(
        &self,
        definition: impl Into<Arc<Definition>>,
        in_flight: InFlight,
    ) -> Result<Deployed, HostError> {
        let definition: Arc<Definition> = definition.into();
        let asked = Arc::clone(&definition);
        let defined = self.ask(|reply| Message::Ask(Ask::Deploy { definition: asked, in_flight, reply })).await??;
        let mut deployment = Deployment::new(&definition, in_flight, defined);
        while let Some(page) = deployment.page() {
            let (runs, next) = self.inspect(page).await?;
            for (run, command) in deployment.commands(runs) {
                deployment.note(run, self.command(command).await)?;
            }
            deployment.turn(next);
        }
        Ok(deployment.done())
    }

    /// Adds a workflow definition, unless the engine has it already, and starts a run of it, under an id or under a key of
    /// the program such as `"order-17"`. The handle is a future of the run's output. If the run was started before, nothing
    /// changes and the handle waits for that run, whatever version of the workflow it follows.
    ///
    /// # Errors
    ///
    /// When the input has no JSON form, the engine rejects the definition, no agent can perform one of its tasks, a
    /// run with this id was started with other content, or the host has ended.
    pub async fn run<I: Serialize, O: DeserializeOwned>(
        &self,
        flow: &Flow<I, O>,
        run: impl Into<RunKey>,
        input: &I,
    ) -> Result<RunHandle<O>, HostError> {
        let (definition, spec) = (Arc::clone(flow.definition()), flow.run(run, input)?);
        self.define(Arc::clone(&definition)).await?;
        self.start_for(spec, Some(definition)).await
    }

    /// Starts a run of a workflow whose definition was added, whether or not agents can perform its tasks yet. If the run
    /// was started before, nothing changes and the handle waits for that run, whatever version of the workflow it follows.
    ///
    /// # Errors
    ///
    /// When the engine rejects the run, or the host has ended.
    pub async fn start_run<O: DeserializeOwned>(&self, spec: RunSpec) -> Result<RunHandle<O>, HostError> {
        self.start_for(spec, None).await
    }

    async fn start_for<O: DeserializeOwned>(
        &self,
        spec: RunSpec,
        needs: Option<Arc<Definition>>,
    ) -> Result<RunHandle<O>, HostError> {
        let spec = self.encoded_run(spec).await?;
        let id = spec.id;
        let submission = self.hand_in(|ticket| Ask::Start { spec, needs, ticket }).await?;
        Ok(RunHandle::new(id, submission, Arc::clone(&self.link), self.coder.clone()))
    }

    /// A handle of a known run, whatever version of its workflow it follows. If it has ended, the handle is ready.
    ///
    /// # Errors
    ///
    /// When the run is unknown, or the host has ended.
    pub async fn attach<O: DeserializeOwned>(&self, run: RunId) -> Result<RunHandle<O>, HostError> {
        let submission = self.hand_in(|ticket| Ask::Attach { run, ticket }).await?;
        Ok(RunHandle::new(run, submission, Arc::clone(&self.link), self.coder.clone()))
    }

    /// Sends a signal to a run.
    ///
    /// # Errors
    ///
    /// When the engine rejects the signal, or the host has ended.
    pub async fn signal(&self, run: RunId, signal: impl Into<Name>, payload: Payload) -> Result<(), HostError> {
        let signal = signal.into();
        self.command(RunCommand::Signal { run, signal, payload }).await.map(|_| ())
    }

    /// Makes a decision that a node of a run waits for: `by` is the person, `role` their role, which the engine trusts the
    /// caller for. [`RunCommand::Decide`] has several roles and a note.
    ///
    /// # Errors
    ///
    /// When the engine rejects the decision, or the host has ended.
    pub async fn decide(
        &self,
        run: RunId,
        node: impl Into<Name>,
        by: impl Into<Name>,
        role: impl Into<Name>,
        option: impl Into<Name>,
    ) -> Result<(), HostError> {
        self.command(RunCommand::decision(run, node.into(), (by.into(), role.into()), option.into())).await.map(|_| ())
    }

    /// Cancels a run: work under way is cancelled, completed steps are compensated.
    ///
    /// # Errors
    ///
    /// When the engine rejects the cancellation, because the run has ended or has passed its pivot, or the host has ended.
    pub async fn cancel(&self, run: RunId, reason: impl Into<Name>) -> Result<(), HostError> {
        self.command(RunCommand::Cancel { run, reason: reason.into() }).await.map(|_| ())
    }

    /// Subscribes to the progress of a run: first its present progress, then every change until its end. The stream of
    /// an unknown run ends at once. The progress of a run that began before the journal's last snapshot covers only the
    /// events after that snapshot.
    ///
    /// # Errors
    ///
    /// When the host has ended.
    #[cfg(feature = "observe")]
    pub async fn progress(&self, run: RunId) -> Result<ProgressStream, HostError> {
        let (stream, follower) = ProgressStream::new(run);
        self.ask(|reply| Message::Ask(Ask::Follow { run, follower, reply })).await?;
        Ok(stream)
    }
}
