//! Counterpoint behind HTTP: tasks, runs and workflows for clients, long polls for remote agents, events and metrics
//! for monitoring.
//!
//! The engine is driven by `counterpoint::host::future` on one thread of tokio; its entries are stored in files. The
//! gate of `counterpoint::access` checks each request. Agents use the messages of `counterpoint::protocol`.

mod agents;
mod auth;
mod hub;
mod observe;
mod openapi;
mod refusal;
mod routes;
mod runs;
mod tasks;

pub use openapi::openapi;
pub use routes::router;

use auth::bearer;
use axum::http::HeaderMap;
use counterpoint::access::{AuditTrail, Gate, Policy, Tokens};
use counterpoint::host::HostError;
use counterpoint::host::future::{Driver, FutureHost, OffThread};
use counterpoint::journal::sealed::Stream;
use counterpoint::protocol::WireLimits;
use counterpoint::{Accepted, Command, Config, Engine, Limits};
use counterpoint_journal_files::FileJournal;
use hub::{Hub, Shown};
use refusal::Refusal;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The query parameters of a request.
type Parameters = axum::extract::Query<BTreeMap<String, String>>;

/// The longest time that a request is held open.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The state that all requests share. Clones share it, too.
#[derive(Clone)]
pub struct App {
    host: FutureHost,
    hub: Hub,
    gate: Arc<Gate>,
    trail: Arc<Mutex<AuditTrail>>,
    limits: WireLimits,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl App {
    /// Opens the journal in this folder and continues from it. The driver has to be spawned.
    ///
    /// # Errors
    ///
    /// When the journal cannot be opened or restored from.
    pub async fn open(folder: &Path, tokens: Tokens) -> Result<(Self, Driver), HostError> {
        let hub = Hub::default();
        let journal = Shown::new(FileJournal::new(folder, Stream::new("http-host")), hub.clone());
        let away = |work| drop(tokio::task::spawn_blocking(work));
        let (host, driver) =
            FutureHost::open(Config::default(), OffThread::new(journal, away), tokio::time::sleep).await?;
        let gate = Gate::new(Policy::standard(), tokens);
        let limits = WireLimits::from(&Limits::default());
        Ok((Self { host, hub, gate: Arc::new(gate), trail: Arc::default(), limits }, driver))
    }

    /// Subscribes the hub to all entries. Call this before the driver is polled for the first time, so that the hub
    /// misses none.
    ///
    /// # Errors
    ///
    /// When the host has ended.
    pub async fn watch(&self) -> Result<(), HostError> {
        let hub = self.hub.clone();
        self.host.watch(move |entry| hub.show(entry)).await
    }

    /// Dispatches no new attempts, waits this long for those under way, and ends.
    ///
    /// # Errors
    ///
    /// When attempts were still under way; they are in the journal.
    pub async fn shut_down(&self, patience: Duration) -> Result<(), HostError> {
        self.host.shut_down(patience).await
    }

    /// Sends a command to the engine, if the caller is allowed to.
    async fn command(&self, headers: &HeaderMap, command: impl Into<Command>) -> Result<Accepted, Refusal> {
        self.command_as(bearer(headers), command.into()).await
    }

    async fn command_as(
        &self,
        token: Option<counterpoint::access::Token>,
        command: Command,
    ) -> Result<Accepted, Refusal> {
        let command = self.admit(token, command).await?;
        Ok(self.host.command(command).await?)
    }

    /// Returns the command that the engine gets, if the caller is allowed to send it. It has the ids of the engine.
    async fn admit(&self, token: Option<counterpoint::access::Token>, command: Command) -> Result<Command, Refusal> {
        let (gate, now) = (Arc::clone(&self.gate), self.host.now());
        let admitted = self.host.inspect(move |engine| gate.admit(now, token.as_ref(), command, engine)).await?;
        self.keep(&admitted.decision);
        Ok(admitted.granted?)
    }

    /// Whether the caller may read everything.
    fn may_read(&self, headers: &HeaderMap, what: &str) -> Result<(), Refusal> {
        let admitted = self.gate.admit_reading(self.host.now(), bearer(headers).as_ref(), what);
        self.keep(&admitted.decision);
        Ok(admitted.granted?)
    }

    /// Whether the caller may read about one object: with the permission to read everything, or to send this command.
    async fn may_read_of(&self, headers: &HeaderMap, what: &str, permitted: Command) -> Result<(), Refusal> {
        let (gate, now, token) = (Arc::clone(&self.gate), self.host.now(), bearer(headers));
        if gate.admit_reading(now, token.as_ref(), what).granted.is_ok() {
            return Ok(());
        }
        let ask = move |engine: &Engine| gate.admit(now, token.as_ref(), permitted, engine);
        self.host.inspect(ask).await?.granted?;
        Ok(())
    }

    fn keep(&self, decision: &counterpoint::access::Decision) {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner).push(decision.clone());
    }
}

/// The parameter `wait`: the time in seconds for which a request is held open.
fn wait(parameters: &BTreeMap<String, String>) -> Result<Duration, Refusal> {
    let Some(text) = parameters.get("wait") else { return Ok(Duration::ZERO) };
    let seconds: f64 =
        text.parse().ok().filter(|seconds| (0.0..=3600.0).contains(seconds)).ok_or_else(|| {
            Refusal::invalid("wait", format!("`{text}` is not a number of seconds between 0 and 3600"))
        })?;
    Ok(Duration::from_secs_f64(seconds).min(LONGEST_WAIT))
}
